/* job/doctor.h - does everything agree?                                       Layer 3.
 * Blocking.
 *
 * A look from outside: at the processes, sockets and files of this machine, at the locks
 * and headers of the images, at what the nodes and the vCenters say; and only then at
 * catalog and journal.  What a running job has is no finding.  What is seen once is
 * looked for once more a moment later, because a look takes time and jobs go on. */
#ifndef SENDENSE_JOB_DOCTOR_H
#define SENDENSE_JOB_DOCTOR_H

#include <stdbool.h>

#include "base/err.h"
#include "job/env.h"
#include "model/doctor.h"

struct doctor_how {
    bool fix;
    const char *actor;       /* for the events */
    bool (*stop)(void *arg); /* true: the hub stops, answer soon; NULL = never */
    void *arg;
};

/* fix: mends what is provably ours and safe, then looks again; each act is an event,
 * told as @actor's.  Finished backups are never touched.  What could not be looked at is
 * a finding, no failure.  ERR_EXISTS "doctor_running": one at a time;
 * ERR_UNAVAILABLE "shutting_down". */
int doctor_run(struct job_env *env, const struct doctor_how *how,
               struct doctor_findings *ret, struct err *err);

#endif
