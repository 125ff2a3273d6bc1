/* tests/contract/node_rig.c - see node_rig.h. */
#include <errno.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node_rig.h"
#include "os/pipe_io.h"

static const char *
need_env(const char *name)
{
    const char *v = getenv(name);

    if (!v)
        fail_msg("%s is not set: run this by meson test", name);
    return v;
}

static void
read_ready_line(struct node_rig *rig)
{
    CLEANUP_LINE_READER struct line_reader r;
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;
    int fd = child_stdout_fd(rig->node);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    char *line;
    size_t n;
    int got = 0;

    line_reader_init(&r, 4096);
    while (got == 0) {
        assert_int_equal(poll(&p, 1, 20000), 1);
        assert_int_equal(line_reader_fill(&r, fd, &err), LINE_FILL_DATA);
        got = line_reader_next(&r, &line, &n, &err);
    }
    assert_int_equal(json_parse(line, n, &j, &err), 0);
    assert_true(json_is_true(json_object_get(j, "ready")));
    snprintf(rig->url, sizeof(rig->url), "http://%s",
             json_string_value(json_object_get(j, "address")));
}

void
rig_start_again(struct node_rig *rig)
{
    CLEANUP_FREE char *token_file = xasprintf("%s/token", rig->dir);
    CLEANUP_FREE char *state = xasprintf("%s/state", rig->dir);
    struct err err = ERR_INIT;
    const char *const argv[] = {need_env("SENDENSE_NODE"),
                                "--listen",
                                "127.0.0.1:0",
                                "--token-file",
                                token_file,
                                "--client",
                                need_env("FAKE_CLIENT"),
                                "--max-jobs",
                                rig->max_jobs,
                                "--stop-timeout",
                                rig->stop_timeout,
                                "--state",
                                state,
                                NULL};
    const struct child_spec spec = {
        .argv = argv, .in = CHILD_NULL, .out = CHILD_PIPE, .err = CHILD_INHERIT};

    child_free(rig->node);
    rig->node = NULL;
    if (child_spawn(&spec, &rig->node, &err) < 0)
        fail_msg("node: %s", err.msg);
    read_ready_line(rig);
}

void
rig_start(struct node_rig *rig, const char *max_jobs, const char *stop_timeout)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *token_file = NULL;

    *rig = (struct node_rig){.dir = "/tmp/sendense-contract-XXXXXX",
                             .max_jobs = max_jobs,
                             .stop_timeout = stop_timeout};
    assert_non_null(mkdtemp(rig->dir));
    token_file = xasprintf("%s/token", rig->dir);
    assert_int_equal(fs_write_file_durable(token_file, RIG_TOKEN "\n",
                                           strlen(RIG_TOKEN) + 1, 0600, &err),
                     0);
    rig->token = secret_new(RIG_TOKEN, strlen(RIG_TOKEN));
    assert_int_equal(http_client_new(&rig->http, &err), 0);
    rig_start_again(rig);
}

void
rig_kill(struct node_rig *rig)
{
    struct err err = ERR_INIT;

    kill(child_identity(rig->node)->pid, SIGKILL);
    assert_int_equal(child_wait(rig->node, time_mono_ns() + 20 * NS_PER_S, NULL, &err),
                     0);
}

