/* model/jobevent.h - what a client or worker tells its parent, a line each.  Layer 1.
 * Pure. docs/design/protocol.md section 4.  Decoding is strict (ERR_INVALID, codes as in
 * jobspec.h). */
#ifndef SENDENSE_MODEL_JOBEVENT_H
#define SENDENSE_MODEL_JOBEVENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "model/jobstate.h"
#include "model/manifest.h"

#define EVENT_LINE_MAX (4u * 1024 * 1024)
#define EVENT_CODE_MAX 47u
#define EVENT_MESSAGE_MAX 4096u /* bytes; the encoder cuts longer ones at a character */
#define EVENT_BAD_RANGES_MAX 100u
#define EVENT_NVRAM_MAX (1536u * 1024) /* base64 of 1 MiB, and some room */
#define EVENT_DISKS_MAX 512u           /* of a snapshot */

#define EVENT_TYPE_LIST(X)                                                               \
    X(EVENT_HELLO, "hello")                                                              \
    X(EVENT_PHASE, "phase")                                                              \
    X(EVENT_SNAPSHOT, "snapshot")                                                        \
    X(EVENT_VM_CONFIG, "vm_config")                                                      \
    X(EVENT_SNAPSHOT_HELD, "snapshot_held")                                              \
    X(EVENT_SNAPSHOT_REMOVED, "snapshot_removed")                                        \
    X(EVENT_READ_MODE, "read_mode")                                                      \
    X(EVENT_PROGRESS, "progress")                                                        \
    X(EVENT_CHECKPOINT, "checkpoint")                                                    \
    X(EVENT_AUDIT, "audit")                                                              \
    X(EVENT_WARNING, "warning")                                                          \
    X(EVENT_BAD_RANGE, "bad_range")                                                      \
    X(EVENT_DISK_DONE, "disk_done")                                                      \
    X(EVENT_RESULT, "result")

#define JOB_PHASE_LIST(X)                                                                \
    X(PHASE_NONE, "none")                                                                \
    X(PHASE_CONNECTING, "connecting")                                                    \
    X(PHASE_PREPARING, "preparing")       /* logged in; the VM is looked at */           \
    X(PHASE_SNAPSHOTTING, "snapshotting") /* from here on a snapshot may exist */        \
    X(PHASE_REMOVING_SNAPSHOT, "removing_snapshot")                                      \
    X(PHASE_TRANSFERRING, "transferring")                                                \
    X(PHASE_AUDITING, "auditing")                                                        \
    X(PHASE_FINALIZING, "finalizing")                                                    \
    X(PHASE_VERIFYING, "verifying")                                                      \
    X(PHASE_RESTORING, "restoring")

#define BAD_RANGE_LIST(X)                                                                \
    X(BAD_MISMATCH, "mismatch")                                                          \
    X(BAD_MISSING, "missing")                                                            \
    X(BAD_STRAY, "stray")                                                                \
    X(BAD_READ_ERROR, "read_error")                                                      \
    X(BAD_MANIFEST, "manifest")

#define RESULT_LIST(X)                                                                   \
    X(RESULT_OK, "ok")                                                                   \
    X(RESULT_FAILED, "failed")                                                           \
    X(RESULT_CANCELLED, "cancelled")

enum event_type { EVENT_TYPE_LIST(JOBSTATE_ENUM_ITEM) EVENT_TYPE_COUNT };
enum job_phase { JOB_PHASE_LIST(JOBSTATE_ENUM_ITEM) JOB_PHASE_COUNT };
enum bad_range { BAD_RANGE_LIST(JOBSTATE_ENUM_ITEM) BAD_RANGE_COUNT };
enum job_result { RESULT_LIST(JOBSTATE_ENUM_ITEM) RESULT_COUNT };

const char *event_type_to_str(enum event_type v);
int event_type_from_str(const char *s, enum event_type *ret);
const char *job_phase_to_str(enum job_phase v);
int job_phase_from_str(const char *s, enum job_phase *ret);
const char *bad_range_to_str(enum bad_range v);
int bad_range_from_str(const char *s, enum bad_range *ret);
const char *job_result_to_str(enum job_result v);
int job_result_from_str(const char *s, enum job_result *ret);

struct byte_counters { /* meaning: protocol.md section 4 */
    uint64_t total, done, read, sent, zero, skipped, audit;
};

