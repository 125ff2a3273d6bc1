/* job/backup.h - backups: start, cancel, delete.                            Layer 3.
 *
 * One thread per running backup walks the steps of ARCHITECTURE.md "life of a backup":
 * backup_start.c (checks, row) -> backup_prepare.c (layers, manifests, ports, exports) ->
 * backup_transfer.c (attempts: node job, events; between two of them backup_resume.c) ->
 * backup_commit.c (stop, seal, verify, point, catalog); on failure backup_undo.c.  A job
 * whose hub ended in the transfer comes back through backup_again.c. */
#ifndef SENDENSE_JOB_BACKUP_H
#define SENDENSE_JOB_BACKUP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/cat_vm.h"
#include "job/env.h"
#include "model/jobspec.h"
#include "model/naming.h"

#define BACKUP_PREPARE_TIMEOUT_S 30u
#define BACKUP_RETRIES_DEFAULT 3u
#define BACKUP_RETRIES_MAX 100u
#define BACKUP_RETRY_DELAY_DEFAULT_S 5u
#define BACKUP_RETRY_DELAY_MAX_S 3600u
#define BACKUP_REFRESH_TIMEOUT_S 25u /* of it: the source told what there is */

struct backup_request {
    const char *vm_name; /* this or vm_id; NULL = not given */
    const char *vm_id;
    const char *repository_id;
    enum backup_wish wish;
    struct spec_limits limits;
    enum quiesce quiesce;   /* of a VM of a vCenter */
    uint32_t retries;       /* attempts after the first, when it is cut off */
    uint32_t retry_delay_s; /* before the second one */
    const char *requested_by;
};

/* What a refusal has to say beyond its message. */
struct backup_refusal {
    char backup_id[NAMING_BACKUP_ID_SIZE]; /* of the job that runs, or that failed; "" =
                                              none */
    struct cat_vms candidates;             /* vm_ambiguous; caller: cat_vms_done */
};

/* Checks what can be checked without side effects, makes the job, and waits until its
 * exports are up (or BACKUP_PREPARE_TIMEOUT_S after the call; the job goes on).
 * ERR_NOT_FOUND "vm_not_found", "repository_not_found"; ERR_EXISTS "vm_ambiguous",
 * "backup_running"; ERR_INVALID "vm_without_disks", "vm_is_template",
 * "vm_without_credential", "incremental_impossible"; ERR_IO "source_unreachable", and
 * those of vsphere_ask();
 * ERR_UNAVAILABLE "node_unreachable", "repository_unavailable"; ERR_NO_SPACE "repo_full";
 * a job that failed while it was prepared: its own error, with refusal->backup_id set. */
int backup_start(struct job_env *env, const struct backup_request *req,
                 char ret_backup_id[NAMING_BACKUP_ID_SIZE],
                 struct backup_refusal *refusal, struct err *err);

/* A job without a point that ran when its hub ended: goes on with its transfer, in a
 * thread.  Its processes are ended and their entries released before.  1 = it goes on;
 * 0 = it cannot, err says why; < 0 = not now (the hub stops, a process would not end). */
int backup_again(struct job_env *env, const char *job_id, struct err *err);

/* Idempotent.  ERR_NOT_FOUND "backup_not_found", ERR_EXISTS "not_running". */
int backup_cancel(struct job_env *env, const char *backup_id, struct err *err);

/* Point, manifests, layers, rows.  ERR_EXISTS "backup_running",
 * "backup_has_children" (job/merge.h can), "backup_in_use". */
int backup_delete(struct job_env *env, const char *backup_id, const char *actor,
                  struct err *err);
/* Ends a deletion that a crash cut off.  By recovery; a job that is gone already is fine.
 * One that something stands on by now is left as it is, with an event: a success, so that
 * its entry goes. */
int backup_delete_finish(struct job_env *env, const char *job_id, struct err *err);

#endif
