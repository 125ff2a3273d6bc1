/* model/jobspec.h - what the hub asks of a client or a worker.            Layer 1.  Pure.
 * docs/design/protocol.md section 3.  Decoding is strict: unknown members
 * ("unknown_field"), wrong types and broken limits ("invalid_field") and other versions
 * ("unsupported_version") are ERR_INVALID.  A decoded spec obeys every limit named here.
 * UUIDs are strings, "" = null. */
#ifndef SENDENSE_MODEL_JOBSPEC_H
#define SENDENSE_MODEL_JOBSPEC_H

#include <jansson.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "base/text.h"
#include "model/jobstate.h"
#include "model/manifest.h"
#include "model/vsphere_login.h"

#define SPEC_VERSION 1
#define SPEC_LINE_MAX (4u * 1024 * 1024)
#define SPEC_DISKS_MAX 256u
#define SPEC_LAYERS_MAX 4096u
#define SPEC_PATH_MAX 4095u
#define SPEC_CHANGE_ID_MAX 255u
#define SPEC_CHAIN_MAX 64u
#define SPEC_TOKEN_MAX 255u
#define SPEC_INSTANCE_UUID_MAX 64u /* a vCenter's word for a VM */
#define SPEC_SOURCE_UUID_MAX 255u
#define SPEC_PARENT_FILE_MAX 1024u
#define SPEC_AUDIT_SAMPLES_MAX 1048576u
#define SPEC_REQUEST_BYTES_MAX 33554432u

struct spec_limits {
    uint32_t disks_parallel;   /* 1..64 */
    uint32_t connections;      /* 1..8 per disk and side */
    uint32_t requests;         /* 1..64 per connection */
    uint32_t request_bytes;    /* 65,536..33,554,432, a multiple of 65,536 */
    uint64_t rate_bytes_per_s; /* of the whole job; 0 = unlimited */
};
extern const struct spec_limits spec_limits_default;

struct spec_deadlines {
    uint32_t connect_s; /* 1..3600 */
    uint32_t io_s;      /* 1..86400 */
};
extern const struct spec_deadlines spec_deadlines_default;

/* How far an earlier attempt came: all blocks below @block were dealt with, and the hub
 * holds the first @records of the manifest.  @block 0 = from the start. */
struct resume_checkpoint {
    uint64_t block;   /* 0..manifest_blocks(size_bytes) */
    uint64_t records; /* 0..block */
};

struct job_spec_disk {
    uint32_t key;
    char disk_uuid[UUID_STR_SIZE];
    uint64_t size_bytes;
    char *source_url;  /* nbd; vsphere: NULL on the wire, set by the client */
    char *source_uuid; /* vsphere: what the plan knows of the disk, or NULL; nbd: NULL */
    char *target;
    char *target_description; /* NULL = not checked */
    enum read_mode read;      /* READ_ALL without a parent */
    enum reason reason;
    char *change_id; /* or NULL */
    /* vsphere, with a change_id: what the parent's snapshot showed of the disk's history
       (point.h: frozen_file, frozen_on); or NULL */
    char *parent_file, *parent_on;
    char layer_id[UUID_STR_SIZE];
    char parent_layer_id[UUID_STR_SIZE];
    struct resume_checkpoint resume; /* of attempts after the first, and with a hub */
};

#define QUIESCE_LIST(X)                                                                  \
    X(QUIESCE_TRY, "try")         /* a guest that cannot be: without, with a warning */  \
    X(QUIESCE_REQUIRE, "require") /* then the job fails */                               \
    X(QUIESCE_OFF, "off")
enum quiesce { QUIESCE_LIST(JOBSTATE_ENUM_ITEM) QUIESCE_COUNT };
const char *quiesce_to_str(enum quiesce v);
int quiesce_from_str(const char *s, enum quiesce *ret);

/* A source of type "vsphere": how its disks are reached. */
struct job_vsphere {
    struct vsphere_login login;
    char *transport; /* "https" */
    enum quiesce quiesce;
    uint32_t connections; /* 1..16, per disk to the datastore */
};

/* The snapshot that is made for the job, and removed after it. */
struct job_snapshot {
    char *name; /* VSPHERE_SNAPSHOT_PREFIX and more */
    char *description;
    /* The server's name of the one that an earlier attempt made, or NULL: to be made. */
    char *existing_ref;
    char *existing_chain; /* what it was made of then (event "snapshot"), or NULL */
    uint32_t lease_s;     /* VSPHERE_LEASE_MIN_S..VSPHERE_LEASE_MAX_S */
};

