/* Credentials of vCenters, and what discovery keeps of VMs. */
#include "t_catalog.h"

#include <sqlite3.h>

#include "catalog/cat_credential.h"
#include "catalog/db.h"
#include "catalog/migrate.h"

static struct cat_credential
credential(const char *name)
{
    return (struct cat_credential){.name = name,
                                   .url = "https://vc.example",
                                   .username = "backup@vsphere.local",
                                   .sealed_password = "c2VhbA==",
                                   .tls_sha256 = "ab",
                                   .node_id = "1",
                                   .created_us = 7};
}

static void
test_rows(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_credential r = credential("it's <&\"> one"), got = {0};
    struct cat_credentials l = {0};
    struct cat_page page = {.limit = 2};
    char id[CAT_ID_SIZE];

    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_credential_add(c, &r, id, &err));
    t_fill(c);
    T_OK(cat_credential_add(c, &r, id, &err));
    assert_string_equal(id, "1");
    T_ERR(ERR_EXISTS, "credential_exists", cat_credential_add(c, &r, id, &err));
    r = credential("two");
    r.tls_ca_pem = "-----BEGIN";
    T_ERR(ERR_INVALID, "catalog_constraint", cat_credential_add(c, &r, id, &err));
    r.tls_sha256 = NULL;
    T_OK(cat_credential_add(c, &r, id, &err));
    r = credential("three");
    r.tls_sha256 = NULL;
    T_ERR(ERR_INVALID, "catalog_constraint", cat_credential_add(c, &r, id, &err));
    r = credential("three");
    T_OK(cat_credential_add(c, &r, id, &err));
    T_OK(cat_credential_get(c, "1", &got, &err));
    assert_string_equal(got.name, "it's <&\"> one");
    assert_string_equal(got.username, "backup@vsphere.local");
    assert_string_equal(got.sealed_password, "c2VhbA==");
    assert_string_equal(got.tls_sha256, "ab");
    assert_null(got.tls_ca_pem);
    assert_int_equal(got.created_us, 7);
    cat_credential_done(&got);
    T_ERR(ERR_NOT_FOUND, "credential_not_found", cat_credential_get(c, "9", &got, &err));
    T_OK(cat_credential_list(c, &page, &l, &err));
    assert_int_equal(l.n, 2);
    assert_true(l.more);
    assert_string_equal(l.v[1].tls_ca_pem, "-----BEGIN");
    cat_credentials_done(&l);
    page.after_id = "2";
    T_OK(cat_credential_list(c, &page, &l, &err));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.v[0].id, "3");
    cat_credentials_done(&l);
    T_ERR(ERR_EXISTS, "node_in_use", cat_node_remove(c, "1", &err));
    T_OK(cat_credential_remove(c, "3", &err));
    T_ERR(ERR_NOT_FOUND, "credential_not_found", cat_credential_remove(c, "3", &err));
}

static struct cat_vm_disk vsphere_disks[] = {
    {.disk_uuid = U("e0"),
     .device_key = 2000,
     .disk_index = 0,
     .label = "Hard disk 1",
     .source_url = "[ds1] a/a.vmdk",
     .size_bytes = 1 << 20,
     .source_uuid = "6000C29a",
     .bus = "scsi",
     .bus_number = 0,
     .unit_number = 0,
     .backing = "flat",
     .file = "[ds1] a/a.vmdk",
     .base_file = "[ds1] a/a.vmdk",
     .datastore = "ds1"},
    {.disk_uuid = U("e1"),
     .device_key = 2016,
     .disk_index = 1,
     .label = "Hard disk 2",
     .source_url = "[ds1] a/a_1.vmdk",
     .size_bytes = 2 << 20,
     .bus = "scsi",
     .bus_number = 1,
     .unit_number = 2,
     .backing = "flat",
     .not_protected = "independent",
     .not_protected_message = "the disk is independent"},
};

static struct cat_vm
vsphere_vm(const char *id, const char *credential_id)
{
    return (struct cat_vm){.id = id,
                           .name = "web",
                           .source_type = "vsphere",
                           .node_id = "1",
                           .created_us = 3,
                           .credential_id = credential_id,
                           .moref = "vm-17",
                           .instance_uuid = "5012-1",
                           .platform = "{\"guest_id\": \"x\"}",
                           .discovered_us = 9,
                           .disks = vsphere_disks,
                           .n_disks = ARRAY_LEN(vsphere_disks)};
}

