/* Node and client: each way in which a client can keep or break the contract of its
 * stdout. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node_rig.h"

static struct node_rig rig;

static int
setup(void **state)
{
    rig_start(&rig, "8", "1");
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

static unsigned
count(const json_t *events, const char *type)
{
    unsigned n = 0;
    size_t i;
    json_t *e;

    json_array_foreach((json_t *)events, i, e) n += strcmp(member(e, "type"), type) == 0;
    return n;
}

static void
test_good(void **state)
{
    CLEANUP_JSON json_t *events = NULL;
    CLEANUP_JSON json_t *job = NULL;
    CLEANUP_FREE char *path = NULL;
    char id[UUID_STR_SIZE];
    json_t *e;
    size_t i;

    rig_post(&rig, "good", id);
    events = rig_events(&rig, id);
    rig_result(events, "ok", NULL);
    assert_int_equal(count(events, "hello"), 1);
    assert_int_equal(count(events, "phase"), 2);
    assert_int_equal(count(events, "warning"), 1);
    path = xasprintf("/api/v1/jobs/%s", id);
    assert_int_equal(rig_call(&rig, "GET", path, NULL, &job), 200);
    assert_string_equal(member(job, "state"), "ended");
    assert_string_equal(member(json_object_get(job, "client"), "version"), "9.9.9");
    assert_string_equal(member(json_object_get(job, "client"), "commit"), "0123456789ab");
    assert_int_equal(json_integer_value(json_object_get(job, "last_seq")), 14);
    /* Pulled again, after the end: of progress only the newest of each disk is left. */
    json_decref(events);
    events = rig_events(&rig, id);
    assert_int_equal(count(events, "progress"), 2);
    json_array_foreach(events, i, e)
    {
        if (strcmp(member(e, "type"), "progress") == 0)
            assert_int_equal(
                json_integer_value(json_object_get(e, "bytes_done")),
                json_integer_value(json_object_get(e, "disk")) == 2000 ? 1048576 : 8000);
    }
}

static void
test_failed_result_is_kept(void **state)
{
    json_decref(rig_run(&rig, "fails", "failed", "failed"));
}

static void
breaks_contract(const char *how)
{
    CLEANUP_JSON json_t *events = rig_run(&rig, how, "failed", "client_protocol");
    const json_t *result = rig_result(events, "failed", "client_protocol");

    assert_true(strlen(member(result, "message")) > 0);
    assert_false(json_is_true(json_object_get(result, "retryable")));
}

#define BREACH(fn, how)                                                                  \
    static void test_##fn(void **state)                                                  \
    {                                                                                    \
        breaks_contract(how);                                                            \
    }
BREACH(wrong_version, "wrong-version")
BREACH(other_job, "other-job")
BREACH(seq_gap, "seq-gap")
BREACH(seq_repeat, "seq-repeat")
BREACH(no_hello, "no-hello")
BREACH(garbage, "garbage")
BREACH(oversized, "oversized")
BREACH(endless, "endless")
BREACH(unknown_field, "unknown-field")
BREACH(two_results, "two-results")

static void
dies(const char *how, const char *said)
{
    CLEANUP_JSON json_t *events = rig_run(&rig, how, "failed", "client_died");
    const json_t *result = rig_result(events, "failed", "client_died");

    assert_non_null(strstr(member(result, "message"), said));
    assert_true(json_is_true(json_object_get(result, "retryable")));
}

#define DEATH(fn, how, said)                                                             \
    static void test_##fn(void **state)                                                  \
    {                                                                                    \
        dies(how, said);                                                                 \
    }
DEATH(end_without_result, "no-result", "exit status 0")
DEATH(end_in_a_line, "half-line", "exit status 7")
DEATH(mute, "mute", "exit status 5")
DEATH(killed, "killed", "signal 9")
DEATH(closed_stdout, "closes-stdout", "signal 15")

static void
test_lingering_is_ended(void **state)
{
    json_decref(rig_run(&rig, "lingering", "ok", NULL));
}

static void
test_grandchild_is_ended(void **state)
{
    CLEANUP_JSON json_t *events = rig_run(&rig, "grandchild", "ok", NULL);
    uint64_t pid;

    assert_int_equal(
        text_to_u64(
            member(json_array_get(events, json_array_size(events) - 2), "message"), &pid),
        0);
    rig_assert_gone((pid_t)pid);
}

static void
test_pages(void **state)
{
    CLEANUP_JSON json_t *events = rig_run(&rig, "many-events", "ok", NULL);

    assert_int_equal(json_array_size(events), 1202);
}

static void
test_environment_is_empty(void **state)
{
    CLEANUP_JSON json_t *events = NULL;
    json_t *e;
    size_t i;

    events = rig_run(&rig, "environment", "ok", NULL);
    assert_true(count(events, "warning") > 0);
    json_array_foreach(events, i, e)
    {
        const char *text =
            strcmp(member(e, "type"), "warning") == 0 ? member(e, "message") : NULL;

        if (!text)
            continue;
        /* What src/os/child.h promises, and nothing of the node's own. */
        assert_true(strncmp(text, "PATH=", 5) == 0 || strncmp(text, "LANG=", 5) == 0 ||
                    strncmp(text, "LC_ALL=", 7) == 0 ||
                    strncmp(text, "TMPDIR=", 7) == 0 ||
                    strncmp(text, "SENDENSE_OWNER=node:/", 21) == 0);
    }
}

