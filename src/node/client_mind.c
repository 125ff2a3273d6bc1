/* node/client_mind.c - the thread that minds one client: takes its lines, makes it end
 * when it must, reaps it, and sees to it that there is exactly one result. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/client_job_priv.h"

/* A cancelled client may have to wait for its last requests; one that must go may not. */
#define CANCEL_GRACES 12
/* After its result, or the end of its stdout, a client has nothing left to do. */
#define LINGER_GRACES 2
#define REAP_TIMEOUT_NS (10 * NS_PER_S)

/* Never later than what was already decided. */
static void
due_in(struct client_job *job, unsigned graces)
{
    uint64_t at = time_mono_ns() + (uint64_t)job->grace_ms * graces * NS_PER_MS;

    if (at < job->deadline_ns)
        job->deadline_ns = at;
}

static void
end_now(struct client_job *job)
{
    if (job->step < STEP_TERM)
        job->deadline_ns = 0;
}

/* The deadline of a step passed: the next, harder one. */
static void
escalate(struct client_job *job)
{
    job->deadline_ns = UINT64_MAX;
    if (job->step < STEP_TERM) {
        log_debug("TERM to the client, process %d", (int)job->pid);
        job->step = STEP_TERM;
        child_signal(job->io.child, SIGTERM);
        due_in(job, 1);
    } else if (job->step == STEP_TERM) {
        log_warn("KILL to the client, process %d, it ignores TERM", (int)job->pid);
        job->step = STEP_KILL;
        child_signal(job->io.child, SIGKILL);
    }
}

static void
obey_wish(struct client_job *job)
{
    struct err err = ERR_INIT;
    enum job_wish wish;
    eventfd_t count;

    (void)eventfd_read(job->wake_fd, &count);
    pthread_mutex_lock(&job->lock);
    wish = job->wish;
    pthread_mutex_unlock(&job->lock);
    if (wish == job->seen_wish)
        return;
    if (wish == WISH_INTERRUPT && job->seen_wish == WISH_NONE) {
        log_info("interrupting, process %d", (int)job->pid);
        job->seen_wish = wish;
        end_now(job);
        return;
    }
    if (job->seen_wish == WISH_NONE) {
        log_info("cancelling, process %d", (int)job->pid);
        if (client_io_send(&job->io, SPEC_CANCEL_LINE, strlen(SPEC_CANCEL_LINE), &err) <
            0)
            log_warn("cancel not sent: %s, the client is ended", err.msg);
    }
    job->seen_wish = wish;
    if (job->step > STEP_CANCEL)
        return;
    job->step = STEP_CANCEL;
    due_in(job, wish == WISH_CANCEL ? CANCEL_GRACES : 1);
}

static void
take_hello(struct client_job *job, const struct job_event *e)
{
    LOCK_SCOPE(&job->lock);

    job->has_hello = true;
    job->hello.version = xstrdup(e->version);
    job->hello.commit = xstrdup(e->commit);
    job->hello.build_id = xstrdup(e->build_id);
}

static int
store_event(struct client_job *job, const struct job_event *e, struct err *err)
{
    LOCK_SCOPE(&job->lock);

    if (event_log_add(job->log, e, err) < 0)
        return err->class;
    pthread_cond_broadcast(&job->changed);
    return 0;
}

static int
take_event(struct client_job *job, struct job_event *e, struct err *err)
{
    if (e->type == EVENT_HELLO)
        take_hello(job, e);
    if (e->type == EVENT_PHASE)
        job->phase = e->phase;
    if (e->type == EVENT_PHASE && e->phase == PHASE_SNAPSHOTTING)
        job->left = CLIENT_LEFT_MAYBE;
    if (e->type == EVENT_SNAPSHOT_REMOVED)
        job->left = CLIENT_LEFT_NONE;
    if (e->type == EVENT_RESULT) {
        job->result = *e;
        *e = (struct job_event){0};
        job->has_result = true;
        due_in(job, LINGER_GRACES);
        return 0;
    }
    return store_event(job, e, err);
}

/* After every line: the session must be known before the client can be lost, or this
 * node. */
static void
look_at_cookie(struct client_job *job)
{
    char cookie[COOKIE_TEXT_MAX + 1];
    struct err err = ERR_INIT;

    if (!job->box.words || !job->cookie ||
        cookie_box_generation(&job->box) == job->seen_cookie)
        return;
    if (cookie_box_read(&job->box, cookie, &job->seen_cookie, &err) < 0) {
        /* Killed while it wrote, as a rule: what was there before stays. */
        log_warn("the cookie of the client's session: %s", err.msg);
        job->seen_cookie = cookie_box_generation(&job->box);
        return;
    }
    job->cookie(job->gone_arg, job->spec.job_id, cookie);
    explicit_bzero(cookie, sizeof(cookie));
}

/* Nothing that comes after a breach can be believed. */
static void
note_breach(struct client_job *job, const struct err *err)
{
    log_warn("the client broke the contract: %s, ending it", err->msg);
    job->breach = *err;
    end_now(job);
}