static void
test_vm(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_credential r = credential("one");
    struct cat_vm vm = vsphere_vm(U("02"), "1"), got;
    struct cat_vms l = {0};
    char id[CAT_ID_SIZE];

    t_fill(c);
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_vm_add(c, &vm, &err));
    T_OK(cat_credential_add(c, &r, id, &err));
    T_OK(cat_vm_add(c, &vm, &err));
    T_ERR(ERR_EXISTS, "credential_in_use", cat_credential_remove(c, "1", &err));
    T_OK(cat_vm_get(c, U("02"), &got, &err));
    assert_string_equal(got.credential_id, "1");
    assert_string_equal(got.moref, "vm-17");
    assert_string_equal(got.platform, vm.platform);
    assert_int_equal(got.discovered_us, 9);
    assert_int_equal(got.disks[1].bus_number, 1);
    assert_int_equal(got.disks[1].unit_number, 2);
    assert_string_equal(got.disks[1].not_protected, "independent");
    assert_string_equal(got.disks[1].not_protected_message, "the disk is independent");
    assert_null(got.disks[1].source_uuid);
    assert_string_equal(got.disks[0].source_uuid, "6000C29a");
    assert_null(got.disks[0].not_protected);
    cat_vm_done(&got);
    T_OK(cat_vm_get(c, U("01"), &got, &err)); /* of NBD exports: none of it */
    assert_null(got.disks[0].bus);
    assert_int_equal(got.disks[0].bus_number, -1);
    assert_int_equal(got.disks[0].unit_number, -1);
    assert_null(got.credential_id);
    cat_vm_done(&got);
    T_OK(cat_vm_find_by_instance(c, "1", "5012-1", &l, &err));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.v[0].id, U("02"));
    assert_int_equal(l.v[0].n_disks, 2);
    cat_vms_done(&l);
    T_OK(cat_vm_find_by_instance(c, NULL, "5012-1", &l, &err));
    assert_int_equal(l.n, 0);
    cat_vms_done(&l);
    T_OK(cat_vm_find_by_instance(c, "2", "5012-1", &l, &err));
    assert_int_equal(l.n, 0);
    cat_vms_done(&l);
}

/* Keys and positions exchanged, one disk gone, one new: what the unique constraints would
 * refuse row by row. */
static void
test_refresh(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_credential r = credential("one");
    struct cat_vm vm = vsphere_vm(U("02"), NULL), got;
    struct cat_vm_disk disks[2] = {vsphere_disks[1], vsphere_disks[0]};
    struct cat_vms l = {0};
    char id[CAT_ID_SIZE];

    t_fill(c);
    T_OK(cat_credential_add(c, &r, id, &err));
    T_ERR(ERR_NOT_FOUND, "vm_not_found", cat_vm_refresh(c, &vm, &err));
    T_OK(cat_vm_add(c, &vm, &err));
    T_OK(cat_vm_find_by_instance(c, NULL, "5012-1", &l, &err));
    assert_int_equal(l.n, 1);
    cat_vms_done(&l);
    disks[0].device_key = 2000;
    disks[0].disk_index = 0;
    disks[1].device_key = 2016;
    disks[1].disk_index = 1;
    vm.disks = disks;
    vm.name = "renamed";
    vm.credential_id = "1";
    T_OK(cat_vm_refresh(c, &vm, &err));
    T_OK(cat_vm_get(c, U("02"), &got, &err));
    assert_string_equal(got.name, "renamed");
    assert_string_equal(got.credential_id, "1");
    assert_string_equal(got.disks[0].disk_uuid, U("e1"));
    assert_int_equal(got.disks[0].device_key, 2000);
    assert_string_equal(got.disks[1].disk_uuid, U("e0"));
    cat_vm_done(&got);
    disks[1].device_key = 2000; /* refused, and then all is as it was */
    vm.name = "broken";
    T_ERR(ERR_EXISTS, "vm_exists", cat_vm_refresh(c, &vm, &err));
    vm.n_disks = 0;
    T_OK(cat_vm_get(c, U("02"), &got, &err));
    assert_string_equal(got.name, "renamed");
    assert_int_equal(got.n_disks, 2);
    cat_vm_done(&got);
    T_OK(cat_vm_refresh(c, &vm, &err));
    T_OK(cat_vm_get(c, U("02"), &got, &err));
    assert_int_equal(got.n_disks, 0);
    cat_vm_done(&got);
}

static void
test_backup(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_backup_disk disks[2];
    const struct cat_snapshot there = {
        .ref = "snapshot-7", .chain = "c0", .quiesced = true, .not_protected = "[1]"};
    struct cat_backup b, n;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_OK(cat_backup_get_by_job(c, U("1") "1", &b, &err));
    assert_null(b.quiesced);
    assert_null(b.snapshot_name);
    assert_null(b.not_protected);
    assert_null(b.disks[0].source_uuid);
    cat_backup_done(&b);
    T_OK(cat_backup_set_snapshot(c, U("1") "1", &there, &err));
    T_OK(cat_backup_get_by_job(c, U("1") "1", &b, &err));
    assert_string_equal(b.quiesced, "yes");
    assert_string_equal(b.not_protected, "[1]");
    assert_string_equal(b.snapshot_ref, "snapshot-7");
    assert_string_equal(b.snapshot_chain, "c0");
    memcpy(disks, b.disks, sizeof disks);
    disks[0].source_uuid = "u";
    disks[0].layer_id = U("91");
    disks[1].layer_id = U("92");
    n = b;
    n.job_id = U("19");
    n.backup_id = "other";
    n.seq = 9;
    n.quiesced = "no";
    n.snapshot_name = "sendense-x";
    n.not_protected = "[]";
    n.disks = disks;
    T_OK(cat_backup_insert(c, &n, &err));
    cat_backup_done(&b);
    T_OK(cat_backup_get(c, "other", &b, &err));
    assert_string_equal(b.quiesced, "no");
    assert_string_equal(b.snapshot_name, "sendense-x");
    assert_string_equal(b.not_protected, "[]");
    assert_string_equal(b.disks[0].source_uuid, "u");
    cat_backup_done(&b);
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_snapshot(c, U("99"), &there, &err));
    T_OK(cat_backup_set_snapshot(c, U("19"), &there, &err));
    T_OK(cat_backup_forget_snapshot(c, U("19"), &err));
    T_OK(cat_backup_get(c, "other", &b, &err));
    assert_null(b.snapshot_ref);
    assert_null(b.snapshot_chain);
    assert_string_equal(b.quiesced, "yes");
    cat_backup_done(&b);
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_forget_snapshot(c, U("99"), &err));
}

