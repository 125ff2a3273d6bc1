/* Unit tests of vmdk/vmdk_descriptor.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "vmdk/vmdk_descriptor.h"

#define HEAD "# Disk DescriptorFile\nversion=1\nencoding=\"UTF-8\"\nCID=fffffffe\n"
#define BASE HEAD "parentCID=ffffffff\ncreateType=\"vmfs\"\n"
#define DELTA                                                                            \
    HEAD "parentCID=1a2b3c4D\nparentFileNameHint=\"web01.vmdk\"\n"                       \
         "createType=\"vmfsSparse\"\n"

static int
parse(const char *text, struct vmdk_descriptor *ret, struct err *err)
{
    err_clear(err);
    return vmdk_descriptor_parse(text, strlen(text), ret, err);
}

/* @word must be in the message. */
static void
refused(const char *text, const char *word)
{
    struct vmdk_descriptor d = {0};
    struct err err = ERR_INIT;
    int r = parse(text, &d, &err);

    if (r != ERR_CORRUPT || strcmp(err.code, "source_unreadable") != 0 ||
        !strstr(err.msg, word))
        fail_msg("%d '%s' for: %s", r, err.msg, text);
    assert_null(d.extents);
}

static void
test_base(void **state)
{
    CLEANUP_VMDK_DESCRIPTOR struct vmdk_descriptor d = {0};
    struct err err = ERR_INIT;
    enum vmdk_kind kind = VMDK_KIND_COWD;

    assert_int_equal(
        parse(BASE "isNativeSnapshot=\"no\"\r\n\r\n# Extent description\r\n"
                   "RW 33554432 VMFS \"web01-flat.vmdk\"\r\n"
                   "# The Disk Data Base\r\n#DDB\r\n\r\n"
                   "ddb.adapterType = \"lsilogic\"\r\nddb.uuid = \"60 00 C2 9a\"\r\n"
                   "changeTrackPath=\"web01-ctk.vmdk\"\r\n",
              &d, &err),
        0);
    assert_string_equal(d.create_type, "vmfs");
    assert_int_equal(d.cid, 0xfffffffe);
    assert_int_equal(d.parent_cid, VMDK_NO_PARENT);
    assert_null(d.parent_hint);
    assert_int_equal(d.n_extents, 1);
    assert_int_equal(d.sectors, 33554432);
    assert_int_equal(d.extents[0].type, VMDK_VMFS);
    assert_int_equal(d.extents[0].access, VMDK_RW);
    assert_string_equal(d.extents[0].file, "web01-flat.vmdk");
    assert_int_equal(vmdk_descriptor_classify(&d, &kind, &err), 0);
    assert_int_equal(kind, VMDK_KIND_FLAT);
}

static void
test_extents(void **state)
{
    CLEANUP_VMDK_DESCRIPTOR struct vmdk_descriptor d = {0};
    struct err err = ERR_INIT;
    enum vmdk_kind kind = VMDK_KIND_COWD;

    assert_int_equal(parse(BASE "RW 4192256 FLAT \"a b-f001.vmdk\" 0\n"
                                "RDONLY  2048\tFLAT \"a-f002.vmdk\" 63 \n"
                                "RW 100 ZERO",
                           &d, &err),
                     0);
    assert_int_equal(d.n_extents, 3);
    assert_string_equal(d.extents[0].file, "a b-f001.vmdk");
    assert_int_equal(d.extents[1].access, VMDK_RDONLY);
    assert_int_equal(d.extents[1].offset_sectors, 63);
    assert_int_equal(d.extents[2].type, VMDK_ZERO);
    assert_null(d.extents[2].file);
    assert_int_equal(d.sectors, 4192256 + 2048 + 100);
    assert_int_equal(vmdk_descriptor_classify(&d, &kind, &err), 0);
    assert_int_equal(kind, VMDK_KIND_FLAT);
    for (int t = VMDK_FLAT; t <= VMDK_SPARSE; t++)
        assert_non_null(vmdk_extent_type_str((enum vmdk_extent_type)t));
}

