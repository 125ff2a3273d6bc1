/* job/point_files.h - the files of one backup in its repository.            Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_POINT_FILES_H
#define SENDENSE_JOB_POINT_FILES_H

#include <stdbool.h>

#include "base/err.h"
#include "catalog/cat_backup.h"
#include "job/env.h"
#include "model/point.h"
#include "store/repo.h"

char *point_files_name(const char *vm_uuid,
                       int64_t seq); /* of the point's JSON; caller frees */

/* Of a layer that was merged, parent, root and records are those of now
 * (docs/design/repository.md 5.1), and so is the point's type.  ERR_NOT_FOUND
 * "point_missing"; ERR_CORRUPT "point_corrupt". */
int point_files_read(struct repo *repo, const char *name, struct point *ret,
                     struct err *err);

/* The files of one layer, and its folder when that is empty then. */
int point_files_remove_disk(struct repo *repo, const char *locator, struct err *err);

/* Point first, then manifests, layers and empty folders.  What is missing already is
 * fine. */
int point_files_remove(struct repo *repo, const struct cat_backup *row, struct err *err);

#endif
