/* copy/job.c - all disks of a job: first every check, then limits.disks_parallel at a
 * time. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/disk.h"

#define CONNECT_THREADS_MAX 32u

struct copy_job {
    /* fixed */
    const struct copy_opts *opts;
    struct copy_disk *disks;
    size_t n_disks;
    struct copy_rate rate;
    int (*work)(struct copy_disk *d, struct err *err); /* of the running round */
    /* atomic */
    atomic_size_t next;
    /* under lock */
    pthread_mutex_t lock;
    enum job_phase phase;
};

void
copy_job_phase(struct copy_job *job, enum job_phase phase)
{
    /* With several disks at a time the job is where its most advanced disk is. */
    static const enum job_phase order[] = {PHASE_NONE, PHASE_CONNECTING, PHASE_AUDITING,
                                           PHASE_TRANSFERRING, PHASE_FINALIZING};
    struct job_event ev = {.type = EVENT_PHASE, .phase = phase};
    size_t now = 0, then = 0;
    LOCK_SCOPE(&job->lock);

    for (size_t i = 0; i < ARRAY_LEN(order); i++) {
        if (order[i] == job->phase)
            now = i;
        if (order[i] == phase)
            then = i;
    }
    if (then <= now)
        return;
    job->phase = phase;
    job->opts->event(job->opts->event_arg, &ev);
}

void
copy_emit(const struct copy_disk *d, struct job_event *ev)
{
    ev->has_disk = true;
    ev->disk = d->spec->key;
    d->opts->event(d->opts->event_arg, ev);
}

static void *
round_thread(void *arg)
{
    struct copy_job *job = arg;
    size_t i;

    while ((i = atomic_fetch_add(&job->next, 1)) < job->n_disks) {
        struct copy_disk *d = &job->disks[i];
        struct err err = ERR_INIT;

        if (copy_stop_is_set(job->opts->stop))
            break;
        if (job->work(d, &err) < 0) {
            err_prefix(&err, "disk %u", d->spec->key);
            copy_stop_set(job->opts->stop, d->spec->key, &err);
        }
    }
    return NULL;
}

/* Does @work on every disk with @n threads; the first error is in the stop slot. */
static int
run_round(struct copy_job *job, int (*work)(struct copy_disk *, struct err *), unsigned n,
          struct err *err)
{
    CLEANUP_FREE pthread_t *threads = xcalloc(n, sizeof(*threads));
    unsigned started = 0;

    job->work = work;
    atomic_store(&job->next, 0);
    for (; started < n; started++) {
        int e = pthread_create(&threads[started], NULL, round_thread, job);

        if (e != 0) {
            err_errno(err, e, NULL, "start a thread");
            copy_stop_set(job->opts->stop, -1, err);
            break;
        }
    }
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    return copy_stop_get(job->opts->stop, NULL, err);
}

static unsigned
at_most(size_t n, unsigned limit)
{
    return n < limit ? (unsigned)n : limit;
}

static int
disks_init(struct copy_job *job, struct err *err)
{
    const struct job_spec *spec = job->opts->spec;

    job->disks = xcalloc(spec->n_disks, sizeof(*job->disks));
    for (size_t i = 0; i < spec->n_disks; i++) {
        struct copy_disk *d = &job->disks[i];

        d->opts = job->opts;
        d->spec = &spec->disks[i];
        d->job = job;
        d->rate = &job->rate;
        pthread_mutex_init(&d->lock, NULL);
        d->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        job->n_disks++;
        if (d->wake_fd < 0)
            return err_errno(err, errno, NULL, "eventfd");
    }
    return 0;
}

unsigned
copy_io_s(const struct copy_opts *opts, bool source)
{
    return source && opts->source_io_s ? opts->source_io_s : opts->spec->deadlines.io_s;
}

int
copy_run(const struct copy_opts *opts, struct err *err)
{
    struct copy_job job = {.opts = opts, .phase = PHASE_NONE};
    const struct job_spec *spec = opts->spec;
    int r;

    pthread_mutex_init(&job.lock, NULL);
    copy_rate_init(&job.rate, spec->limits.rate_bytes_per_s, time_mono_ns());
    copy_job_phase(&job, PHASE_CONNECTING);
    r = disks_init(&job, err);
    if (r == 0)
        r = run_round(&job, copy_disk_connect,
                      at_most(spec->n_disks, CONNECT_THREADS_MAX), err);
    if (r == 0) {
        FAILPOINT(CLIENT_CONNECTED);
        r = run_round(&job, copy_disk_run,
                      at_most(spec->n_disks, spec->limits.disks_parallel), err);
    }
    if (r == 0)
        copy_job_phase(&job, PHASE_FINALIZING);
    else
        copy_stop_set(opts->stop, -1, err);
    for (size_t i = 0; i < job.n_disks; i++)
        copy_disk_done(&job.disks[i]);
    free(job.disks);
    copy_rate_done(&job.rate);
    pthread_mutex_destroy(&job.lock);
    return r;
}
