/* client/vsphere_prepare.c - see vsphere_prepare.h. */
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "client/vsphere_prepare.h"

#define CONNECTED "connected"

/* The phase after the login is also when the node looks for the cookie: the sooner, the
 * smaller is the time in which a session is known to nobody but us. */
static int
log_in(struct vsphere_job *job, struct err *err)
{
    CLEANUP_SECRET struct secret *left = NULL; /* by the client of an earlier attempt */

    vsphere_phase(job, PHASE_CONNECTING);
    if (minder_new(job->box_fd, &job->minder, err) < 0 ||
        minder_cookie(job->minder, &left, err) < 0)
        return err->class;
    if (vcenter_open(&job->vc, &job->spec->vsphere->login, &job->spec->deadlines,
                     copy_stop_fd(job->control->stop), left, minder_on_cookie,
                     job->minder, err) < 0)
        return err->class;
    vsphere_phase(job, PHASE_PREPARING);
    FAILPOINT(CLIENT_LOGGED_IN);
    return 0;
}

static int
read_vm(struct vsphere_job *job, const struct moref *ref, struct err *err)
{
    vim_vm_done(&job->vm);
    job->vm = (struct vim_vm){0};
    return vim_read_vm(job->vc.session, ref, &job->vm, err);
}

static int
check(const struct vim_vm *vm, struct err *err)
{
    if (vm->item.is_template)
        return err_set(err, ERR_INVALID, "vm_is_template",
                       "'%s' is a template, of which no snapshot can be made",
                       vm->item.name);
    if (strcmp(vm->item.connection, CONNECTED) != 0)
        return err_set(err, ERR_UNAVAILABLE, "vm_not_connected",
                       "'%s' is %s: its host cannot be reached from the vCenter",
                       vm->item.name, vm->item.connection);
    return 0;
}

/* An attempt whose client died may have left a snapshot of the same name. */
static int
remove_leftovers(struct vsphere_job *job, bool *ret_any, struct err *err)
{
    const char *name = job->spec->snapshot->name;

    for (size_t i = 0; i < job->vm.n_snapshots; i++) {
        if (strcmp(job->vm.snapshots[i].name, name) != 0)
            continue;
        log_info("removing the snapshot '%s' of an earlier attempt", name);
        *ret_any = true;
        if (vim_snapshot_remove(job->vc.session, &job->vm.snapshots[i].ref, err) < 0)
            return err_prefix(err, "remove the snapshot of an earlier attempt");
    }
    return 0;
}

/* With every snapshot that is not merged the VM's disks get slower and its datastore
 * fuller. */
static int
consolidate(struct vsphere_job *job, struct err *err)
{
    struct err why = ERR_INIT;
    int r;

    if (!job->vm.consolidation_needed)
        return 0;
    log_info("the VM's disks need consolidation, which is done now");
    r = vim_consolidate(job->vc.session, &job->vm.item.ref, &why);
    if (r == 0)
        return 0;
    if (r == ERR_CANCELLED) {
        *err = why;
        return r;
    }
    return err_set(err, ERR_UNAVAILABLE, "consolidation_needed",
                   "the VM's disks need consolidation%s%.300s; consolidate them in the "
                   "vSphere client, or find out what keeps a disk open, and start the "
                   "backup again",
                   r < 0 ? ", which failed: " : ", and still do after one",
                   r < 0 ? why.msg : "");
}

/* Only a help: without it everything is read. */
static int
track_changes(struct vsphere_job *job, struct err *err)
{
    struct err why = ERR_INIT;

    if (!job->vm.cbt_supported || job->vm.cbt_enabled)
        return 0;
    if (job->vm.n_snapshots > 0) {
        vsphere_warn(job, -1, "cbt_not_enabled",
                     "change tracking cannot be turned on while the VM has snapshots");
        return 0;
    }
    if (vim_cbt_enable(job->vc.session, &job->vm, &why) == 0)
        return 0;
    if (why.class == ERR_CANCELLED) {
        *err = why;
        return err->class;
    }
    vsphere_warn(job, -1, "cbt_not_enabled", "change tracking is not turned on: %s",
                 why.msg);
    return 0;
}

/* So that the snapshot of this job can be made.  One that exists is left as it is: what
 * is merged now would change the files that are being read. */
static int
make_ready(struct vsphere_job *job, const struct moref *ref, struct err *err)
{
    bool removed = false;

    if (remove_leftovers(job, &removed, err) < 0 ||
        (removed && read_vm(job, ref, err) < 0) || consolidate(job, err) < 0)
        return err->class;
    return track_changes(job, err);
}

int
vsphere_prepare(struct vsphere_job *job, struct err *err)
{
    const struct job_spec *spec = job->spec;
    struct moref ref;

    if (log_in(job, err) < 0 ||
        vim_find_vm(job->vc.session, spec->vm_ref, spec->vm_instance_uuid, &ref, err) <
            0 ||
        read_vm(job, &ref, err) < 0 || check(&job->vm, err) < 0)
        return err->class;
    return spec->snapshot->existing_ref ? 0 : make_ready(job, &ref, err);
}
