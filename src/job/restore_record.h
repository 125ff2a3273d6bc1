/* job/restore_record.h - what a half-written target is the beginning of.     Layer 3.
 * Blocking.  TARGET.part.json lies beside TARGET.part while a resumable restore is not
 * done.  It says only which disk it is of: the bytes are compared, never believed. */
#ifndef SENDENSE_JOB_RESTORE_RECORD_H
#define SENDENSE_JOB_RESTORE_RECORD_H

#include <stdint.h>

#include "base/err.h"
#include "model/point.h"

/* Which file or folder @path is now, as JSON text for the journal; -1 with errno. */
#define RESTORE_FILE_ID_SIZE 80
int restore_file_id(const char *path, char out[RESTORE_FILE_ID_SIZE]);

struct restore_record {
    const char *point_id;
    const struct point_disk *disk;
    const char *format;
};

/* @part is the path of the half-written target.  Durable; replaces an older one. */
int restore_record_write(const char *part, const struct restore_record *r,
                         struct err *err);
/* ERR_EXISTS "resume_mismatch" when it is missing, unreadable, or of something else. */
int restore_record_check(const char *part, const struct restore_record *r,
                         struct err *err);
int restore_record_remove(const char *part, struct err *err); /* missing is fine */
/* Removes a record that no half-written target belongs to any more. */
int restore_record_tidy(const char *part, struct err *err);

#endif
