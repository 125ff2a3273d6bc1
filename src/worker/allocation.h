/* worker/allocation.h - is exactly that allocated which the manifest records?   Layer 5.
 * Blocking. */
#ifndef SENDENSE_WORKER_ALLOCATION_H
#define SENDENSE_WORKER_ALLOCATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "model/jobspec.h"
#include "nbd/nbd_conn.h"
#include "worker/findings.h"
#include "worker/pulse.h"

struct allocation_how {
    bool tip_only;      /* verify: the tip's own records and clusters */
    bool salvage;       /* look at what is stray, whatever else was found */
    bool only_stray;    /* what is not there is no finding */
    uint64_t end_block; /* nothing is told from here on; UINT64_MAX = the disk's end */
};

/* verify: what the tip layer has allocated (qemu:allocation-depth 1) against the tip's
 * records; in a full a cluster that the image's tables call zero is not stray: a merge
 * leaves such, they hide nothing there and are not recorded. Else: what the image holds
 * as data (base:allocation) against the resolved data blocks. Recorded and not there is
 * `missing`, there and not recorded `stray`.  Of a whole disk only what is stray is read:
 * zeroes do no harm there. */
int allocation_check(struct nbd_conn *c, const struct worker_spec_disk *d,
                     const struct allocation_how *how, struct findings *f,
                     struct pulse *pulse, struct err *err);

/* The target of a restore that goes on: ERR_EXISTS "resume_mismatch" when it holds data
 * where the disk has none. */
int allocation_check_target(struct nbd_conn *c, const struct worker_spec_disk *d,
                            struct pulse *pulse, struct err *err);

#endif
