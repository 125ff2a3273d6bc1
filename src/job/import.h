/* job/import.h - the catalog rebuilt from a repository's points.            Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_IMPORT_H
#define SENDENSE_JOB_IMPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "job/env.h"

struct import_report {
    size_t found, imported, known;
    struct import_refused {
        char *file;
        char *message;
    } * refused;
    size_t n_refused;
};

/* Adds every point of repository @repo_id that the catalog does not know, with its VM and
 * disks. A point that cannot be read is refused and named; it does not stop the others.
 */
int import_repository(struct job_env *env, const char *repo_id, const char *actor,
                      struct import_report *ret, struct err *err);
void import_report_done(struct import_report *r);

#endif
