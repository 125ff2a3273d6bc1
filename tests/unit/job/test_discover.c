/* Discovery: VMs and disks keep their identity whatever else changes; what a backup
 * starts with. */
#include "vsphere_rig.h"

#include "base/json.h"
#include "base/secret.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_repository.h"
#include "job/backup_priv.h"
#include "job/credentials.h"
#include "job/discover.h"
#include "job/disk_identity.h"

#define SHA "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899"
#define MIB (1u << 20)

static void
match(const struct cat_vm_disk *known, size_t n_known, const struct fake_disk *seen,
      size_t n, int *ret)
{
    struct vsphere_disk disks[4];

    memset(disks, 0, sizeof disks);
    for (size_t i = 0; i < n; i++) {
        disks[i].key = seen[i].key;
        disks[i].uuid = (char *)(seen[i].uuid ? seen[i].uuid : "");
        disks[i].base_file = (char *)seen[i].file;
    }
    disk_identity_match(known, n_known, disks, n, ret);
}

static void
test_identity(void **state)
{
    const struct cat_vm_disk known[] = {
        {.device_key = 2000, .source_uuid = "A", .base_file = "[d] a.vmdk"},
        {.device_key = 2001, .source_uuid = "B", .base_file = "[d] b.vmdk"},
        {.device_key = 2002, .source_uuid = NULL, .base_file = "[d] c.vmdk"},
    };
    const struct cat_vm_disk twins[] = {
        {.source_uuid = "A", .base_file = "[d] a.vmdk"},
        {.source_uuid = "A", .base_file = "[d] copy.vmdk"},
    };
    const struct cat_vm_disk imported[] = {{.source_url = "[d] a.vmdk"}};
    int r[4];

    (void)state;
    /* keys exchanged, one gone */
    match(known, 3,
          (struct fake_disk[]){{2000, "B", "[d] b.vmdk"}, {2001, "A", "[d] a.vmdk"}}, 2,
          r);
    assert_int_equal(r[0], 1);
    assert_int_equal(r[1], 0);
    /* moved to another datastore */
    match(known, 3, (struct fake_disk[]){{2000, "A", "[e] a/a.vmdk"}}, 1, r);
    assert_int_equal(r[0], 0);
    /* another disk under the old file's name is another disk */
    match(known, 3, (struct fake_disk[]){{2000, "X", "[d] a.vmdk"}}, 1, r);
    assert_int_equal(r[0], -1);
    /* no uuid, on one side or on both: the file */
    match(known, 3,
          (struct fake_disk[]){{2000, "C", "[d] c.vmdk"}, {2001, NULL, "[d] b.vmdk"}}, 2,
          r);
    assert_int_equal(r[0], 2);
    assert_int_equal(r[1], 1);
    /* the same key says nothing */
    match(known, 3, (struct fake_disk[]){{2002, NULL, "[d] new.vmdk"}}, 1, r);
    assert_int_equal(r[0], -1);
    /* copies with one uuid: the file decides, and none is given twice */
    match(twins, 2,
          (struct fake_disk[]){{1, "A", "[d] copy.vmdk"},
                               {2, "A", "[d] a.vmdk"},
                               {3, "A", "[d] third.vmdk"}},
          3, r);
    assert_int_equal(r[0], 1);
    assert_int_equal(r[1], 0);
    assert_int_equal(r[2], -1);
    /* of an import only the source is known */
    match(imported, 1, (struct fake_disk[]){{2000, "A", "[d] a.vmdk"}}, 1, r);
    assert_int_equal(r[0], 0);
    disk_identity_match(NULL, 0, NULL, 0, r);
}

static const struct fake_vm web = {
    .ref = "vm-17",
    .name = "web",
    .instance_uuid = "5012-17",
    .disks = {{2000, "A", "[ds1] web/web.vmdk", 4 * MIB},
              {2001, "B", "[ds1] web/web_1.vmdk", 8 * MIB},
              {2016, "C", "[ds1] web/web_2.vmdk", 16 * MIB, "independent"}},
    .n_disks = 3};

static void
open_door(struct vsphere_rig *rig, const char *name, struct vsphere_door *ret)
{
    CLEANUP_SECRET struct secret *p = secret_new(name, strlen(name));
    struct credential_request req = {.name = name,
                                     .url = "https://vc.example",
                                     .username = name,
                                     .password = p,
                                     .sha256 = SHA};
    char id[CAT_ID_SIZE];

    T_OK(credentials_add(&rig->env, &req, id, &err));
    T_OK(vsphere_door_open(&rig->env, id, ret, &err));
}

static void
take(struct vsphere_rig *rig, struct vsphere_door *door, const struct fake_vm *vm,
     bool expect_new, char id[UUID_STR_SIZE])
{
    struct vsphere_vm what = {.ref = (char *)vm->ref,
                              .name = (char *)vm->name,
                              .instance_uuid = (char *)vm->instance_uuid};
    bool added = !expect_new;

    rig->vms = vm;
    rig->n_vms = 1;
    T_OK(discover_vm(door, &what, "admin", id, &added, &err));
    assert_int_equal(added, expect_new);
}

