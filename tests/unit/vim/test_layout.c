/* Unit tests of vim/layout.h: chains of descriptors, addresses. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "vim/layout.h"
#include "vim/source.h"

#define MIB (1u << 20)
#define HEAD(cid, parent)                                                                \
    "# Disk DescriptorFile\nversion=1\nCID=" cid "\nparentCID=" parent "\n"
#define BASE(cid, extents) HEAD(cid, "ffffffff") "createType=\"vmfs\"\n" extents
#define DELTA(cid, parent, extents)                                                      \
    HEAD(cid, parent)                                                                    \
    "createType=\"seSparse\"\nparentFileNameHint=\"web.vmdk\"\n" extents

struct case_of {
    const char *path, *text;
};

static char store_id[] = "5f00-aa", store_name[] = "ds1";
static const struct vim_store store = {store_id, store_name};

/* The layers as one line, or NULL and *err. */
static char *
layers_of(const struct case_of *files, size_t n, struct err *err)
{
    struct vim_link links[4] = {0};
    struct vim_chain c = {.url = "https://h:1",
                          .datacenter = "DC 0",
                          .size_bytes = MIB,
                          .links = links,
                          .n_links = n,
                          .stores = &store,
                          .n_stores = 1};
    CLEANUP_JSON json_t *layers = NULL;
    char *line = NULL;

    for (size_t i = 0; i < n; i++) {
        struct err e = ERR_INIT;

        links[i].place.datastore = xstrdup("ds1");
        links[i].place.path = xstrdup(files[i].path);
        if (vmdk_descriptor_parse(files[i].text, strlen(files[i].text),
                                  &links[i].descriptor, &e) < 0)
            fail_msg("%s: %s", files[i].path, e.msg);
    }
    if (vim_layout_layers(&c, &layers, err) == 0)
        line = json_line(layers);
    for (size_t i = 0; i < n; i++) {
        vmdk_place_done(&links[i].place);
        vmdk_descriptor_done(&links[i].descriptor);
    }
    return line;
}

static void
chains(void **state)
{
    static const struct case_of one[] = {
        {"web/web.vmdk", BASE("01", "RW 2048 VMFS \"web-flat.vmdk\"\n")}};
    static const struct case_of two[] = {
        {"web/web-000001.vmdk",
         DELTA("02", "01", "RW 2048 SESPARSE \"web-000001-sesparse.vmdk\"\n")},
        {"web/web.vmdk", BASE("01", "RW 1024 VMFS \"a&b.vmdk\"\n"
                                    "RW 512 VMFS \"/vmfs/volumes/5f00-aa/x/y z.vmdk\"\n"
                                    "RW 512 ZERO\n")}};
    static const struct case_of clone[] = {
        {"web/web-000001.vmdk",
         DELTA("02", "01", "RW 2048 SESPARSE \"web-000001-sesparse.vmdk\"\n")},
        {"web/web.vmdk", BASE("01", "RW 1024 VMFS \"web-flat.vmdk\"\n")}};
    struct err err = ERR_INIT;
    CLEANUP_FREE char *a = layers_of(one, 1, &err), *b = layers_of(two, 2, &err),
                      *c = layers_of(clone, 2, &err);

    assert_string_equal(err.msg, "");
    assert_string_equal(
        a, "[{\"format\":\"flat\",\"extents\":[{\"url\":\"https://h:1/folder/web/"
           "web-flat.vmdk?dcPath=DC%200&dsName=ds1\",\"offset_bytes\":0,\"start_bytes\":"
           "0,\"length_bytes\":1048576}]}]");
    assert_string_equal(
        b,
        "[{\"format\":\"sesparse\",\"extents\":[{\"url\":\"https://h:1/folder/web/"
        "web-000001-sesparse.vmdk?dcPath=DC%200&dsName=ds1\",\"offset_bytes\":0,"
        "\"start_bytes\":0,\"length_bytes\":1048576}]},"
        "{\"format\":\"flat\",\"extents\":[{\"url\":\"https://h:1/folder/web/"
        "a%26b.vmdk?dcPath=DC%200&dsName=ds1\",\"offset_bytes\":0,\"start_bytes\":0,"
        "\"length_bytes\":524288},{\"url\":\"https://h:1/folder/x/y%20z.vmdk?dcPath=DC%"
        "200&dsName=ds1\",\"offset_bytes\":0,\"start_bytes\":524288,\"length_bytes\":"
        "262144},{\"url\":null,\"offset_bytes\":0,\"start_bytes\":786432,\"length_"
        "bytes\":"
        "262144}]}]");
    /* What the clone has more than its base is zero below. */
    assert_non_null(strstr(c, "{\"url\":null,\"offset_bytes\":0,\"start_bytes\":524288,"
                              "\"length_bytes\":524288}"));
}

