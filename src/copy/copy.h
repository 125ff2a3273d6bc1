/* copy/copy.h - the copy engine: all disks of one job, NBD to NBD.        Layer 2.
 * Blocking.
 *
 * How a disk is read is in its spec (read, reason), as the caller has refined it: `all`
 * for a full; `changed` and `compare` for a layer on a parent, whose blocks the hub tells
 * (protocol.md section 5).  Then a block is written and recorded only where it differs,
 * and zeroes hide what the parent holds.  A disk whose change tracking is caught lying by
 * the audit goes on as `compare` (audit_mismatch).
 *
 * Every disk is connected and checked (sizes, description, writable, flush) before the
 * first byte moves.  Then limits.disks_parallel disks at a time: an audit of what will
 * not be read, the copy with hashes, checkpoints (flush, then records to the hub), the
 * final push.  A disk with a resume checkpoint starts there, and is not audited again.
 *
 * Codes beside those of nbd_conn.h: size_mismatch, target_size_mismatch, target_mismatch,
 * target_read_only, target_no_flush, target_no_zero, read_mode (ERR_INVALID),
 * changed_areas (ERR_PROTOCOL), manifest_root_mismatch (ERR_CORRUPT),
 * manifest_gap, manifest_conflict (ERR_EXISTS), hub_protocol (ERR_PROTOCOL),
 * hub_unavailable (ERR_UNAVAILABLE), manifest_io (by hand only).  Messages begin with
 * "disk KEY: ". */
#ifndef SENDENSE_COPY_COPY_H
#define SENDENSE_COPY_COPY_H

#include "base/err.h"
#include "copy/stop.h"
#include "model/delta.h"
#include "model/jobevent.h"
#include "model/jobspec.h"

/* What changed on one disk since its parent, and where each answer of the server ended
 * (bytes; may be none): beside those the audit looks. */
struct copy_changes {
    uint32_t key;
    const struct delta_area *areas; /* ascending, disjoint, within the disk */
    size_t n;
    const uint64_t *page_ends;
    size_t n_page_ends;
};

struct copy_opts {
    const struct job_spec *spec;
    const struct copy_changes *changes; /* one for each disk with read `changed` */
    size_t n_changes;
    struct copy_stop *stop; /* the caller may stop the job at any time */
    /* Called by several threads at once with everything but seq and time filled in:
     * phase, read_mode, progress, checkpoint, audit, warning, disk_done.  @ev lives for
     * the call. */
    void (*event)(void *arg, struct job_event *ev);
    void *event_arg;
    /* A source may try again for a while what fails: how long its connections may be
     * silent; 0 = io_s of the spec.  The target's keep that. */
    unsigned source_io_s;
    unsigned checkpoint_ms;   /* between checkpoints; 0 = 5 s */
    const char *manifest_dir; /* or NULL; DIR/KEY.manifest is made for each disk */
};

/* 0 when every disk is done.  Else the first error, which is also in copy_stop_get(). */
int copy_run(const struct copy_opts *opts, struct err *err);

/* How long a connection to the source (else: to the target) may be silent. */
unsigned copy_io_s(const struct copy_opts *opts, bool source);

#endif