static void
test_flood_of_stderr(void **state)
{
    json_decref(rig_run(&rig, "flood", "ok", NULL));
}

static void
test_cancel(void **state)
{
    CLEANUP_JSON json_t *events = NULL;
    CLEANUP_FREE char *path = NULL;
    char id[UUID_STR_SIZE];

    rig_post(&rig, "silent", id);
    path = xasprintf("/api/v1/jobs/%s/cancel", id);
    assert_int_equal(rig_call(&rig, "POST", path, NULL, NULL), 202);
    assert_int_equal(rig_call(&rig, "POST", path, NULL, NULL), 202);
    events = rig_events(&rig, id);
    rig_result(events, "cancelled", "cancelled");
    /* The client's own word, not the node's. */
    assert_string_equal(member(rig_result(events, "cancelled", "cancelled"), "message"),
                        "said");
    assert_int_equal(rig_call(&rig, "POST", path, NULL, NULL), 202);
}

static void
test_delete_of_a_stubborn_client(void **state)
{
    CLEANUP_FREE char *path = NULL;
    CLEANUP_JSON json_t *page = NULL;
    char id[UUID_STR_SIZE];
    pid_t pid = rig_post(&rig, "stubborn", id);
    CLEANUP_FREE char *events = xasprintf("/api/v1/jobs/%s/events?wait=20", id);

    path = xasprintf("/api/v1/jobs/%s", id);
    assert_int_equal(rig_call(&rig, "GET", events, NULL, &page),
                     200); /* it ignores TERM now */
    assert_int_equal(rig_call(&rig, "DELETE", path, NULL, NULL), 204);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    rig_refused(&rig, "GET", path, NULL, 404, "job_not_found");
    rig_refused(&rig, "DELETE", path, NULL, 404, "job_not_found");
}

/* A client that ignores the cancel is ended in the end, and the result says so. */
static void
test_cancel_ignored(void **state)
{
    CLEANUP_JSON json_t *events = NULL;
    CLEANUP_FREE char *path = NULL;
    const json_t *result;
    char id[UUID_STR_SIZE];

    rig_post(&rig, "lingering-not-known", id); /* exits with 64 at once */
    events = rig_events(&rig, id);
    result = rig_result(events, "failed", "client_died");
    assert_non_null(strstr(member(result, "message"), "exit status 64"));
    json_decref(events);
    rig_post(&rig, "stubborn", id);
    path = xasprintf("/api/v1/jobs/%s/cancel", id);
    assert_int_equal(rig_call(&rig, "POST", path, NULL, NULL), 202);
    events = rig_events(&rig, id);
    result = rig_result(events, "cancelled", "cancelled");
    assert_non_null(strstr(member(result, "message"), "signal"));
}

/* Whoever cannot even die of TERM is killed, before the next attempt starts. */
static void
test_attempt_over_a_stopped_client(void **state)
{
    CLEANUP_JSON json_t *events = NULL;
    CLEANUP_JSON json_t *job = NULL;
    char id[UUID_STR_SIZE];
    pid_t pid = rig_post(&rig, "silent", id);
    uint64_t began = time_mono_ns();

    assert_int_equal(kill(pid, SIGSTOP), 0);
    assert_int_equal(
        rig_call(&rig, "POST", "/api/v1/jobs", rig_spec(id, 2, "good"), &job), 202);
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    assert_true(time_mono_ns() - began < 20 * NS_PER_S);
    events = rig_events(&rig, id);
    rig_result(events, "ok", NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_failed_result_is_kept),
        cmocka_unit_test(test_wrong_version),
        cmocka_unit_test(test_other_job),
        cmocka_unit_test(test_seq_gap),
        cmocka_unit_test(test_seq_repeat),
        cmocka_unit_test(test_no_hello),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_oversized),
        cmocka_unit_test(test_endless),
        cmocka_unit_test(test_unknown_field),
        cmocka_unit_test(test_two_results),
        cmocka_unit_test(test_end_without_result),
        cmocka_unit_test(test_end_in_a_line),
        cmocka_unit_test(test_mute),
        cmocka_unit_test(test_killed),
        cmocka_unit_test(test_closed_stdout),
        cmocka_unit_test(test_lingering_is_ended),
        cmocka_unit_test(test_grandchild_is_ended),
        cmocka_unit_test(test_pages),
        cmocka_unit_test(test_environment_is_empty),
        cmocka_unit_test(test_flood_of_stderr),
        cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_delete_of_a_stubborn_client),
        cmocka_unit_test(test_cancel_ignored),
        cmocka_unit_test(test_attempt_over_a_stopped_client),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
