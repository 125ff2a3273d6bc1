/* client/vsphere_snapshot.c - see vsphere_snapshot.h. */
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "client/vsphere_chain.h"
#include "client/vsphere_remove.h"
#include "client/vsphere_report.h"
#include "client/vsphere_snapshot.h"

#define POWERED_ON "poweredOn"
#define ADVICE_CONSOLIDATE                                                               \
    "consolidate the VM's disks in the vSphere client (Snapshots, Consolidate); if "     \
    "that "                                                                              \
    "fails, find out what keeps a disk open, for example another backup program"

/* A VM that is off is consistent as it is; one without its tools, or suspended, cannot be
 * asked. */
static int
want_quiesce(struct vsphere_job *job, bool *ret, struct err *err)
{
    const enum quiesce policy = job->spec->vsphere->quiesce;
    const bool on = strcmp(job->vm.item.power, POWERED_ON) == 0;
    const bool suspended = strcmp(job->vm.item.power, "suspended") == 0;

    *ret = policy != QUIESCE_OFF && on && job->vm.tools_running;
    if (policy == QUIESCE_OFF || *ret || (!on && !suspended))
        return 0;
    if (policy == QUIESCE_REQUIRE)
        return err_set(err, ERR_IO, "quiesce_failed", "the guest cannot be quiesced: %s",
                       suspended ? "the VM is suspended" : "its tools do not run");
    vsphere_warn(job, -1, "not_quiesced", "the guest is not quiesced: %s",
                 suspended ? "the VM is suspended" : "its tools do not run");
    return 0;
}

static int
create(struct vsphere_job *job, bool quiesce, struct err *err)
{
    const struct job_snapshot *s = job->spec->snapshot;
    int r = vim_snapshot_create(job->vc.session, &job->vm.item.ref, s->name,
                                s->description, quiesce, &job->snapshot, err);

    if (r < 0) /* it may have been written all the same */
        job->snapshot = (struct moref){0};
    return r;
}

static int
create_by_policy(struct vsphere_job *job, bool *ret_quiesced, struct err *err)
{
    bool quiesce = false;
    int r;

    if (want_quiesce(job, &quiesce, err) < 0)
        return err->class;
    vsphere_phase(job, PHASE_SNAPSHOTTING);
    FAILPOINT(CLIENT_SNAPSHOT_INTENT);
    job->may_have_snapshot = true;
    r = create(job, quiesce, err);
    if (r < 0 && quiesce && strcmp(err->code, "quiesce_failed") == 0 &&
        job->spec->vsphere->quiesce == QUIESCE_TRY) {
        vsphere_warn(job, -1, "quiesce_failed",
                     "the guest could not be quiesced, the snapshot is made without: %s",
                     err->msg);
        err_clear(err);
        quiesce = false;
        r = create(job, false, err);
    }
    if (r < 0)
        return r;
    FAILPOINT(CLIENT_SNAPSHOT_CREATED);
    *ret_quiesced = quiesce;
    return 0;
}

static int
changed(struct err *err, const char *label, uint32_t key, const char *what)
{
    return err_set(err, ERR_INVALID, "vm_changed",
                   "the VM is no longer as it was planned: disk %u%s%s%s %s; start the "
                   "backup again",
                   key, label ? " (" : "", label ? label : "", label ? ")" : "", what);
}

static int
compare_disk(const struct job_spec_disk *plan, const struct vim_disk *d, struct err *err)
{
    if (!d)
        return changed(err, NULL, plan->key, "is not there");
    if (plan->source_uuid && d->uuid[0] && strcmp(plan->source_uuid, d->uuid) != 0)
        return changed(err, d->label, plan->key, "is another one at the same place");
    if (plan->size_bytes != d->capacity_bytes)
        return changed(err, d->label, plan->key, "has another size");
    if (d->unprotected != VIM_PROTECTED)
        return changed(err, d->label, plan->key, "is not part of snapshots any more");
    return 0;
}

/* All of the plan's disks, and none that the plan does not have. */
static int
compare(const struct vsphere_job *job, struct err *err)
{
    const struct vim_devices *devices = &job->content.devices;

    for (size_t i = 0; i < job->spec->n_disks; i++) {
        const struct job_spec_disk *plan = &job->spec->disks[i];

        if (compare_disk(plan, vsphere_disk(job, plan->key), err) < 0)
            return err->class;
    }
    for (size_t i = 0; i < devices->n_disks; i++) {
        const struct vim_disk *d = &devices->disks[i];

        if (d->unprotected == VIM_PROTECTED && !job_spec_find(job->spec, d->key))
            return changed(err, d->label, d->key, "is new");
    }
    return 0;
}

static int
snapshot_gone(const struct vsphere_job *job, const char *how, struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "snapshot_gone",
                   "the snapshot '%s' (%s) of the earlier attempt %s",
                   job->spec->snapshot->name, job->spec->snapshot->existing_ref, how);
}

