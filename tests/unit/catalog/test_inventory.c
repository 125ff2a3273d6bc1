/* Tokens, repositories, nodes, VMs. */
#include "t_catalog.h"

#include "catalog/cat_token.h"

static void
test_tokens(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_token a = {.id = U("01"),
                          .name = "ci",
                          .token_hash = "aa",
                          .scopes = "read",
                          .created_us = 10,
                          .expires_us = 100};
    struct cat_token b = {.id = U("02"),
                          .name = "ci",
                          .token_hash = "bb",
                          .scopes = "admin",
                          .created_us = 11};
    struct cat_token t;
    struct cat_tokens l = {0};
    struct cat_page page = {.limit = 1};

    T_OK(cat_token_add(c, &a, &err));
    T_OK(cat_token_add(c, &b, &err));
    T_ERR(ERR_EXISTS, "token_exists", cat_token_add(c, &b, &err));
    T_OK(cat_token_find(c, "aa", 99, &t, &err));
    assert_string_equal(t.id, a.id);
    assert_string_equal(t.name, "ci");
    assert_string_equal(t.scopes, "read");
    assert_int_equal(t.created_us, 10);
    assert_int_equal(t.expires_us, 100);
    assert_int_equal(t.revoked_us, 0);
    cat_token_done(&t);
    T_ERR(ERR_AUTH, "token_expired", cat_token_find(c, "aa", 100, &t, &err));
    T_ERR(ERR_AUTH, "token_unknown", cat_token_find(c, "cc", 1, &t, &err));
    T_ERR(ERR_AUTH, "token_unknown", cat_token_find(c, "' OR '1'='1", 1, &t, &err));
    T_OK(cat_token_list(c, &page, &l, &err));
    assert_int_equal(l.n, 1);
    assert_true(l.more);
    assert_string_equal(l.v[0].id, a.id);
    cat_tokens_done(&l);
    page.after_id = a.id;
    T_OK(cat_token_list(c, &page, &l, &err));
    assert_int_equal(l.n, 1);
    assert_false(l.more);
    assert_string_equal(l.v[0].id, b.id);
    cat_tokens_done(&l);

    T_OK(cat_token_touch(c, b.id, 1000000000, &err));
    T_OK(cat_token_touch(c, b.id, 1059999999, &err)); /* too soon */
    T_OK(cat_token_get(c, b.id, &t, &err));
    assert_int_equal(t.last_used_us, 1000000000);
    cat_token_done(&t);
    T_OK(cat_token_touch(c, b.id, 1060000000, &err));
    T_OK(cat_token_revoke(c, b.id, 50, &err));
    T_OK(cat_token_revoke(c, b.id, 60, &err));
    T_OK(cat_token_get(c, b.id, &t, &err));
    assert_int_equal(t.last_used_us, 1060000000);
    assert_int_equal(t.revoked_us, 50);
    cat_token_done(&t);
    T_ERR(ERR_AUTH, "token_revoked", cat_token_find(c, "bb", 1, &t, &err));
    T_ERR(ERR_NOT_FOUND, "token_not_found", cat_token_get(c, U("09"), &t, &err));
    T_ERR(ERR_NOT_FOUND, "token_not_found", cat_token_revoke(c, U("09"), 1, &err));
}

