/* job/stored.h - a completed backup opened for reading: row, point, repository, pin.
 * Layer 3. Shared by verify and restore.  The point's JSON is the truth: it is read again
 * and compared with the row, so that a swapped or damaged file is refused before its
 * layers are trusted. */
#ifndef SENDENSE_JOB_STORED_H
#define SENDENSE_JOB_STORED_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "catalog/cat_backup.h"
#include "job/chain.h"
#include "job/env.h"
#include "job/verify_run.h"
#include "model/point.h"
#include "store/repo.h"

struct stored {
    struct cat_backup row;
    struct point point;   /* after stored_load() */
    struct chain *chains; /* the same; of each disk what it stands on, once filled in */
    struct repo *repo;
    bool pinned;
};

/* Row, state, pin, repository: no file is read yet.  ERR_NOT_FOUND "backup_not_found";
 * ERR_EXISTS "backup_not_completed", "backup_in_use", "merge_running"; ERR_UNAVAILABLE
 * "repository_unavailable". */
int stored_open(struct job_env *env, const char *backup_id, struct stored *ret,
                struct err *err);
/* For who has claimed the backup: no pin. */
int stored_open_claimed(struct job_env *env, const char *backup_id, struct stored *ret,
                        struct err *err);
/* Reads the point.  ERR_UNAVAILABLE "merge_unfinished"; ERR_CORRUPT "verification_failed"
 * when it is missing, damaged, or not the one that the catalog knows. */
int stored_load(struct stored *s, struct err *err);
/* Fills one disk for verify_run(), with the roots of the point and the layers that it
 * stands on; @s must outlive it.  ERR_CORRUPT "verification_failed" when one of those, or
 * its point, is missing, damaged, or not the one that the layer above was made on. */
int stored_fill(struct stored *s, size_t index, struct verify_disk *d, struct err *err);
void stored_close(struct stored *s);

#endif
