/* copy/copy.h - the copy engine: all disks of one job, NBD to NBD.        Layer 2.
 * Blocking.
 *
 * Every disk is connected and checked (sizes, description, writable, flush) before the
 * first byte moves.  Then limits.disks_parallel disks at a time: an audit of the source's
 * allocation map, the copy with hashes, checkpoints (flush, then records to the hub), the
 * final push.
 *
 * Codes beside those of nbd_conn.h: size_mismatch, target_size_mismatch, target_mismatch,
 * target_read_only, target_no_flush (ERR_INVALID), manifest_root_mismatch (ERR_CORRUPT),
 * manifest_gap, manifest_conflict (ERR_EXISTS), hub_protocol (ERR_PROTOCOL),
 * hub_unavailable (ERR_UNAVAILABLE), manifest_io (by hand only).  Messages begin with
 * "disk KEY: ". */
#ifndef SENDENSE_COPY_COPY_H
#define SENDENSE_COPY_COPY_H

#include "base/err.h"
#include "copy/stop.h"
#include "model/jobevent.h"
#include "model/jobspec.h"

struct copy_opts {
    const struct job_spec *spec;
    struct copy_stop *stop; /* the caller may stop the job at any time */
    /* Called by several threads at once with everything but seq and time filled in:
     * phase, read_mode, progress, checkpoint, audit, warning, disk_done.  @ev lives for
     * the call. */
    void (*event)(void *arg, struct job_event *ev);
    void *event_arg;
    const char *manifest_dir; /* or NULL; DIR/KEY.manifest is made for each disk */
};

/* 0 when every disk is done.  Else the first error, which is also in copy_stop_get(). */
int copy_run(const struct copy_opts *opts, struct err *err);

#endif
