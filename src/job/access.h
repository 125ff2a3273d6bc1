/* job/access.h - disks of a backup open as NBD addresses, for a while.      Layer 3.
 * Blocking; thread-safe.
 *
 * Each disk is one qemu-nbd: read-only on the chain of layers, or on a throw-away overlay
 * in DATA/scratch that takes the writes; the repository is never written.  A thread per
 * session waits for its end: asked for, expired, a program that died, no room for what is
 * written, the hub stops.  Everything is journalled and gone afterwards; the backup is
 * pinned meanwhile.  The bytes are those of the image: they are not compared. */
#ifndef SENDENSE_JOB_ACCESS_H
#define SENDENSE_JOB_ACCESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"
#include "base/text.h"
#include "job/env.h"

#define ACCESS_TTL_DEFAULT_S 7200u
#define ACCESS_SESSIONS_MAX 16u
#define ACCESS_TLS_USER "sendense"

struct access_request {
    const char *backup_id;
    bool has_key; /* else all disks */
    uint32_t device_key;
    bool scratch;
    bool tls;
    uint64_t ttl_s;     /* 0 = ACCESS_TTL_DEFAULT_S, or the most that is allowed */
    const char *listen; /* numeric address; NULL = 127.0.0.1 */
    const char *requested_by;
};

/* Returns when every address answers.  *ret_psk: the key of TLS in hex, shown this once;
 * NULL without TLS.  ERR_NOT_FOUND "backup_not_found", "disk_not_found"; ERR_EXISTS
 * "backup_not_completed", "backup_in_use"; ERR_INVALID "invalid_field", "not_loopback";
 * ERR_UNAVAILABLE "too_many_exports", "no_free_port", "shutting_down"; ERR_NO_SPACE
 * "scratch_full"; ERR_CORRUPT "verification_failed", "layer_header", "layer_unreadable";
 * those of store/export.h. */
int access_open(struct job_env *env, const struct access_request *req,
                char ret_id[UUID_STR_SIZE], struct secret **ret_psk, struct err *err);

/* Ends it and waits until nothing of it is left.  Of one that has ended: 0. ERR_NOT_FOUND
 * "export_not_found"; ERR_TIMEOUT "export_stuck". */
int access_close(struct job_env *env, const char *id, const char *actor, struct err *err);

#endif