static void
test_add_and_refresh(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    struct fake_vm later = web;
    char id[UUID_STR_SIZE], again[UUID_STR_SIZE];
    struct cat_vm one, two;

    open_door(rig, "vc1", &door);
    take(rig, &door, &web, true, id);
    T_OK(cat_vm_get(rig->env.catalog, id, &one, &err));
    assert_string_equal(one.source_type, "vsphere");
    assert_string_equal(one.credential_id, door.row.id);
    assert_string_equal(one.moref, "vm-17");
    assert_string_equal(one.instance_uuid, "5012-17");
    assert_non_null(strstr(one.platform, "\"debian12_64Guest\""));
    assert_int_equal(one.n_disks, 3);
    assert_string_equal(one.disks[0].bus, "scsi");
    assert_int_equal(one.disks[2].unit_number, 2);
    assert_string_equal(one.disks[0].source_url, "[ds1] web/web.vmdk");
    assert_string_equal(one.disks[2].not_protected, "independent");
    assert_string_equal(one.disks[2].not_protected_message, "it is independent");
    assert_null(one.disks[0].not_protected);

    /* renamed, registered anew, places exchanged, one grown, one gone, one new */
    later.ref = "vm-99";
    later.name = "web\nrenamed";
    later.disks[0] = (struct fake_disk){2000, "B", "[ds1] web/web_1.vmdk", 9 * MIB};
    later.disks[1] = (struct fake_disk){2001, "A", "[ds1] web/web.vmdk", 4 * MIB};
    later.disks[2] = (struct fake_disk){2002, "D", "[ds1] web/web_3.vmdk", MIB};
    take(rig, &door, &later, false, again);
    assert_string_equal(again, id);
    T_OK(cat_vm_get(rig->env.catalog, id, &two, &err));
    assert_string_equal(two.name, "web?renamed");
    assert_string_equal(two.moref, "vm-99");
    assert_int_equal(two.created_us, one.created_us);
    assert_int_equal(two.n_disks, 3);
    assert_string_equal(two.disks[0].disk_uuid, one.disks[1].disk_uuid);
    assert_string_equal(two.disks[1].disk_uuid, one.disks[0].disk_uuid);
    assert_int_equal(two.disks[0].device_key, 2000);
    assert_int_equal(two.disks[0].size_bytes, 9 * MIB);
    for (size_t i = 0; i < 3; i++)
        assert_string_not_equal(two.disks[2].disk_uuid, one.disks[i].disk_uuid);
    cat_vm_done(&one);
    cat_vm_done(&two);
}

/* Each VM belongs to the credential that found it, and is read with it. */
static void
test_two_credentials(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_DOOR struct vsphere_door one = {0}, two = {0};
    char id1[UUID_STR_SIZE], id2[UUID_STR_SIZE], known[UUID_STR_SIZE];
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    struct backup_source s = {0};
    struct cat_vm vm;

    open_door(rig, "first", &one);
    open_door(rig, "second", &two);
    take(rig, &one, &web, true, id1);
    assert_string_equal(rig->user, "first");
    take(rig, &two, &web, true, id2);
    assert_string_equal(rig->user, "second");
    assert_string_not_equal(id1, id2);
    T_OK(discover_known(&rig->env, one.row.id, "5012-17", known, &err));
    assert_string_equal(known, id1);
    T_OK(discover_known(&rig->env, two.row.id, "no such", known, &err));
    assert_string_equal(known, "");
    T_OK(cat_vm_get(rig->env.catalog, id1, &vm, &err));
    T_OK(backup_source_ask(&rig->env, &vm, &node, &s, &err));
    assert_string_equal(rig->user, "first");
    assert_string_equal(rig->password, "first");
    backup_source_done(&s);
    T_ERR(ERR_EXISTS, "credential_in_use",
          credentials_remove(&rig->env, one.row.id, "admin", &err));
}

/* A VM of a rebuilt catalog: its backups' ids are kept when it is found again. */
static void
test_adopt(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    struct cat_vm_disk disks[] = {
        {.disk_uuid = "00000000-0000-7000-8000-0000000000d0",
         .device_key = 2001,
         .label = "",
         .source_url = "[ds1] web/web_1.vmdk",
         .size_bytes = 8 * MIB,
         .source_uuid = "B"},
    };
    struct cat_vm old = {.id = "00000000-0000-7000-8000-000000000001",
                         .name = "web",
                         .source_type = "vsphere",
                         .node_id = "1",
                         .created_us = 5,
                         .instance_uuid = "5012-17",
                         .disks = disks,
                         .n_disks = 1};
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    struct backup_source s = {0};
    char id[UUID_STR_SIZE];
    struct cat_vm got;

    open_door(rig, "vc1", &door);
    T_OK(cat_vm_add(rig->env.catalog, &old, &err));
    T_OK(cat_vm_get(rig->env.catalog, old.id, &got, &err));
    T_ERR(ERR_INVALID, "vm_without_credential",
          backup_source_ask(&rig->env, &got, &node, &s, &err));
    backup_source_done(&s);
    take(rig, &door, &web, false, id);
    assert_string_equal(id, old.id);
    T_OK(cat_vm_get(rig->env.catalog, old.id, &got, &err));
    assert_string_equal(got.credential_id, door.row.id);
    assert_string_equal(got.disks[1].disk_uuid, disks[0].disk_uuid);
    assert_int_equal(got.n_disks, 3);
    cat_vm_done(&got);
}

