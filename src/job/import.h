/* job/import.h - the catalog rebuilt from a repository's points.            Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_IMPORT_H
#define SENDENSE_JOB_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "job/env.h"

struct import_report {
    size_t found; /* = imported + known + n_refused */
    size_t imported, known;
    struct import_refused {
        char *file;
        char *message;
        bool damaged; /* it is in the catalog, as one whose verification failed */
    } * refused;      /* what was not taken as a good backup */
    size_t n_refused;
    size_t n_damaged; /* of n_refused */
};

/* Adds every point of repository @repo_id that the catalog does not know, with its VM and
 * disks.  A point that cannot be read is refused and named; it does not stop the others.
 * One whose layers or manifests are missing or not its own (job/point_check.h) is added
 * with verification `failed` and the reason, as a verification would have left it: its
 * sound disks can be restored, and it can be deleted.  */
int import_repository(struct job_env *env, const char *repo_id, const char *actor,
                      struct import_report *ret, struct err *err);
void import_report_done(struct import_report *r);

#endif
