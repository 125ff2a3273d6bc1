/* catalog/cat_backup_update.h - what may change in a backup job.       Layer 2. Blocking.
 * All answer ERR_NOT_FOUND "backup_not_found" when there is no such job. */
#ifndef SENDENSE_CATALOG_CAT_BACKUP_UPDATE_H
#define SENDENSE_CATALOG_CAT_BACKUP_UPDATE_H

#include "catalog/cat_backup_disk.h"
#include "catalog/catalog.h"

/* Compare-and-set between states that are not terminal: ERR_EXISTS "state_conflict" when
 * the job is not in @from. */
struct cat_transition {
    const char *from;
    const char *to;
    const char *phase;
    int64_t started_us; /* 0 = leave; the first value stays */
};
int cat_backup_set_state(struct catalog *c, const char *job_id,
                         const struct cat_transition *t, struct err *err);

/* Only while the job is not terminal: else ERR_EXISTS "state_conflict".  "cancelling"
 * stays whatever is set after it, here and by cat_backup_set_state(). */
int cat_backup_set_phase(struct catalog *c, const char *job_id, const char *phase,
                         struct err *err);

/* The outcome, once: ERR_EXISTS "state_conflict" when the job is terminal already, or,
 * with @from, not in that state.  The job's token dies with it. */
struct cat_finish {
    const char *from;  /* NULL = any state that is not terminal */
    const char *state; /* completed, failed, cancelled */
    const char *phase;
    int64_t completed_us;
    const char *error_code; /* NULL when completed */
    const char *error_phase;
    const int64_t *error_disk; /* NULL = not about one disk */
    const char *error_message;
    const char *point_id; /* completed only */
    const char *cleanup;  /* JSON text, NULL = none; backups only */
};
int cat_backup_finish(struct catalog *c, const char *job_id, const struct cat_finish *f,
                      struct err *err);

/* Of the backup and all its disks, in any state: verification goes on after completion.
 * The error of a completed backup (an import found it damaged) is over when it is
 * `verified`. */
struct cat_verification {
    const char *verification;
    const char *readback; /* NULL = not read back */
    int64_t verified_us;
};
int cat_backup_set_verification(struct catalog *c, const char *job_id,
                                const struct cat_verification *v, struct err *err);

/* Disk @d is `failed` from now on, and so is its backup; what its other disks are stays.
 */
int cat_backup_condemn_disk(struct catalog *c, struct cat_disk_ref d,
                            const char *readback, int64_t now_us, struct err *err);

/* Every disk of a completed backup that stands on @layer_id, whatever lies between, is
 * `failed` from now on, and so is its backup: @why is the error "parent_damaged" of that,
 * unless it has one already. */
int cat_backup_condemn_above(struct catalog *c, const char *layer_id, int64_t now_us,
                             const char *why, struct err *err);
/* What a merge made of it: its disks stand on something, or not any more. */
int cat_backup_set_type(struct catalog *c, const char *job_id, const char *backup_type,
                        struct err *err);

int cat_backup_set_targets(struct catalog *c, const char *job_id,
                           const char *nbd_targets_string, struct err *err);
int cat_backup_set_client(struct catalog *c, const char *job_id,
                          const char *client_identity, struct err *err);
/* The snapshot that the backup reads from is there. */
struct cat_snapshot {
    const char *ref;   /* the server's name of it */
    const char *chain; /* of which files it is made; NULL = not told */
    bool quiesced;
    const char *not_protected; /* JSON text */
};
int cat_backup_set_snapshot(struct catalog *c, const char *job_id,
                            const struct cat_snapshot *s, struct err *err);
/* It is there no more. */
int cat_backup_forget_snapshot(struct catalog *c, const char *job_id, struct err *err);
/* The moment that the point will show. */
int cat_backup_set_moment(struct catalog *c, const char *job_id, int64_t moment_us,
                          struct err *err);
/* The transfer was cut off, and why; the last one stays. */
struct cat_interruption {
    int64_t at_us;
    const char *code;
    const char *message;
};
int cat_backup_set_interruption(struct catalog *c, const char *job_id,
                                const struct cat_interruption *i, struct err *err);
/* A higher attempt with its token: ERR_EXISTS "state_conflict" when @attempt is not
 * higher. */
int cat_backup_set_attempt(struct catalog *c, const char *job_id, int64_t attempt,
                           const char *job_token_hash, struct err *err);

#endif
