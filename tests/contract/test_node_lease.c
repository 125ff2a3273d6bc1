/* Hub and node: questions to a vCenter, and the leases of snapshots
 * (docs/design/protocol.md 2.1 and 2.2). */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node_rig.h"

static struct node_rig rig;

static int
setup(void **state)
{
    rig_start(&rig, "4", "1");
    return 0;
}

static int
teardown(void **state)
{
    rig_stop(&rig);
    rig_cleanup(&rig);
    return 0;
}

/* ---- questions ---- */

static json_t *
question(const char *user)
{
    return json_pack("{s:i, s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:{s:i, s:i}}", "v", 1,
                     "question", "test", "login", "url", "https://127.0.0.1:1", "user",
                     user, "password", RIG_PASSWORD, "tls", "ca_pem", "any", "deadlines",
                     "connect_s", 1, "io_s", 1);
}

static void
test_questions(void **state)
{
    CLEANUP_JSON json_t *good = NULL, *refused = NULL, *bad = question("good");

    assert_int_equal(rig_call(&rig, "POST", "/api/v1/vsphere", question("good"), &good),
                     200);
    assert_true(json_is_true(json_object_get(good, "ok")));
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(good, "server"), "uuid")),
        "e1f2");
    /* A refusal of the vCenter is an answer. */
    assert_int_equal(
        rig_call(&rig, "POST", "/api/v1/vsphere", question("refused"), &refused), 200);
    assert_true(json_is_false(json_object_get(refused, "ok")));
    assert_string_equal(json_string_value(json_object_get(refused, "code")),
                        "vcenter_login");
    rig_refused(&rig, "POST", "/api/v1/vsphere", question("die"), 502, "client_died");
    rig_refused(&rig, "POST", "/api/v1/vsphere", question("garbage"), 502,
                "client_protocol");
    rig_refused(&rig, "POST", "/api/v1/vsphere", question("other"), 502,
                "client_protocol");
    rig_refused(&rig, "POST", "/api/v1/vsphere", question("hang"), 503,
                "question_timeout");
    json_object_set_new(bad, "question", json_string("reboot"));
    rig_refused(&rig, "POST", "/api/v1/vsphere", take_ptr(&bad), 400, "invalid_field");
}

/* ---- leases ---- */

static json_t *
leases(void)
{
    json_t *j = NULL, *v;

    assert_int_equal(rig_call(&rig, "GET", "/api/v1/leases", NULL, &j), 200);
    v = json_incref(json_object_get(j, "leases"));
    json_decref(j);
    return v;
}

static char *
lease_state(void)
{
    CLEANUP_JSON json_t *v = leases();

    if (json_array_size(v) == 0)
        return xstrdup("none");
    assert_int_equal(json_array_size(v), 1);
    return xstrdup(json_string_value(json_object_get(json_array_get(v, 0), "state")));
}

static void
await_lease(const char *want)
{
    uint64_t until = time_mono_ns() + 20 * NS_PER_S;

    for (;;) {
        CLEANUP_FREE char *now = lease_state();
        const struct timespec pause = {.tv_nsec = 20000000};

        if (strcmp(now, want) == 0)
            return;
        if (time_mono_ns() > until)
            fail_msg("the lease is '%s', not '%s'", now, want);
        nanosleep(&pause, NULL);
    }
}

static char *
removals_path(void)
{
    return xasprintf("%s/removals", rig.dir);
}

/* How often the snapshot of job @id was removed; no other name may stand there. */
static unsigned
removals(const char *id)
{
    CLEANUP_FREE char *path = removals_path();
    CLEANUP_FREE char *line = xasprintf("sendense-%s\n", id);
    CLEANUP_BUF struct buf b = BUF_INIT(65536);
    struct err err = ERR_INIT;
    unsigned n = 0;

    if (fs_read_file(path, &b, &err) < 0)
        return 0;
    for (const char *p = b.data; *p; p += strlen(line), n++)
        assert_memory_equal(p, line, strlen(line));
    return n;
}

static void
forget_removals(void)
{
    CLEANUP_FREE char *path = removals_path();

    unlink(path);
}

static void
set_busy(bool busy)
{
    CLEANUP_FREE char *removed = removals_path();
    CLEANUP_FREE char *path = xasprintf("%s.busy", removed);
    struct err err = ERR_INIT;

    if (busy)
        assert_int_equal(fs_write_file_durable(path, "", 0, 0600, &err), 0);
    else
        assert_int_equal(fs_unlink(path, true, &err), 0);
}

