#include "job/live.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/timeutil.h"

struct live_job {
    /* fixed after init */
    enum live_kind kind;
    char job_id[UUID_STR_SIZE];
    int cancel_fd;
    /* under the set's lock */
    struct live_job *next;
    unsigned refs;
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    char phase[LIVE_PHASE_SIZE];
    struct progress *progress;
    uint64_t version;
    bool prepared;
    bool ended;
    struct live_set *set;
    /* under manifests_lock, which is never taken together with another one of these */
    pthread_mutex_t manifests_lock;
    struct manifest_in *manifests;
    /* atomic */
    atomic_bool cancelled, interrupted;
};

struct live_set {
    pthread_mutex_t lock;
    pthread_cond_t emptied;
    struct live_job *head; /* those that run */
    size_t count; /* those not freed yet: also ended ones that somebody watches */
    bool stopping;
};

void
cleanup_live(struct live_job **j)
{
    live_unref(*j);
}

/* Condition variables here wait on the monotonic clock: a clock that jumps must not end a
 * wait. */
static void
cond_init_mono(pthread_cond_t *c)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(c, &attr);
    pthread_condattr_destroy(&attr);
}

static int
cond_wait_until(pthread_cond_t *c, pthread_mutex_t *m, uint64_t deadline_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(deadline_ns / NS_PER_S),
                          .tv_nsec = (long)(deadline_ns % NS_PER_S)};

    return pthread_cond_timedwait(c, m, &ts);
}

struct live_set *
live_set_new(void)
{
    struct live_set *s = xcalloc(1, sizeof *s);

    pthread_mutex_init(&s->lock, NULL);
    cond_init_mono(&s->emptied);
    return s;
}

void
live_set_free(struct live_set *s)
{
    if (!s)
        return;
    pthread_cond_destroy(&s->emptied);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static void
job_free(struct live_job *j)
{
    progress_free(j->progress);
    close(j->cancel_fd);
    pthread_cond_destroy(&j->changed);
    pthread_mutex_destroy(&j->lock);
    pthread_mutex_destroy(&j->manifests_lock);
    free(j);
}

int
live_start(struct live_set *s, enum live_kind kind, const char *job_id,
           const struct live_disk *disks, size_t n, struct live_job **ret,
           struct err *err)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct live_job *j;

    if (fd < 0)
        return err_errno(err, errno, NULL, "make an event descriptor");
    j = xcalloc(1, sizeof *j);
    j->kind = kind;
    j->cancel_fd = fd;
    j->set = s;
    j->refs = 2; /* the set's and the caller's */
    strncpy(j->job_id, job_id, sizeof j->job_id - 1);
    pthread_mutex_init(&j->lock, NULL);
    pthread_mutex_init(&j->manifests_lock, NULL);
    cond_init_mono(&j->changed);
    j->progress = progress_new();
    for (size_t i = 0; i < n; i++)
        progress_add_disk(j->progress, disks[i].key, disks[i].size_bytes);

    LOCK_SCOPE(&s->lock);
    if (s->stopping) {
        job_free(j);
        return err_set(err, ERR_UNAVAILABLE, "shutting_down",
                       "the hub is shutting down; try again when it is back");
    }
    j->next = s->head;
    s->head = j;
    s->count++;
    *ret = j;
    return 0;
}

struct live_job *
live_find(struct live_set *s, const char *job_id)
{
    LOCK_SCOPE(&s->lock);
    for (struct live_job *j = s->head; j; j = j->next)
        if (strcmp(j->job_id, job_id) == 0) {
            j->refs++;
            return j;
        }
    return NULL;
}

/* Unlocking is the last touch of the set: whoever waits for it to be empty may free it.
 */
static void
unref_locked(struct live_set *s, struct live_job *j)
{
    if (--j->refs > 0)
        return;
    job_free(j);
    if (--s->count == 0)
        pthread_cond_broadcast(&s->emptied);
}

void
live_unref(struct live_job *j)
{
    struct live_set *s;

    if (!j)
        return;
    s = j->set;
    pthread_mutex_lock(&s->lock);
    unref_locked(s, j);
    pthread_mutex_unlock(&s->lock);
}

void
live_end(struct live_job *j)
{
    struct live_set *s;

    if (!j)
        return;
    s = j->set;
    pthread_mutex_lock(&j->lock);
    j->ended = true;
    j->prepared = true;
    j->version++;
    pthread_cond_broadcast(&j->changed);
    pthread_mutex_unlock(&j->lock);

    pthread_mutex_lock(&s->lock);
    for (struct live_job **p = &s->head; *p; p = &(*p)->next)
        if (*p == j) {
            *p = j->next;
            j->refs--; /* the set's; the caller's is still there */
            break;
        }
    unref_locked(s, j);
    pthread_mutex_unlock(&s->lock);
}

enum live_kind
live_kind(const struct live_job *j)
{
    return j->kind;
}

const char *
live_job_id(const struct live_job *j)
{
    return j->job_id;
}

