/* tests/fuzz/fuzz_soap.c - answers of a vSphere server.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "vim/devices.h"
#include "vim/soap.h"

/* Reads the whole tree the way that decoders do. */
static void
walk(const struct xml_node *e)
{
    for (; e; e = xml_next(e, NULL)) {
        CLEANUP_FREE char *text = xml_text(e);
        CLEANUP_FREE char *type = xml_type(e);
        struct moref m;
        CLEANUP_VIM_DEVICES struct vim_devices d = {0};
        struct err err = ERR_INIT;
        uint64_t n;
        bool b;

        MUST(text && type && xml_name(e));
        if (soap_moref(e, &m))
            MUST(m.type[0] && m.value[0]);
        (void)xml_u64(e, &n);
        (void)xml_bool(e, &b);
        if (strcmp(xml_name(e), "val") == 0 && vim_devices_decode(e, &d, &err) < 0)
            MUST(err.class == ERR_PROTOCOL);
        for (size_t i = 0; i < d.n_disks; i++)
            MUST(d.disks[i].capacity_bytes > 0 && d.disks[i].base_file);
        walk(xml_child(e, NULL));
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response = NULL;
    struct err err = ERR_INIT;

    if (soap_answer((const char *)data, size, "Login", &doc, &response, &err) < 0) {
        MUST(err.class < 0 && err.code[0] && err.msg[0]);
        return 0;
    }
    MUST(strcmp(xml_name(response), "LoginResponse") == 0);
    walk(response);
    return 0;
}
