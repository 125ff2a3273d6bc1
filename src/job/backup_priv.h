/* job/backup_priv.h - one running backup; private to job/backup_*.c.        Layer 3. */
#ifndef SENDENSE_JOB_BACKUP_PRIV_H
#define SENDENSE_JOB_BACKUP_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/cat_backup.h"
#include "job/backup.h"
#include "job/backup_plan.h"
#include "job/chain.h"
#include "job/env.h"
#include "job/host_queue.h"
#include "job/joblog.h"
#include "job/live.h"
#include "job/manifest_in.h"
#include "job/node_client.h"
#include "model/jobevent.h"
#include "model/point.h"
#include "os/seal.h"
#include "store/export.h"
#include "store/repo.h"

struct bdisk {
    const struct cat_backup_disk *row; /* as planned; owned by the job's row */
    struct disk_plan plan;
    char *parent_locator;          /* NULL = a full */
    char *parent_change_id;        /* of the parent's snapshot; NULL = none */
    char *parent_file, *parent_on; /* its frozen_file and frozen_on; the same */
    uint64_t parent_stored; /* what the parent took when it was an incremental; else 0 */
    struct chain below;     /* what the layer stands on, base first; none = a full */
    struct export *export;  /* writer; NULL = none */
    uint16_t port;
    char export_name[NAMING_EXPORT_SIZE];
    /* journal entries, 0 = none */
    int64_t res_layer, res_manifest, res_port, res_export;
    struct cat_checkpoint at;  /* where another attempt goes on */
    bool unclean;              /* its last writer was killed, or died */
    struct byte_counters base; /* read, sent, … by the attempts before this one */
    /* what the client said */
    struct byte_counters bytes; /* of all attempts */
    bool done;
    bool in_snapshot; /* the snapshot holds it */
    char *change_id;  /* of the snapshot; NULL = none.  Counts once it is in the point */
    char *frozen_file, *frozen_on; /* the same */
    uint8_t client_root[MANIFEST_HASH_SIZE];
    enum read_mode read_mode;
    enum reason reason;
    bool has_audit;
    uint64_t audit_sampled, audit_bad; /* of all audits */
    /* what the hub found */
    uint8_t layer_root[MANIFEST_HASH_SIZE];
    uint8_t content_root[MANIFEST_HASH_SIZE];
    bool has_content_root;
    uint64_t records;
    uint64_t stored;
};

/* What a backup of a VM of a vCenter knows more. */
struct backup_vsphere {
    char *credential_id, *vm_ref, *instance_uuid;
    enum quiesce quiesce;
    json_t *not_protected;    /* array of {key, label, reason, message} */
    json_t *configuration;    /* NULL until the client told it */
    char *nvram;              /* base64; NULL = none */
    char *snapshot_chain;     /* of which files it is made; NULL = not told */
    char *snapshot_ref;       /* the server's name of the snapshot; NULL = none known */
    int64_t res_snapshot;     /* journal entry, 0 = none */
    bool held;                /* this attempt's client saw at its end that it still was */
    uint64_t renewed_ns;      /* when the lease was last renewed */
    char *host;               /* of credential and ESXi host; NULL = unknown */
    struct host_place *place; /* in the queue of that host */
};

/* Everything here belongs to the job's thread. */
struct backup_job {
    struct job_env *env;
    struct cat_backup row; /* with disks, as inserted */
    struct live_job *live;
    struct joblog *log;
    struct repo *repo;
    struct node_client *node;
    struct manifest_in *manifests;
    struct bdisk *disks;
    size_t n;
    struct spec_limits limits;
    char token[TOKEN_STR_SIZE]; /* wiped when the transfer ends */
    int64_t res_node_job;
    struct backup_vsphere *vsphere; /* NULL: the source is NBD */
    int64_t res_point;
    char *point_name; /* in the repository; NULL until it may exist */
    int64_t time_us;  /* the moment that the point shows */
    enum readback readback;
    enum verification verification;
    const char *phase;   /* literal; where the job is, for its error */
    bool anew;           /* what was transferred cannot be gone on with */
    bool node_lost;      /* it did not answer when the job was to end */
    bool stuck;          /* another attempt must not be made */
    int64_t bad_disk;    /* index of the disk that failed, -1 = not about one */
    unsigned n_warnings; /* told as events */
    bool committed;      /* the point is durable: the files are the repository's */
};

void backup_phase(struct backup_job *b, const char *phase);
struct bdisk *backup_disk(struct backup_job *b,
                          uint32_t key); /* NULL = not of this job */
