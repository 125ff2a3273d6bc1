/* job/recover.h - nothing half-done stays: before the hub serves, and again and again.
 * Layer 3.  Blocking.  docs/design/repository.md 4, ARCHITECTURE.md "recovery". */
#ifndef SENDENSE_JOB_RECOVER_H
#define SENDENSE_JOB_RECOVER_H

#include <stdbool.h>

#include "base/err.h"
#include "job/env.h"
#include "job/leftovers.h"

struct recover_report {
    unsigned rolled_forward; /* point or restored file durable: completed */
    unsigned interrupted;    /* undone: failed, code "interrupted" */
    unsigned resumed;        /* go on with their transfer */
    unsigned left;           /* jobs that could not be settled or tidied up this time */
    unsigned swept;          /* files without a job or a point */
};

/* Every job that the catalog calls open and that no thread runs gets its end: completed
 * when its point is durable, else undone and failed.  What cannot be decided now (its
 * repository is away) is left exactly as it is.  Then what ended jobs left behind goes.
 * Adds to @ret.  Thread-safe: one round after the other. */
int recover_round(struct job_env *env, const struct leftovers_how *how,
                  struct recover_report *ret, struct err *err);

/* Has the catalog no end of this job yet?  Also when the catalog cannot tell. */
bool recover_job_is_open(struct job_env *env, const char *job_id);

/* A round without the nodes, then the sweep of the repositories that are open.  The
 * janitor goes on with rounds for what could not be settled. */
int recover_all(struct job_env *env, struct recover_report *ret, struct err *err);

#endif
