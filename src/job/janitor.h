/* job/janitor.h - goes on with what a job that ended could not remove.       Layer 3.
 *
 * A node that was out of reach when its job failed, a file system that was read-only for
 * a while: the journal keeps such an entry open, and a thread tries again every few
 * seconds, as the next start would.  Entries of jobs that run are never touched. */
#ifndef SENDENSE_JOB_JANITOR_H
#define SENDENSE_JOB_JANITOR_H

#include "base/err.h"
#include "job/env.h"

struct janitor;

int janitor_start(struct job_env *env, struct janitor **ret, struct err *err);
void janitor_stop(struct janitor *j); /* NULL ok; waits for the thread */

#endif
