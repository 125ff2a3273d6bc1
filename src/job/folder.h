/* job/folder.h - private folders of a job, with files and nothing else in them.  Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_FOLDER_H
#define SENDENSE_JOB_FOLDER_H

#include "base/err.h"

/* Makes it, mode 0700.  ERR_EXISTS "target_exists". */
int folder_make(const char *path, struct err *err);
/* Removes its files and it; one that is missing is fine, one that is a link or holds a
 * folder is not.  Durable. */
int folder_remove(const char *path, struct err *err);

#endif
