/* job/folder.h - removes a temporary folder of ours with all that is in it. Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_FOLDER_H
#define SENDENSE_JOB_FOLDER_H

#include "base/err.h"

/* Follows no link and leaves no file system.  Not there = done. */
int folder_remove(const char *path, struct err *err);

#endif
