/* job/live.h - the jobs that run now: phase, progress, cancel.             Layer 3.
 *
 * Progress lives here, in memory; the catalog sees checkpoints and ends.  A job thread
 * starts a live job, updates it and ends it; handlers look it up, watch it, or cancel it.
 * Thread-safe. Objects are counted: every live_start() needs a live_end(), every
 * live_find() a live_unref().
 */
#ifndef SENDENSE_JOB_LIVE_H
#define SENDENSE_JOB_LIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/jobevent.h"
#include "model/progress.h"

#define LIVE_PHASE_SIZE 32

enum live_kind {
    LIVE_BACKUP,
    LIVE_VERIFY,
    LIVE_RESTORE,
    LIVE_ACCESS,
    LIVE_FILES,
    LIVE_MERGE
};

struct live_set;
struct live_job;
struct manifest_in; /* job/manifest_in.h */

#define CLEANUP_LIVE CLEANUP(cleanup_live)
void cleanup_live(struct live_job **j);

struct live_set *live_set_new(void);
void live_set_free(struct live_set *s); /* no job may be left */

struct live_disk {
    uint32_t key;
    uint64_t size_bytes;
};

/* A new running job.  ERR_UNAVAILABLE "shutting_down" once live_set_stop() was called;
 * ERR_IO. */
int live_start(struct live_set *s, enum live_kind kind, const char *job_id,
               const struct live_disk *disks, size_t n, struct live_job **ret,
               struct err *err);
struct live_job *live_find(struct live_set *s,
                           const char *job_id); /* NULL when none runs */
void live_unref(struct live_job *j);            /* NULL ok */

/* The job is over and out of the set; waiters wake; the caller's reference is gone.  NULL
 * ok.  Once, and as the last act of the job's thread: when the set is empty the hub frees
 * all that the thread could still use. */
void live_end(struct live_job *j);

enum live_kind live_kind(const struct live_job *j);
const char *live_job_id(const struct live_job *j);

void live_set_phase(struct live_job *j, const char *phase);
void live_phase(struct live_job *j, char out[LIVE_PHASE_SIZE]);
void live_update(struct live_job *j, uint32_t key, const struct byte_counters *c);
/* There is more to do of a disk than its size. */
void live_raise_total(struct live_job *j, uint32_t key, uint64_t total_bytes);
void live_view(struct live_job *j, struct progress_view *ret);
bool live_view_disk(struct live_job *j, uint32_t key, struct progress_view *ret);

/* The job can be answered about: its exports are up, or it has failed. */
void live_set_prepared(struct live_job *j);
/* Waits for prepared or end; false at the deadline. */
bool live_wait_prepared(struct live_job *j, uint64_t deadline_ns);
/* Waits for a change (progress, phase, end) since @*version; updates it.  False when the
 * job has ended. */
bool live_wait_change(struct live_job *j, uint64_t deadline_ns, uint64_t *version);

/* Asks the job to stop, for a user; idempotent.  The descriptor is readable from then on.
 */
void live_cancel(struct live_job *j);
bool live_cancelled(const struct live_job *j);   /* a user asked */
bool live_interrupted(const struct live_job *j); /* the hub stops */
int live_cancel_fd(const struct live_job *j);
/* Waits; false at once when the hub stops, whatever a user asked. */
bool live_pause(struct live_job *j, unsigned ms);

/* The receiver of manifests of a backup; owned by the job's thread, NULL when closed.  A
 * user holds the lock between _lock and _unlock. */
void live_set_manifests(struct live_job *j, struct manifest_in *m);
struct manifest_in *live_manifests_lock(struct live_job *j);
void live_manifests_unlock(struct live_job *j);

/* Shutdown: interrupts all jobs, refuses new ones, waits until none is left or the
 * deadline.
 */
bool live_set_stop(struct live_set *s, uint64_t deadline_ns);
size_t live_count(struct live_set *s); /* also those that ended but are still watched */
/* Calls @fn for each job that runs; no lock is held during the calls. */
void live_each(struct live_set *s, void (*fn)(void *arg, struct live_job *j), void *arg);

#endif