static void
kind_is(const char *text, int want)
{
    CLEANUP_VMDK_DESCRIPTOR struct vmdk_descriptor d = {0};
    struct err err = ERR_INIT;
    enum vmdk_kind kind = VMDK_KIND_FLAT;

    assert_int_equal(parse(text, &d, &err), 0);
    assert_int_equal(vmdk_descriptor_classify(&d, &kind, &err), 0);
    assert_int_equal(kind, want);
}

static void
unreadable(const char *text, const char *word)
{
    CLEANUP_VMDK_DESCRIPTOR struct vmdk_descriptor d = {0};
    struct err err = ERR_INIT;
    enum vmdk_kind kind = VMDK_KIND_FLAT;

    assert_int_equal(parse(text, &d, &err), 0);
    if (vmdk_descriptor_classify(&d, &kind, &err) != ERR_INVALID ||
        strcmp(err.code, "source_unreadable") != 0 || !strstr(err.msg, word))
        fail_msg("'%s' for: %s", err.msg, text);
}

static void
test_kinds(void **state)
{
    kind_is(DELTA "RW 100 VMFSSPARSE \"web01-000001-delta.vmdk\"\n", VMDK_KIND_COWD);
    kind_is(DELTA "RW 100 SESPARSE \"web01-000001-sesparse.vmdk\"\n", VMDK_KIND_SESPARSE);
    unreadable(BASE "RW 100 VMFS \"vsan://52ab-77\"\n", "vSAN");
    unreadable(BASE "RW 100 VMFSRDM \"web01-rdm.vmdk\"\n", "raw device");
    unreadable(BASE "RW 100 VMFSRAWDM \"web01-rdmp.vmdk\"\n", "raw device");
    unreadable(BASE "RW 100 SPARSE \"web01-s001.vmdk\"\n", "hosted");
    unreadable(BASE "NOACCESS 100 VMFS \"web01-flat.vmdk\"\n", "accessed");
    unreadable(BASE "RW 100 VMFSSPARSE \"x-delta.vmdk\"\n", "no parent");
    unreadable(BASE "RW 100 VMFS \"a\"\nRW 100 SESPARSE \"b\"\n", "several kinds");
    unreadable(DELTA "RW 100 VMFS \"web01-flat.vmdk\"\n", "a parent");
    unreadable(BASE "RW 100 VMFS \"a\"\nddb.iofilters = \"spm,vmwarevmcrypt\"\n",
               "encrypted");
    unreadable(BASE "RW 100 VMFS \"a\"\nencryptionKeys=\"x\"\n", "encrypted");
}