static void
test_names(void **state)
{
    static const struct fake_vm there[] = {
        {.ref = "vm-1", .name = "web", .instance_uuid = "1"},
        {.ref = "vm-2", .name = "db", .instance_uuid = "2"},
        {.ref = "vm-3", .name = "web", .instance_uuid = "3"},
        {.ref = "vm-4", .name = "lost", .instance_uuid = ""},
    };
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer list = {0};
    const struct vsphere_vm *vm;
    char id[UUID_STR_SIZE];

    rig->vms = there;
    rig->n_vms = ARRAY_LEN(there);
    open_door(rig, "vc1", &door);
    T_OK(discover_list(&door, &list, &err));
    assert_int_equal(list.n_vms, 4);
    T_OK(discover_by_name(&list, "db", &vm, &err));
    assert_string_equal(vm->ref, "vm-2");
    T_ERR(ERR_EXISTS, "vm_ambiguous", discover_by_name(&list, "web", &vm, &err));
    T_OK(discover_by_ref(&list, "vm-3", &vm, &err));
    assert_string_equal(vm->instance_uuid, "3");
    T_ERR(ERR_NOT_FOUND, "vcenter_vm_not_found",
          discover_by_name(&list, "vm-3", &vm, &err));
    T_ERR(ERR_NOT_FOUND, "vcenter_vm_not_found",
          discover_by_ref(&list, "web", &vm, &err));
    T_ERR(ERR_UNAVAILABLE, "vm_not_connected",
          discover_vm(&door, &list.vms[3], "admin", id, NULL, &err));
    rig->n_vms = 1;
    T_ERR(ERR_NOT_FOUND, "vcenter_vm_not_found",
          discover_vm(&door, &list.vms[1], "admin", id, NULL, &err));
}

static int
ask_source(struct vsphere_rig *rig, const char *id, struct backup_source *s,
           struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    struct cat_vm vm;

    if (cat_vm_get(rig->env.catalog, id, &vm, err) < 0)
        return err->class;
    return backup_source_ask(&rig->env, &vm, &node, s, err);
}

static void
test_source(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    CLEANUP_JSON json_t *left = NULL;
    struct fake_vm now = web;
    struct backup_source s = {0};
    struct err err = ERR_INIT;
    char id[UUID_STR_SIZE];

    open_door(rig, "vc1", &door);
    take(rig, &door, &web, true, id);
    rig->vms = &now;
    now.disks[0].size_bytes = 5 * MIB; /* grown since: taken up */
    T_OK(ask_source(rig, id, &s, &err));
    assert_int_equal(s.n_disks, 2);
    assert_int_equal(s.disks[0].size_bytes, 5 * MIB);
    assert_int_equal(s.disks[1].device_key, 2001);
    assert_int_equal(s.allocated, 13 * MIB); /* unknown: what the disks hold */
    assert_int_equal(json_parse(s.not_protected, strlen(s.not_protected), &left, &err),
                     0);
    assert_int_equal(json_array_size(left), 1);
    assert_int_equal(json_integer_value(json_object_get(json_array_get(left, 0), "key")),
                     2016);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(left, 0), "reason")),
        "independent");
    backup_source_done(&s);
    now.allocated_bytes = 3 * MIB;
    T_OK(ask_source(rig, id, &s, &err));
    assert_int_equal(s.allocated, 3 * MIB);
    backup_source_done(&s);
    now.is_template = true;
    T_ERR(ERR_INVALID, "vm_is_template", ask_source(rig, id, &s, &err));
    backup_source_done(&s);
    now.is_template = false;
    now.connection = "disconnected";
    T_ERR(ERR_UNAVAILABLE, "vm_not_connected", ask_source(rig, id, &s, &err));
    backup_source_done(&s);
    now.connection = NULL;
    now.disks[0].not_protected = now.disks[1].not_protected = "shared_bus";
    T_ERR(ERR_INVALID, "vm_without_disks", ask_source(rig, id, &s, &err));
    backup_source_done(&s);
    now = web;
    now.instance_uuid = "5012-99"; /* the reference is another VM's now */
    T_ERR(ERR_NOT_FOUND, "vcenter_vm_not_found", ask_source(rig, id, &s, &err));
    backup_source_done(&s);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_identity),
        CASE(test_add_and_refresh),
        CASE(test_two_credentials),
        CASE(test_adopt),
        CASE(test_names),
        CASE(test_source),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
