/* client/vsphere_report.h - the events that tell of a snapshot.               Layer 5. */
#ifndef SENDENSE_CLIENT_VSPHERE_REPORT_H
#define SENDENSE_CLIENT_VSPHERE_REPORT_H

#include "client/vsphere_job_priv.h"

/* What the snapshot holds, and which disks no snapshot holds. */
void vsphere_report_snapshot(struct vsphere_job *job, bool quiesced, char *chain);
/* The VM's configuration of that moment.  Blocking: reads its NVRAM. */
void vsphere_report_config(struct vsphere_job *job);

/* After the last byte was read the snapshot still was what was read. */
void vsphere_report_held(struct vsphere_job *job);

#endif
