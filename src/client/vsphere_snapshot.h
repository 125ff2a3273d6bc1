/* client/vsphere_snapshot.h - the snapshot that a job reads from.  Layer 5.  Blocking. */
#ifndef SENDENSE_CLIENT_VSPHERE_SNAPSHOT_H
#define SENDENSE_CLIENT_VSPHERE_SNAPSHOT_H

#include "client/vsphere_job_priv.h"

/* Makes it as the policy for quiescing says, or finds that of an earlier attempt, reads
 * it, compares it with the plan and tells of it.  ERR_IO "quiesce_failed",
 * "snapshot_failed"; ERR_INVALID "vm_changed"; ERR_UNAVAILABLE "snapshot_gone". */
int vsphere_snapshot_make(struct vsphere_job *job, struct err *err);

/* Removes it when there may be one, whatever the job came to; never fails: what cannot be
 * done is a warning, and the node's lease goes on. */
void vsphere_snapshot_remove(struct vsphere_job *job);

#endif