static void
post_at(const char *vm_name, const char *ref, char id[UUID_STR_SIZE])
{
    uuid_make(id);
    assert_int_equal(rig_call(&rig, "POST", "/api/v1/jobs",
                              rig_spec_vsphere(id, 1, vm_name, ref, "good"), NULL),
                     202);
}

static void
post(const char *vm_name, char id[UUID_STR_SIZE])
{
    CLEANUP_FREE char *ref = removals_path();

    forget_removals();
    post_at(vm_name, ref, id);
}

static void
call_job(const char *method, const char *what, const char *id, json_t *body, long status)
{
    CLEANUP_FREE char *path = xasprintf("/api/v1/%s/%s", what, id);

    assert_int_equal(rig_call(&rig, method, path, body, NULL), status);
}

static json_t *
renewal(int s)
{
    return json_pack("{s:i, s:i}", "v", 1, "lease_s", s);
}

static void
test_removed_by_the_client(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *events = NULL;

    post("snapshot-good", id);
    events = rig_events(&rig, id);
    rig_result(events, "ok", NULL);
    await_lease("none");
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 204);
}

static void
test_never_made(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *events = NULL;

    post("snapshot-never", id);
    events = rig_events(&rig, id);
    rig_result(events, "failed", "failed");
    await_lease("none");
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 204);
}

/* The lease outlives the client; the hub's deletion of the job ends it. */
static void
test_client_died(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *events = NULL, *v = NULL;

    post("snapshot-died", id);
    events = rig_events(&rig, id);
    rig_result(events, "failed", "client_died");
    v = leases();
    assert_int_equal(json_array_size(v), 1);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(v, 0), "job_id")), id);
    assert_string_equal(
        json_string_value(json_object_get(json_array_get(v, 0), "vm_name")),
        "snapshot-died");
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 204);
    await_lease("none");
    assert_int_equal(removals(id), 1);
}

/* While a client lives nothing is removed under it. */
static void
test_deleted_with_its_client(void **state)
{
    char id[UUID_STR_SIZE];

    post("snapshot-held", id);
    await_lease("live");
    call_job("PUT", "leases", id, renewal(900), 204);
    call_job("PUT", "leases", id, renewal(5), 400);
    call_job("DELETE", "leases", id, NULL, 202);
    await_lease("removing");
    call_job("DELETE", "leases", id, NULL, 202);
    call_job("PUT", "leases", id, renewal(900), 409);
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 204);
    await_lease("none");
    assert_int_equal(removals(id), 1);
}

static void
test_tried_again(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *v = NULL;
    uint64_t start = time_mono_ns();

    set_busy(true);
    post("snapshot-died", id);
    await_lease("live");
    call_job("DELETE", "jobs", id, NULL, 204);
    while (removals(id) == 0 && time_mono_ns() < start + 20 * NS_PER_S)
        usleep(20000);
    await_lease("removing");
    while (true) {
        json_decref(v);
        v = leases();
        if (json_integer_value(json_object_get(json_array_get(v, 0), "attempts")) == 1)
            break;
        assert_true(time_mono_ns() < start + 20 * NS_PER_S);
    }
    assert_non_null(
        strstr(json_string_value(json_object_get(json_array_get(v, 0), "last_error")),
               "vcenter_busy"));
    set_busy(false);
    await_lease("none");
    assert_int_equal(removals(id), 2);
}

/* A job whose client died, and whose snapshot is now to be removed. */
static void
end_at(const char *ref, char id[UUID_STR_SIZE])
{
    CLEANUP_JSON json_t *events = NULL;

    post_at("snapshot-died", ref, id);
    events = rig_events(&rig, id);
    rig_result(events, "failed", "client_died");
    call_job("DELETE", "jobs", id, NULL, 204);
}

static size_t
lines_of(const char *path)
{
    CLEANUP_BUF struct buf b = BUF_INIT(65536);
    struct err err = ERR_INIT;
    size_t n = 0;

    if (fs_read_file(path, &b, &err) < 0)
        return 0;
    for (const char *p = b.data; *p; p++)
        n += *p == '\n';
    return n;
}

