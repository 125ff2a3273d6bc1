/* node/job_table.c - see job_table.h. */
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "node/job_table.h"

/* Above what TERM and KILL may take: cancel, grace, TERM, grace, KILL, reap. */
#define STOP_EXTRA_NS (12 * NS_PER_S)

struct job_table {
    /* fixed */
    struct job_table_options opt;

    /* under lock, which is taken before a job's */
    pthread_mutex_t lock;
    struct client_job **jobs; /* in the order of their start */
    size_t n, room;
    bool stopping;
};

/* The job's thread: nothing of the table is locked. */
static void
client_gone(void *arg, const char *job_id, enum client_left left)
{
    lease_keeper_client_gone(arg, job_id, left);
}

static void
client_cookie(void *arg, const char *job_id, const char *cookie)
{
    lease_keeper_session(arg, job_id, cookie);
}

struct job_table *
job_table_new(const struct job_table_options *opt)
{
    struct job_table *t = xcalloc(1, sizeof(*t));

    t->opt = *opt;
    if (t->opt.leases) {
        t->opt.job.gone = client_gone;
        t->opt.job.cookie = client_cookie;
        t->opt.job.gone_arg = t->opt.leases;
    }
    if (t->opt.keep_ended == 0)
        t->opt.keep_ended = JOB_KEEP_MAX;
    pthread_mutex_init(&t->lock, NULL);
    return t;
}

static uint64_t
stop_deadline(const struct job_table *t)
{
    return time_mono_ns() + 2 * (uint64_t)t->opt.job.grace_ms * NS_PER_MS + STOP_EXTRA_NS;
}

/* Takes job @i out of the table; its client is gone. */
static void
forget_locked(struct job_table *t, size_t i)
{
    CLEANUP_CLIENT_JOB struct client_job *job = t->jobs[i];

    memmove(&t->jobs[i], &t->jobs[i + 1], (t->n - i - 1) * sizeof(t->jobs[0]));
    t->n--;
    client_job_join(job);
}

/* t->n when there is none. */
static size_t
index_locked(const struct job_table *t, const char *id)
{
    size_t i = 0;

    while (i < t->n && strcmp(client_job_spec(t->jobs[i])->job_id, id) != 0)
        i++;
    return i;
}

void
job_table_stop(struct job_table *t)
{
    LOCK_SCOPE(&t->lock);

    t->stopping = true;
    for (size_t i = 0; i < t->n; i++)
        client_job_interrupt(t->jobs[i]);
}

int
job_table_free(struct job_table *t, struct err *err)
{
    if (!t)
        return 0;
    job_table_stop(t);
    while (t->n > 0) {
        if (client_job_wait(t->jobs[t->n - 1], stop_deadline(t), err) < 0)
            return err->class;
        forget_locked(t, t->n - 1); /* nobody else is left to take the lock */
    }
    pthread_mutex_destroy(&t->lock);
    free(t->jobs);
    free(t);
    return 0;
}

static unsigned
running_locked(struct job_table *t)
{
    unsigned n = 0;

    for (size_t i = 0; i < t->n; i++)
        n += !client_job_ended(t->jobs[i], NULL);
    return n;
}

/* What a body asks for, ready to start. */
struct wanted {
    struct client_job_spec id;
    struct job_spec spec;
    char *line; /* canonical: members in our order, nulls gone; holds the job's token */
};
#define CLEANUP_WANTED CLEANUP(wanted_done)

static void
wanted_done(struct wanted *w)
{
    if (w->line)
        explicit_bzero(w->line, strlen(w->line));
    free(w->line);
    job_spec_done(&w->spec);
}

static int
wanted_read(struct wanted *w, const json_t *body, struct err *err)
{
    CLEANUP_JSON json_t *canonical = NULL;
    CLEANUP_FREE char *text = NULL;
    size_t n;

    if (job_spec_decode(body, &w->spec, err) < 0)
        return err->class;
    canonical = job_spec_encode(&w->spec);
    text = json_line(canonical);
    n = strlen(text);
    if (n < SPEC_LINE_MAX)
        w->line = xasprintf("%s\n", text);
    crypto_generichash(w->id.hash, sizeof(w->id.hash), (const unsigned char *)text, n,
                       NULL, 0);
    explicit_bzero(text, n);
    if (!w->line)
        return err_set(err, ERR_LIMIT, "line_too_long",
                       "the job spec is longer than %u bytes", SPEC_LINE_MAX);
    memcpy(w->id.job_id, w->spec.job_id, sizeof(w->id.job_id));
    w->id.attempt = w->spec.attempt;
    w->id.has_session = w->spec.vsphere != NULL;
    return 0;
}

/* 0: nothing is in the way of @w; 1: it is there already, at *ret_i; 2: an older attempt
 * is at *ret_i. */
static int
compare_locked(struct job_table *t, const struct wanted *w, size_t *ret_i,
               struct err *err)
{
    size_t i = index_locked(t, w->id.job_id);
    const struct client_job_spec *have;

    *ret_i = i;
    if (i == t->n)
        return 0;
    have = client_job_spec(t->jobs[i]);
    if (w->id.attempt > have->attempt)
        return 2;
    if (w->id.attempt < have->attempt)
        return err_set(err, ERR_EXISTS, "stale_attempt",
                       "attempt %u of job %s is known here, %u is older", have->attempt,
                       have->job_id, w->id.attempt);
    if (sodium_memcmp(have->hash, w->id.hash, sizeof(have->hash)) != 0)
        return err_set(err, ERR_EXISTS, "job_conflict",
                       "attempt %u of job %s is known here with another spec",
                       have->attempt, have->job_id);
    return 1;
}

