/* job/snapshot_lease.h - the node's lease on the snapshot of a job.          Layer 3.
 * Blocking.  Only the node removes a snapshot; the hub ends the lease and asks. */
#ifndef SENDENSE_JOB_SNAPSHOT_LEASE_H
#define SENDENSE_JOB_SNAPSHOT_LEASE_H

#include "base/err.h"
#include "job/node_client.h"

/* Of a job that is over: ends its lease.  0 when the node has none any more, so the
 * snapshot is gone or was never made; ERR_UNAVAILABLE "snapshot_removing" while the node
 * is at it, with what its last try met. */
int snapshot_lease_settle(struct node_client *node, const char *job_id, struct err *err);

#endif
