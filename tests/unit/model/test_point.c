/* tests/unit/model/test_point.c - restore points: what is refused, what is ignored. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/point.h"
#include "model_test.h"

#define BAD "point_corrupt"
#define NEWER "point_unsupported"

static int
decode(const json_t *j, struct err *err)
{
    CLEANUP_POINT struct point p = {0};

    return point_decode(j, &p, err);
}

static void
test_pokes(void **state)
{
    static const struct poke pokes[] = {
        {"format", "2", NEWER},
        {"format", "\"1\"", BAD},
        {"incompat", "[\"dedup\"]", NEWER},
        {"incompat", NULL, BAD},
        {"point_id", "null", BAD},
        {"seq", "0", BAD},
        {"seq", "8", BAD}, /* the locators say 7 */
        {"time", "\"x\"", BAD},
        {"backup.id", "\"\"", BAD},
        {"backup.type", "\"x\"", BAD},
        {"backup.verification", "\"failed\"", BAD},
        {"backup.verification", "\"none\"", BAD},
        {"backup.readback", "null", BAD}, /* verified, but how? */
        {"backup.readback", "\"none\"", BAD},
        {"backup.completed", NULL, BAD},
        {"vm.uuid", "\"x\"", BAD},
        {"vm.name", "\"a\\u0007\"", BAD},
        {"vm.instance_uuid", "7", BAD},
        {"vm.instance_uuid", "\"\"", BAD},
        {"disks.0.source_uuid", "{}", BAD},
        {"disks.0.datastore", "7", BAD},
        {"disks.0.audit", "[]", BAD},
        {"disks.0.audit", "{\"sampled\": 1}", BAD},
        {"disks.0.audit", "{\"sampled\": 1, \"bad\": -1}", BAD},
        {"vm.configuration", "[]", BAD},
        {"vm.nvram", "\"A\"", BAD},
        {"vm.nvram", "\"AA*=\"", BAD},
        {"vm.nvram", "\"A===\"", BAD},
        {"disks", "[]", BAD},
        {"disks.0.key", "2001", BAD},
        {"disks.0.index", "1", BAD},
        {"disks.0.size_bytes", "0", BAD},
        {"disks.0.locator", "\"../../etc/passwd\"", BAD},
        {"disks.0.layer_id", "\"0198c0de-0000-7000-8000-000000000201\"", BAD},
        {"disks.0.parent_layer_id", "\"0198c0de-0000-7000-8000-000000000200\"", BAD},
        {"disks.0.layer_root", "null", BAD},
        {"disks.0.content_root", "\"12\"", BAD},
        {"disks.0.records", "-1", BAD},
        {"disks.0.source_read.mode", "null", BAD},
        {"disks.0.bytes.stored", NULL, BAD},
        {"disks.0.encryption", "{}", NEWER},
        {"disks.0.compression", "\"zstd\"", NEWER},
        {"not_protected", "{}", BAD},
    };

    check_pokes("point-two-disks", decode, ERR_CORRUPT, pokes, ARRAY_LEN(pokes));
}

/* What only points of a vCenter have is read back as it was written. */
static void
test_vsphere(void **state)
{
    CLEANUP_JSON json_t *j = golden("point-two-disks"), *again = NULL;
    CLEANUP_POINT struct point p = {0};
    struct err err = ERR_INIT;

    json_poke(j, "vm.source_type", "\"vsphere\"");
    json_poke(j, "vm.instance_uuid", "\"5012-17\"");
    json_poke(j, "disks.1.source_uuid", "\"6000C29a\"");
    json_poke(j, "disks.1.change_id", "\"52 9d/7\"");
    json_poke(j, "disks.1.datastore", "\"datastore-3\"");
    json_poke(j, "disks.1.audit", "{\"sampled\": 1024, \"bad\": 1}");
    json_poke(j, "not_protected", "[{\"key\": 7, \"reason\": \"independent\"}]");
    assert_int_equal(point_decode(j, &p, &err), 0);
    assert_string_equal(p.instance_uuid, "5012-17");
    assert_null(p.disks[0].source_uuid);
    assert_string_equal(p.disks[1].source_uuid, "6000C29a");
    assert_null(p.disks[0].datastore);
    assert_false(p.disks[0].has_audit);
    assert_string_equal(p.disks[1].datastore, "datastore-3");
    assert_int_equal(p.disks[1].audit_sampled, 1024);
    assert_int_equal(p.disks[1].audit_bad, 1);
    again = point_encode(&p);
    assert_true(json_equal(j, again));
}

static void
test_unknown_members(void **state)
{
    static const char *const paths[] = {
        "new",         "backup.new",        "vm.new",
        "disks.0.new", "disks.0.bytes.new", "disks.0.source_read.new"};
    CLEANUP_JSON json_t *j = golden("point-two-disks");
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(paths); i++)
        json_poke(j, paths[i], "{\"a\": [1]}");
    json_poke(j, "not_protected", NULL);
    assert_int_equal(decode(j, &err), 0);
}

static void
test_text(void **state)
{
    CLEANUP_JSON json_t *j = golden("point-incremental");
    CLEANUP_POINT struct point p = {0};
    CLEANUP_FREE char *text = json_line(j);
    struct err err = ERR_INIT;

    assert_int_equal(point_decode_text(text, strlen(text), &p, &err), 0);
    assert_int_equal(p.seq, 7);
    assert_int_equal(p.type, BACKUP_INCREMENTAL);
    assert_string_equal(p.disks[0].change_id, "52 aa/9");
    assert_string_equal(p.disks[0].frozen_file, "[ds1] pg/pg-000001.vmdk");
    assert_string_equal(p.disks[0].frozen_on, "snapshot-7");
    assert_int_equal(json_integer_value(json_object_get(p.configuration, "cpus")), 2);
    for (size_t n = 0; n < strlen(text); n++) { /* cut anywhere */
        CLEANUP_POINT struct point q = {0};

        err_clear(&err);
        assert_int_equal(point_decode_text(text, n, &q, &err), ERR_CORRUPT);
        assert_string_equal(err.code, BAD);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pokes),
        cmocka_unit_test(test_vsphere),
        cmocka_unit_test(test_unknown_members),
        cmocka_unit_test(test_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
