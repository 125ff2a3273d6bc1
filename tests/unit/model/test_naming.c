/* tests/unit/model/test_naming.c - names, ids, locators, targets strings. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/naming.h"
#include "model/targets.h"
#include "model_test.h"

#define VM "0198c0de-0000-7000-8000-000000000001"
#define DISK "0198c0de-0000-7000-8000-000000000002"

static void
expect_name(const char *name, bool good)
{
    struct err err = ERR_INIT;

    assert_int_equal(naming_name_check(name, "VM name", &err), good ? 0 : ERR_INVALID);
    if (!good) {
        assert_string_equal(err.code, "invalid_field");
        assert_non_null(strstr(err.msg, "VM name"));
    }
}

static void
test_names(void **state)
{
    char s[258];

    expect_name("a-disk1-b", true);
    expect_name("o'x/\"", true);
    expect_name("../../x", true);
    expect_name("M\xc3\xbcller \xf0\x9f\x98\x80", true);
    expect_name("\xc2\xa0", true); /* first character above C1 */
    expect_name("", false);
    expect_name("a\nb", false);
    expect_name("a\x1b[31m", false);
    expect_name("a\x7f", false);
    expect_name("a\xc2\x9b", false); /* U+009B: CSI */
    expect_name("a\xff", false);
    expect_name("\xc3", false);
    memset(s, 'x', sizeof(s));
    s[255] = '\0';
    expect_name(s, true);
    s[255] = 'x';
    s[256] = '\0';
    expect_name(s, false);
}

static void
test_keys(void **state)
{
    static const char *const bad[] = {"",   "-1",  "+1",         " 1",
                                      "1 ", "01",  "2147483648", "99999999999999999999",
                                      "x",  "0x10"};
    uint32_t k = 5;

    assert_int_equal(naming_key_from_str("0", &k), 0);
    assert_int_equal(k, 0);
    assert_int_equal(naming_key_from_str("2147483647", &k), 0);
    assert_int_equal(k, 2147483647);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(naming_key_from_str(bad[i], &k), -1);
}

static void
test_backup_id(void **state)
{
    char id[NAMING_BACKUP_ID_SIZE], longer[300];

    naming_backup_id("pgtest1", 1766000000, id);
    assert_string_equal(id, "backup-pgtest1-1766000000");
    naming_backup_id("../o'x\"\xc3\xbc.A_9-z", 1, id);
    assert_string_equal(id, "backup-.._o_x___.A_9-z-1");
    memset(longer, 'y', sizeof(longer));
    longer[299] = '\0';
    naming_backup_id(longer, INT64_MIN, id);
    assert_int_equal(strlen(id), 7 + 64 + 1 + 20);
}

static void
test_seq(void **state)
{
    static const char *const bad[] = {"7.qcow2",
                                      "00007.qcow2",
                                      "0000007.qcow2",
                                      "000000.qcow2",
                                      "000007.qcow2 ",
                                      "000007",
                                      "-00007.qcow2",
                                      "000007.manifest",
                                      ".qcow2",
                                      "1000000000.qcow2",
                                      "99999999999999999999.qcow2"};
    char s[NAMING_SEQ_SIZE];
    uint32_t seq;

    naming_seq(7, s);
    assert_string_equal(s, "000007");
    naming_seq(NAMING_SEQ_MAX, s);
    assert_string_equal(s, "999999999");
    assert_int_equal(naming_seq_from_file("000007.qcow2", ".qcow2", &seq), 0);
    assert_int_equal(seq, 7);
    assert_int_equal(naming_seq_from_file("1234567.json", ".json", &seq), 0);
    assert_int_equal(seq, 1234567);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(naming_seq_from_file(bad[i], ".qcow2", &seq), -1);
}

static void
test_locator(void **state)
{
    static const char *const bad[] = {
        "",
        "/vms/" VM "/disks/" DISK "/000007",
        "vms/" VM "/disks/" DISK "/7",
        "vms/" VM "/disks/" DISK "/000007/",
        "vms/" VM "/disks/" DISK "/000007.qcow2",
        "vms/../disks/" DISK "/000007",
        "vms/" VM "/disks/../000007",
        "vms/" VM "//disks/" DISK "/000007",
        ("vms/0198C0DE-0000-7000-8000-000000000001/disks/" DISK "/000007"),
        ("vms/" VM),
    };
    char s[NAMING_LOCATOR_SIZE];
    struct naming_locator l;

    naming_locator_build(VM, DISK, NAMING_SEQ_MAX, s);
    assert_string_equal(s, "vms/" VM "/disks/" DISK "/999999999");
    naming_locator_build(VM, DISK, 7, s);
    assert_int_equal(naming_locator_parse(s, &l), 0);
    assert_string_equal(l.vm_uuid, VM);
    assert_string_equal(l.disk_uuid, DISK);
    assert_int_equal(l.seq, 7);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(naming_locator_parse(bad[i], &l), -1);
}

static void
test_exports(void **state)
{
    char a[NAMING_EXPORT_SIZE], b[NAMING_EXPORT_SIZE], d[NAMING_DESCRIPTION_SIZE];

    naming_export_make(a);
    naming_export_make(b);
    assert_int_equal(strlen(a), 41);
    assert_string_not_equal(a, b);
    assert_true(naming_export_is_valid(a));
    assert_false(naming_export_is_valid("sendense-"));
    assert_false(naming_export_is_valid("sendense-0123456789ABCDEF0123456789abcdef"));
    a[40] = '\0';
    assert_false(naming_export_is_valid(a));
    naming_description(VM, 2147483647, d);
    assert_string_equal(d, "sendense " VM " 2147483647");
    assert_int_equal(naming_round_up_512(0), 0);
    assert_int_equal(naming_round_up_512(1), 512);
    assert_int_equal(naming_round_up_512(512), 512);
    assert_int_equal(naming_round_up_512(513), 1024);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_keys),
        cmocka_unit_test(test_backup_id), cmocka_unit_test(test_seq),
        cmocka_unit_test(test_locator),   cmocka_unit_test(test_exports),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
