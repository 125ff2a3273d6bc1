/* tests/contract/test_worker_contract.c - the worker's side of protocol.md 3.2 and 4: bad
 * orders, cancel, silent servers, a parent that goes away. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "worker_rig.h"

static struct rig rig;
static struct wdisk disk;
static struct wspec spec;
static struct wrun run;

#define BLOCKS 64u

static int
set_up(void **state)
{
    struct wdisk *const disks[] = {&disk};
    struct wblock blocks[BLOCKS];

    (void)state;
    for (unsigned i = 0; i < BLOCKS; i++)
        blocks[i] = (struct wblock){.block = i, .seed = i + 1};
    rig_init(&rig);
    wdisk_init(&disk, &rig, 2000, (uint64_t)BLOCKS * BLOCK);
    wdisk_layer(&disk, blocks, BLOCKS);
    wdisk_serve(&disk);
    wspec_init(&spec, WORKER_VERIFY, disks, 1);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    wrun_done(&run);
    wdisk_done(&disk);
    rig_done(&rig);
    return 0;
}

/* A run that takes far longer than any test. */
static void
start_slow(void)
{
    spec.spec.limits.connections = 1;
    spec.spec.limits.requests = 1;
    spec.spec.limits.request_bytes = BLOCK;
    spec.spec.limits.rate_bytes_per_s = BLOCK / 2;
    wrun_start(&run, &spec);
}

static void
ends(enum job_result status, const char *code, int exit_status)
{
    const struct job_event *e = wrun_end(&run);

    if (e->status != status || !e->code || strcmp(e->code, code) != 0)
        fail_msg("%s, %s: %s", job_result_to_str(e->status), e->code ? e->code : "-",
                 e->message);
    assert_true(e->message[0] != '\0');
    assert_int_equal(run.exit_status, exit_status);
    assert_int_equal(run.ev[0].type, EVENT_HELLO);
}

static void
refused(const char *text, const char *code)
{
    wrun_start_text(&run, text, strlen(text));
    ends(RESULT_FAILED, code, 1);
    assert_int_equal(run.n, 2); /* hello and result: no work was begun */
    wrun_done(&run);
}

static void
test_hello(void **state)
{
    (void)state;
    wrun_succeeds(&run, &spec);
    assert_string_equal(run.ev[0].program, "sendense-worker");
    assert_string_equal(run.ev[0].job_id, spec.spec.job_id);
    assert_int_equal(run.ev[0].pid, child_identity(run.child)->pid);
    assert_int_equal(run.ev[1].type, EVENT_PHASE);
    assert_int_equal(run.ev[1].phase, PHASE_VERIFYING);
    assert_int_equal(run.ev[run.n - 1].phase, PHASE_VERIFYING);
    assert_false(run.ev[run.n - 1].retryable);
}

static void
test_garbage(void **state)
{
    (void)state;
    refused("garbage\n", "malformed_json");
    refused("\n", "malformed_json");
    refused("[]\n", "invalid_field");
    refused("{}\n", "invalid_field");
    refused("{\"type\":\"cancel\"}\n", "invalid_field");
    refused("{\"v\":1,\"v\":1}\n", "malformed_json");
    refused("{\"v\":2}\n", "unsupported_version");
    refused("{\"v\":\"1\"}\n", "invalid_field");
}

/* The good spec with one member changed. */
static void
spec_with(const char *code, const char *path, const char *member, const char *value)
{
    CLEANUP_JSON json_t *j = worker_spec_encode(&spec.spec), *v = NULL;
    CLEANUP_FREE char *line = NULL;
    CLEANUP_FREE char *text = NULL;
    struct err err = ERR_INIT;
    json_t *o = j;

    if (strcmp(path, "disk") == 0)
        o = json_array_get(json_object_get(j, "disks"), 0);
    else if (strcmp(path, "layer") == 0)
        o = json_array_get(
            json_object_get(json_array_get(json_object_get(j, "disks"), 0), "layers"), 0);
    else if (*path)
        o = json_object_get(j, path);
    assert_int_equal(json_parse(value, strlen(value), &v, &err), 0);
    json_object_set(o, member, v);
    line = json_line(j);
    text = xasprintf("%s\n", line);
    refused(text, code);
}

