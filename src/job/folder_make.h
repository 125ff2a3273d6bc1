/* job/folder_make.h - a private folder of a job.  Layer 3.  Blocking. */
#ifndef SENDENSE_JOB_FOLDER_MAKE_H
#define SENDENSE_JOB_FOLDER_MAKE_H

#include "base/err.h"

/* Makes it, mode 0700; durable.  ERR_EXISTS "target_exists". */
int folder_make(const char *path, struct err *err);

#endif
