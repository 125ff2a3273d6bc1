/* job/journal.h - the one door to every resource that a job makes.         Layer 3.
 *
 * Order: intent (durable) -> make the thing -> held (with the process's identity when it
 * is one)
 * -> use -> unmake -> released.  So nothing of ours ever exists without an entry
 * (invariant I4), and recovery knows what to look for after a crash at any line. */
#ifndef SENDENSE_JOB_JOURNAL_H
#define SENDENSE_JOB_JOURNAL_H

#include <stdint.h>

#include "base/err.h"
#include "job/env.h"
#include "os/child.h"

#define RES_PORT "port"         /* key: the number */
#define RES_LAYER "layer"       /* key: REPOSITORY_ID ":" locator */
#define RES_MANIFEST "manifest" /* key: the same */
#define RES_EXPORT "export"     /* key: export name; a process */
#define RES_SOCKET "socket"     /* key: absolute path */
#define RES_NODE_JOB "node_job" /* key: NODE_ID ":" job id */
#define RES_SNAPSHOT "snapshot" /* key: NODE_ID ":" its name; the node removes it */
#define RES_WORKER "worker"     /* key: job id and task; a process */
#define RES_POINT "point"       /* key: REPOSITORY_ID ":" name */
#define RES_DELETE                                                                       \
    "delete"                  /* key: REPOSITORY_ID ":" point; a deletion to be finished \
                               */
#define RES_MERGE "merge"     /* key: the same; a deletion by merging, gone on with */
#define RES_FILE "file"       /* key: absolute path; removed */
#define RES_FOLDER "folder"   /* key: absolute path; removed with the files in it */
#define RES_PARTIAL "partial" /* key: absolute path; kept, to be gone on with */
#define RES_PROGRAM "program" /* key: job id and name; a process */

int journal_intent(const struct job_env *env, const char *job_id, const char *kind,
                   const char *key, int64_t *ret_id, struct err *err);
/* @process may be NULL. */
int journal_held(const struct job_env *env, const char *job_id, int64_t id,
                 const struct child_id *process, struct err *err);
/* The thing is gone for certain (or was handed over to the repository).  *id becomes 0; a
 * 0 is ignored.  A catalog that fails is logged: the entry stays and the next start
 * clears it. */
void journal_released(const struct job_env *env, const char *job_id, int64_t *id);

#endif
