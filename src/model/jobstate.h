/* model/jobstate.h - the words of jobs, backups and plans.                Layer 1.  Pure.
 * Each list gives the enum and both string functions; the words are those of the API, the
 * catalog and the formats, so a word is never changed.  *_to_str of a value not in its
 * list is "?";
 * *_from_str returns 0, or -1 for an unknown word (NULL included). */
#ifndef SENDENSE_MODEL_JOBSTATE_H
#define SENDENSE_MODEL_JOBSTATE_H

#include <stdbool.h>

#define JOB_STATE_LIST(X)                                                                \
    X(JOB_PENDING, "pending")                                                            \
    X(JOB_RUNNING, "running")                                                            \
    X(JOB_COMPLETED, "completed")                                                        \
    X(JOB_FAILED, "failed")                                                              \
    X(JOB_CANCELLED, "cancelled")

#define VERIFICATION_LIST(X)                                                             \
    X(VERIFICATION_NONE, "none")                                                         \
    X(VERIFICATION_PENDING, "pending")                                                   \
    X(VERIFICATION_SAMPLED, "sampled")                                                   \
    X(VERIFICATION_VERIFIED, "verified")                                                 \
    X(VERIFICATION_FAILED, "failed")

#define READBACK_LIST(X)                                                                 \
    X(READBACK_NONE, "none")                                                             \
    X(READBACK_MEDIA, "media")                                                           \
    X(READBACK_PAGE_CACHE, "page_cache")

#define BACKUP_TYPE_LIST(X)                                                              \
    X(BACKUP_FULL, "full")                                                               \
    X(BACKUP_INCREMENTAL, "incremental")

/* What a user asks for.  Each disk goes its own way: a full where it has no parent to
 * stand on. */
#define BACKUP_WISH_LIST(X)                                                              \
    X(WISH_AUTO, "auto")               /* an incremental where one is possible */        \
    X(WISH_FULL, "full")               /* of every disk */                               \
    X(WISH_INCREMENTAL, "incremental") /* refused when no disk can be one */

#define READ_MODE_LIST(X)                                                                \
    X(READ_ALL, "all")                                                                   \
    X(READ_CHANGED, "changed")                                                           \
    X(READ_COMPARE, "compare")

/* Why a disk is read as it is.  REASON_NONE is written as null where the format allows
 * it. */
#define REASON_LIST(X)                                                                   \
    X(REASON_NONE, "none")                                                               \
    X(REASON_NO_PARENT, "no_parent")                                                     \
    X(REASON_CHANGE_ID_EMPTY, "change_id_empty")                                         \
    X(REASON_CHANGE_ID_UUID_DIFFERS, "change_id_uuid_differs")                           \
    X(REASON_SERVER_FAULT, "server_fault")                                               \
    X(REASON_DISK_UUID_DIFFERS, "disk_uuid_differs")                                     \
    X(REASON_CAPACITY_CHANGED, "capacity_changed")                                       \
    X(REASON_DATASTORE_CHANGED, "datastore_changed")                                     \
    X(REASON_SNAPSHOT_LEFT, "snapshot_left")                                             \
    X(REASON_VM_REVERTED, "vm_reverted")                                                 \
    X(REASON_HISTORY_UNKNOWN, "history_unknown")                                         \
    X(REASON_CBT_OFF, "cbt_off")                                                         \
    X(REASON_PARENT_DAMAGED, "parent_damaged")                                           \
    X(REASON_AUDIT_MISMATCH, "audit_mismatch")                                           \
    X(REASON_CHAIN_TOO_LONG, "chain_too_long")                                           \
    X(REASON_USER_REQUEST, "user_request")

#define JOBSTATE_ENUM_ITEM(id, word) id,
enum job_state { JOB_STATE_LIST(JOBSTATE_ENUM_ITEM) JOB_STATE_COUNT };
enum verification { VERIFICATION_LIST(JOBSTATE_ENUM_ITEM) VERIFICATION_COUNT };
enum readback { READBACK_LIST(JOBSTATE_ENUM_ITEM) READBACK_COUNT };
enum backup_type { BACKUP_TYPE_LIST(JOBSTATE_ENUM_ITEM) BACKUP_TYPE_COUNT };
enum backup_wish { BACKUP_WISH_LIST(JOBSTATE_ENUM_ITEM) BACKUP_WISH_COUNT };
enum read_mode { READ_MODE_LIST(JOBSTATE_ENUM_ITEM) READ_MODE_COUNT };
enum reason { REASON_LIST(JOBSTATE_ENUM_ITEM) REASON_COUNT };

const char *job_state_to_str(enum job_state v);
int job_state_from_str(const char *s, enum job_state *ret);
const char *verification_to_str(enum verification v);
int verification_from_str(const char *s, enum verification *ret);
const char *readback_to_str(enum readback v);
int readback_from_str(const char *s, enum readback *ret);
const char *backup_type_to_str(enum backup_type v);
int backup_type_from_str(const char *s, enum backup_type *ret);
const char *backup_wish_to_str(enum backup_wish v);
int backup_wish_from_str(const char *s, enum backup_wish *ret);
const char *read_mode_to_str(enum read_mode v);
int read_mode_from_str(const char *s, enum read_mode *ret);
const char *reason_to_str(enum reason v);
int reason_from_str(const char *s, enum reason *ret);

/* True when a job may go from one state to the other.  A terminal state is never left; a
 * state does not lead to itself. */
bool job_state_may(enum job_state from, enum job_state to);
bool job_state_is_terminal(enum job_state s);

#endif