static void
await_leases(size_t n)
{
    uint64_t until = time_mono_ns() + 20 * NS_PER_S;

    for (;;) {
        CLEANUP_JSON json_t *v = leases();

        if (json_array_size(v) == n)
            return;
        if (time_mono_ns() > until)
            fail_msg("%zu leases, not %zu", json_array_size(v), n);
        usleep(20000);
    }
}

/* A removal without end holds up those of its own VM, and no others. */
static void
test_one_hangs(void **state)
{
    CLEANUP_FREE char *other = removals_path(), *slow = xasprintf("%s/slow", rig.dir);
    CLEANUP_FREE char *hang = xasprintf("%s.hang", slow);
    struct err err = ERR_INIT;
    char first[UUID_STR_SIZE], second[UUID_STR_SIZE], third[UUID_STR_SIZE];

    forget_removals();
    assert_int_equal(fs_write_file_durable(hang, "", 0, 0600, &err), 0);
    end_at(slow, first);
    end_at(slow, second);
    end_at(other, third);
    await_leases(2);
    assert_int_equal(removals(third), 1);
    assert_int_equal(lines_of(slow), 1);
    assert_int_equal(fs_unlink(hang, true, &err), 0);
    await_leases(0);
    assert_int_equal(lines_of(slow), 2);
    assert_int_equal(fs_unlink(slow, true, &err), 0);
}

static void
assert_no_secret_in(const char *path)
{
    CLEANUP_BUF struct buf b = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;
    struct stat st;

    assert_int_equal(fs_read_file(path, &b, &err), 0);
    assert_null(memmem(b.data, b.len, RIG_PASSWORD, strlen(RIG_PASSWORD)));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

/* A node that was killed takes its clients with it; the next one keeps the lease, and
 * removes the snapshot when the hub says so - or when the lease expires. */
static void
test_after_a_crash(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_FREE char *file = NULL, *dir = xasprintf("%s/state", rig.dir);
    struct stat st;

    post("snapshot-held", id);
    await_lease("live");
    file = xasprintf("%s/leases/%s.json", dir, id);
    assert_no_secret_in(file);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    rig_kill(&rig);
    rig_start_again(&rig);
    await_lease("live");
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 404); /* the job is not known any more */
    await_lease("none");
    assert_int_equal(removals(id), 1);
    assert_false(fs_exists(file));
}

/* An ended lease is still removed by the node after next. */
static void
test_ended_before_a_crash(void **state)
{
    char id[UUID_STR_SIZE];

    set_busy(true);
    post("snapshot-died", id);
    await_lease("live");
    call_job("DELETE", "jobs", id, NULL, 204);
    await_lease("removing");
    rig_kill(&rig);
    set_busy(false);
    rig_start_again(&rig);
    await_lease("none");
    assert_true(removals(id) >= 1);
}

static void
test_expired(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_FREE char *file = NULL, *text = NULL;
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;

    post("snapshot-held", id);
    await_lease("live");
    rig_kill(&rig);
    /* 30 s is the shortest lease: the clock is put forward, so to speak. */
    file = xasprintf("%s/state/leases/%s.json", rig.dir, id);
    j = json_load_file(file, 0, NULL);
    assert_non_null(j);
    json_object_set_new(j, "expires", json_string("2026-01-02T03:04:05.678901Z"));
    text = json_line(j);
    assert_int_equal(fs_write_file_durable(file, text, strlen(text), 0600, &err), 0);
    rig_start_again(&rig);
    await_lease("none");
    assert_int_equal(removals(id), 1);
}

/* The client has told of its snapshot: hello, phase, snapshot. */
static void
await_snapshot(const char *id)
{
    CLEANUP_FREE char *path = xasprintf("/api/v1/jobs/%s/events?after=2&wait=20", id);
    CLEANUP_JSON json_t *page = NULL;

    assert_int_equal(rig_call(&rig, "GET", path, NULL, &page), 200);
    assert_int_equal(json_array_size(json_object_get(page, "events")), 1);
}

/* The node dies while data moves: its lease waits for another attempt, of whichever node,
 * and that goes on with the snapshot. */