void
rig_stop(struct node_rig *rig)
{
    struct err err = ERR_INIT;
    struct child_exit how;

    kill(child_identity(rig->node)->pid, SIGTERM);
    assert_int_equal(child_wait(rig->node, time_mono_ns() + 40 * NS_PER_S, &how, &err),
                     0);
    assert_false(how.signaled);
    assert_int_equal(how.value, 0);
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

void
rig_cleanup(struct node_rig *rig)
{
    child_free(rig->node);
    http_client_free(rig->http);
    secret_free(rig->token);
    assert_int_equal(nftw(rig->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
    *rig = (struct node_rig){0};
}

long
rig_call_raw(struct node_rig *rig, const char *method, const char *path,
             const char *token, const char *body, json_t **ret)
{
    CLEANUP_FREE char *url = xasprintf("%s%s", rig->url, path);
    CLEANUP_SECRET struct secret *bearer =
        token ? secret_new(token, strlen(token)) : NULL;
    struct http_request req = {
        .method = method,
        .url = url,
        .bearer = bearer,
        .body = body,
        .body_len = body ? strlen(body) : 0,
        .timeout_ms = 60000,
    };
    struct http_response resp = {0};
    struct err err = ERR_INIT;
    long status;

    if (http_do(rig->http, &req, &resp, &err) < 0)
        fail_msg("%s %s: %s", method, path, err.msg);
    status = resp.status;
    if (ret)
        *ret = NULL;
    if (ret && resp.body_len > 0 && json_parse(resp.body, resp.body_len, ret, &err) < 0)
        fail_msg("%s %s: %s", method, path, err.msg);
    http_response_done(&resp);
    return status;
}

long
rig_call(struct node_rig *rig, const char *method, const char *path, json_t *body,
         json_t **ret)
{
    CLEANUP_JSON json_t *taken = body;
    CLEANUP_FREE char *text = body ? json_line(body) : NULL;

    return rig_call_raw(rig, method, path, RIG_TOKEN, text, ret);
}

void
rig_refused(struct node_rig *rig, const char *method, const char *path, json_t *body,
            long status, const char *code)
{
    CLEANUP_JSON json_t *answer = NULL;
    long got = rig_call(rig, method, path, body, &answer);

    assert_non_null(answer);
    assert_string_equal(json_string_value(json_object_get(answer, "code")), code);
    assert_int_equal(got, status);
}

static json_t *
spec_disk(const char *job_id, int key)
{
    CLEANUP_FREE char *description = xasprintf("sendense %s %d", job_id, key);
    CLEANUP_FREE char *disk_uuid = xasprintf("01890000-0000-7000-8000-00000000%04d", key);
    CLEANUP_FREE char *layer_id = xasprintf("01890000-0000-7000-8000-00000001%04d", key);
    CLEANUP_FREE char *target =
        xasprintf("nbd://127.0.0.1:10104/sendense-0123456789abcdef0123456789ab%04d", key);

    return json_pack("{s:i, s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:n, s:s, s:n, s:n}",
                     "key", key, "disk_uuid", disk_uuid, "size_bytes", 1048576,
                     "source_url", "nbd+unix:///?socket=/nowhere", "target", target,
                     "target_description", description, "read", "all", "reason",
                     "no_parent", "change_id", "layer_id", layer_id, "parent_layer_id",
                     "resume_checkpoint");
}

json_t *
rig_spec(const char *job_id, int attempt, const char *vm_name)
{
    json_t *j = json_pack(
        "{s:i, s:s, s:i, s:{s:s, s:s, s:s}, s:{s:s}, s:[o, o],"
        " s:{s:i, s:i, s:i, s:i, s:i}, s:{s:i, s:i}, s:{s:s, s:s}, s:{s:i, s:i}}",
        "v", 1, "job_id", job_id, "attempt", attempt, "vm", "ref", "", "instance_uuid",
        "01890000-0000-7000-8000-000000000001", "name", vm_name, "source", "type", "nbd",
        "disks", spec_disk(job_id, 2000), spec_disk(job_id, 2001), "limits",
        "disks_parallel", 4, "connections", 2, "requests", 16, "request_bytes", 1048576,
        "rate_bytes_per_s", 0, "audit", "samples", 1024, "seed", 7, "hub", "url",
        "http://127.0.0.1:1", "job_token", "sendense_secret-of-the-job", "deadlines",
        "connect_s", 10, "io_s", 60);

    assert_non_null(j);
    return j;
}

json_t *
rig_spec_vsphere(const char *job_id, int attempt, const char *vm_name, const char *vm_ref,
                 const char *user)
{
    CLEANUP_FREE char *name = xasprintf("sendense-%s", job_id);
    json_t *j = rig_spec(job_id, attempt, vm_name);
    json_t *disk;
    size_t i;

    json_object_set_new(json_object_get(j, "vm"), "ref", json_string(vm_ref));
    json_object_set_new(j, "source",
                        json_pack("{s:s, s:{s:s, s:s, s:s, s:{s:s}}, s:s, s:s, s:i}",
                                  "type", "vsphere", "login", "url",
                                  "https://127.0.0.1:1", "user", user, "password",
                                  RIG_PASSWORD, "tls", "ca_pem", "any", "transport",
                                  "https", "quiesce", "try", "connections", 4));
    json_object_set_new(j, "snapshot",
                        json_pack("{s:s, s:s, s:i}", "name", name, "description",
                                  "of a test", "lease_s", 600));
    json_array_foreach(json_object_get(j, "disks"), i, disk)
        json_object_set_new(disk, "source_url", json_null());
    return j;
}

pid_t
rig_post(struct node_rig *rig, const char *vm_name, char id[UUID_STR_SIZE])
{
    CLEANUP_JSON json_t *job = NULL;
    long status;

    uuid_make(id);
    status = rig_call(rig, "POST", "/api/v1/jobs", rig_spec(id, 1, vm_name), &job);
    if (status != 202)
        fail_msg("POST: %ld %s", status,
                 json_string_value(json_object_get(job, "detail")));
    assert_string_equal(json_string_value(json_object_get(job, "job_id")), id);
    return (pid_t)json_integer_value(json_object_get(job, "pid"));
}

json_t *
rig_events(struct node_rig *rig, const char *id)
{
    json_t *all = json_array();
    json_int_t last = 0;
    bool ended = false;

    while (!ended) {
        CLEANUP_JSON json_t *page = NULL;
        CLEANUP_FREE char *path =
            xasprintf("/api/v1/jobs/%s/events?after=%lld&wait=30", id, (long long)last);
        const json_t *events;
        json_t *e;
        size_t i;

        assert_int_equal(rig_call(rig, "GET", path, NULL, &page), 200);
        events = json_object_get(page, "events");
        assert_true(json_array_size(events) <= 500);
        ended = json_is_true(json_object_get(page, "ended"));
        assert_true(ended || json_array_size(events) > 0);
        json_array_foreach(events, i, e)
        {
            json_int_t seq = json_integer_value(json_object_get(e, "seq"));

            assert_true(seq > last);
            last = seq;
            json_array_append(all, e);
        }
    }
    return all;
}

const json_t *
rig_result(const json_t *events, const char *status, const char *code)
{
    const json_t *e = json_array_get(events, json_array_size(events) - 1);
    const char *got = json_string_value(json_object_get(e, "code"));

    assert_string_equal(json_string_value(json_object_get(e, "type")), "result");
    assert_string_equal(json_string_value(json_object_get(e, "status")), status);
    assert_string_equal(got ? got : "null", code ? code : "null");
    for (size_t i = 0; i + 1 < json_array_size(events); i++)
        assert_string_not_equal(
            json_string_value(json_object_get(json_array_get(events, i), "type")),
            "result");
    return e;
}

json_t *
rig_run(struct node_rig *rig, const char *vm_name, const char *status, const char *code)
{
    char id[UUID_STR_SIZE];
    pid_t pid = rig_post(rig, vm_name, id);
    json_t *events = rig_events(rig, id);

    rig_result(events, status, code);
    /* "ended" means that the process is no more, not that it soon will be. */
    assert_int_equal(kill(pid, 0), -1);
    assert_int_equal(errno, ESRCH);
    return events;
}

void
rig_assert_gone(pid_t pid)
{
    CLEANUP_FD int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (fd < 0) {
        assert_int_equal(errno, ESRCH);
        return;
    }
    assert_int_equal(poll(&p, 1, 10000), 1);
}
