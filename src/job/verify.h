/* job/verify.h - verification of a stored backup, as a job of its own.      Layer 3. */
#ifndef SENDENSE_JOB_VERIFY_H
#define SENDENSE_JOB_VERIFY_H

#include <stdbool.h>

#include "base/err.h"
#include "base/text.h"
#include "job/env.h"

/* Starts the job and returns.  @chain: all layers that the backup's disks stand on, too;
 * damage in one of them is also the verdict on the backups that need it.  ERR_NOT_FOUND
 * "backup_not_found", ERR_EXISTS "backup_not_completed", "backup_in_use"; ERR_UNAVAILABLE
 * "repository_unavailable". */
int verify_start(struct job_env *env, const char *backup_id, bool chain,
                 const char *requested_by, char ret_id[UUID_STR_SIZE], struct err *err);

#endif
