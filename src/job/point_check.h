/* job/point_check.h - are the files of a point there, and are they its own?  Layer 3.
 * Blocking.  Reads headers, trailers and lengths, whatever the size of the disks: enough
 * to see that a layer or manifest is missing, cut off or another one's.  Whether every
 * byte is right is what a verification (job/verify.h) finds. */
#ifndef SENDENSE_JOB_POINT_CHECK_H
#define SENDENSE_JOB_POINT_CHECK_H

#include <stdbool.h>

#include "base/err.h"
#include "model/point.h"
#include "store/repo.h"

/* ERR_CORRUPT "verification_failed": a file is missing or not what the point says; the
 * message names each such disk with its file, and bad[i] (@bad has one for each disk of
 * the point; NULL ok) is set to true.  Any other class: a file could not be read, which
 * says nothing about the backup. */
int point_check_files(struct repo *repo, const struct point *p, bool *bad,
                      struct err *err);

#endif
