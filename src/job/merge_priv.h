/* job/merge_priv.h - one running merge; private to job/merge*.c.            Layer 3. */
#ifndef SENDENSE_JOB_MERGE_PRIV_H
#define SENDENSE_JOB_MERGE_PRIV_H

#include "catalog/cat_backup.h"
#include "job/merge.h"
#include "job/merge_files.h"

/* Everything here belongs to the job's thread. */
struct merge_job {
    struct job_env *env;
    struct cat_backup row;    /* what is deleted */
    struct cat_backups above; /* what stands on it, all of it; claimed */
    size_t n_claimed;         /* of above, and the row itself when row_claimed */
    bool row_claimed;
    struct repo *repo; /* NULL until it could be opened */
    struct live_job *live;
    struct joblog *log;
    char *actor;
    int64_t res; /* journal entry */
};

/* The disk of a backup above that stands on @d directly; *ret_backup may be NULL.  NULL =
 * none does. */
const struct cat_backup_disk *merge_child(const struct merge_job *j,
                                          const struct cat_backup_disk *d,
                                          const struct cat_backup **ret_backup);

/* merge_check.c: reads back what is merged, the backup itself and those directly on it,
 * and looks at the tables of its images.  Changes nothing.  ERR_CORRUPT "merge_damaged"
 * (the backup itself), "verification_failed" (one on it); as verify_run() otherwise. */
int merge_check_layers(struct merge_job *j, struct err *err);

/* merge_told.c: the catalog learns it, all in one transaction; the files are done. */
int merge_tell_done(void *arg, struct err *err);
/* An event about a merge that is given up, or that cannot go on now. */
void merge_tell_failed(struct merge_job *j, const char *type, const struct err *why);

#endif
