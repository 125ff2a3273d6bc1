/* Hub and node: the REST API of docs/design/protocol.md section 2, good requests and bad
 * ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/version.h"
#include "node_rig.h"

#define LEASE "/api/v1/leases/01890000-0000-7000-8000-000000000009"
#define UNKNOWN "/api/v1/jobs/01890000-0000-7000-8000-000000000009"

static struct node_rig rig;

static int
setup(void **state)
{
    rig_start(&rig, "2", "1");
    return 0;
}

static int
teardown(void **state)
{
    rig_stop(&rig);
    rig_cleanup(&rig);
    return 0;
}

static const char *
member(const json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

static void
test_health_and_version_are_open(void **state)
{
    CLEANUP_JSON json_t *health = NULL;
    CLEANUP_JSON json_t *version = NULL;

    assert_int_equal(rig_call_raw(&rig, "GET", "/api/v1/health", NULL, NULL, &health),
                     200);
    assert_string_equal(member(health, "status"), "ok");
    assert_int_equal(rig_call_raw(&rig, "GET", "/api/v1/version", NULL, NULL, &version),
                     200);
    assert_string_equal(member(version, "version"), version_string);
    assert_string_equal(member(version, "commit"), version_commit);
    assert_int_equal(strlen(member(version, "build_id")), 40);
    assert_string_equal(member(json_object_get(version, "client"), "version"), "9.9.9");
    assert_string_equal(member(json_object_get(version, "client"), "commit"),
                        "0123456789ab");
    assert_string_equal(member(json_object_get(version, "client"), "build_id"),
                        "abcdef01");
}

static void
test_every_other_route_needs_the_token(void **state)
{
    static const struct {
        const char *method, *path;
    } routes[] = {
        {"POST", "/api/v1/probe"},
        {"POST", "/api/v1/jobs"},
        {"POST", "/api/v1/vsphere"},
        {"GET", "/api/v1/leases"},
        {"PUT", LEASE},
        {"DELETE", LEASE},
        {"GET", "/api/v1/jobs"},
        {"GET", UNKNOWN},
        {"GET", UNKNOWN "/events"},
        {"POST", UNKNOWN "/cancel"},
        {"DELETE", UNKNOWN},
    };
    static const char *const tokens[] = {
        NULL,
        "wrong",
        RIG_TOKEN "x",
        "sendense_test-token-012345678",
    };

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        for (size_t k = 0; k < ARRAY_LEN(tokens); k++) {
            CLEANUP_JSON json_t *answer = NULL;

            assert_int_equal(rig_call_raw(&rig, routes[i].method, routes[i].path,
                                          tokens[k], NULL, &answer),
                             401);
            assert_string_equal(member(answer, "code"), "unauthorized");
        }
    }
}

static void
test_unknown_job(void **state)
{
    rig_refused(&rig, "GET", UNKNOWN, NULL, 404, "job_not_found");
    rig_refused(&rig, "GET", UNKNOWN "/events", NULL, 404, "job_not_found");
    rig_refused(&rig, "POST", UNKNOWN "/cancel", NULL, 404, "job_not_found");
    rig_refused(&rig, "DELETE", UNKNOWN, NULL, 404, "job_not_found");
    rig_refused(&rig, "GET", "/api/v1/jobs/no-uuid", NULL, 404, "job_not_found");
}

/* Nothing that is refused may leave a job behind. */
static void
assert_no_jobs(void)
{
    CLEANUP_JSON json_t *list = NULL;

    assert_int_equal(rig_call(&rig, "GET", "/api/v1/jobs", NULL, &list), 200);
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), 0);
}

static json_t *
spec(void)
{
    return rig_spec("01890000-0000-7000-8000-00000000000a", 1, "good");
}

static json_t *
spec_with(const char *key, json_t *value)
{
    json_t *j = spec();

    json_object_set_new(j, key, value);
    return j;
}

static json_t *
spec_disk_with(const char *key, json_t *value)
{
    json_t *j = spec();

    json_object_set_new(json_array_get(json_object_get(j, "disks"), 1), key, value);
    return j;
}

static void
refuses_spec(json_t *body, const char *code)
{
    rig_refused(&rig, "POST", "/api/v1/jobs", body, 400, code);
}

static void
test_bad_specs(void **state)
{
    json_t *missing = spec();

    json_object_del(missing, "vm");
    refuses_spec(missing, "invalid_field");
    refuses_spec(spec_with("v", json_integer(2)), "unsupported_version");
    refuses_spec(spec_with("v", json_string("1")), "invalid_field");
    refuses_spec(spec_with("surprise", json_true()), "unknown_field");
    refuses_spec(spec_with("attempt", json_string("1")), "invalid_field");
    refuses_spec(spec_with("attempt", json_integer(0)), "invalid_field");
    refuses_spec(spec_with("job_id", json_string("../../x")), "invalid_field");
    refuses_spec(spec_with("disks", json_array()), "invalid_field");
    refuses_spec(spec_with("disks", json_object()), "invalid_field");
    refuses_spec(spec_disk_with("key", json_integer(2000)), "invalid_field");
    refuses_spec(spec_disk_with("key", json_real(2.5)), "invalid_field");
    refuses_spec(spec_disk_with("size_bytes", json_integer(-1)), "invalid_field");
    refuses_spec(spec_disk_with("target", json_string("http://x/")), "invalid_field");
    refuses_spec(spec_disk_with("surprise", json_null()), "unknown_field");
    assert_no_jobs();
}