char *backup_res_key(const struct backup_job *b, const char *name); /* "REPO:name" */

int backup_prepare(struct backup_job *b, struct err *err);
int backup_transfer(struct backup_job *b, struct err *err);
/* The same for a job whose hub ended in the transfer. */
int backup_transfer_again(struct backup_job *b, struct err *err);
int backup_stop_exports(struct backup_job *b, struct err *err);
int backup_seal(struct backup_job *b, struct err *err);
int backup_verify(struct backup_job *b, struct err *err);
int backup_commit(struct backup_job *b, struct err *err);

/* backup_prepare.c, the steps of one disk.  Each may be taken again once its journal
 * entry is released. */
int backup_load_parent(struct backup_job *b, struct bdisk *d, struct err *err);
int backup_make_layer(struct backup_job *b, struct bdisk *d, struct err *err);
int backup_make_manifest(struct backup_job *b, struct bdisk *d, struct err *err);
/* Of a disk that has one already, at @d->at. */
int backup_reopen_manifest(struct backup_job *b, struct bdisk *d, struct err *err);
int backup_make_export(struct backup_job *b, struct bdisk *d, struct err *err);
int backup_publish_targets(struct backup_job *b, struct err *err);

/* backup_events.c: one event of the client, its result as an error. */
int backup_event(struct backup_job *b, const struct job_event *e, struct err *err);

/* backup_again.c: what a job needs of its request, as text of its row. */
char *backup_limits_to_text(const struct spec_limits *l);
void backup_limits_from_text(const char *text,
                             struct spec_limits *ret); /* or unchanged */

/* backup_resume.c: between two attempts. */
bool backup_is_transient(const struct err *why);
bool backup_may_resume(struct backup_job *b, const struct err *why);
/* Takes @err, the reason, and makes everything ready for the next attempt. */
int backup_resume(struct backup_job *b, struct err *err);
/* Where the receiver of manifests stands, into job and catalog. */
int backup_keep_checkpoint(struct backup_job *b, struct bdisk *d, struct err *err);
/* The moment that the point will show. */
int backup_set_moment(struct backup_job *b, int64_t time_us, struct err *err);
/* Cancelled, or the hub stops: not one byte more, whatever node and client do. */
void backup_cut_off(struct backup_job *b);

/* backup_source.c: the VM as its source shows it now, before anything is made. */
struct backup_source {
    struct cat_vm vm;          /* refreshed */
    struct cat_vm_disk *disks; /* those that are backed up; they point into vm */
    size_t n_disks;
    char *not_protected; /* JSON text; NULL = the source knows no such thing */
    uint64_t allocated;  /* bytes that may hold data */
};
/* Takes over @vm; ret is to be given to backup_source_done() also after a failure. */
int backup_source_ask(struct job_env *env, struct cat_vm *vm, struct node_client **node,
                      struct backup_source *ret, struct err *err);
void backup_source_done(struct backup_source *s);
struct backup_vsphere *backup_vsphere_new(const struct cat_vm *vm, enum quiesce quiesce,
                                          const char *not_protected); /* NULL for NBD */
void backup_vsphere_free(struct backup_vsphere *v);

/* backup_snapshot.c: the snapshot of a job whose source has one; else they do nothing. */
int backup_snapshot_intend(struct backup_job *b, struct err *err);
int backup_snapshot_spec(const struct backup_job *b, struct job_spec *s, struct err *err);
/* EVENT_SNAPSHOT, EVENT_VM_CONFIG, EVENT_SNAPSHOT_REMOVED. */
int backup_snapshot_event(struct backup_job *b, const struct job_event *e,
                          struct err *err);
void backup_snapshot_renew(struct backup_job *b);
/* The client is gone: is its snapshot? */
void backup_snapshot_settle(struct backup_job *b);
/* The next attempt makes another one. */
void backup_snapshot_forget(struct backup_job *b);
void backup_warn(struct backup_job *b, const char *code, const char *message);
void backup_warn_not_protected(struct backup_job *b);
/* Looks for damage in the manifests below, and marks the backups that own it, so that the
 * next plan does not stand on them.  True when there is any. */
bool backup_condemn_parents(struct backup_job *b);

/* Removes all that the job made; keeps journal entries of what could not be removed.
 * Fills *ret_cleanup with JSON text {released[], left[]}; caller frees. */
void backup_undo(struct backup_job *b, char **ret_cleanup);

void backup_job_free(struct backup_job *b);

/* Bodies of the job's thread: of a new job, and of one whose hub ended. */
void *backup_thread(void *arg);
void *backup_thread_again(void *arg);

#endif