struct job_spec {
    char job_id[UUID_STR_SIZE];
    uint32_t attempt;                                  /* from 1 */
    char *vm_ref;                                      /* may be "" */
    char vm_instance_uuid[SPEC_INSTANCE_UUID_MAX + 1]; /* nbd: a UUID; vsphere: any */
    char *vm_name;
    char *source_type;             /* "nbd" or "vsphere" */
    struct job_vsphere *vsphere;   /* of type "vsphere", else NULL */
    struct job_snapshot *snapshot; /* the same */
    struct job_spec_disk *disks;
    size_t
        n_disks; /* 1..SPEC_DISKS_MAX; keys, disk uuids, layer ids and targets differ */
    struct spec_limits limits;
    uint32_t audit_samples;
    uint64_t audit_seed;      /* < 2^63 */
    char *hub_url;            /* NULL: no hub, no manifests are pushed */
    struct secret *job_token; /* NULL exactly when hub_url is */
    struct spec_deadlines deadlines;
};
#define CLEANUP_JOB_SPEC CLEANUP(job_spec_done)

int job_spec_decode(const json_t *j, struct job_spec *ret, struct err *err);
/* One line, with or without its newline; ERR_LIMIT "line_too_long" over SPEC_LINE_MAX. */
int job_spec_decode_line(const char *line, size_t n, struct job_spec *ret,
                         struct err *err);
json_t *job_spec_encode(const struct job_spec *s); /* caller decrefs */
void job_spec_done(struct job_spec *s);
/* By key; NULL when there is none. */
const struct job_spec_disk *job_spec_find(const struct job_spec *s, uint32_t key);

#define WORKER_TASK_LIST(X)                                                              \
    X(WORKER_VERIFY, "verify")                                                           \
    X(WORKER_RESTORE, "restore")                                                         \
    X(WORKER_COMPARE, "compare")
enum worker_task { WORKER_TASK_LIST(JOBSTATE_ENUM_ITEM) WORKER_TASK_COUNT };
const char *worker_task_to_str(enum worker_task v);
int worker_task_from_str(const char *s, enum worker_task *ret);

struct worker_spec_layer {
    char *manifest; /* absolute path */
    char layer_id[UUID_STR_SIZE];
    uint8_t layer_root[MANIFEST_HASH_SIZE];
};

struct worker_spec_disk {
    uint32_t key;
    char disk_uuid[UUID_STR_SIZE];
    uint64_t size_bytes;
    char *source;                     /* NBD URI of the export of the chain */
    struct worker_spec_layer *layers; /* base first, tip last */
    size_t n_layers;                  /* 1..SPEC_LAYERS_MAX; ids differ */
    bool has_content_root;
    uint8_t content_root[MANIFEST_HASH_SIZE];
    /* verify, of a backup that is being made: group digests (docs/design/repository.md
     * 3.1).  With those of the parent only what the tip touched is read below it. */
    char *roots;        /* where to leave the tip's; NULL = nowhere */
    char *parent_roots; /* NULL = everything is read */
    uint8_t parent_content_root[MANIFEST_HASH_SIZE]; /* with parent_roots */
    char *target;                                    /* restore: NBD URI; else NULL */
    bool resume; /* restore: what the target holds already is compared first */
    char *delta; /* verify: a manifest; of the tip's data only the blocks that it records
                    are read.  NULL = all */
};

struct worker_spec {
    char job_id[UUID_STR_SIZE];
    uint32_t attempt;
    enum worker_task task;
    bool salvage; /* not for verify: damage is told and is no failure */
    struct worker_spec_disk *disks;
    size_t n_disks;
    struct spec_limits limits;
    struct spec_deadlines deadlines;
};
#define CLEANUP_WORKER_SPEC CLEANUP(worker_spec_done)

int worker_spec_decode(const json_t *j, struct worker_spec *ret, struct err *err);
int worker_spec_decode_line(const char *line, size_t n, struct worker_spec *ret,
                            struct err *err);
json_t *worker_spec_encode(const struct worker_spec *s);
void worker_spec_done(struct worker_spec *s);

/* Any later line on stdin.  0 when it is the cancel message, the only one there is. */
#define SPEC_CANCEL_LINE "{\"type\":\"cancel\"}\n"
int spec_cancel_decode(const char *line, size_t n, struct err *err);

#endif