/* That of an earlier attempt: with exactly this reference and name, or it is gone. */
static int
find_existing(struct vsphere_job *job, bool *ret_quiesced, struct err *err)
{
    const struct job_snapshot *s = job->spec->snapshot;

    for (size_t i = 0; i < job->vm.n_snapshots; i++) {
        const struct vim_snapshot_item *have = &job->vm.snapshots[i];

        if (strcmp(have->ref.value, s->existing_ref) != 0 ||
            strcmp(have->name, s->name) != 0)
            continue;
        log_info("going on with the snapshot '%s' (%s)", s->name, s->existing_ref);
        vsphere_phase(job, PHASE_SNAPSHOTTING); /* as ever: from here on there is one */
        job->snapshot = have->ref;
        job->may_have_snapshot = true;
        *ret_quiesced = have->quiesced;
        return 0;
    }
    return snapshot_gone(job, "is gone", err);
}

static int
get_snapshot(struct vsphere_job *job, bool *ret_quiesced, struct err *err)
{
    if (!job->spec->snapshot->existing_ref)
        return create_by_policy(job, ret_quiesced, err);
    return find_existing(job, ret_quiesced, err);
}

static int
read_snapshot(struct vsphere_job *job, struct err *err)
{
    int r = vim_snapshot_read(job->vc.session, &job->snapshot, &job->content, err);

    if (r != ERR_NOT_FOUND || !job->spec->snapshot->existing_ref)
        return r;
    job->may_have_snapshot = false;
    return snapshot_gone(job, "is gone", err);
}

/* While the earlier attempt read, or after it: what it copied is then of no single
 * moment. */
static int
check_chain(const struct vsphere_job *job, const char *chain, struct err *err)
{
    const char *before = job->spec->snapshot->existing_chain;

    return !before || strcmp(before, chain) == 0
               ? 0
               : snapshot_gone(job, "became another chain of files", err);
}

/* Somebody's snapshot that came between the look at the VM and ours would be taken for
 * none, and the VM can go back to it.  Files below the frozen one tell that there may be
 * such (a linked clone has some too). */
static int
look_again(struct vsphere_job *job, struct err *err)
{
    CLEANUP_VIM_VM struct vim_vm now = {0};
    struct vim_snapshot_item *seen = job->vm.snapshots;
    size_t n_seen = job->vm.n_snapshots, on_files = 0;

    for (size_t i = 0; i < job->content.devices.n_disks; i++)
        on_files += job->content.devices.disks[i].n_parents > 0;
    if (!on_files || job->spec->snapshot->existing_ref || vsphere_stands_on(job)[0])
        return 0;
    if (vim_read_vm(job->vc.session, &job->vm.item.ref, &now, err) < 0)
        return err_prefix(err, "which snapshots does the VM have?");
    job->vm.snapshots = now.snapshots;
    job->vm.n_snapshots = now.n_snapshots;
    now.snapshots = seen;
    now.n_snapshots = n_seen;
    return 0;
}

int
vsphere_snapshot_make(struct vsphere_job *job, struct err *err)
{
    char chain[SPEC_CHAIN_MAX + 1];
    bool quiesced = false;

    if (get_snapshot(job, &quiesced, err) < 0 || read_snapshot(job, err) < 0 ||
        compare(job, err) < 0 || look_again(job, err) < 0 ||
        vsphere_chain(job, chain, err) < 0 || check_chain(job, chain, err) < 0)
        return err->class;
    vsphere_report_snapshot(job, quiesced, chain);
    job->snapshot_told = true;
    vsphere_report_config(job);
    return 0;
}

/* A request whose answer was lost on its way may have been made twice, and then there is
 * one more than we know of. */
static int
remove_it(struct vsphere_job *job, struct err *err)
{
    const char *name = job->spec->snapshot->name;
    uint32_t removed = 0;

    if (!job->snapshot.value[0])
        return vsphere_remove_named(job->vc.session, &job->vm.item.ref, name, &removed,
                                    err);
    if (vim_snapshot_remove(job->vc.session, &job->snapshot, err) < 0)
        return err->class;
    return vsphere_remove_seen(job->vc.session, &job->vm.item.ref, name, &removed, err);
}

void
vsphere_snapshot_remove(struct vsphere_job *job)
{
    struct job_event ev = {.type = EVENT_SNAPSHOT_REMOVED, .ref = job->snapshot.value};
    struct err err = ERR_INIT, why = ERR_INIT;

    if (!job->may_have_snapshot)
        return;
    vsphere_phase(job, PHASE_REMOVING_SNAPSHOT);
    FAILPOINT(CLIENT_SNAPSHOT_REMOVING);
    if (remove_it(job, &err) < 0) {
        vsphere_warn(job, -1, "snapshot_not_removed",
                     "the snapshot '%s' could not be removed, the node tries again: %s",
                     job->spec->snapshot->name, err.msg);
        return;
    }
    job->may_have_snapshot = false;
    FAILPOINT(CLIENT_SNAPSHOT_REMOVED);
    ev.consolidation_needed =
        vsphere_consolidate_after(job->vc.session, &job->vm.item.ref, &why) != 0;
    output_emit(job->control->output, &ev);
    if (ev.consolidation_needed)
        vsphere_warn(job, -1, "consolidation_needed",
                     "the VM's disks need consolidation%s%s: " ADVICE_CONSOLIDATE,
                     why.class ? ", which failed: " : "", why.class ? why.msg : "");
}
