/* client/vsphere_prepare.h - everything before the snapshot.      Layer 5.  Blocking. */
#ifndef SENDENSE_CLIENT_VSPHERE_PREPARE_H
#define SENDENSE_CLIENT_VSPHERE_PREPARE_H

#include "client/vsphere_job_priv.h"

/* Logs in, finds the VM, refuses what cannot be backed up, removes what an earlier
 * attempt of this job left, merges what needs it, turns change tracking on.  With an
 * existing snapshot of the job the last three are left. */
int vsphere_prepare(struct vsphere_job *job, struct err *err);

#endif
