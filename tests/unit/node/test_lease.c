/* Unit tests of node/lease.h and node/lease_store.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "node/lease_store.h"

#define JOB "0198c0de-0000-7000-8000-000000000001"
#define OTHER_JOB "0198c0de-0000-7000-8000-000000000002"
#define PASSWORD "password-of-an-example"

static char dir[64];
static struct lease_store *store;

static int
setup(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *inner = NULL;

    snprintf(dir, sizeof(dir), "/tmp/sendense-lease-XXXXXX");
    assert_non_null(mkdtemp(dir));
    inner = xasprintf("%s/state", dir);
    snprintf(dir, sizeof(dir), "%s", inner);
    store = lease_store_new(dir);
    assert_false(lease_store_exists(store));
    assert_int_equal(lease_store_open(store, &err), 0);
    assert_true(lease_store_exists(store));
    return 0;
}

static int
teardown(void **state)
{
    static const char *const names[] = {"lock", "lease.key"};
    struct err err = ERR_INIT;
    CLEANUP_FREE char *leases = xasprintf("%s/leases", dir);

    lease_store_free(store);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, names[i]);

        (void)fs_unlink(path, true, &err);
    }
    assert_int_equal(rmdir(leases), 0); /* each test leaves it empty */
    assert_int_equal(rmdir(dir), 0);
    *strrchr(dir, '/') = '\0';
    assert_int_equal(rmdir(dir), 0);
    return 0;
}

static struct node_lease *
make(const char *job_id)
{
    struct job_vsphere v = {.login = {.url = (char[]){"https://vc.example"},
                                      .user = (char[]){"backup"},
                                      .ca_pem = (char[]){"any"}}};
    struct job_snapshot s = {.name = (char[]){"sendense-1"}, .lease_s = 600};
    struct job_spec spec = {.vm_ref = (char[]){"vm-1"},
                            .vm_name = (char[]){"web"},
                            .vm_instance_uuid = "not-a-uuid",
                            .vsphere = &v,
                            .snapshot = &s,
                            .deadlines = spec_deadlines_default};
    struct node_lease *l;

    memcpy(spec.job_id, job_id, UUID_STR_SIZE);
    v.login.password = secret_new(PASSWORD, strlen(PASSWORD));
    l = node_lease_of_spec(&spec, 1000000);
    secret_free(v.login.password);
    return l;
}

static char *
path_of(const char *job_id)
{
    return xasprintf("%s/leases/%s.json", dir, job_id);
}

struct found {
    struct node_lease *v[4];
    size_t n;
};

static void
take(void *arg, struct node_lease *l)
{
    struct found *f = arg;

    assert_true(f->n < ARRAY_LEN(f->v));
    f->v[f->n++] = l;
}

static void
test_round_trip(void **state)
{
    CLEANUP_NODE_LEASE struct node_lease *l = make(JOB), *back = NULL;
    CLEANUP_FREE char *path = path_of(JOB);
    CLEANUP_BUF struct buf text = BUF_INIT(65536);
    struct found f = {0};
    struct err err = ERR_INIT;
    struct stat st;

    l->removing = true;
    assert_int_equal(lease_store_write(store, l, &err), 0);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(fs_read_file(path, &text, &err), 0);
    assert_null(strstr(text.data, PASSWORD));
    assert_null(strstr(text.data, "vc.example"));
    assert_int_equal(lease_store_load(store, take, &f, &err), 0);
    assert_int_equal(f.n, 1);
    back = f.v[0];
    assert_string_equal(back->job_id, JOB);
    assert_string_equal(back->vm_ref, "vm-1");
    assert_string_equal(back->vm_instance_uuid, "not-a-uuid");
    assert_string_equal(back->vm_name, "web");
    assert_string_equal(back->snapshot_name, "sendense-1");
    assert_string_equal(secret_reveal(back->login.password), PASSWORD);
    assert_string_equal(back->login.ca_pem, "any");
    assert_int_equal(back->expires_us, 601000000);
    assert_true(back->removing && back->dirty);
    assert_false(back->client_lives);
    assert_int_equal(lease_store_remove(store, JOB, &err), 0);
    assert_int_equal(lease_store_remove(store, JOB, &err), 0); /* twice is fine */
    assert_false(fs_exists(path));
}

