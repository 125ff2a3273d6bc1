/* model/point.h - points/NNNNNN.json, the restore point of a VM.          Layer 1.  Pure.
 * docs/design/repository.md section 4.  A reader ignores unknown members (the file is
 * never written again, so they are kept) and refuses another format or an unknown
 * incompat word. */
#ifndef SENDENSE_MODEL_POINT_H
#define SENDENSE_MODEL_POINT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/jobstate.h"
#include "model/manifest.h"
#include "model/naming.h"

#define POINT_FORMAT 1
#define POINT_FILE_MAX (16u * 1024 * 1024)
#define POINT_DISKS_MAX 256u
#define POINT_NVRAM_MAX (1536u * 1024) /* base64 text of 1 MiB, and some room */
#define POINT_ID_MAX 255u              /* backup ids, change ids, source types */
#define POINT_FROZEN_FILE_MAX 1024u

struct point_bytes {
    uint64_t read, sent, zero, skipped, audit, stored;
};

struct point_disk {
    uint32_t key;
    uint32_t index; /* 0.. in the order of the VM */
    char disk_uuid[UUID_STR_SIZE];
    char *label;      /* may be "" */
    char *source_url; /* may be "" */
    uint64_t size_bytes;
    char locator[NAMING_LOCATOR_SIZE]; /* agrees with vm_uuid, disk_uuid and seq */
    char layer_id[UUID_STR_SIZE];
    char parent_layer_id[UUID_STR_SIZE]; /* "" = null: a full */
    uint8_t layer_root[MANIFEST_HASH_SIZE];
    uint8_t content_root[MANIFEST_HASH_SIZE];
    uint64_t records;
    char *change_id;   /* or NULL */
    char *source_uuid; /* the platform's identity of the disk; or NULL */
    char *datastore;   /* where it was then, as the platform says it; or NULL */
    char *frozen_file; /* the file that was read then, and that the VM went on writing to
                          once the snapshot was gone; or NULL */
    char *frozen_on;   /* the snapshot that this file was made on; or NULL: none */
    bool has_audit;    /* what the source said was audited */
    uint64_t audit_sampled, audit_bad;
    enum read_mode read_mode;
    enum reason reason;
    struct point_bytes bytes;
};

struct point {
    char point_id[UUID_STR_SIZE];
    uint32_t seq;    /* 1..NAMING_SEQ_MAX */
    int64_t time_us; /* the moment that the point shows */
    char *backup_id;
    char job_id[UUID_STR_SIZE];
    enum backup_type type;
    int64_t created_us, started_us, completed_us;
    enum verification verification; /* pending, sampled or verified */
    enum readback readback;         /* READBACK_NONE (null) only while pending */
    char vm_uuid[UUID_STR_SIZE];
    char *vm_name;
    char *source_type;
    char *instance_uuid;   /* the platform's identity of the VM; or NULL */
    json_t *configuration; /* object or NULL; owned */
    char *nvram;           /* base64 or NULL */
    struct point_disk *disks;
    size_t n_disks;        /* 1..POINT_DISKS_MAX; keys, uuids, layer ids differ */
    json_t *not_protected; /* array or NULL (= empty); owned */
};
#define CLEANUP_POINT CLEANUP(point_done)

/* ERR_CORRUPT "point_corrupt"; a format or incompat word that we do not know, or a point
 * with encryption or compression: ERR_CORRUPT "point_unsupported". */
int point_decode(const json_t *j, struct point *ret, struct err *err);
int point_decode_text(const char *text, size_t n, struct point *ret, struct err *err);
json_t *point_encode(const struct point *p); /* caller decrefs */
void point_done(struct point *p);
/* The disk whose layer is @locator; NULL = none. */
const struct point_disk *point_find_disk(const struct point *p, const char *locator);

#endif
