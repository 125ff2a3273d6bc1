#include "job/worker_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "job/journal.h"
#include "os/child.h"

#define EXIT_GRACE_MS 5000u
/* A worker that works tells of progress every second, and its own deadlines end it before
 * this. */
#define SILENCE_MARGIN_S 60u

int
result_to_err(const struct job_event *result, struct err *err)
{
    const char *code = result->code ? result->code : "failed";
    int class = result->retryable ? ERR_UNAVAILABLE : ERR_IO;

    if (result->status == RESULT_OK)
        return 0;
    if (result->status == RESULT_CANCELLED)
        class = ERR_CANCELLED;
    else if (strcmp(code, "verification_failed") == 0 ||
             strcmp(code, "manifest_corrupt") == 0)
        class = ERR_CORRUPT;
    else if (strcmp(code, "no_space") == 0)
        class = ERR_NO_SPACE;
    return err_set(err, class, code, "%s",
                   result->message ? result->message : "no reason given");
}

/* Sends the spec; the worker reads it at once, so this does not block for long. */
static int
send_spec(struct child *child, const struct worker_spec *spec, struct err *err)
{
    CLEANUP_JSON json_t *j = worker_spec_encode(spec);
    CLEANUP_FREE char *line = json_line(j);

    if (fs_write_full(child_stdin_fd(child), line, strlen(line), err) < 0 ||
        fs_write_full(child_stdin_fd(child), "\n", 1, err) < 0)
        return err_prefix(err, "give the worker its orders");
    return 0;
}

struct reader {
    struct worker_job *w;
    struct event_stream stream;
    struct buf buf;
    struct job_event result; /* valid once stream.ended */
    bool told;               /* to stop */
};

static int
take_line(struct reader *r, const char *line, size_t n, struct err *err)
{
    CLEANUP_JOB_EVENT struct job_event e = {0};

    if (event_stream_line(&r->stream, line, n, &e, err) < 0) {
        err_recode(err, "worker_protocol");
        return err_prefix(err, "worker");
    }
    switch (e.type) {
    case EVENT_HELLO:
        break;
    case EVENT_RESULT:
        r->result = e;
        memset(&e, 0, sizeof e);
        break;
    default:
        r->w->on_event(r->w->arg, &e);
        break;
    }
    return 0;
}

/* Takes the whole lines out of the buffer. */
static int
take_lines(struct reader *r, struct err *err)
{
    char *start = r->buf.data, *end = r->buf.data + r->buf.len, *nl;

    while (start < end && (nl = memchr(start, '\n', (size_t)(end - start)))) {
        if (take_line(r, start, (size_t)(nl - start), err) < 0)
            return err->class;
        start = nl + 1;
    }
    r->buf.len = (size_t)(end - start);
    memmove(r->buf.data, start, r->buf.len);
    return 0;
}

/* 1 = end of file, 0 = more may come. */
static int
read_some(struct reader *r, int fd, struct err *err)
{
    char chunk[16384];
    ssize_t n = read(fd, chunk, sizeof chunk);

    if (n < 0)
        return errno == EINTR ? 0 : err_errno(err, errno, NULL, "read from the worker");
    if (n == 0)
        return 1;
    if (buf_append(&r->buf, chunk, (size_t)n, err) < 0)
        return err_set(err, ERR_PROTOCOL, "worker_protocol",
                       "a line of the worker is too long");
    return take_lines(r, err);
}

static int
follow(struct reader *r, struct child *child, struct err *err)
{
    const struct spec_deadlines *d = &r->w->spec->deadlines;
    unsigned silence_ms = (d->connect_s + d->io_s + SILENCE_MARGIN_S) * 1000u;

    for (;;) {
        struct pollfd p[2] = {
            {.fd = child_stdout_fd(child), .events = POLLIN},
            {.fd = r->told ? -1 : live_cancel_fd(r->w->live), .events = POLLIN}};
        int n = poll(p, 2, (int)silence_ms);

        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "wait for the worker");
        if (n == 0)
            return err_set(err, ERR_TIMEOUT, "worker_hung",
                           "the worker said nothing for %u seconds", silence_ms / 1000u);
        if (n > 0 && p[1].revents) {
            child_signal(child, SIGTERM);
            r->told = true;
        }
        if (n > 0 && p[0].revents) {
            n = read_some(r, p[0].fd, err);
            if (n != 0)
                return n;
        }
    }
}

static int
outcome(struct reader *r, struct child *child, struct err *err)
{
    struct child_exit ex = {0};
    struct err stop_err = ERR_INIT;

    if (!r->stream.ended) {
        if (child_stop(child, EXIT_GRACE_MS, &ex, &stop_err) < 0)
            return err_set(err, ERR_IO, "worker_died", "%s", stop_err.msg);
        /* It may be too young to have a handler for the signal. */
        if (r->told && ex.signaled && ex.value == SIGTERM)
            return err_set(err, ERR_CANCELLED, "cancelled",
                           "the worker was told to stop before it began");
        return err_set(err, ERR_IO, "worker_died",
                       "the worker ended without a result (%s %d)",
                       ex.signaled ? "signal" : "exit status", ex.value);
    }
    r->w->has_disk = r->result.has_disk;
    r->w->disk = r->result.disk;
    return result_to_err(&r->result, err);
}

int
worker_run(struct worker_job *w, struct err *err)
{
    const char *argv[] = {w->env->worker_path, NULL};
    struct child_spec cs = {
        .argv = argv, .in = CHILD_PIPE, .out = CHILD_PIPE, .err = CHILD_INHERIT};
    const char *job_id = w->spec->job_id;
    CLEANUP_FREE char *key =
        xasprintf("%s:%s", job_id, worker_task_to_str(w->spec->task));
    struct reader r = {.w = w, .buf = BUF_INIT(EVENT_LINE_MAX + 65536)};
    CLEANUP_CHILD struct child *child = NULL;
    struct child_exit ex = {0};
    char cost[CHILD_COST_SIZE];
    struct err stop_err = ERR_INIT;
    int64_t res = 0;
    int rc;

    if (journal_intent(w->env, job_id, RES_WORKER, key, &res, err) < 0)
        return err->class;
    FAILPOINT(VERIFY_INTENT);
    event_stream_init(&r.stream, job_id, w->spec->attempt, 0, false);
    rc = child_spawn(&cs, &child, err);
    if (rc >= 0)
        rc = journal_held(w->env, job_id, res, child_identity(child), err);
    if (rc >= 0) {
        joblog_line(w->log, LOG_LEVEL_INFO, "worker task=%s pid=%d",
                    worker_task_to_str(w->spec->task), (int)child_identity(child)->pid);
        FAILPOINT(VERIFY_STARTED);
        rc = send_spec(child, w->spec, err);
    }
    if (rc >= 0)
        rc = follow(&r, child, err);
    if (rc >= 0)
        rc = outcome(&r, child, err);
    if (child && child_stop(child, EXIT_GRACE_MS, &ex, &stop_err) < 0)
        joblog_line(w->log, LOG_LEVEL_ERROR, "worker does not end: %s", stop_err.msg);
    else
        journal_released(w->env, job_id, &res);
    if (child && stop_err.class == 0)
        joblog_line(w->log, LOG_LEVEL_INFO, "worker ended, %s %d (%s)",
                    ex.signaled ? "signal" : "exit status", ex.value,
                    child_cost_to_str(&ex, cost));
    job_event_done(&r.result);
    buf_done(&r.buf);
    return rc < 0 ? err->class : 0;
}
