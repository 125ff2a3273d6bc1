/* node/client_job.c - see client_job.h.  The thread that minds the client is in
 * client_mind.c. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/client_job_priv.h"

static void
job_unref(struct client_job *job)
{
    if (!job || atomic_fetch_sub(&job->refs, 1) != 1)
        return;
    client_io_done(&job->io);
    cookie_box_unmap(&job->box);
    event_log_free(job->log);
    job_event_done(&job->result);
    free(job->hello.version);
    free(job->hello.commit);
    free(job->hello.build_id);
    cleanup_fd(&job->wake_fd);
    pthread_cond_destroy(&job->changed);
    pthread_mutex_destroy(&job->lock);
    free(job);
}

void
cleanup_client_job(struct client_job **job)
{
    job_unref(take_ptr(job));
}

struct client_job *
client_job_ref(struct client_job *job)
{
    atomic_fetch_add(&job->refs, 1);
    return job;
}

static struct client_job *
job_new(const struct client_job_options *opt, const struct client_job_spec *spec)
{
    struct client_job *job = xcalloc(1, sizeof(*job));
    pthread_condattr_t attr;

    atomic_init(&job->refs, 1);
    job->spec = *spec;
    job->grace_ms = opt->grace_ms;
    job->gone = opt->gone;
    job->cookie = opt->cookie;
    job->gone_arg = opt->gone_arg;
    job->started_us = time_utc_us();
    job->wake_fd = -1;
    job->log = event_log_new();
    job->deadline_ns = UINT64_MAX;
    event_stream_init(&job->stream, spec->job_id, spec->attempt, 0, false);
    pthread_mutex_init(&job->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&job->changed, &attr);
    pthread_condattr_destroy(&attr);
    return job;
}

static int
start_client(struct client_job *job, const char *client, const struct secret *session,
             struct err *err)
{
    CLEANUP_FD int fd = -1;
    char number[16];
    const char *const args[] = {"--cookie-fd", number, NULL};

    if (!job->spec.has_session)
        return client_io_start(&job->io, client, NULL, -1, EVENT_LINE_MAX, err);
    if (cookie_box_create(&fd, err) < 0 || cookie_box_map(fd, true, &job->box, err) < 0)
        return err->class;
    /* Now we are the only writer, from the client's start on it is. */
    if (session &&
        cookie_box_write(&job->box, secret_reveal(session), secret_len(session), err) < 0)
        return err->class;
    snprintf(number, sizeof(number), "%d", fd);
    return client_io_start(&job->io, client, args, fd, EVENT_LINE_MAX, err);
}

int
client_job_start(const struct client_job_options *opt, const struct client_job_spec *spec,
                 const char *line, const struct secret *session, struct client_job **ret,
                 struct err *err)
{
    CLEANUP_CLIENT_JOB struct client_job *job = job_new(opt, spec);
    int r;

    job->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (job->wake_fd < 0)
        return err_errno(err, errno, NULL, "make an event descriptor");
    FAILPOINT(NODE_JOB_ACCEPTED);
    if (start_client(job, opt->client, session, err) < 0)
        return err->class;
    FAILPOINT(NODE_CLIENT_STARTED);
    job->pid = child_identity(job->io.child)->pid;
    if (client_io_send(&job->io, line, strlen(line), err) < 0)
        return err->class;
    r = pthread_create(&job->thread, NULL, client_mind, job);
    if (r != 0)
        return err_errno(err, r, NULL, "start a thread for the job");
    *ret = take_ptr(&job);
    return 0;
}

const struct client_job_spec *
client_job_spec(const struct client_job *job)
{
    return &job->spec;
}

void
client_job_describe(struct client_job *job, struct node_job *ret)
{
    LOCK_SCOPE(&job->lock);

    *ret = (struct node_job){
        .attempt = job->spec.attempt,
        .ended = job->ended,
        .pid = (uint32_t)job->pid,
        .started_us = job->started_us,
        .has_client = job->has_hello,
        .last_seq = event_log_last_seq(job->log),
    };
    memcpy(ret->job_id, job->spec.job_id, sizeof(ret->job_id));
    if (job->has_hello) {
        ret->client.version = xstrdup(job->hello.version);
        ret->client.commit = xstrdup(job->hello.commit);
        ret->client.build_id = xstrdup(job->hello.build_id);
    }
}

bool
client_job_ended(struct client_job *job, uint64_t *ret_ended_ns)
{
    LOCK_SCOPE(&job->lock);

    if (ret_ended_ns)
        *ret_ended_ns = job->ended_ns;
    return job->ended;
}

size_t
client_job_bytes(struct client_job *job)
{
    LOCK_SCOPE(&job->lock);

    return event_log_bytes(job->log);
}

static void
make_wish(struct client_job *job, enum job_wish wish)
{
    LOCK_SCOPE(&job->lock);

    if (job->ended || job->wish >= wish)
        return;
    job->wish = wish;
    (void)eventfd_write(job->wake_fd, 1); /* cannot overflow: three wishes at most */
    pthread_cond_broadcast(&job->changed);
}

void
client_job_cancel(struct client_job *job)
{
    make_wish(job, WISH_CANCEL);
}

void
client_job_stop(struct client_job *job)
{
    make_wish(job, WISH_STOP);
}

void
client_job_interrupt(struct client_job *job)
{
    make_wish(job, WISH_INTERRUPT);
}

/* False at the deadline. */
static bool
wait_changed_locked(struct client_job *job, uint64_t deadline_ns)
{
    struct timespec ts = {
        .tv_sec = (time_t)(deadline_ns / NS_PER_S),
        .tv_nsec = (long)(deadline_ns % NS_PER_S),
    };

    return pthread_cond_timedwait(&job->changed, &job->lock, &ts) != ETIMEDOUT;
}

int
client_job_wait(struct client_job *job, uint64_t deadline_ns, struct err *err)
{
    LOCK_SCOPE(&job->lock);

    while (!job->ended)
        if (!wait_changed_locked(job, deadline_ns) && !job->ended)
            return err_set(err, ERR_TIMEOUT, "client_stuck",
                           "the client (process %d) does not end, not even by SIGKILL",
                           (int)job->pid);
    return 0;
}

void
client_job_join(struct client_job *job)
{
    pthread_join(job->thread, NULL);
}

int
client_job_events(struct client_job *job, uint64_t after, uint64_t deadline_ns,
                  struct events_page *ret, struct err *err)
{
    LOCK_SCOPE(&job->lock);

    while (event_log_last_seq(job->log) <= after && !job->ended &&
           job->wish < WISH_INTERRUPT)
        if (!wait_changed_locked(job, deadline_ns))
            break;
    ret->attempt = job->spec.attempt;
    return event_log_page(job->log, after, ret, err);
}
