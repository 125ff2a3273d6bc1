/* job/sweep.h - removes files of a repository that belong to no job, no point
 * and no backup of the catalog.
 * Layer 3. Blocking.  At start only, when no job runs.  A listing that fails ends the
 * sweep of that VM: a failed listing must never be taken for an empty one. */
#ifndef SENDENSE_JOB_SWEEP_H
#define SENDENSE_JOB_SWEEP_H

#include "job/env.h"

void sweep_all(struct job_env *env, unsigned *ret_removed);

#endif
