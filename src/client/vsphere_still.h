/* client/vsphere_still.h - is what was read still what was snapshotted?        Layer 5.
 */
#ifndef SENDENSE_CLIENT_VSPHERE_STILL_H
#define SENDENSE_CLIENT_VSPHERE_STILL_H

#include "client/vsphere_job_priv.h"

/* Blocking.  Reads the job's snapshot again: each disk of the job must have the files,
 * the parents and the size that its layout was made of.  When it is gone, or another
 * chain: ERR_UNAVAILABLE "snapshot_changed", for the files under the readers went on to
 * change.  A server that does not answer is asked again for up to @patience_s. */
int vsphere_snapshot_still(struct vsphere_job *job, unsigned patience_s, struct err *err);

#endif
