/* job/janitor.h - goes on with what could not be settled or removed at its time. Layer 3.
 *
 * A node that was out of reach when its job failed, a repository that was away at the
 * start: a thread makes a round of job/recover.h every few seconds, the first at once.
 * Jobs that run are never touched. */
#ifndef SENDENSE_JOB_JANITOR_H
#define SENDENSE_JOB_JANITOR_H

#include "base/err.h"
#include "job/env.h"

struct janitor;

int janitor_start(struct job_env *env, struct janitor **ret, struct err *err);
/* NULL ok; cuts the round short and waits for the thread. */
void janitor_stop(struct janitor *j);

#endif
