/* worker/disk.h - one task: every disk of the spec, some at a time.         Layer 5.
 * Blocking. */
#ifndef SENDENSE_WORKER_DISK_H
#define SENDENSE_WORKER_DISK_H

#include "base/err.h"
#include "copy/output.h"
#include "copy/stop.h"
#include "model/jobspec.h"

/* 0 when every disk is as its manifests say (and, for a restore, written).  Damage in one
 * disk does not end the others; the first damaged one gives the result. */
int disks_run(const struct worker_spec *spec, struct copy_stop *stop, struct output *out,
              int64_t *ret_disk, struct err *err);

#endif