static void
refuses_text(const char *path, const char *body, long status, const char *code)
{
    CLEANUP_JSON json_t *answer = NULL;

    assert_int_equal(rig_call_raw(&rig, "POST", path, RIG_TOKEN, body, &answer), status);
    assert_string_equal(member(answer, "code"), code);
}

static void
test_bad_json(void **state)
{
    static const char *const paths[] = {"/api/v1/jobs", "/api/v1/probe"};
    CLEANUP_FREE char *deep = xcalloc(1, 20001);
    CLEANUP_FREE char *huge = xcalloc(1, 5 * 1024 * 1024 + 1);

    memset(deep, '[', 20000);
    memset(huge, ' ', 5 * 1024 * 1024);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        refuses_text(paths[i], NULL, 400, "malformed_json");
        refuses_text(paths[i], "{", 400, "malformed_json");
        refuses_text(paths[i], "{} {}", 400, "malformed_json");
        refuses_text(paths[i], "{\"v\":1,\"v\":1}", 400, "malformed_json");
        refuses_text(paths[i], "\"\xff\"", 400, "malformed_json");
        refuses_text(paths[i], deep, 400, "malformed_json");
        refuses_text(paths[i], "[]", 400, "invalid_field");
        refuses_text(paths[i], huge, 413, "body_too_large");
    }
    assert_no_jobs();
}

static void
test_bad_queries(void **state)
{
    rig_refused(&rig, "GET", UNKNOWN "/events?after=x", NULL, 400, "invalid_parameter");
    rig_refused(&rig, "GET", UNKNOWN "/events?after=-1", NULL, 400, "invalid_parameter");
    rig_refused(&rig, "GET", UNKNOWN "/events?wait=31", NULL, 400, "invalid_parameter");
    rig_refused(&rig, "GET", UNKNOWN "/events?since=1", NULL, 400, "unknown_parameter");
    rig_refused(&rig, "GET", "/api/v1/jobs?x=1", NULL, 400, "unknown_parameter");
    rig_refused(&rig, "GET", "/api/v1/nothing", NULL, 404, "no_such_route");
    rig_refused(&rig, "PUT", "/api/v1/jobs", NULL, 405, "method_not_allowed");
}

static void
delete_job(const char *id)
{
    CLEANUP_FREE char *path = xasprintf("/api/v1/jobs/%s", id);

    assert_int_equal(rig_call(&rig, "DELETE", path, NULL, NULL), 204);
}

static void
test_repeats_and_attempts(void **state)
{
    CLEANUP_JSON json_t *job = NULL;
    CLEANUP_JSON json_t *again = NULL;
    CLEANUP_JSON json_t *newer = NULL;
    json_t *other;
    char id[UUID_STR_SIZE];
    pid_t pid, newer_pid;

    uuid_make(id);
    assert_int_equal(
        rig_call(&rig, "POST", "/api/v1/jobs", rig_spec(id, 2, "silent"), &job), 202);
    pid = (pid_t)json_integer_value(json_object_get(job, "pid"));
    assert_string_equal(member(job, "state"), "running");

    other = rig_spec(id, 2, "silent");
    json_object_del(other, "surprise");
    json_object_set_new(json_object_get(other, "vm"), "ref", json_string(""));
    assert_int_equal(rig_call(&rig, "POST", "/api/v1/jobs", other, &again), 200);
    assert_int_equal(json_integer_value(json_object_get(again, "pid")), pid);
    assert_string_equal(member(again, "started"), member(job, "started"));

    rig_refused(&rig, "POST", "/api/v1/jobs", rig_spec(id, 2, "good"), 409,
                "job_conflict");
    rig_refused(&rig, "POST", "/api/v1/jobs", rig_spec(id, 1, "silent"), 409,
                "stale_attempt");

    assert_int_equal(
        rig_call(&rig, "POST", "/api/v1/jobs", rig_spec(id, 3, "silent"), &newer), 202);
    newer_pid = (pid_t)json_integer_value(json_object_get(newer, "pid"));
    assert_int_not_equal(newer_pid, pid);
    assert_int_equal(json_integer_value(json_object_get(newer, "attempt")), 3);
    rig_assert_gone(pid);
    rig_refused(&rig, "POST", "/api/v1/jobs", rig_spec(id, 2, "silent"), 409,
                "stale_attempt");
    delete_job(id);
    rig_assert_gone(newer_pid);
}

