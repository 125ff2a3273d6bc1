/* job/outcome.h - how a backup ends in the catalog: once, with one event (I6).   Layer 3.
 */
#ifndef SENDENSE_JOB_OUTCOME_H
#define SENDENSE_JOB_OUTCOME_H

#include <stdint.h>

#include "base/err.h"
#include "catalog/cat_backup.h"
#include "job/env.h"
#include "job/joblog.h"
#include "job/live.h"
#include "model/point.h"

/* One transaction: results of the disks, state `completed`, the event, and every journal
 * entry of the job released (its files belong to the repository now).  Used by the job
 * and by recovery, which rolls a job forward from its point. */
int outcome_completed(const struct job_env *env, const struct point *p, struct err *err);

struct outcome_failure {
    const char *state; /* "failed" or "cancelled" */
    const char *phase;
    int64_t bad_disk;    /* index, -1 = not about one disk */
    const char *cleanup; /* JSON text {released[], left[]}, NULL = unknown */
};

/* One transaction: state, error, event. */
int outcome_failed(const struct job_env *env, const struct cat_backup *row,
                   const struct outcome_failure *f, const struct err *why,
                   struct err *err);

/* Calls @store until it succeeds: a catalog that is busy or full for a while must not
 * leave a job without an end.  Gives up, with the last error, when the hub stops (the
 * next start settles the job) and when the row is gone or has an end. */
int outcome_retry(struct live_job *live, struct joblog *log,
                  int (*store)(void *arg, struct err *err), void *arg, struct err *err);

/* A job that ended because the hub stops, or somebody stopped its worker, was not
 * cancelled by a user: @why becomes "interrupted".  Other errors are left as they are. */
void outcome_name_interruption(const struct live_job *live, const char *phase,
                               struct err *why);

#endif
