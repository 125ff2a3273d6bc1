/* Unit tests of node/job_table.h and node/client_job.h: what the contract tests cannot
 * reach, which is time and the number of ended jobs. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "node/job_table.h"

static struct job_table *table;

static int
setup(void **state)
{
    const struct job_table_options opt = {
        .job = {.client = "/bin/true", .grace_ms = 1000},
        .max_jobs = 4,
        .keep_ended = 5,
    };

    signal(SIGPIPE, SIG_IGN); /* as signals_setup() does in the program */
    table = job_table_new(&opt);
    return 0;
}

static int
teardown(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(job_table_free(table, &err), 0);
    assert_int_equal(job_table_free(NULL, &err), 0);
    return 0;
}

static json_t *
make_spec(char id[UUID_STR_SIZE], uint32_t attempt)
{
    char source[] = "nbd://127.0.0.1/x", type[] = "nbd", name[] = "vm", none[] = "";
    char target[] = "nbd://127.0.0.1:10104/sendense-0123456789abcdef0123456789abcdef";
    struct job_spec_disk disk = {
        .key = 2000,
        .size_bytes = 65536,
        .source_url = source,
        .target = target,
        .read = READ_ALL,
        .reason = REASON_NO_PARENT,
    };
    struct job_spec spec = {
        .attempt = attempt,
        .vm_ref = none,
        .vm_name = name,
        .source_type = type,
        .disks = &disk,
        .n_disks = 1,
        .limits = spec_limits_default,
        .deadlines = spec_deadlines_default,
    };

    memcpy(spec.job_id, id, UUID_STR_SIZE);
    memcpy(spec.vm_instance_uuid, id, UUID_STR_SIZE); /* same id, same spec */
    memcpy(disk.disk_uuid, id, UUID_STR_SIZE);
    memcpy(disk.layer_id, id, UUID_STR_SIZE);
    return job_spec_encode(&spec);
}

/* Posts a job and returns when its client is gone. */
static struct client_job *
run_job(char id[UUID_STR_SIZE])
{
    CLEANUP_JSON json_t *spec = NULL;
    CLEANUP_NODE_JOB struct node_job view = {0};
    struct client_job *job = NULL;
    struct err err = ERR_INIT;
    bool created = false;

    uuid_make(id);
    spec = make_spec(id, 1);
    if (job_table_post(table, spec, &view, &created, &err) < 0)
        fail_msg("%s", err.msg);
    assert_true(created);
    assert_int_equal(job_table_get(table, id, &job, &err), 0);
    assert_int_equal(client_job_wait(job, time_mono_ns() + 30 * NS_PER_S, &err), 0);
    return job;
}

static bool
is_known(const char *id)
{
    CLEANUP_CLIENT_JOB struct client_job *job = NULL;
    struct err err = ERR_INIT;

    return job_table_get(table, id, &job, &err) == 0;
}

static void
test_kept_for_a_day(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_CLIENT_JOB struct client_job *job = run_job(id);
    uint64_t ended_ns = 0;

    assert_true(client_job_ended(job, &ended_ns));
    job_table_expire(table, ended_ns + JOB_KEEP_NS - 1);
    assert_true(is_known(id));
    job_table_expire(table, ended_ns + JOB_KEEP_NS);
    assert_false(is_known(id));
}

static void
test_result_of_a_mute_client(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_CLIENT_JOB struct client_job *job = run_job(id);
    CLEANUP_EVENTS_PAGE struct events_page page = {0};
    CLEANUP_NODE_JOB struct node_job view = {0};
    struct err err = ERR_INIT;

    assert_int_equal(client_job_events(job, 0, 0, &page, &err), 0);
    assert_int_equal(page.n, 1);
    assert_true(page.ended);
    assert_string_equal(page.events[0].code, "client_died");
    assert_int_equal(page.events[0].seq, 1);
    assert_true(client_job_bytes(job) > 0);
    client_job_describe(job, &view);
    assert_true(view.ended);
    assert_false(view.has_client);
    client_job_cancel(job); /* too late, and harmless */
    client_job_stop(job);
    assert_int_equal(client_job_spec(job)->attempt, 1);
}

static void
test_only_so_many_are_kept(void **state)
{
    char first[UUID_STR_SIZE], second[UUID_STR_SIZE], id[UUID_STR_SIZE];

    cleanup_client_job(&(struct client_job *){run_job(first)});
    cleanup_client_job(&(struct client_job *){run_job(second)});
    for (unsigned i = 2; i < 5 + 1; i++)
        cleanup_client_job(&(struct client_job *){run_job(id)});
    job_table_expire(table, time_mono_ns());
    assert_false(is_known(first));
    assert_true(is_known(second));
    assert_true(is_known(id));
}

static void
test_repeat_after_the_end(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_CLIENT_JOB struct client_job *job = run_job(id);
    CLEANUP_JSON json_t *same = make_spec(id, 1);
    CLEANUP_JSON json_t *newer = make_spec(id, 2);
    struct node_job view = {0};
    struct err err = ERR_INIT;
    bool created = true;

    assert_int_equal(job_table_post(table, same, &view, &created, &err), 0);
    assert_false(created);
    node_job_done(&view);
    assert_int_equal(job_table_post(table, newer, &view, &created, &err), 0);
    assert_true(created);
    node_job_done(&view);
    assert_int_equal(job_table_post(table, same, &view, &created, &err), ERR_EXISTS);
    assert_string_equal(err.code, "stale_attempt");
    err_clear(&err);
    assert_int_equal(job_table_delete(table, id, &err), 0);
    assert_int_equal(job_table_delete(table, id, &err), ERR_NOT_FOUND);
    assert_string_equal(err.code, "job_not_found");
}

static void
test_stopping(void **state)
{
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *spec = NULL;
    CLEANUP_NODE_JOBS struct node_jobs list = {0};
    struct node_job view = {0};
    struct err err = ERR_INIT;
    bool created;

    job_table_stop(table);
    uuid_make(id);
    spec = make_spec(id, 1);
    assert_int_equal(job_table_post(table, spec, &view, &created, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "shutting_down");
    job_table_list(table, &list);
    assert_int_equal(list.n, 0);
}

static void
test_client_missing(void **state)
{
    const struct job_table_options opt = {
        .job = {.client = "/nowhere/client", .grace_ms = 1000},
        .max_jobs = 4,
    };
    struct job_table *t = job_table_new(&opt);
    char id[UUID_STR_SIZE];
    CLEANUP_JSON json_t *spec = NULL;
    CLEANUP_NODE_JOBS struct node_jobs list = {0};
    struct node_job view = {0};
    struct err err = ERR_INIT;
    bool created;

    uuid_make(id);
    spec = make_spec(id, 1);
    assert_int_equal(job_table_post(t, spec, &view, &created, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "client_not_started");
    job_table_list(t, &list);
    assert_int_equal(list.n, 0);
    err_clear(&err);
    assert_int_equal(job_table_free(t, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kept_for_a_day, setup, teardown),
        cmocka_unit_test_setup_teardown(test_result_of_a_mute_client, setup, teardown),
        cmocka_unit_test_setup_teardown(test_only_so_many_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_repeat_after_the_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stopping, setup, teardown),
        cmocka_unit_test_setup_teardown(test_client_missing, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
