/* job/restore_target.h - where a restore may write.                         Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_RESTORE_TARGET_H
#define SENDENSE_JOB_RESTORE_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "job/env.h"

struct restore_where {
    const char *path;
    uint64_t need_bytes;
    bool folder; /* the target is a folder: never replaced */
    bool force;  /* may replace a regular file that nobody has open, and its .part */
    bool resume; /* its .part may be there */
};

/* Checks the path and gives it with its folder's links resolved (caller frees).  Refused:
 * relative paths, folders that do not exist, places inside of a repository or of the
 * hub's own folders, targets (or their .part) that exist, devices and links whatever was
 * said, less than need_bytes of free space. */
int restore_target_check(const struct job_env *env, const struct restore_where *where,
                         char **ret_resolved, struct err *err);

#endif
