/* client/vsphere_disks.h - what the source servers are told of a snapshot's disks.
 * Layer 5.  Blocking. */
#ifndef SENDENSE_CLIENT_VSPHERE_DISKS_H
#define SENDENSE_CLIENT_VSPHERE_DISKS_H

#include "client/vsphere_job_priv.h"

/* Layouts of all disks of the plan, each in a memfd: into job->layouts.  A disk whose
 * areas in use are not known is served without them, with a warning: it is read whole. */
int vsphere_disks_describe(struct vsphere_job *job, struct err *err);

#endif