static void
test_repositories(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_repository r = {
        .kind = "local", .probe = "{\"holes\": true}", .created_us = 5};
    struct cat_repository got;
    struct cat_repositories l = {0};
    struct cat_page page = {.limit = 9};
    char id[CAT_ID_SIZE], name[32], path[32], uuid[64];

    r.name = name;
    r.path = path;
    r.repository_uuid = uuid;
    for (int i = 1; i <= 11; i++) {
        snprintf(name, sizeof(name), "repo'%d", i);
        snprintf(path, sizeof(path), "/r/%d", i);
        snprintf(uuid, sizeof(uuid), "%s%d", U("a"), i);
        T_OK(cat_repository_add(c, &r, id, &err));
        assert_int_equal(atoi(id), i);
    }
    T_ERR(ERR_EXISTS, "repository_exists", cat_repository_add(c, &r, id, &err));
    snprintf(name, sizeof(name), "new"); /* the path is still taken */
    T_ERR(ERR_EXISTS, "repository_exists", cat_repository_add(c, &r, id, &err));
    snprintf(path, sizeof(path), "/r/new"); /* the uuid too */
    T_ERR(ERR_EXISTS, "repository_exists", cat_repository_add(c, &r, id, &err));
    T_OK(cat_repository_list(c, &page, &l, &err));
    assert_int_equal(l.n, 9);
    assert_true(l.more);
    assert_string_equal(l.v[8].id, "9");
    page.after_id = "9";
    cat_repositories_done(&l);
    T_OK(cat_repository_list(c, &page, &l, &err));
    assert_int_equal(l.n, 2);
    assert_string_equal(l.v[0].id, "10");
    assert_string_equal(l.v[1].id, "11");
    cat_repositories_done(&l);
    T_OK(cat_repository_get(c, "2", &got, &err));
    assert_string_equal(got.name, "repo'2");
    assert_string_equal(got.probe, r.probe);
    assert_string_equal(got.path, "/r/2");
    cat_repository_done(&got);
    T_OK(cat_repository_get_by_name(c, "repo'3", &got, &err));
    assert_string_equal(got.id, "3");
    cat_repository_done(&got);
    T_ERR(ERR_NOT_FOUND, "repository_not_found", cat_repository_get(c, "99", &got, &err));
    T_ERR(ERR_NOT_FOUND, "repository_not_found",
          cat_repository_get_by_name(c, "none", &got, &err));
    T_OK(cat_repository_remove(c, "11", &err));
    T_ERR(ERR_NOT_FOUND, "repository_not_found", cat_repository_remove(c, "11", &err));
}

static void
test_in_use(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;

    t_fill(c);
    T_ERR(ERR_EXISTS, "node_in_use", cat_node_remove(c, "1", &err));
    T_OK(t_job(c, 1, 0, &err));
    T_ERR(ERR_EXISTS, "repository_in_use", cat_repository_remove(c, "1", &err));
    T_ERR(ERR_EXISTS, "vm_in_use", cat_vm_remove(c, U("01"), &err));
    {
        struct cat_vm vm;

        T_OK(cat_vm_get(c, U("01"), &vm, &err)); /* its disks did not go either */
        assert_int_equal(vm.n_disks, 2);
        cat_vm_done(&vm);
    }
}

static void
test_nodes(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_node n = {
        .name = "a", .url = "http://x", .sealed_token = "s", .created_us = 3};
    struct cat_node got;
    struct cat_nodes l = {0};
    struct cat_page page = {0};
    char id[CAT_ID_SIZE];

    T_OK(cat_node_add(c, &n, id, &err));
    T_ERR(ERR_EXISTS, "node_exists", cat_node_add(c, &n, id, &err));
    n.name = "b";
    T_OK(cat_node_add(c, &n, id, &err));
    assert_string_equal(id, "2");
    T_OK(cat_node_set_access(c, "2", "http://y", "t", &err));
    T_OK(cat_node_get_by_name(c, "b", &got, &err));
    assert_string_equal(got.url, "http://y");
    assert_string_equal(got.sealed_token, "t");
    assert_null(got.version);
    assert_int_equal(got.last_seen_us, 0);
    cat_node_done(&got);
    T_OK(cat_node_set_seen(c, "2", "0.1.0", 77, &err));
    T_OK(cat_node_get(c, "2", &got, &err));
    assert_string_equal(got.version, "0.1.0");
    assert_int_equal(got.last_seen_us, 77);
    cat_node_done(&got);
    T_OK(cat_node_list(c, &page, &l, &err));
    assert_int_equal(l.n, 2);
    cat_nodes_done(&l);
    page.after_id = "1";
    T_OK(cat_node_list(c, &page, &l, &err));
    assert_int_equal(l.n, 1);
    cat_nodes_done(&l);
    T_OK(cat_node_remove(c, "2", &err));
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_node_remove(c, "2", &err));
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_node_get(c, "2", &got, &err));
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_node_get_by_name(c, "b", &got, &err));
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_node_set_seen(c, "2", "v", 1, &err));
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_node_set_access(c, "2", "v", "t", &err));
}

