/* tests/fuzz/fuzz_vmdk_descriptor.c - the descriptor parser on hostile input, and the
 * mapping of every name it gives to a place. */
#include <string.h>

#include "vmdk/vmdk_descriptor.h"
#include "fuzz.h"

static void
locate(const char *file)
{
    struct vmdk_place base = {(char *)"ds", (char *)"d/d.vmdk"}, p = {0};
    struct err err = ERR_INIT;

    if (vmdk_locate(&base, file, &p, &err) < 0) {
        MUST(err.class == ERR_INVALID && !p.path && !p.datastore);
        return;
    }
    MUST(p.path[0] && p.path[0] != '/' && !strchr(p.datastore, '/'));
    MUST(!strstr(p.path, "/../") && strncmp(p.path, "../", 3) != 0);
    vmdk_place_done(&p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct vmdk_descriptor d = {0};
    struct err err = ERR_INIT;
    enum vmdk_kind kind;
    uint64_t sum = 0;

    if (vmdk_descriptor_parse((const char *)data, size, &d, &err) < 0) {
        MUST(err.class == ERR_CORRUPT && strcmp(err.code, "source_unreadable") == 0);
        MUST(!d.extents);
        return 0;
    }
    MUST(d.n_extents > 0 && d.n_extents <= VMDK_EXTENTS_MAX && d.create_type[0]);
    for (unsigned i = 0; i < d.n_extents; i++) {
        sum += d.extents[i].sectors;
        MUST((d.extents[i].file == NULL) == (d.extents[i].type == VMDK_ZERO));
        if (d.extents[i].file)
            locate(d.extents[i].file);
    }
    MUST(sum == d.sectors);
    if (d.parent_hint)
        locate(d.parent_hint);
    if (vmdk_descriptor_classify(&d, &kind, &err) < 0)
        MUST(err.class == ERR_INVALID);
    else
        MUST(!d.encrypted && (kind == VMDK_KIND_FLAT) == !d.parent_hint);
    vmdk_descriptor_done(&d);
    return 0;
}