void
live_set_phase(struct live_job *j, const char *phase)
{
    LOCK_SCOPE(&j->lock);
    memset(j->phase, 0, sizeof j->phase);
    strncpy(j->phase, phase, sizeof j->phase - 1);
    j->version++;
    pthread_cond_broadcast(&j->changed);
}

void
live_phase(struct live_job *j, char out[LIVE_PHASE_SIZE])
{
    LOCK_SCOPE(&j->lock);
    memcpy(out, j->phase, LIVE_PHASE_SIZE);
}

void
live_update(struct live_job *j, uint32_t key, const struct byte_counters *c)
{
    LOCK_SCOPE(&j->lock);
    if (progress_update(j->progress, key, c, time_mono_ns())) {
        j->version++;
        pthread_cond_broadcast(&j->changed);
    }
}

void
live_raise_total(struct live_job *j, uint32_t key, uint64_t total_bytes)
{
    LOCK_SCOPE(&j->lock);
    progress_raise_total(j->progress, key, total_bytes);
}

void
live_view(struct live_job *j, struct progress_view *ret)
{
    LOCK_SCOPE(&j->lock);
    progress_view(j->progress, time_mono_ns(), ret);
}

bool
live_view_disk(struct live_job *j, uint32_t key, struct progress_view *ret)
{
    LOCK_SCOPE(&j->lock);
    return progress_view_disk(j->progress, key, time_mono_ns(), ret);
}

void
live_set_prepared(struct live_job *j)
{
    LOCK_SCOPE(&j->lock);
    j->prepared = true;
    j->version++;
    pthread_cond_broadcast(&j->changed);
}

bool
live_wait_prepared(struct live_job *j, uint64_t deadline_ns)
{
    LOCK_SCOPE(&j->lock);
    while (!j->prepared)
        if (cond_wait_until(&j->changed, &j->lock, deadline_ns) == ETIMEDOUT)
            return j->prepared;
    return true;
}

bool
live_wait_change(struct live_job *j, uint64_t deadline_ns, uint64_t *version)
{
    LOCK_SCOPE(&j->lock);
    while (!j->ended && j->version == *version)
        if (cond_wait_until(&j->changed, &j->lock, deadline_ns) == ETIMEDOUT)
            break;
    *version = j->version;
    return !j->ended;
}

/* Cannot fail: the counter goes to 2 at most. */
static void
ask_to_stop(struct live_job *j, atomic_bool *why)
{
    uint64_t one = 1;

    if (!atomic_exchange(why, true))
        (void)!write(j->cancel_fd, &one, sizeof one);
}

void
live_cancel(struct live_job *j)
{
    ask_to_stop(j, &j->cancelled);
}

static void
interrupt(struct live_job *j)
{
    ask_to_stop(j, &j->interrupted);
    LOCK_SCOPE(&j->lock);
    pthread_cond_broadcast(&j->changed); /* live_pause() */
}

bool
live_interrupted(const struct live_job *j)
{
    return atomic_load(&j->interrupted);
}

bool
live_pause(struct live_job *j, unsigned ms)
{
    uint64_t until = time_mono_ns() + ms * NS_PER_MS;

    LOCK_SCOPE(&j->lock);
    while (!live_interrupted(j))
        if (cond_wait_until(&j->changed, &j->lock, until) == ETIMEDOUT)
            return !live_interrupted(j);
    return false;
}

bool
live_cancelled(const struct live_job *j)
{
    return atomic_load(&j->cancelled);
}

int
live_cancel_fd(const struct live_job *j)
{
    return j->cancel_fd;
}

void
live_set_manifests(struct live_job *j, struct manifest_in *m)
{
    LOCK_SCOPE(&j->manifests_lock);
    j->manifests = m;
}

struct manifest_in *
live_manifests_lock(struct live_job *j)
{
    pthread_mutex_lock(&j->manifests_lock);
    return j->manifests;
}

void
live_manifests_unlock(struct live_job *j)
{
    pthread_mutex_unlock(&j->manifests_lock);
}

bool
live_set_stop(struct live_set *s, uint64_t deadline_ns)
{
    LOCK_SCOPE(&s->lock);
    s->stopping = true;
    for (struct live_job *j = s->head; j; j = j->next)
        interrupt(j);
    while (s->count > 0)
        if (cond_wait_until(&s->emptied, &s->lock, deadline_ns) == ETIMEDOUT)
            break;
    return s->count == 0;
}

size_t
live_count(struct live_set *s)
{
    LOCK_SCOPE(&s->lock);
    return s->count;
}

void
live_each(struct live_set *s, void (*fn)(void *arg, struct live_job *j), void *arg)
{
    CLEANUP_FREE struct live_job **jobs = NULL;
    size_t n = 0;

    pthread_mutex_lock(&s->lock);
    jobs = xcalloc(s->count + 1, sizeof *jobs);
    for (struct live_job *j = s->head; j; j = j->next) {
        j->refs++;
        jobs[n++] = j;
    }
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++) {
        fn(arg, jobs[i]);
        live_unref(jobs[i]);
    }
}