static void
test_vms(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_vm_disk d = {.disk_uuid = U("e0"),
                            .device_key = 2000,
                            .label = "",
                            .source_url = "nbd://z",
                            .size_bytes = 1};
    struct cat_vm vm = {.id = U("02"),
                        .name = "pgtest1",
                        .source_type = "nbd",
                        .disks = &d,
                        .n_disks = 1};
    struct cat_vm_disk twice[2] = {d, d};
    struct cat_vm got;
    struct cat_vms l = {0};
    struct cat_page page = {.limit = 1};

    t_fill(c);
    T_OK(cat_vm_add(c, &vm, &err)); /* same name: allowed */
    T_ERR(ERR_EXISTS, "vm_exists", cat_vm_add(c, &vm, &err));
    vm.id = U("03");
    T_ERR(ERR_EXISTS, "vm_exists", cat_vm_add(c, &vm, &err)); /* the disk uuid */
    twice[0].disk_uuid = U("e1");
    twice[1].disk_uuid = U("e2");
    twice[1].disk_index = 1;
    vm.disks = twice;
    vm.n_disks = 2;
    T_ERR(ERR_EXISTS, "vm_exists", cat_vm_add(c, &vm, &err)); /* the device key */
    twice[1].device_key = 2001;
    twice[1].size_bytes = UINT64_MAX;
    T_ERR(ERR_INVALID, "number_too_large", cat_vm_add(c, &vm, &err));
    twice[1].size_bytes = 2;
    vm.node_id = "9";
    T_ERR(ERR_NOT_FOUND, "node_not_found", cat_vm_add(c, &vm, &err));
    T_ERR(ERR_NOT_FOUND, "vm_not_found",
          cat_vm_get(c, vm.id, &got, &err)); /* nothing stayed */
    vm.node_id = NULL;
    vm.name = "o'x/\"; DROP TABLE vms; --";
    T_OK(cat_vm_add(c, &vm, &err));
    T_OK(cat_vm_find_by_name(c, vm.name, &l, &err));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.v[0].name, vm.name);
    assert_int_equal(l.v[0].n_disks, 2);
    assert_int_equal(l.v[0].disks[1].device_key, 2001);
    assert_null(l.v[0].node_id);
    cat_vms_done(&l);
    T_OK(cat_vm_find_by_name(c, "pgtest1", &l, &err));
    assert_int_equal(l.n, 2);
    cat_vms_done(&l);
    T_OK(cat_vm_find_by_name(c, "PGTEST1", &l, &err));
    assert_int_equal(l.n, 0);
    cat_vms_done(&l);
    T_OK(cat_vm_list(c, &page, &l, &err));
    assert_true(l.n == 1 && l.more);
    assert_string_equal(l.v[0].id, U("01"));
    assert_int_equal(l.v[0].disks[0].size_bytes, 109521666048);
    assert_string_equal(l.v[0].disks[1].vm_id, U("01"));
    cat_vms_done(&l);
    page = (struct cat_page){.after_id = U("01")};
    T_OK(cat_vm_list(c, &page, &l, &err));
    assert_true(l.n == 2 && !l.more);
    cat_vms_done(&l);
    T_OK(cat_vm_set_disk_size(c, U("e1"), INT64_MAX, &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found", cat_vm_set_disk_size(c, U("ff"), 1, &err));
    T_OK(cat_vm_get(c, U("03"), &got, &err));
    assert_true(got.disks[0].size_bytes == INT64_MAX);
    cat_vm_done(&got);
    T_OK(cat_vm_remove(c, U("03"), &err));
    T_ERR(ERR_NOT_FOUND, "vm_not_found", cat_vm_remove(c, U("03"), &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T_CASE(test_tokens), T_CASE(test_repositories), T_CASE(test_in_use),
        T_CASE(test_nodes),  T_CASE(test_vms),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