static void
test_attempt_after_a_crash(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_FREE char *ref = removals_path();
    json_t *again;

    post("snapshot-held", id);
    await_snapshot(id);
    rig_kill(&rig);
    rig_start_again(&rig);
    await_lease("live");
    call_job("PUT", "leases", id, renewal(600), 204);
    again = rig_spec_vsphere(id, 2, "snapshot-never", ref, "good");
    json_object_set_new(json_object_get(again, "snapshot"), "existing_ref",
                        json_string("snapshot-1"));
    assert_int_equal(rig_call(&rig, "POST", "/api/v1/jobs", again, NULL), 202);
    {
        CLEANUP_JSON json_t *events = rig_events(&rig, id);

        rig_result(events, "failed", "failed");
    }
    await_lease("live");
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 204);
    await_lease("none");
    assert_int_equal(removals(id), 1);
}

/* A node that has lost its leases learns from the spec that there is a snapshot. */
static void
test_attempt_without_its_lease(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_FREE char *ref = removals_path();
    CLEANUP_JSON json_t *events = NULL;
    json_t *spec;

    forget_removals();
    uuid_make(id);
    spec = rig_spec_vsphere(id, 2, "snapshot-never", ref, "good");
    json_object_set_new(json_object_get(spec, "snapshot"), "existing_ref",
                        json_string("snapshot-1"));
    assert_int_equal(rig_call(&rig, "POST", "/api/v1/jobs", spec, NULL), 202);
    events = rig_events(&rig, id);
    rig_result(events, "failed", "failed");
    await_lease("live");
    call_job("DELETE", "jobs", id, NULL, 204);
    await_lease("none");
    assert_int_equal(removals(id), 1);
}

/* A second attempt goes on with the lease of the first. */
static void
test_second_attempt(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_FREE char *ref = removals_path();
    CLEANUP_JSON json_t *events = NULL;

    post("snapshot-held", id);
    await_snapshot(id);
    assert_int_equal(rig_call(&rig, "POST", "/api/v1/jobs",
                              rig_spec_vsphere(id, 2, "snapshot-never", ref, "good"),
                              NULL),
                     202);
    events = rig_events(&rig, id);
    rig_result(events, "failed", "failed");
    await_lease("live"); /* the second did not even look for what the first left */
    assert_int_equal(removals(id), 0);
    call_job("DELETE", "jobs", id, NULL, 204);
    await_lease("none");
    assert_int_equal(removals(id), 1);
}

static void
test_events_make_one_story(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *events = NULL;

    post("snapshot-stray", id);
    events = rig_events(&rig, id);
    rig_result(events, "failed", "client_protocol");
    await_lease("none");
    call_job("DELETE", "jobs", id, NULL, 204);
}

static void
test_unknown_lease(void **state)
{
    static const char id[] = "01890000-0000-7000-8000-000000000009";

    call_job("PUT", "leases", id, renewal(600), 404);
    call_job("DELETE", "leases", id, NULL, 404);
    rig_refused(&rig, "DELETE", "/api/v1/leases/x", NULL, 404, "lease_not_found");
}

/* Without a state folder jobs without a snapshot run as ever. */
static void
test_no_lease_store(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_FREE char *dir = xasprintf("%s/state", rig.dir);
    CLEANUP_FREE char *ref = removals_path();

    uuid_make(id);
    rig_kill(&rig);
    assert_int_equal(chmod(dir, 0755), 0);
    rig_start_again(&rig);
    rig_refused(&rig, "POST", "/api/v1/jobs",
                rig_spec_vsphere(id, 1, "snapshot-good", ref, "good"), 503,
                "no_lease_store");
    json_decref(rig_run(&rig, "good", "ok", NULL));
    assert_int_equal(chmod(dir, 0700), 0);
    post("snapshot-good", id); /* mended: no restart is needed */
    json_decref(rig_events(&rig, id));
    await_lease("none");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_questions),
        cmocka_unit_test(test_removed_by_the_client),
        cmocka_unit_test(test_never_made),
        cmocka_unit_test(test_client_died),
        cmocka_unit_test(test_deleted_with_its_client),
        cmocka_unit_test(test_tried_again),
        cmocka_unit_test(test_one_hangs),
        cmocka_unit_test(test_after_a_crash),
        cmocka_unit_test(test_ended_before_a_crash),
        cmocka_unit_test(test_expired),
        cmocka_unit_test(test_second_attempt),
        cmocka_unit_test(test_attempt_after_a_crash),
        cmocka_unit_test(test_attempt_without_its_lease),
        cmocka_unit_test(test_events_make_one_story),
        cmocka_unit_test(test_unknown_lease),
        cmocka_unit_test(test_no_lease_store),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
