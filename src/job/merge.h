/* job/merge.h - deletes a backup that others stand on: its layers are merged into those
 * of its children.  Layer 3.
 *
 * A thread does it, as the live job (LIVE_MERGE) of the backup's own id, so its log is
 * the backup's log.  The backup and all that stand on it are claimed until it is done.
 * docs/design/repository.md 5: until the backup's point is removed everything can be
 * taken back; from then on it is gone on with, by this hub or the next one. */
#ifndef SENDENSE_JOB_MERGE_H
#define SENDENSE_JOB_MERGE_H

#include <stdbool.h>

#include "base/err.h"
#include "job/env.h"

struct repo;

/* Deletes @backup_id, whatever stands on it.  *ret_running: a merge has begun (or ran
 * already); else it is deleted.  As backup_delete() but for the children, and: ERR_EXISTS
 * "backup_in_use" (also one that stands on it), "merge_damaged"; ERR_NO_SPACE
 * "repo_full"; ERR_UNAVAILABLE "repository_unavailable". */
int merge_delete(struct job_env *env, const char *backup_id, const char *actor,
                 bool *ret_running, struct err *err);

/* By recovery: goes on with what the journal has of a job that no thread runs, or settles
 * it. */
int merge_resume(struct job_env *env, const char *job_id, struct err *err);

/* By an import: finishes, or takes back, what the folder shows and no journal knows.  Not
 * in a thread. */
int merge_settle_found(struct job_env *env, struct repo *repo, struct err *err);

#endif
