/* job/restore_target.h - where a restore may write.                         Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_RESTORE_TARGET_H
#define SENDENSE_JOB_RESTORE_TARGET_H

#include <stdint.h>

#include "base/err.h"
#include "job/env.h"

/* Checks @path and gives it with its folder's links resolved (caller frees).  Refused:
 * relative paths, folders that do not exist, places inside of a repository or of the
 * hub's own folders, targets (or their .part) that exist, less than @need_bytes of free
 * space. */
int restore_target_check(const struct job_env *env, const char *path, uint64_t need_bytes,
                         char **ret_resolved, struct err *err);

#endif