static void
test_malformed(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(1 << 20);
    struct vmdk_descriptor d;
    struct err err = ERR_INIT;

    refused("", "no text");
    refused("KDMV\001\n", "neither");
    refused("version=1\ncreateType=\"vmfs\"\n", "extents");
    refused("version=1\nRW 1 VMFS \"a\"\n", "createType");
    refused("createType=\"vmfs\"\nRW 1 VMFS \"a\"\n", "version");
    refused(BASE "RW 0 VMFS \"a\"\n", "size");
    refused(BASE "RW -1 VMFS \"a\"\n", "size");
    refused(BASE "RW 2199023255553 VMFS \"a\"\n", "size");
    refused(BASE "RW 2199023255552 VMFS \"a\"\nRW 1 VMFS \"b\"\n", "size");
    refused(BASE "RW 18446744073709551617 VMFS \"a\"\n", "size");
    refused(BASE "RW 1x VMFS \"a\"\n", "size");
    refused(BASE "RW 1 VMFSX \"a\"\n", "type");
    refused(BASE "RW 1 VMFS a\n", "file name");
    refused(BASE "RW 1 VMFS \"a\n", "file name");
    refused(BASE "RW 1 VMFS \"\"\n", "file name");
    refused(BASE "RW 1 VMFS \"a\tb\"\n", "file name");
    refused(BASE "RW 1 VMFS \"a\xff\"\n", "file name");
    refused(BASE "RW 1 VMFS \"a\" 5\n", "too many");
    refused(BASE "RW 1 FLAT \"a\" 5 6\n", "too many");
    refused(BASE "RW 1 FLAT \"a\" x\n", "place");
    refused(BASE "RW 1 VMFS \"a\"\nCID=1\n", "before");
    refused(BASE "RW 1 VMFS \"a\"\ncreateType=\"x\"\n", "before");
    refused(DELTA "RW 1 VMFS \"a\"\nparentFileNameHint=\"b\"\n", "before");
    refused("CID=xyz\n", "hex");
    refused("CID=123456789\n", "hex");
    refused("parentCID=\n", "hex");
    refused("createType=\"vmfs\n", "quotes");
    assert_int_equal(vmdk_descriptor_parse("version=1\0x", 11, &d, &err), ERR_CORRUPT);
    assert_int_equal(buf_printf(&b, &err, "%s", BASE), 0);
    for (unsigned i = 0; i < VMDK_EXTENTS_MAX; i++)
        assert_int_equal(buf_printf(&b, &err, "RW 1 FLAT \"a%u\" 0\n", i), 0);
    d = (struct vmdk_descriptor){0};
    assert_int_equal(parse(b.data, &d, &err), 0);
    assert_int_equal(d.n_extents, VMDK_EXTENTS_MAX);
    vmdk_descriptor_done(&d);
    assert_int_equal(buf_printf(&b, &err, "RW 1 ZERO\n"), 0);
    refused(b.data, "too many extents");
    buf_reset(&b);
    while (b.len <= VMDK_DESCRIPTOR_MAX)
        assert_int_equal(buf_printf(&b, &err, "# filler\n"), 0);
    refused(b.data, "bytes");
}

static void
located(const char *file, const char *datastore, const char *path)
{
    struct vmdk_place base = {(char *)"ds1", (char *)"web01/web01.vmdk"};
    CLEANUP_VMDK_PLACE struct vmdk_place p = {0};
    struct err err = ERR_INIT;
    int r = vmdk_locate(&base, file, &p, &err);

    if (!datastore) {
        assert_int_equal(r, ERR_INVALID);
        assert_string_equal(err.code, "source_unreadable");
        assert_null(p.path);
        return;
    }
    assert_int_equal(r, 0);
    assert_string_equal(p.datastore, datastore);
    assert_string_equal(p.path, path);
}

static void
test_places(void **state)
{
    struct vmdk_place root = {(char *)"ds1", (char *)"web01.vmdk"};
    CLEANUP_VMDK_PLACE struct vmdk_place p = {0};
    struct err err = ERR_INIT;

    located("web01-flat.vmdk", "ds1", "web01/web01-flat.vmdk");
    located("/vmfs/volumes/ds two/db/db-flat.vmdk", "ds two", "db/db-flat.vmdk");
    located("/vmfs/volumes/5f-1a/x.vmdk", "5f-1a", "x.vmdk");
    assert_int_equal(vmdk_locate(&root, "a.vmdk", &p, &err), 0);
    assert_string_equal(p.path, "a.vmdk");
    located("../other/x.vmdk", NULL, NULL);
    located("a/../x.vmdk", NULL, NULL);
    located("a//x.vmdk", NULL, NULL);
    located("./x", NULL, NULL);
    located("", NULL, NULL);
    located("/vmfs/volumes/ds1", NULL, NULL);
    located("/vmfs/volumes/ds1/", NULL, NULL);
    located("/vmfs/volumes//x", NULL, NULL);
    located("/vmfs/volumes/../etc/passwd", NULL, NULL);
    located("/etc/passwd", NULL, NULL);
    located("vsan://52ab", NULL, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_base),   cmocka_unit_test(test_extents),
        cmocka_unit_test(test_kinds),  cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_places),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