static void
take_lines(struct client_job *job)
{
    struct err err = ERR_INIT;
    char *line;
    size_t n;
    int r = 0;

    while (job->breach.class == 0 && r == 0 &&
           (r = line_reader_next(&job->io.out, &line, &n, &err)) > 0) {
        CLEANUP_JOB_EVENT struct job_event e = {0};

        FAILPOINT(NODE_RELAYING);
        r = event_stream_line(&job->stream, line, n, &e, &err);
        if (r == 0)
            r = take_event(job, &e, &err);
        look_at_cookie(job);
    }
    if (r < 0)
        note_breach(job, &err);
    if (job->breach.class != 0)
        (void)line_reader_rest(&job->io.out, &line, &n); /* so that it need not block */
}

/* Whatever happens, the thread goes on until the process is gone. */
static void
mind_until_exit(struct client_job *job)
{
    for (;;) {
        struct err err = ERR_INIT;
        int mask = client_io_poll(&job->io, job->wake_fd, job->deadline_ns, &err);

        if (mask < 0) {
            if (job->breach.class == 0)
                note_breach(job, &err);
            mask = 0;
        }
        if (mask & CLIENT_IO_WAKE)
            obey_wish(job);
        if (mask & CLIENT_IO_OUT)
            take_lines(job);
        if (mask & CLIENT_IO_OUT_END)
            due_in(job, LINGER_GRACES);
        if (mask & CLIENT_IO_EXIT)
            return;
        if (time_mono_ns() >= job->deadline_ns)
            escalate(job);
    }
}

static void
reap(struct client_job *job, struct child_exit *ret)
{
    struct err err = ERR_INIT;
    int r;

    /* The zombie still holds its group's id: what the client left behind dies with it,
     * and so the pipes end. */
    child_signal(job->io.child, SIGKILL);
    while ((r = client_io_drain(&job->io, &err)) > 0)
        if (r & CLIENT_IO_OUT)
            take_lines(job);
    if (child_wait(job->io.child, time_mono_ns() + REAP_TIMEOUT_NS, ret, &err) < 0)
        log_error("the client, process %d, cannot be reaped: %s", (int)job->pid, err.msg);
}

static void
exit_to_str(const struct child_exit *how, char *out, size_t size)
{
    snprintf(out, size, "%s %d", how->signaled ? "signal" : "exit status", how->value);
}

/* The result of a client that gave none. */
static void
make_result(struct client_job *job, const struct child_exit *how)
{
    struct job_event *e = &job->result;
    char text[32];

    exit_to_str(how, text, sizeof(text));
    job_event_done(e);
    *e = (struct job_event){
        .type = EVENT_RESULT,
        .time_us = time_utc_us(),
        .phase = job->phase,
        .status = RESULT_FAILED,
    };
    if (job->breach.class != 0) {
        e->code = xstrdup("client_protocol");
        e->message = xasprintf("the client broke the contract: %s", job->breach.msg);
    } else if (job->seen_wish == WISH_INTERRUPT) {
        e->code = xstrdup("interrupted");
        e->message = xasprintf("interrupted; the client gave no result: %s", text);
        e->retryable = true;
    } else if (job->seen_wish != WISH_NONE) {
        e->status = RESULT_CANCELLED;
        e->code = xstrdup("cancelled");
        e->message = xasprintf("cancelled; the client gave no result: %s", text);
    } else {
        e->code = xstrdup("client_died");
        e->message = xasprintf("the client ended without a result: %s", text);
        e->retryable = true;
    }
}

static void
publish_result(struct client_job *job)
{
    struct err err = ERR_INIT;
    LOCK_SCOPE(&job->lock);

    job->result.seq = event_log_last_seq(job->log) + 1;
    if (event_log_add(job->log, &job->result, &err) < 0)
        log_error("the result is not kept: %s", err.msg);
    job->ended = true;
    job->ended_ns = time_mono_ns();
    pthread_cond_broadcast(&job->changed);
}

void *
client_mind(void *arg)
{
    struct client_job *job = arg;
    struct child_exit how = {0};
    CLEANUP_FREE char *context =
        xasprintf("job='%s' attempt=%" PRIu32, job->spec.job_id, job->spec.attempt);
    char text[32], cost[CHILD_COST_SIZE];

    log_set_context(context);
    log_info("client started, process %d", (int)job->pid);
    mind_until_exit(job);
    reap(job, &how);
    if (!job->has_result || job->breach.class != 0)
        make_result(job, &how);
    exit_to_str(&how, text, sizeof(text));
    log_info("client ended, process %d, %s: %s%s%s (%s)", (int)job->pid, text,
             job_result_to_str(job->result.status), job->result.code ? " " : "",
             job->result.code ? job->result.code : "", child_cost_to_str(&how, cost));
    client_io_done(&job->io);
    look_at_cookie(job);
    if (job->gone)
        job->gone(job->gone_arg, job->spec.job_id, job->left);
    publish_result(job);
    log_set_context(NULL);
    return NULL;
}