/* A damaged file, another job's secret, a half-written one: left alone, never taken. */
static void
test_bad_files(void **state)
{
    CLEANUP_NODE_LEASE struct node_lease *l = make(JOB);
    CLEANUP_FREE char *path = path_of(JOB), *other = path_of(OTHER_JOB), *text = NULL;
    CLEANUP_FREE char *half = xasprintf("%s.tmp", path);
    CLEANUP_JSON json_t *j = NULL;
    struct found f = {0};
    struct err err = ERR_INIT;

    assert_int_equal(lease_store_write(store, l, &err), 0);
    j = json_load_file(path, 0, NULL);
    assert_non_null(j);
    json_object_set_new(j, "job_id", json_string(OTHER_JOB));
    text = json_line(j);
    assert_int_equal(fs_write_file_durable(other, text, strlen(text), 0600, &err), 0);
    assert_int_equal(fs_write_file_durable(path, "{}", 2, 0600, &err), 0);
    assert_int_equal(fs_write_file_durable(half, "{", 1, 0600, &err), 0);
    assert_int_equal(lease_store_load(store, take, &f, &err), 0);
    assert_int_equal(f.n, 0);
    assert_true(fs_exists(path) && fs_exists(other));
    assert_int_equal(fs_unlink(path, false, &err), 0);
    assert_int_equal(fs_unlink(other, false, &err), 0);
    assert_int_equal(fs_unlink(half, false, &err), 0);
}

static void
test_one_node_at_a_time(void **state)
{
    struct lease_store *second = lease_store_new(dir);
    struct err err = ERR_INIT;

    assert_int_equal(lease_store_open(second, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "no_lease_store");
    assert_non_null(strstr(err.msg, "another node"));
    lease_store_free(second);
}

static void
test_folder_of_others(void **state)
{
    struct lease_store *second = lease_store_new("/tmp");
    struct err err = ERR_INIT;

    assert_int_equal(lease_store_open(second, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "no_lease_store");
    lease_store_free(second);
}

static void
test_question(void **state)
{
    CLEANUP_NODE_LEASE struct node_lease *l = make(JOB);
    struct vsphere_question q = node_lease_question(l);
    CLEANUP_JSON json_t *j = vsphere_question_encode(&q);
    CLEANUP_VSPHERE_QUESTION struct vsphere_question back = {0};
    struct err err = ERR_INIT;

    assert_int_equal(vsphere_question_decode(j, &back, &err), 0);
    assert_int_equal(back.kind, VSPHERE_REMOVE_SNAPSHOT);
    assert_string_equal(back.snapshot_name, "sendense-1");
}

static void
test_session(void **state)
{
    static const char cookie[] = "vmware_soap_session=\"of-a-client\"";
    CLEANUP_NODE_LEASE struct node_lease *l = make(JOB), *back = NULL;
    CLEANUP_FREE char *path = path_of(JOB);
    CLEANUP_BUF struct buf text = BUF_INIT(65536);
    struct found f = {0};
    struct err err = ERR_INIT;

    assert_false(node_lease_set_session(l, ""));
    assert_true(node_lease_set_session(l, cookie));
    assert_false(node_lease_set_session(l, cookie));
    assert_int_equal(lease_store_write(store, l, &err), 0);
    assert_int_equal(fs_read_file(path, &text, &err), 0);
    assert_null(strstr(text.data, "of-a-client"));
    assert_int_equal(lease_store_load(store, take, &f, &err), 0);
    assert_int_equal(f.n, 1);
    back = f.v[0];
    assert_string_equal(secret_reveal(back->session), cookie);
    assert_ptr_equal(node_lease_question(back).stale_session, back->session);
    assert_true(node_lease_set_session(back, ""));
    assert_null(node_lease_question(back).stale_session);
    assert_int_equal(lease_store_remove(store, JOB, &err), 0);
}

/* Only not-founds one after the other count. */
static void
test_vm_gone(void **state)
{
    CLEANUP_NODE_LEASE struct node_lease *l = make(JOB);

    for (int i = 0; i < 13; i++)
        assert_false(node_lease_failed(l, "vcenter_vm_not_found"));
    assert_false(node_lease_failed(l, "vcenter_unreachable"));
    for (int i = 0; i < 20; i++)
        assert_false(node_lease_failed(l, "vcenter_busy"));
    for (int i = 0; i < 13; i++)
        assert_false(node_lease_failed(l, "vcenter_vm_not_found"));
    assert_true(node_lease_failed(l, "vcenter_vm_not_found"));
    assert_int_equal(l->attempts, 48);
}

static void
test_backoff(void **state)
{
    static const unsigned want[] = {5, 5, 10, 20, 40, 80, 160, 300, 300};

    for (uint32_t i = 0; i < ARRAY_LEN(want); i++)
        assert_int_equal(node_lease_backoff_s(i), want[i]);
    assert_int_equal(node_lease_backoff_s(UINT32_MAX), 300);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_node_at_a_time, setup, teardown),
        cmocka_unit_test(test_folder_of_others),
        cmocka_unit_test(test_question),
        cmocka_unit_test_setup_teardown(test_session, setup, teardown),
        cmocka_unit_test_setup_teardown(test_vm_gone, setup, teardown),
        cmocka_unit_test(test_backoff),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