/* The lease is durable before there is a client that could make a snapshot. */
static int
start_client(struct job_table *t, const struct wanted *w, struct client_job **ret,
             struct err *err)
{
    const bool lease = w->spec.snapshot != NULL;
    CLEANUP_SECRET struct secret *session = NULL;

    if (lease && !t->opt.leases)
        return err_set(err, ERR_UNAVAILABLE, "no_lease_store",
                       "the node keeps no leases of snapshots");
    if (lease && lease_keeper_add(t->opt.leases, &w->spec, &session, err) < 0)
        return err->class;
    if (client_job_start(&t->opt.job, &w->id, w->line, session, ret, err) == 0)
        return 0;
    if (lease)
        lease_keeper_client_gone(t->opt.leases, w->spec.job_id, CLIENT_LEFT_UNTOUCHED);
    return err->class;
}

static int
start_locked(struct job_table *t, const struct wanted *w, struct node_job *ret,
             struct err *err)
{
    unsigned running = running_locked(t);

    if (running >= t->opt.max_jobs)
        return err_set(err, ERR_LIMIT, "too_many_jobs", "%u jobs run, which is the limit",
                       running);
    if (t->n == t->room) {
        t->room = t->room ? t->room * 2 : 16;
        t->jobs = xreallocarray(t->jobs, t->room, sizeof(t->jobs[0]));
    }
    if (start_client(t, w, &t->jobs[t->n], err) < 0)
        return err->class;
    client_job_describe(t->jobs[t->n++], ret);
    return 0;
}

/* One look at the table.  0 = done; 1 = *ret_older must go first. */
static int
post_once(struct job_table *t, const struct wanted *w, struct client_job **ret_older,
          struct node_job *ret, bool *ret_created, struct err *err)
{
    size_t i;
    int r;
    LOCK_SCOPE(&t->lock);

    if (t->stopping)
        return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the node is stopping");
    r = compare_locked(t, w, &i, err);
    if (r < 0)
        return r;
    if (r == 1) {
        client_job_describe(t->jobs[i], ret);
        *ret_created = false;
        return 0;
    }
    if (r == 2 && !client_job_ended(t->jobs[i], NULL)) {
        *ret_older = client_job_ref(t->jobs[i]);
        return 1;
    }
    if (r == 2)
        forget_locked(t, i);
    *ret_created = true;
    return start_locked(t, w, ret, err);
}

int
job_table_post(struct job_table *t, const json_t *body, struct node_job *ret,
               bool *ret_created, struct err *err)
{
    CLEANUP_WANTED struct wanted w = {0};

    if (wanted_read(&w, body, err) < 0)
        return err->class;
    job_table_expire(t, time_mono_ns());
    for (;;) {
        CLEANUP_CLIENT_JOB struct client_job *older = NULL;
        int r = post_once(t, &w, &older, ret, ret_created, err);

        if (r <= 0)
            return r;
        client_job_interrupt(older);
        if (client_job_wait(older, stop_deadline(t), err) < 0)
            return err->class;
    }
}

int
job_table_get(struct job_table *t, const char *id, struct client_job **ret,
              struct err *err)
{
    size_t i;
    LOCK_SCOPE(&t->lock);

    i = index_locked(t, id);
    if (i == t->n)
        return err_set(err, ERR_NOT_FOUND, "job_not_found", "the node knows no such job");
    *ret = client_job_ref(t->jobs[i]);
    return 0;
}

void
job_table_list(struct job_table *t, struct node_jobs *ret)
{
    LOCK_SCOPE(&t->lock);

    ret->n = t->n;
    ret->jobs = t->n > 0 ? xcalloc(t->n, sizeof(ret->jobs[0])) : NULL;
    for (size_t i = 0; i < t->n; i++)
        client_job_describe(t->jobs[i], &ret->jobs[i]);
}

int
job_table_delete(struct job_table *t, const char *id, struct err *err)
{
    CLEANUP_CLIENT_JOB struct client_job *job = NULL;

    if (job_table_get(t, id, &job, err) < 0)
        return err->class;
    client_job_stop(job);
    if (client_job_wait(job, stop_deadline(t), err) < 0)
        return err->class;
    LOCK_SCOPE(&t->lock);
    /* Somebody else may have been faster, and a newer attempt is not what was asked for.
     */
    for (size_t i = 0; i < t->n; i++) {
        if (t->jobs[i] == job) {
            forget_locked(t, i);
            break;
        }
    }
    return 0;
}

/* The ended job that ended first; t->n when none has. */
static size_t
oldest_ended_locked(struct job_table *t, size_t *ret_count, size_t *ret_bytes,
                    uint64_t *ret_ended_ns)
{
    size_t oldest = t->n;

    *ret_count = *ret_bytes = 0;
    for (size_t i = 0; i < t->n; i++) {
        uint64_t ended_ns;

        if (!client_job_ended(t->jobs[i], &ended_ns))
            continue;
        ++*ret_count;
        *ret_bytes += client_job_bytes(t->jobs[i]);
        if (oldest == t->n || ended_ns < *ret_ended_ns) {
            oldest = i;
            *ret_ended_ns = ended_ns;
        }
    }
    return oldest;
}

void
job_table_expire(struct job_table *t, uint64_t now_ns)
{
    LOCK_SCOPE(&t->lock);

    for (;;) {
        size_t count, bytes, i;
        uint64_t ended_ns = 0;

        i = oldest_ended_locked(t, &count, &bytes, &ended_ns);
        if (i == t->n)
            return;
        if (count <= t->opt.keep_ended && bytes <= JOB_KEEP_BYTES_MAX &&
            now_ns < ended_ns + JOB_KEEP_NS)
            return;
        forget_locked(t, i);
    }
}
