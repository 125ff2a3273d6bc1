/* client/vsphere_job.h - a job whose disks are in a vCenter's datastores.     Layer 5. */
#ifndef SENDENSE_CLIENT_VSPHERE_JOB_H
#define SENDENSE_CLIENT_VSPHERE_JOB_H

#include "copy/control.h"
#include "model/jobspec.h"

/* Blocking.  Log in, snapshot, serve its disks as NBD, copy them, remove the snapshot
 * whatever happened - unless another attempt may go on with it (protocol.md 5.3).  Of a
 * decoded spec whose source is of type "vsphere"; sets source_url of its disks.
 * session_watch() was called; session_unwatch() is called here, since cleaning up is not
 * to be cancelled.
 *
 * Codes beside those of vim/session.h, vim/source.h, source_server.h and copy/copy.h:
 * vm_is_template, vm_not_connected, vm_changed (ERR_INVALID), consolidation_needed
 * and snapshot_gone
 * (ERR_UNAVAILABLE), quiesce_failed, snapshot_failed, source_failed (ERR_IO). */
int vsphere_job_run(struct control *c, struct job_spec *spec, int box_fd,
                    struct err *err);

#endif
