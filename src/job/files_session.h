/* job/files_session.h - file sessions: the files of one backup, browsed.   Layer 3.
 *
 * Each session is a thread that owns read-only exports of the disks, a folder and one
 * sendense-files (docs/design/protocol.md 7), all in the journal; it ends on request,
 * when nobody used it for its idle time, when its program dies, and with the hub.  It
 * pins the backup.  Sessions are in memory only; the last ones that ended are remembered
 * for a while.  Thread-safe; references are counted. */
#ifndef SENDENSE_JOB_FILES_SESSION_H
#define SENDENSE_JOB_FILES_SESSION_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "job/env.h"

#define FILES_IDLE_DEFAULT_S 900u
#define FILES_IDLE_MAX_S 86400u
#define FILES_SESSIONS_DEFAULT 4u

struct files_set;
struct files_session;

struct files_set *files_set_new(void);
void files_set_free(struct files_set *s); /* no session may run; NULL ok */

struct files_request {
    const char *backup_id;
    const uint32_t *keys; /* of the disks; none = all */
    size_t n_keys;
    unsigned idle_s;
    const char *requested_by;
};

/* Starts the session and returns; it is `starting` for as long as the appliance needs.
 * ERR_LIMIT "too_many_mounts"; ERR_NOT_FOUND "backup_not_found", "disk_not_found";
 * ERR_EXISTS "backup_not_completed", "backup_in_use". */
int files_open(struct job_env *env, const struct files_request *req,
               char ret_id[UUID_STR_SIZE], struct err *err);
/* Asks it to end; idempotent.  ERR_NOT_FOUND "mount_not_found". */
int files_close(struct job_env *env, const char *id, const char *actor, struct err *err);

/* ERR_NOT_FOUND "mount_not_found". */
int files_find(struct job_env *env, const char *id, struct files_session **ret,
               struct err *err);
#define CLEANUP_FILES CLEANUP(cleanup_files)
void cleanup_files(struct files_session **s);
void files_unref(struct files_session *s); /* NULL ok */
/* All, also those that ended, newest first: an array of what files_describe() gives. */
json_t *files_list(struct job_env *env);
json_t *files_describe(struct files_session *s);
/* The file systems that were found.  Waits for a session that starts, @wait_ms at most.
 * ERR_UNAVAILABLE "mount_not_ready"; ERR_EXISTS "mount_ended"; what made it fail. */
int files_filesystems(struct files_session *s, unsigned wait_ms, json_t **ret,
                      struct err *err);

#endif
