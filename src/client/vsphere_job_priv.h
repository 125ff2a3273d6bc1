/* client/vsphere_job_priv.h - shared by the files vsphere_*.c of a job.        Layer 5.
 */
#ifndef SENDENSE_CLIENT_VSPHERE_JOB_PRIV_H
#define SENDENSE_CLIENT_VSPHERE_JOB_PRIV_H

#include "client/minder.h"
#include "client/source_server.h"
#include "client/vcenter.h"
#include "copy/control.h"
#include "copy/copy.h"
#include "model/jobspec.h"
#include "vim/snapshot.h"

struct vsphere_job {
    /* fixed */
    struct job_spec *spec;
    struct control *control;

    int box_fd; /* the node's memory for the cookie; < 0 = none */
    struct minder *minder;
    struct vcenter vc;
    struct vim_vm vm;             /* before the snapshot; its snapshots may be newer */
    bool may_have_snapshot;       /* asked for, and not yet known to be gone */
    struct moref snapshot;        /* value "" = its making was not seen */
    bool snapshot_told;           /* the hub can have another attempt go on with it */
    struct vim_snapshot content;  /* what is backed up: everything is read from here */
    struct copy_changes *changes; /* of the disks that are read as `changed` */
    size_t n_changes;
    struct source_disk *layouts; /* of each disk of the spec; layout_fd -1 = not yet */
    struct source_servers *servers;
};

/* A warning event; @key < 0: of no disk. */
void vsphere_warn(struct vsphere_job *job, int64_t key, const char *code, const char *fmt,
                  ...) __attribute__((format(printf, 4, 5)));
void vsphere_phase(struct vsphere_job *job, enum job_phase phase);
/* By key among the disks of the snapshot; NULL when it has none such. */
const struct vim_disk *vsphere_disk(const struct vsphere_job *job, uint32_t key);
/* Reference of the snapshot that the VM ran on before the job's own; of one that runs on
 * none, of any that it has and could go back to; "" = it has none. */
const char *vsphere_stands_on(const struct vsphere_job *job);

#endif
