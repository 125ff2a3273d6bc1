/* job/restore.h - one disk of a backup to a file on the hub's machine.      Layer 3. */
#ifndef SENDENSE_JOB_RESTORE_H
#define SENDENSE_JOB_RESTORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"
#include "job/env.h"

/* The layers as they are, in a folder; the name of no image format. */
#define RESTORE_CHAIN "qcow2-chain"

struct restore_request {
    const char *backup_id;
    uint32_t device_key;
    const char *target_path; /* absolute; must not exist, its folder must */
    const char *format;      /* raw, qcow2, RESTORE_CHAIN, vmdk, vmdk-stream or vhdx */
    bool force;              /* an existing file is replaced, once the new one is whole */
    bool resume;             /* goes on with TARGET.part, and keeps it when it fails */
    bool salvage;            /* what is damaged is left out and told, no failure */
    const char *requested_by;
};

/* Starts the job and returns.  ERR_NOT_FOUND "backup_not_found", "disk_not_found";
 * ERR_EXISTS "backup_not_completed", "backup_in_use", "target_exists"; ERR_INVALID
 * "invalid_target", "target_forbidden", "invalid_field"; ERR_NO_SPACE "target_full". */
int restore_start(struct job_env *env, const struct restore_request *req,
                  char ret_id[UUID_STR_SIZE], struct err *err);
int restore_cancel(struct job_env *env, const char *id, struct err *err);

#endif