static void
test_bad_members(void **state)
{
    (void)state;
    spec_with("unsupported_version", "", "v", "2");
    spec_with("unknown_field", "", "more", "{}");
    spec_with("invalid_field", "", "job_id", "\"x\"");
    spec_with("invalid_field", "", "attempt", "0");
    spec_with("invalid_field", "", "task", "\"merge\"");
    spec_with("invalid_field", "", "disks", "[]");
    spec_with("invalid_field", "disk", "size_bytes", "0");
    spec_with("invalid_field", "disk", "source", "\"http://127.0.0.1/\"");
    spec_with("invalid_field", "disk", "target", "\"nbd://127.0.0.1/x\"");
    spec_with("invalid_field", "disk", "layers", "[]");
    spec_with("invalid_field", "layer", "manifest", "\"relative\"");
    spec_with("invalid_field", "layer", "layer_root", "\"00\"");
    spec_with("invalid_field", "limits", "connections", "9");
    spec_with("invalid_field", "limits", "request_bytes", "65537");
    spec_with("invalid_field", "deadlines", "io_s", "0");
}

static void
test_twins(void **state)
{
    CLEANUP_JSON json_t *j = worker_spec_encode(&spec.spec);
    CLEANUP_FREE char *line = NULL;
    CLEANUP_FREE char *text = NULL;
    json_t *disks = json_object_get(j, "disks");

    (void)state;
    json_array_append_new(disks, json_deep_copy(json_array_get(disks, 0)));
    line = json_line(j);
    text = xasprintf("%s\n", line);
    refused(text, "invalid_field");
}

static void
test_oversized(void **state)
{
    size_t n = SPEC_LINE_MAX + 1; /* not one that the worker would leave unread */
    CLEANUP_FREE char *text = malloc(n + 1);

    (void)state;
    memset(text, ' ', n);
    text[0] = '{';
    wrun_start_text(&run, text, n);
    ends(RESULT_FAILED, "line_too_long", 1);
}

static void
test_no_spec(void **state)
{
    CLEANUP_FREE char *more = malloc(1 << 20);

    (void)state;
    wrun_start_text(&run, "", 0);
    child_close_stdin(run.child);
    ends(RESULT_FAILED, "malformed_json", 1);
    wrun_done(&run);
    wrun_start_text(&run, "{\"v\":1,", 7);
    child_close_stdin(run.child);
    ends(RESULT_FAILED, "malformed_json", 1);
    wrun_done(&run);
    wrun_start_text(&run, "{\"v\"", 4);
    /* More than a pipe holds: when it is written, the worker reads, and handles signals.
     */
    memset(more, ' ', 1 << 20);
    wrun_send(&run, more, 1 << 20);
    child_signal(run.child, SIGTERM);
    ends(RESULT_CANCELLED, "cancelled", 130);
}

enum wish { WISH_LINE, WISH_EOF, WISH_TERM, WISH_GARBAGE };

static void
cancelled_by(enum wish wish)
{
    uint64_t start;

    start_slow();
    wrun_until(&run, EVENT_PROGRESS);
    start = time_mono_ns();
    if (wish == WISH_LINE)
        wrun_send(&run, SPEC_CANCEL_LINE, strlen(SPEC_CANCEL_LINE));
    else if (wish == WISH_EOF)
        child_close_stdin(run.child);
    else if (wish == WISH_TERM)
        child_signal(run.child, SIGTERM);
    else
        wrun_send(&run, "{\"type\":\"faster\"}\n", 18);
    if (wish == WISH_GARBAGE)
        ends(RESULT_FAILED, "invalid_field", 1);
    else
        ends(RESULT_CANCELLED, "cancelled", 130);
    assert_true(time_mono_ns() - start < 5 * NS_PER_S);
    assert_null(wrun_find(&run, EVENT_DISK_DONE, 2000, 0));
    wrun_done(&run);
}

static void
test_cancel(void **state)
{
    (void)state;
    cancelled_by(WISH_LINE);
    cancelled_by(WISH_EOF);
    cancelled_by(WISH_TERM);
    cancelled_by(WISH_GARBAGE);
}

/* The wish comes in one piece with the orders. */
static void
test_cancel_at_once(void **state)
{
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_FREE char *line = NULL;
    CLEANUP_FREE char *text = NULL;

    (void)state;
    spec.spec.limits.rate_bytes_per_s = BLOCK;
    j = worker_spec_encode(&spec.spec);
    line = json_line(j);
    text = xasprintf("%s\n%s", line, SPEC_CANCEL_LINE);
    wrun_start_text(&run, text, strlen(text));
    ends(RESULT_CANCELLED, "cancelled", 130);
}

