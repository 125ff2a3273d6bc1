/* worker/allocation.h - is exactly that allocated which the manifest records?   Layer 5.
 * Blocking. */
#ifndef SENDENSE_WORKER_ALLOCATION_H
#define SENDENSE_WORKER_ALLOCATION_H

#include "base/err.h"
#include "model/jobspec.h"
#include "nbd/nbd_conn.h"
#include "worker/findings.h"
#include "worker/pulse.h"

/* verify: what the tip layer has allocated (qemu:allocation-depth 1) against the tip's
 * records. restore: what the image holds as data (base:allocation) against the resolved
 * data blocks. Recorded and not there is `missing`, there and not recorded `stray`.  In
 * a restore only what is stray is read: zeroes do no harm there. */
int allocation_check(struct nbd_conn *c, const struct worker_spec_disk *d, bool tip_only,
                     struct findings *f, struct pulse *pulse, struct err *err);

#endif