static void
test_too_many_jobs(void **state)
{
    char a[UUID_STR_SIZE], b[UUID_STR_SIZE], c[UUID_STR_SIZE];

    rig_post(&rig, "silent", a);
    rig_post(&rig, "silent", b);
    uuid_make(c);
    rig_refused(&rig, "POST", "/api/v1/jobs", rig_spec(c, 1, "good"), 429,
                "too_many_jobs");
    delete_job(a);
    rig_post(&rig, "silent", c);
    delete_job(b);
    delete_job(c);
    assert_no_jobs();
}

static void
test_list_and_long_poll(void **state)
{
    CLEANUP_JSON json_t *list = NULL;
    CLEANUP_JSON json_t *page = NULL;
    CLEANUP_JSON json_t *empty = NULL;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *later = NULL;
    char id[UUID_STR_SIZE];

    rig_post(&rig, "silent", id);
    assert_int_equal(rig_call(&rig, "GET", "/api/v1/jobs", NULL, &list), 200);
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), 1);
    path = xasprintf("/api/v1/jobs/%s/events?after=0&wait=30", id);
    assert_int_equal(rig_call(&rig, "GET", path, NULL, &page), 200);
    assert_int_equal(json_array_size(json_object_get(page, "events")), 1); /* hello */
    assert_int_equal(json_integer_value(json_object_get(page, "attempt")), 1);
    assert_true(json_is_false(json_object_get(page, "ended")));
    later = xasprintf("/api/v1/jobs/%s/events?after=1&wait=1", id);
    assert_int_equal(rig_call(&rig, "GET", later, NULL, &empty), 200);
    assert_int_equal(json_array_size(json_object_get(empty, "events")), 0);
    delete_job(id);
}

static void
test_hundred_jobs(void **state)
{
    for (int i = 0; i < 100; i++) {
        char id[UUID_STR_SIZE];
        CLEANUP_JSON json_t *events = NULL;

        rig_post(&rig, "good", id);
        events = rig_events(&rig, id);
        rig_result(events, "ok", NULL);
        if (i % 2 == 0)
            delete_job(id);
    }
    CLEANUP_JSON json_t *list = NULL;
    assert_int_equal(rig_call(&rig, "GET", "/api/v1/jobs", NULL, &list), 200);
    assert_int_equal(json_array_size(json_object_get(list, "jobs")), 50);
    for (size_t i = 0; i < 50; i++)
        delete_job(member(json_array_get(json_object_get(list, "jobs"), i), "job_id"));
    assert_no_jobs();
}

static json_t *
question(const char *url, int connect_s)
{
    return json_pack("{s:i, s:{s:s}, s:[{s:i, s:s}, {s:i, s:s}], s:{s:i, s:i}}", "v", 1,
                     "source", "type", "nbd", "disks", "key", 2000, "source_url", url,
                     "key", 2001, "source_url", "nbd://127.0.0.1/bad", "deadlines",
                     "connect_s", connect_s, "io_s", 1);
}

static void
test_probe(void **state)
{
    CLEANUP_JSON json_t *answer = NULL;
    const json_t *d;

    assert_int_equal(rig_call(&rig, "POST", "/api/v1/probe",
                              question("nbd://127.0.0.1/good", 1), &answer),
                     200);
    d = json_array_get(json_object_get(answer, "disks"), 0);
    assert_int_equal(json_integer_value(json_object_get(d, "key")), 2000);
    assert_true(json_is_true(json_object_get(d, "ok")));
    assert_int_equal(json_integer_value(json_object_get(d, "size_bytes")), 1048576);
    d = json_array_get(json_object_get(answer, "disks"), 1);
    assert_true(json_is_false(json_object_get(d, "ok")));
    assert_string_equal(member(d, "code"), "source_unreachable");
}

static void
probe_refused(const char *url, long status, const char *code)
{
    rig_refused(&rig, "POST", "/api/v1/probe", question(url, 1), status, code);
}

static void
test_probe_failures(void **state)
{
    json_t *twice = question("nbd://127.0.0.1/good", 1);

    probe_refused("nbd://127.0.0.1/die", 502, "client_died");
    probe_refused("nbd://127.0.0.1/garbage", 502, "client_protocol");
    probe_refused("nbd://127.0.0.1/other", 502, "client_protocol");
    probe_refused("nbd://127.0.0.1/hang", 503, "probe_timeout");
    probe_refused("http://127.0.0.1/good", 400, "invalid_field");
    json_object_set_new(json_array_get(json_object_get(twice, "disks"), 1), "key",
                        json_integer(2000));
    rig_refused(&rig, "POST", "/api/v1/probe", twice, 400, "invalid_field");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_health_and_version_are_open),
        cmocka_unit_test(test_every_other_route_needs_the_token),
        cmocka_unit_test(test_unknown_job),
        cmocka_unit_test(test_bad_specs),
        cmocka_unit_test(test_bad_json),
        cmocka_unit_test(test_bad_queries),
        cmocka_unit_test(test_repeats_and_attempts),
        cmocka_unit_test(test_too_many_jobs),
        cmocka_unit_test(test_list_and_long_poll),
        cmocka_unit_test(test_hundred_jobs),
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_probe_failures),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