/* Silent from the start: the deadline of the connection. */
static void
test_silent_server(void **state)
{
    (void)state;
    rig_signal(&disk.server, SIGSTOP);
    spec.spec.deadlines.connect_s = 1;
    wrun_fails(&run, &spec, "nbd_timeout", "handshake");
    assert_true(run.ev[run.n - 1].retryable);
    assert_int_equal(run.ev[run.n - 1].disk, 2000);
}

/* Silent in the middle: the deadline of the requests. */
static void
test_server_falls_silent(void **state)
{
    (void)state;
    spec.spec.deadlines.io_s = 1;
    start_slow();
    wrun_until(&run, EVENT_PROGRESS);
    rig_signal(&disk.server, SIGSTOP);
    ends(RESULT_FAILED, "nbd_timeout", 1);
    assert_true(run.ev[run.n - 1].retryable);
}

static void
test_server_dies(void **state)
{
    (void)state;
    start_slow();
    wrun_until(&run, EVENT_PROGRESS);
    rig_signal(&disk.server, SIGKILL);
    ends(RESULT_FAILED, "nbd_disconnected", 1);
    assert_int_equal(run.ev[run.n - 1].disk, 2000);
}

static void
test_cancel_while_silent(void **state)
{
    uint64_t start = time_mono_ns();

    (void)state;
    rig_signal(&disk.server, SIGSTOP);
    wrun_start(&run, &spec);
    wrun_until(&run, EVENT_PHASE);
    child_signal(run.child, SIGTERM);
    ends(RESULT_CANCELLED, "cancelled", 130);
    assert_true(time_mono_ns() - start < 5 * NS_PER_S);
}

static void
test_no_server(void **state)
{
    char uri[RIG_TEXT];

    (void)state;
    snprintf(uri, sizeof(uri), "nbd+unix:///exp?socket=%.400s/nobody", rig.dir);
    spec.disks[0].source = uri;
    wrun_fails(&run, &spec, "nbd_connect", "disk 2000: source");
    wrun_done(&run);
    snprintf(uri, sizeof(uri), "nbd+unix:///other?socket=%s",
             strchr(disk.server.uri, '=') + 1);
    wrun_fails(&run, &spec, "nbd_export_not_found", "disk 2000");
}

static void
test_slow_tells_progress(void **state)
{
    const struct job_event *a, *b;

    (void)state;
    start_slow();
    a = wrun_until(&run, EVENT_PROGRESS);
    b = wrun_until(&run, EVENT_PROGRESS);
    assert_true(b->time_us - a->time_us < 5000000);
    assert_int_equal(a->bytes.total, BLOCKS * BLOCK);
    assert_true(b->bytes.done < b->bytes.total);
    child_close_stdin(run.child);
    ends(RESULT_CANCELLED, "cancelled", 130);
}

/* @words are in the output, or, of a refusal, in the last line on stderr. */
static void
says(const char *option, const char *words, bool refusal)
{
    const char *argv[] = {getenv("SENDENSE_WORKER"), option, NULL};
    struct buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;
    int r = child_run(argv, NULL, 0, 10000, &out, &err);

    assert_int_equal(r < 0, refusal);
    if (!refusal)
        assert_int_equal(buf_append(&out, "", 1, &err), 0);
    if (!strstr(refusal ? err.msg : out.data, words))
        fail_msg("%s: '%s'", option, refusal ? err.msg : out.data);
    buf_done(&out);
}

static void
test_options(void **state)
{
    (void)state;
    says("--version", "sendense-worker", false);
    says("--help", "--log-level", false);
    says("--nonsense", "exited 2", true);
    says("word", "exited 2", true);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_hello),         T(test_garbage),
        T(test_bad_members),   T(test_twins),
        T(test_oversized),     T(test_no_spec),
        T(test_cancel),        T(test_cancel_at_once),
        T(test_silent_server), T(test_server_falls_silent),
        T(test_server_dies),   T(test_cancel_while_silent),
        T(test_no_server),     T(test_slow_tells_progress),
        T(test_options),
    };

    return cmocka_run_group_tests_name("worker_contract", tests, NULL, NULL);
}
