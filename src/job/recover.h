/* job/recover.h - what a start of the hub does before it serves: nothing half-done stays.
 * Layer 3.  Blocking.  docs/design/repository.md 4, ARCHITECTURE.md "recovery". */
#ifndef SENDENSE_JOB_RECOVER_H
#define SENDENSE_JOB_RECOVER_H

#include "base/err.h"
#include "job/env.h"

struct recover_report {
    unsigned rolled_forward; /* point durable: completed */
    unsigned interrupted;    /* undone: failed, code "interrupted" */
    unsigned swept;          /* files without a job or a point */
};

/* Tries once more to unmake what the ended job @job_id still has open. */
void recover_leftovers(struct job_env *env, const char *job_id);

/* Settles every open job and journal entry, then sweeps the repositories that are open.
 * After it, no entry is open but those of a repository that is unavailable. */
int recover_all(struct job_env *env, struct recover_report *ret, struct err *err);

#endif
