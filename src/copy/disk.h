/* copy/disk.h - one disk of the job: what its coordinator and its workers share. Layer 2.
 * Internal to src/copy.
 *
 * The coordinator (one thread per disk) audits, makes the workers, takes checkpoints and
 * reports; workers share the cursor, the records and the counters and nothing else.  Lock
 * order: cursor, records; `lock` of the disk is never held together with another. */
#ifndef SENDENSE_COPY_DISK_H
#define SENDENSE_COPY_DISK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "copy/copy.h"
#include "copy/ahead.h"
#include "copy/cursor.h"
#include "copy/parent.h"
#include "copy/rate.h"
#include "copy/records.h"
#include "nbd/nbd_conn.h"
#include "nbd/nbd_slots.h"

struct copy_job;
struct copy_worker;

struct copy_counters { /* atomic, never fall; meaning: protocol.md section 4 */
    atomic_uint_fast64_t
        copied; /* of completed pieces; done = before + copied + skipped */
    atomic_uint_fast64_t read, sent, zero, skipped, audit;
};

struct copy_disk {
    /* fixed after the checks */
    const struct copy_opts *opts;
    const struct job_spec_disk *spec;
    struct copy_job *job;
    struct copy_rate *rate;
    struct nbd_conn *source, *target; /* the coordinator's, and the map's */
    uint32_t piece_bytes;
    bool use_map;
    int wake_fd; /* wakes the coordinator */
    /* fixed after the audit */
    enum read_mode mode;
    enum reason reason;
    struct copy_parent *parent; /* NULL for a full */
    const struct copy_changes *changes;
    struct delta_run *changed; /* whole blocks; with READ_CHANGED */
    size_t n_changed;
    /* fixed while workers run */
    struct copy_cursor *cursor;
    struct copy_ahead *ahead; /* NULL for a full */
    struct copy_records *records;
    struct copy_worker *workers;
    unsigned n_workers;
    /* the coordinator's own */
    uint64_t told_block; /* of the last checkpoint of this attempt */
    /* atomic */
    struct copy_counters bytes;
    atomic_uint
        flush_wanted; /* generation; each worker flushes its connection once for it */
    atomic_bool quit; /* workers with nothing in flight leave */
    /* under lock */
    pthread_mutex_t lock;
    unsigned flush_acks; /* of the newest generation */
};

/* Connects both sides and compares them with the spec. */
int copy_disk_connect(struct copy_disk *d, struct err *err);
/* Audit, copy, checkpoints, end.  All threads it starts are gone when it returns. */
int copy_disk_run(struct copy_disk *d, struct err *err);
void copy_disk_done(struct copy_disk *d);

/* audit.c: reads samples of what the map calls zero, or tracking unchanged.  *ret_bad =
 * blocks that are not; then a warning was told. */
int copy_audit_map(struct copy_disk *d, uint64_t *ret_bad, struct err *err);
int copy_audit_changes(struct copy_disk *d, uint64_t *ret_bad, struct err *err);

/* mode.c: how the disk is read.  Checks the spec; opens the parent; audits; tells it. */
int copy_mode_check(const struct copy_opts *o, const struct job_spec_disk *s,
                    struct err *err);
int copy_mode_settle(struct copy_disk *d, struct err *err);

/* worker.c */
int copy_workers_start(struct copy_disk *d, struct err *err);
void copy_workers_wake(struct copy_disk *d);
void copy_workers_join(struct copy_disk *d); /* after quit or stop; frees them */

/* job.c */
void copy_job_phase(struct copy_job *job, enum job_phase phase); /* only forward */
void copy_emit(const struct copy_disk *d, struct job_event *ev); /* adds the disk */

void copy_disk_wake(struct copy_disk *d); /* thread-safe */
struct byte_counters copy_disk_bytes(const struct copy_disk *d);

#endif
