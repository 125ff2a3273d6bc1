/* job/verify.h - verification of a stored backup, as a job of its own.      Layer 3. */
#ifndef SENDENSE_JOB_VERIFY_H
#define SENDENSE_JOB_VERIFY_H

#include "base/err.h"
#include "base/text.h"
#include "job/env.h"

/* Starts the job and returns.  ERR_NOT_FOUND "backup_not_found", ERR_EXISTS
 * "backup_not_completed", "backup_in_use"; ERR_UNAVAILABLE "repository_unavailable". */
int verify_start(struct job_env *env, const char *backup_id, const char *requested_by,
                 char ret_id[UUID_STR_SIZE], struct err *err);

#endif