/* A server that names no parent: the delta's own words. */
static void
parents(void **state)
{
    static const struct {
        const char *head, *hint, *datastore, *path; /* datastore NULL: refused */
    } cases[] = {
        {HEAD("02", "01"), "web.vmdk", "ds1", "web/web.vmdk"},
        {HEAD("02", "01"), "/vmfs/volumes/5f00-aa/base/b.vmdk", "ds1", "base/b.vmdk"},
        {HEAD("02", "01"), "/vmfs/volumes/ds1/base/b.vmdk", "ds1", "base/b.vmdk"},
        {HEAD("02", "01"), "/vmfs/volumes/other/base/b.vmdk", NULL, NULL},
        {HEAD("02", "01"), "../x.vmdk", NULL, NULL},
    };
    const struct vim_chain c = {.stores = &store, .n_stores = 1};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *text =
            xasprintf("%screateType=\"seSparse\"\nparentFileNameHint=\"%s\"\n"
                      "RW 2048 SESPARSE \"s.vmdk\"\n",
                      cases[i].head, cases[i].hint);
        struct vim_link l = {.place = {.datastore = xstrdup("ds1"),
                                       .path = xstrdup("web/web-000001.vmdk")}};
        CLEANUP_VMDK_PLACE struct vmdk_place p = {0};
        struct err err = ERR_INIT;

        assert_int_equal(vmdk_descriptor_parse(text, strlen(text), &l.descriptor, &err),
                         0);
        assert_true(vim_layout_has_parent(&l));
        if (cases[i].datastore) {
            assert_int_equal(vim_layout_parent(&c, &l, &p, &err), 0);
            assert_string_equal(p.datastore, cases[i].datastore);
            assert_string_equal(p.path, cases[i].path);
        } else {
            assert_true(vim_layout_parent(&c, &l, &p, &err) < 0);
            assert_string_equal(err.code, "source_unreadable");
        }
        vmdk_place_done(&l.place);
        vmdk_descriptor_done(&l.descriptor);
    }
}

/* A base has none, whatever else is written in it. */
static void
bases(void **state)
{
    static const char *const texts[] = {
        BASE("01", "RW 2048 VMFS \"a.vmdk\"\n"),
        HEAD("01", "ffffffff") "createType=\"vmfs\"\nparentFileNameHint=\"web.vmdk\"\n"
                               "RW 2048 VMFS \"a.vmdk\"\n"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct vim_link l = {0};
        struct err err = ERR_INIT;

        assert_int_equal(
            vmdk_descriptor_parse(texts[i], strlen(texts[i]), &l.descriptor, &err), 0);
        assert_false(vim_layout_has_parent(&l));
        vmdk_descriptor_done(&l.descriptor);
    }
}

static void
refused(void **state)
{
    static const struct {
        struct case_of files[2];
        const char *word;
    } cases[] = {
        {{{"a.vmdk", BASE("01", "RW 1024 VMFS \"a-flat.vmdk\"\n")}}, "describes"},
        {{{"a.vmdk", BASE("01", "RW 4096 VMFS \"a-flat.vmdk\"\n")}}, "describes"},
        {{{"a.vmdk", BASE("01", "RW 2048 VMFS \"/vmfs/volumes/other/a.vmdk\"\n")}},
         "cannot be found"},
        {{{"a.vmdk", BASE("01", "NOACCESS 2048 VMFS \"a-flat.vmdk\"\n")}},
         "may not be accessed"},
        {{{"a.vmdk", BASE("01", "RW 2048 VMFSRDM \"a-rdm.vmdk\"\n")}}, "raw"},
        {{{"a.vmdk", BASE("01", "RW 2048 VMFS \"vsan://52-1\"\n")}}, "vSAN"},
        {{{"a.vmdk", DELTA("02", "01", "RW 2048 SESPARSE \"a-sesparse.vmdk\"\n")}},
         "no parent"},
        {{{"a.vmdk", BASE("02", "RW 2048 VMFS \"a-flat.vmdk\"\n")},
          {"b.vmdk", BASE("ffffffff", "RW 2048 VMFS \"b-flat.vmdk\"\n")}},
         "it is a base"},
        {{{"a.vmdk", DELTA("02", "07", "RW 2048 SESPARSE \"a-sesparse.vmdk\"\n")},
          {"b.vmdk", BASE("01", "RW 2048 VMFS \"b-flat.vmdk\"\n")}},
         "content id"},
        {{{"a.vmdk", DELTA("02", "01", "RW 1024 SESPARSE \"a-sesparse.vmdk\"\n")},
          {"b.vmdk", BASE("01", "RW 2048 VMFS \"b-flat.vmdk\"\n")}},
         "describes"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = ERR_INIT;
        CLEANUP_FREE char *line =
            layers_of(cases[i].files, cases[i].files[1].path ? 2 : 1, &err);

        if (line)
            fail_msg("%zu: %s", i, line);
        assert_int_equal(err.class, ERR_INVALID);
        assert_string_equal(err.code, "source_unreadable");
        if (!strstr(err.msg, cases[i].word))
            fail_msg("%zu: %s", i, err.msg);
    }
}

static void
files_of_datastores(void **state)
{
    static const char *const none[] = {"",       "x.vmdk", "[]x.vmdk", "[ds1]",
                                       "[ds1] ", "[ds1",   "[ds1] /x", " [ds1] x"};
    CLEANUP_FREE char *ds = NULL, *path = NULL;

    assert_true(vim_ds_split("[d s (1)] a b/c]d.vmdk", &ds, &path));
    assert_string_equal(ds, "d s (1)");
    assert_string_equal(path, "a b/c]d.vmdk");
    for (size_t i = 0; i < ARRAY_LEN(none); i++)
        assert_false(vim_ds_split(none[i], &ds, &path));
}

static void
addresses(void **state)
{
    CLEANUP_FREE char *a = vim_folder_url("https://h", "f/D%2fC+", "d&s", "a b/ü#?.vmdk");

    assert_string_equal(
        a, "https://h/folder/a%20b/%C3%BC%23%3F.vmdk?dcPath=f/D%252fC%2B&dsName=d%26s");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),
        cmocka_unit_test(parents),
        cmocka_unit_test(bases),
        cmocka_unit_test(refused),
        cmocka_unit_test(files_of_datastores),
        cmocka_unit_test(addresses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
