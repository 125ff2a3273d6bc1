/* catalog/cat_backup_disk.h - table backup_disks: one disk of one backup job.  Layer 2.
 * Blocking. Rows are born with their job (cat_backup_insert) and die with it. */
#ifndef SENDENSE_CATALOG_CAT_BACKUP_DISK_H
#define SENDENSE_CATALOG_CAT_BACKUP_DISK_H

#include "catalog/catalog.h"

struct cat_disk_bytes {
    uint64_t read, sent, zero, skipped, audit, stored;
};

struct cat_backup_disk {
    const char *job_id; /* insert fills it in from the job */
    int64_t disk_index; /* 0, 1, ...: the disk_id of the API */
    int64_t device_key;
    const char *disk_uuid;
    uint64_t size_bytes; /* true size, not rounded */
    const char *label;
    const char *source_url;
    const char *backup_type;
    const char *read_mode;
    const char *reason;
    const char *locator;
    const char *layer_id;
    const char *parent_layer_id; /* NULL = a full */
    const char *layer_root;      /* NULL until the manifest is sealed */
    const char *content_root;    /* NULL until known */
    int64_t records;
    const char *change_id;
    int64_t nbd_port; /* 0 = none */
    const char *nbd_export_name;
    int64_t qemu_nbd_pid; /* 0 = none */
    const char *state;
    const char *error_message;
    struct cat_disk_bytes bytes;
    int64_t checkpoint;
    const char *source_uuid; /* of the platform; NULL = none */
    const char *datastore;   /* where the disk was then; NULL = unknown */
    int64_t audit_sampled;   /* by the last audits; -1 = none was made, or unknown */
    int64_t audit_bad;       /* found by them; -1 the same */
    const char *frozen_file; /* the file of the disk that was read; NULL = unknown */
    const char *frozen_on;   /* the snapshot that it was made on; NULL = none */
    /* Where another attempt goes on: durable in layer and manifest. */
    uint64_t checkpoint_block;   /* all before it is dealt with */
    uint64_t checkpoint_records; /* of the manifest */
    /* As the backup's, of this disk alone: `failed` = it, or what it stands on, is
     * damaged.  NULL when inserted: as the backup's. */
    const char *verification;
};

void cat_backup_disk_done(struct cat_backup_disk *d);

/* Which disk: every setter answers ERR_NOT_FOUND "disk_not_found" when there is no such
 * row. */
struct cat_disk_ref {
    const char *job_id;
    int64_t disk_index;
};

/* How it is read, when it differs from the plan (a fall-back to a whole read). */
int cat_backup_disk_set_read(struct catalog *c, struct cat_disk_ref d,
                             const char *read_mode, const char *reason, struct err *err);

/* @name NULL and zeroes: the export is gone. */
struct cat_disk_export {
    int64_t port;
    const char *name;
    int64_t pid;
};
int cat_backup_disk_set_export(struct catalog *c, struct cat_disk_ref d,
                               const struct cat_disk_export *e, struct err *err);

int cat_backup_disk_set_state(struct catalog *c, struct cat_disk_ref d, const char *state,
                              const char *error_message, struct err *err);

/* Counters and the number of the last durable checkpoint. */
int cat_backup_disk_set_progress(struct catalog *c, struct cat_disk_ref d,
                                 const struct cat_disk_bytes *bytes, int64_t checkpoint,
                                 struct err *err);

/* Only of what is durable in the layer and in the manifest's file. */
struct cat_checkpoint {
    uint64_t block, records;
};
int cat_backup_disk_set_checkpoint(struct catalog *c, struct cat_disk_ref d,
                                   const struct cat_checkpoint *at, struct err *err);

struct cat_disk_result {
    const char *layer_root;
    const char *content_root;
    int64_t records;
    const char *change_id;   /* NULL = none */
    const char *frozen_file; /* the same */
    const char *frozen_on;   /* the same */
};
int cat_backup_disk_set_result(struct catalog *c, struct cat_disk_ref d,
                               const struct cat_disk_result *r, struct err *err);

/* The layer took in the one below it. */
struct cat_disk_merge {
    const char *parent_layer_id; /* what it stands on now; NULL = a full */
    const char *backup_type;
    const char *layer_root;
    int64_t records;
    uint64_t bytes_stored;
};
int cat_backup_disk_set_merged(struct catalog *c, struct cat_disk_ref d,
                               const struct cat_disk_merge *m, struct err *err);

/* Of this disk alone: the backup's is the caller's (catalog/cat_backup_update.h). */
int cat_backup_disk_set_verification(struct catalog *c, struct cat_disk_ref d,
                                     const char *verification, struct err *err);

/* One more audit.  After one that found something both are added up; after one that did
 * not (of an attempt that was begun anew) the new one counts alone. */
int cat_backup_disk_set_audit(struct catalog *c, struct cat_disk_ref d, int64_t sampled,
                              int64_t bad, struct err *err);

/* The tip of a disk's chain: its row in the newest completed backup of this repository
 * that has the disk.  ERR_NOT_FOUND "layer_not_found". */
int cat_backup_disk_tip(struct catalog *c, const char *disk_uuid,
                        const char *repository_id, struct cat_backup_disk *ret,
                        struct err *err);

/* A layer and all below it, as far as they are known. */
struct cat_chain {
    int64_t layers; /* 0 = the layer is unknown */
    uint64_t bytes_stored;
    bool whole; /* down to a full */
};
int cat_backup_disk_chain(struct catalog *c, const char *layer_id, struct cat_chain *ret,
                          struct err *err);

/* The disk of a *completed* backup whose layer is @layer_id.  ERR_NOT_FOUND
 * "layer_not_found". */
int cat_backup_disk_by_layer(struct catalog *c, const char *layer_id,
                             struct cat_backup_disk *ret, struct err *err);

#endif
