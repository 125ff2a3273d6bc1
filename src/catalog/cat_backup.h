/* catalog/cat_backup.h - table backup_jobs.                            Layer 2. Blocking.
 * States: pending, running, completed, failed, cancelled; the last three are terminal and
 * never change again.  A completed row exists only after its point is durable in the
 * repository. */
#ifndef SENDENSE_CATALOG_CAT_BACKUP_H
#define SENDENSE_CATALOG_CAT_BACKUP_H

#include "catalog/cat_backup_disk.h"
#include "catalog/catalog.h"

struct cat_backup {
    const char *job_id;    /* UUID */
    const char *backup_id; /* unique, what users see */
    const char *vm_id;
    const char *vm_name; /* at that time */
    const char *repository_id;
    const char *node_id; /* NULL = none */
    const char *backup_type;
    const char *state;
    const char *current_phase;
    const char *verification;
    const char *readback; /* NULL = not read back */
    int64_t verified_us;
    int64_t seq; /* unique in (vm, repository) */
    int64_t attempt;
    const char *point_id; /* NULL until committed */
    const char *requested_by;
    const char *job_token_hash; /* NULL once the job is over */
    int64_t created_us;
    int64_t started_us;
    int64_t completed_us;
    const char
        *error_code; /* NULL = no error; then the other error fields mean nothing */
    const char *error_phase;
    int64_t error_disk; /* disk index, -1 = not about one disk */
    const char *error_message;
    const char *nbd_targets_string; /* NULL until the exports are up */
    const char *client_identity;    /* NULL until the node told it */
    const char *cleanup; /* JSON text {released[], left[]} of a failed job, NULL = none */
    /* vsphere only, else NULL */
    const char *snapshot_name;
    const char *quiesced;      /* "yes", "no"; NULL: no snapshot was taken */
    const char *not_protected; /* JSON text: disks of the VM that are not in the backup */
    const char *quiesce;       /* as it was asked for */
    const char *snapshot_ref;  /* the server's name of it; NULL: not made, or gone */
    const char *snapshot_chain; /* of which files it is made; NULL = not told */
    /* what another attempt needs */
    int64_t retries;       /* attempts after the first that may be made */
    int64_t retry_delay_s; /* before the second one; doubled for each one after it */
    const char *limits;    /* JSON text; NULL = those of the hub */
    int64_t moment_us;     /* that the point will show; 0 = not known yet */
    /* why the transfer was last cut off */
    int64_t interrupted_us; /* 0 = never; then the others mean nothing */
    const char *interrupted_code;
    const char *interrupted_message;
    struct cat_backup_disk *disks; /* sorted by disk_index */
    size_t n_disks;
};

struct cat_backups {
    struct cat_backup *v;
    size_t n;
    bool more;
};

void cat_backup_done(struct cat_backup *b);
void cat_backups_done(struct cat_backups *l);

/* Job and disks, all or nothing, every field as given (a rebuild inserts finished ones).
 * ERR_EXISTS "backup_exists" (id, point or sequence is taken), ERR_NOT_FOUND
 * "backup_reference" (VM, repository or node unknown). */
int cat_backup_insert(struct catalog *c, const struct cat_backup *b, struct err *err);

/* With disks.  ERR_NOT_FOUND "backup_not_found". */
int cat_backup_get(struct catalog *c, const char *backup_id, struct cat_backup *ret,
                   struct err *err);
int cat_backup_get_by_job(struct catalog *c, const char *job_id, struct cat_backup *ret,
                          struct err *err);

/* NULL = any. */
struct cat_backup_filter {
    const char *vm_id;
    const char *vm_name;
    const char *repository_id;
    const char *state;
};
/* With disks, newest first by (created_us, job_id): page->after_us, after_id = job_id. */
int cat_backup_list(struct catalog *c, const struct cat_backup_filter *f,
                    const struct cat_page *page, struct cat_backups *ret,
                    struct err *err);
/* Every job that is pending or running, oldest first, with disks. */
int cat_backup_list_open(struct catalog *c, struct cat_backups *ret, struct err *err);

/* The completed backup of the highest seq; ERR_NOT_FOUND "backup_not_found". */
int cat_backup_last_completed(struct catalog *c, const char *vm_id,
                              const char *repository_id, struct cat_backup *ret,
                              struct err *err);
/* Whatever its state; ERR_NOT_FOUND "backup_not_found". */
int cat_backup_by_seq(struct catalog *c, const char *vm_id, const char *repository_id,
                      int64_t seq, struct cat_backup *ret, struct err *err);
/* 0 when there is none. */
int cat_backup_max_seq(struct catalog *c, const char *vm_id, const char *repository_id,
                       int64_t *ret, struct err *err);

/* The backup_id of a completed, pending or running backup that has a layer on top of one
 * of this job's; *ret NULL when there is none; owned by the caller. */
int cat_backup_child(struct catalog *c, const char *job_id, char **ret, struct err *err);

/* Every completed, pending or running backup that has a layer above one of this job's,
 * directly or through others; with disks, by seq. */
int cat_backup_above(struct catalog *c, const char *job_id, struct cat_backups *ret,
                     struct err *err);

/* Removes job and disks.  ERR_EXISTS "backup_has_children", "backup_in_use" (it runs, or
 * a restore or verification of it does); ERR_NOT_FOUND. */
int cat_backup_delete(struct catalog *c, const char *job_id, struct err *err);

#endif
