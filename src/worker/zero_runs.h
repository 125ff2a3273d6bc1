/* worker/zero_runs.h - does what was recorded as zero read as zero?            Layer 5.
 * Blocking. */
#ifndef SENDENSE_WORKER_ZERO_RUNS_H
#define SENDENSE_WORKER_ZERO_RUNS_H

#include "base/err.h"
#include "model/jobspec.h"
#include "nbd/nbd_conn.h"
#include "worker/findings.h"
#include "worker/pulse.h"

/* verify, of a layer on a parent: what the tip recorded as zero reads as zero.  That the
 * image's tables say so is enough; where they do not, it is read.  Else `mismatch`. */
int zero_runs_check(struct nbd_conn *c, const struct worker_spec_disk *d,
                    struct findings *f, struct pulse *pulse, struct err *err);

#endif