/* What a snapshot holds, and what it cannot hold.  Texts are never NULL but change_id. */
struct event_snapshot {
    char *ref, *name;
    char *stands_on; /* the snapshot that the VM ran on when it was taken; "" = none */
    char *chain;     /* of which files it is made, as a hash; or NULL */
    bool quiesced;
    struct event_snapshot_disk {
        uint32_t key;
        char *uuid; /* "" = the server gives none */
        uint64_t size_bytes;
        char *change_id; /* NULL = changes are not tracked */
        char *file;
    } * disks;
    size_t n_disks; /* keys differ */
    struct event_not_protected {
        uint32_t key;
        char *label, *reason /* a word */, *message;
    } * not_protected;
    size_t n_not_protected; /* keys differ */
};

/* Only the members of its type mean something; the others are zero. */
struct job_event {
    enum event_type type;
    uint64_t seq; /* from 1 */
    int64_t time_us;
    bool has_disk; /* always for types about a disk; optional for warning and result */
    uint32_t disk;
    char *program, *version, *commit, *build_id; /* hello */
    char job_id[UUID_STR_SIZE];                  /* hello */
    uint32_t attempt;                            /* hello */
    uint32_t pid;                                /* hello */
    enum job_phase phase;                        /* phase, result (PHASE_NONE = null) */
    enum read_mode mode;                         /* read_mode */
    enum reason reason;                          /* read_mode */
    struct byte_counters bytes; /* progress, disk_done; checkpoint: done only */
    uint64_t checkpoint;        /* checkpoint: n, from 1 */
    uint64_t records;           /* checkpoint, disk_done */
    uint64_t sampled, bad;      /* audit */
    char *code;                 /* warning, result (NULL when ok) */
    char *message;              /* warning, result; never NULL there */
    uint64_t offset, length;    /* bad_range */
    enum bad_range bad_reason;  /* bad_range */
    uint8_t layer_root[MANIFEST_HASH_SIZE]; /* disk_done */
    bool has_content_root;                  /* disk_done */
    uint8_t content_root[MANIFEST_HASH_SIZE];
    uint64_t manifest_bytes; /* disk_done of a worker: read of manifests so far, of all
                              * disks; 0 = not told */
    enum job_result status;  /* result */
    bool retryable;          /* result */
    struct event_snapshot *snapshot; /* snapshot */
    json_t *configuration;           /* vm_config: an object, owned */
    char *nvram;                     /* vm_config: base64; NULL = none */
    char *ref; /* snapshot_held; snapshot_removed: "" = its making was not seen */
    bool consolidation_needed; /* snapshot_removed */
};
#define CLEANUP_JOB_EVENT CLEANUP(job_event_done)

int job_event_decode(const json_t *j, struct job_event *ret, struct err *err);
json_t *job_event_encode(const struct job_event *e); /* caller decrefs */
void job_event_done(struct job_event *e);            /* frees members, zeroes */
void event_snapshot_free(struct event_snapshot *s);  /* NULL ok */

/* Checks that the lines of one program make one story.  Every breach is ERR_PROTOCOL
 * "client_protocol" (a worker's parent recodes it).  Of the events of a snapshot each
 * comes once at most: `snapshot` and `snapshot_removed` after the phase `snapshotting`,
 * `vm_config` after `snapshot`; not checked in a stream that goes on after an event. */
struct event_stream {
    char job_id[UUID_STR_SIZE]; /* expected in hello; "" = any */
    uint32_t attempt;
    uint64_t last_seq;
    bool may_skip; /* pulled from a node: seq rises but may skip; a result may come before
                      hello */
    bool ended;    /* the result was seen */
    bool from_start; /* so it is known what came before */
    bool snapshotting, has_snapshot, has_vm_config, has_removed;
};
void event_stream_init(struct event_stream *s, const char *job_id, uint32_t attempt,
                       uint64_t last_seq, bool may_skip);
/* Takes one decoded event. */
int event_stream_check(struct event_stream *s, const struct job_event *e,
                       struct err *err);
/* One line without or with its newline: limit, JSON, event, order.  *ret owned by the
 * caller. */
int event_stream_line(struct event_stream *s, const char *line, size_t n,
                      struct job_event *ret, struct err *err);
/* At end of file: ERR_PROTOCOL when no result came. */
int event_stream_end(const struct event_stream *s, struct err *err);

#endif