/* A catalog of the first schema with rows in it opens, keeps them and takes new ones. */
static void
test_upgrade(void **state)
{
    const struct db_ops *ops = &db_sqlite_ops;
    struct t_env e = {0};
    struct db_where w = {.path = e.path, .create = true, .busy_timeout_ms = 1000};
    struct migrate_plan p = {
        .v = catalog_migrations, .n = 1, .path = e.path, .create = true};
    struct cat_credential r = credential("one");
    struct cat_vm got;
    struct db *db;
    char id[CAT_ID_SIZE];
    int version;

    t_mkdir(&e);
    T_OK(ops->open(&w, &db, &err));
    T_OK(migrate_run(ops, db, &p, &version, &err));
    assert_int_equal(version, 1);
    T_OK(ops->script(
        db,
        "INSERT INTO nodes VALUES ('1', 'near', 'http://x', 's', 1, NULL, NULL);"
        "INSERT INTO vms VALUES ('v', 'old', 'nbd', '1', 5);"
        "INSERT INTO vm_disks VALUES ('d', 'v', 2000, 0, 'l', 'nbd://x/y', 512);"
        "INSERT INTO backup_repositories VALUES ('1', 'r', 'local', '/r', 'ru', '{}', 1);"
        "INSERT INTO backup_jobs (job_id, backup_id, vm_id, vm_name, repository_id, "
        "backup_type, state, current_phase, verification, seq, attempt, requested_by, "
        "created_us) VALUES ('j', 'b', 'v', 'old', '1', 'full', 'failed', 'x', 'none', "
        "1, 1, 'me', 6), ('k', 'c', 'v', 'old', '1', 'full', 'running', 'x', 'failed', "
        "2, 1, 'me', 7);"
        "INSERT INTO backup_disks (job_id, disk_index, device_key, disk_uuid, "
        "size_bytes, label, source_url, backup_type, read_mode, reason, locator, "
        "layer_id, records, state, bytes_read, bytes_sent, bytes_zero, bytes_skipped, "
        "bytes_audit, bytes_stored, checkpoint) VALUES "
        "('k', 0, 2000, 'd', 512, '', '', 'full', 'all', '', 'x', 'l0', 0, 's', 0, 0, "
        "0, 0, 0, 0, 0), "
        "('k', 1, 2001, 'e', 512, '', '', 'full', 'all', '', 'x', 'l1', 0, 's', 0, 0, "
        "0, 0, 0, 0, 0);",
        &err));
    ops->close(db);
    T_OK(catalog_open(e.path, false, &e.c, &err));
    assert_int_equal(catalog_schema_version(e.c), catalog_n_migrations);
    T_OK(cat_vm_get(e.c, "v", &got, &err));
    assert_string_equal(got.name, "old");
    assert_null(got.credential_id);
    assert_int_equal(got.n_disks, 1);
    assert_int_equal(got.disks[0].device_key, 2000);
    assert_int_equal(got.disks[0].unit_number, -1);
    cat_vm_done(&got);
    {
        struct cat_backup b;

        T_OK(cat_backup_get(e.c, "b", &b, &err));
        assert_null(b.quiesced);
        cat_backup_done(&b);
        /* Which of the disks was meant is not known: all of them. */
        T_OK(cat_backup_get(e.c, "c", &b, &err));
        assert_int_equal(b.n_disks, 2);
        assert_string_equal(b.disks[0].verification, "failed");
        assert_string_equal(b.disks[1].verification, "failed");
        cat_backup_done(&b);
    }
    T_OK(cat_credential_add(e.c, &r, id, &err));
    T_OK(catalog_check(e.c, &err));
    catalog_close(e.c);
    t_rmdir(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T_CASE(test_rows),
        T_CASE(test_vm),
        T_CASE(test_refresh),
        T_CASE(test_backup),
        cmocka_unit_test(test_upgrade),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
