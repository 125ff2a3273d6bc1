/* tests/fuzz/fuzz_soap.c - answers of a vSphere server.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "fuzz.h"
#include "vim/decode.h"

#define CAPACITY (1ull << 20)

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
        for (size_t i = 0; i < d.n_disks; i++) {
            const struct vim_disk *k = &d.disks[i];

            MUST(k->capacity_bytes > 0 && k->base_file);
            MUST(k->n_parents == 0 ||
                 strcmp(k->parents[k->n_parents - 1], k->base_file) == 0);
        }
        walk(xml_child(e, NULL));
    }
}

/* ---- pages of objects: each is taken for everything that it could be ---- */

static void
as_vm(const struct xml_node *o)
{
    CLEANUP_VIM_VM struct vim_vm vm = {0};
    struct vim_vm_item item;
    struct err err = ERR_INIT;

    if (vim_item_decode(o, &item, &err) == 0) {
        MUST(item.ref.value[0] && item.name && item.instance_uuid);
        vim_item_done(&item);
    }
    err_clear(&err);
    if (vim_vm_decode(o, &vm, &err) < 0)
        MUST(err.class == ERR_PROTOCOL || err.class == ERR_LIMIT);
    else
        MUST(vm.item.name && vm.nvram_file && vm.n_snapshots <= VIM_SNAPSHOTS_MAX);
}

static void
as_snapshot(const struct xml_node *o)
{
    CLEANUP_VIM_SNAPSHOT struct vim_snapshot s = {0};
    CLEANUP_XML struct xml_doc *again = NULL;
    struct err err = ERR_INIT;

    if (vim_snapshot_decode(o, &s, &err) < 0) {
        MUST(err.class == ERR_PROTOCOL || err.class == ERR_LIMIT);
        return;
    }
    /* What is stored can be read again. */
    if (s.config_xml)
        MUST(xml_parse(s.config_xml, strlen(s.config_xml), &again, &err) == 0);
}

static void
as_task(const struct xml_node *o)
{
    struct vim_task t;
    struct err err = ERR_INIT;

    if (vim_task_decode(o, &t, &err) < 0) {
        MUST(err.class == ERR_PROTOCOL);
        return;
    }
    MUST(t.percent <= 100);
    MUST((t.state == VIM_TASK_FAILED) == (t.error.class != 0));
}

static void
page(const struct xml_node *response)
{
    CLEANUP_FREE char *token = NULL;
    const struct xml_node *o = NULL;
    struct err err = ERR_INIT;

    if (vim_page_decode(response, &token, &err) < 0)
        MUST(err.class == ERR_AUTH && strcmp(err.code, "vcenter_session") == 0);
    while ((o = vim_page_object(response, o))) {
        err_clear(&err);
        if (vim_object_check(o, &err) < 0)
            MUST(err.class == ERR_NOT_FOUND || err.class == ERR_AUTH);
        as_vm(o);
        as_snapshot(o);
        as_task(o);
    }
}

static void
content(const struct xml_node *response)
{
    struct vim_content c;
    struct vim_about a;
    struct err err = ERR_INIT;

    if (vim_content_decode(response, &c, &a, &err) < 0) {
        MUST(err.class == ERR_PROTOCOL);
        return;
    }
    MUST(c.session_manager.value[0] && a.full_name);
    vim_about_done(&a);
}

/* ---- changed areas ---- */

static int
see_area(void *arg, uint64_t offset, uint64_t length, struct err *err)
{
    uint64_t *end = arg;

    /* Joined: two areas that touch would have been one. */
    MUST(length > 0 && (offset > *end || (*end == 0 && offset == 0)));
    MUST(offset < CAPACITY && length <= CAPACITY - offset);
    *end = offset + length;
    return 0;
}

static void
changed(const struct xml_node *response)
{
    uint64_t end = 0;
    struct vim_areas a = {.capacity = CAPACITY, .fn = see_area, .arg = &end};
    struct err err = ERR_INIT;

    for (int i = 0; i < 2 && a.next < CAPACITY; i++)
        if (vim_areas_page(&a, response, &err) < 0) {
            MUST(err.class == ERR_PROTOCOL && strcmp(err.code, "changed_areas") == 0);
            return;
        }
    MUST(vim_areas_end(&a, &err) == 0 && a.next <= CAPACITY);
}

static const struct {
    const char *method;
    void (*read)(const struct xml_node *response);
} methods[] = {
    {"Login", walk},
    {"RetrieveServiceContent", content},
    {"RetrievePropertiesEx", page},
    {"ContinueRetrievePropertiesEx", page},
    {"QueryChangedDiskAreas", changed},
    {"CreateSnapshot_Task", walk},
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char version[VIM_API_VERSION_SIZE];

    vim_version_choose((const char *)data, size, version);
    MUST(version[0] >= '0' && version[0] <= '9');
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        CLEANUP_XML struct xml_doc *doc = NULL;
        const struct xml_node *response = NULL;
        struct err err = ERR_INIT;

        /* Parsed again only for what it may be the answer to. */
        if (i > 0 && !memmem(data, size, methods[i].method, strlen(methods[i].method)))
            continue;
        if (soap_answer((const char *)data, size, methods[i].method, &doc, &response,
                        &err) < 0)
            MUST(err.class < 0 && err.code[0] && err.msg[0]);
        else
            methods[i].read(response);
    }
    return 0;
}
