/* job/sweep.h - removes files of a repository that belong to no job, no point
 * and no backup of the catalog.
 * Layer 3. Blocking.  sweep_all(): at start only, when no job runs.  A listing that fails
 * ends the sweep of that VM: a failed listing must never be taken for an empty one. */
#ifndef SENDENSE_JOB_SWEEP_H
#define SENDENSE_JOB_SWEEP_H

#include "base/err.h"
#include "job/env.h"
#include "store/repo.h"

void sweep_all(struct job_env *env, unsigned *ret_removed);

/* Only looks, also while jobs run: calls @found for each file that sweep_all() would
 * remove.  A job's row is there before its files, but a file that is removed just now, or
 * a row that changes, may be told: who acts on it looks twice.  0, or the first folder
 * that could not be listed. */
typedef void sweep_fn(void *arg, struct repo *repo, const char *name);
int sweep_look(struct job_env *env, const char *repository_id, struct repo *repo,
               sweep_fn *found, void *arg, struct err *err);

#endif
