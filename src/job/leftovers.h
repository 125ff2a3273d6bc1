/* job/leftovers.h - unmakes what a job that is over still has in the journal.  Layer 3.
 *
 * The callers decide that it is over: files of a job whose point is durable must never
 * come here (job/recover.c rolls such a job forward). */
#ifndef SENDENSE_JOB_LEFTOVERS_H
#define SENDENSE_JOB_LEFTOVERS_H

#include <stdbool.h>

#include "job/env.h"

struct leftovers_how {
    bool not_nodes; /* leave what a node must be asked about: that may take long */
    int stop_fd;    /* readable = give up; 0 = none */
};

/* Processes, then the point, then files; what stands on something that could not be
 * removed stays.  Entries of what stays are open still, for the next try.  False when any
 * is. */
bool leftovers_unmake(struct job_env *env, const char *job_id,
                      const struct leftovers_how *how);

/* Only what ran, and its ports: of a job that goes on.  Processes of another hub than
 * this one only, so before anything of it is started here.  False when one would not
 * end. */
bool leftovers_end_processes(struct job_env *env, const char *job_id);

bool leftovers_stop_asked(const struct leftovers_how *how);

#endif
