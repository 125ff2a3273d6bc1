/* client/vsphere_changes.h - how each disk is read, now that the snapshot is there, and
 * what changed on it since its parent.                              Layer 5.  Blocking.
 *
 * A disk whose changes cannot be had, or not be believed, is compared instead, and no
 * other disk with it. */
#ifndef SENDENSE_CLIENT_VSPHERE_CHANGES_H
#define SENDENSE_CLIENT_VSPHERE_CHANGES_H

#include "client/vsphere_job_priv.h"

/* Settles `read` and `reason` of the spec's disks, and job->changes for those that stay
 * `changed`.  Only ERR_CANCELLED and ERR_INVALID "vm_changed" end the job. */
int vsphere_changes_settle(struct vsphere_job *job, struct err *err);
void vsphere_changes_done(struct vsphere_job *job);

#endif
