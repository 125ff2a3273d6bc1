/* client/vsphere_changes.c - see vsphere_changes.h. */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "client/areas.h"
#include "client/vsphere_changes.h"
#include "copy/reservoir.h"
#include "model/plan.h"

/* Of all disks of a job together: 48 bytes each while the job lasts.  A disk with more
 * areas than its share is read more coarsely. */
#define JOB_AREAS_MAX 1000000u
#define DISK_AREAS_MIN 1000u
/* What the snapshots of our jobs are known by (docs/design/protocol.md 3.1). */
#define OUR_NAME "sendense-"
#define OUR_MARK "sendense/1 "
/* More than an audit takes; of more ends a sample, each with the same chance. */
#define PAGE_ENDS_MAX 4096u

struct listing {
    struct areas areas;
    struct reservoir page_ends;
};

static void
listing_done(struct listing *l)
{
    areas_done(&l->areas);
    reservoir_done(&l->page_ends);
}

static int
on_area(void *arg, uint64_t offset, uint64_t length, struct err *err)
{
    struct listing *l = arg;

    (void)err;
    areas_add(&l->areas, offset, length);
    return 0;
}

static void
on_page(void *arg, uint64_t end)
{
    struct listing *l = arg;

    reservoir_offer(&l->page_ends, end, 1);
}

static size_t
share_of_areas(const struct vsphere_job *job)
{
    size_t share = JOB_AREAS_MAX / job->spec->n_disks;

    if (share > AREAS_MAX)
        return AREAS_MAX;
    return share < DISK_AREAS_MIN ? DISK_AREAS_MIN : share;
}

static void
keep(struct vsphere_job *job, struct listing *l, uint32_t key)
{
    struct delta_area *v = xcalloc(l->areas.n + 1, sizeof(*v));
    uint64_t *page_ends = take_ptr(&l->page_ends.blocks);

    for (size_t i = 0; i < l->areas.n; i++)
        v[i] = (struct delta_area){.off = l->areas.v[i].begin,
                                   .len = l->areas.v[i].end - l->areas.v[i].begin};
    job->changes[job->n_changes++] = (struct copy_changes){
        .key = key,
        .areas = v,
        .n = l->areas.n,
        .page_ends = page_ends,
        .n_page_ends = l->page_ends.n,
    };
}

/* *ret_fault: the server did not answer, or its answer makes no sense. */
static int
ask(struct vsphere_job *job, const struct job_spec_disk *d, const struct vim_disk *disk,
    bool *ret_fault, struct err *err)
{
    CLEANUP(listing_done) struct listing l = {.areas = {0}};
    struct err why = ERR_INIT;

    areas_init(&l.areas, disk->capacity_bytes, share_of_areas(job));
    reservoir_init(&l.page_ends, PAGE_ENDS_MAX, job->spec->audit_seed ^ d->key);
    if (vim_changed_areas(job->vc.session, &job->vm.item.ref, &job->snapshot, disk,
                          d->change_id, on_area, on_page, &l, &why) == 0) {
        log_info("disk %u: %zu changed areas in %llu answers", d->key, l.areas.n,
                 (unsigned long long)l.page_ends.seen);
        keep(job, &l, d->key);
        *ret_fault = false;
        return 0;
    }
    if (why.class == ERR_CANCELLED) {
        *err = why;
        return err->class;
    }
    vsphere_warn(job, d->key, "changes_unknown",
                 "disk %u is read whole and compared, the server does not say what "
                 "changed on it: %s",
                 d->key, why.msg);
    *ret_fault = true;
    return 0;
}

/* Snapshots of others that are not one line with the VM at its end: it went back to one
 * of them.  Nobody can say when, so it counts as since the parent for as long as it is
 * so. */
static bool
went_back(const struct vim_vm *vm)
{
    for (size_t i = 0; i + 1 < vm->n_snapshots; i++) /* parents first */
        if (!vm->snapshots[i].has_children)
            return true;
    return vm->n_snapshots > 0 && !vm->snapshots[vm->n_snapshots - 1].is_current;
}

/* A backup may be complete although its snapshot could not be removed yet.  Its change
 * ids count, but a question for what changed since them loses writes while it stands. */
static bool
earlier_stands(const struct vsphere_job *job)
{
    for (size_t i = 0; i < job->vm.n_snapshots; i++) {
        const struct vim_snapshot_item *s = &job->vm.snapshots[i];

        if (strcmp(s->name, job->spec->snapshot->name) != 0 &&
            (strncmp(s->name, OUR_NAME, strlen(OUR_NAME)) == 0 ||
             strncmp(s->description, OUR_MARK, strlen(OUR_MARK)) == 0))
            return true;
    }
    return false;
}

/* Every snapshot raises the number.  The same number again is a moment before it. */
static bool
same_id(const char *parent, const char *now)
{
    return parent && now[0] && strcmp(parent, now) == 0;
}

static const char *
datastore_before(const struct vim_vm *vm, uint32_t key)
{
    for (size_t i = 0; i < vm->devices.n_disks; i++)
        if (vm->devices.disks[i].key == key)
            return vm->devices.disks[i].datastore.value;
    return NULL;
}

static bool
has_snapshot(const struct vim_vm *vm, const char *ref)
{
    for (size_t i = 0; ref && i < vm->n_snapshots; i++)
        if (strcmp(vm->snapshots[i].ref.value, ref) == 0)
            return true;
    return false;
}

static enum plan_history_is
history(const struct vsphere_job *job, const struct job_spec_disk *d,
        const struct vim_disk *disk)
{
    const struct plan_history h = {
        .parent_file = d->parent_file,
        .parent_on = d->parent_on,
        .parent_on_stands = has_snapshot(&job->vm, d->parent_on),
        .file = disk->file,
        .below = disk->parents,
        .n_below = disk->n_parents,
    };
    enum plan_history_is r = plan_history(&h);

    if (d->read == READ_CHANGED && r != HISTORY_GOES_ON)
        log_info("disk %u: the parent was read from '%s' on snapshot '%s'; now it is "
                 "'%s' on %zu files",
                 d->key, d->parent_file ? d->parent_file : "",
                 d->parent_on ? d->parent_on : "", disk->file, disk->n_parents);
    return r;
}

static int
refine(struct vsphere_job *job, const struct plan_result *planned,
       const struct plan_snapshot *s, struct job_spec_disk *d, struct err *err)
{
    const struct plan_source source = {
        .can_track = job->vm.cbt_supported,
        .tracking_on = job->vm.cbt_enabled,
        .size_bytes = d->size_bytes,
        .source_uuid = d->source_uuid ? d->source_uuid : s->source_uuid,
        .datastore = datastore_before(&job->vm, d->key),
    };
    struct plan_result r;

    if (plan_refine(planned, &source, d->change_id, s, &r, err) < 0)
        return err_prefix(err, "disk %u", d->key);
    d->read = r.mode;
    d->reason = r.reason;
    return 0;
}

static int
settle(struct vsphere_job *job, struct job_spec_disk *d, struct err *err)
{
    const struct vim_disk *disk = vsphere_disk(job, d->key);
    const struct plan_result planned = {.mode = d->read, .reason = d->reason};
    const enum plan_history_is goes = history(job, d, disk);
    struct plan_snapshot s = {
        .size_bytes = disk->capacity_bytes,
        .source_uuid = disk->uuid,
        .datastore = disk->datastore.value,
        .change_id = disk->change_id,
        .tracking_off = !job->vm.cbt_enabled,
        .left_behind = earlier_stands(job),
        .reverted = went_back(&job->vm) || same_id(d->change_id, disk->change_id) ||
                    goes == HISTORY_REVERTED,
        .history_unknown = goes == HISTORY_UNKNOWN,
    };

    if (refine(job, &planned, &s, d, err) < 0)
        return err->class;
    if (d->read == READ_CHANGED) {
        if (ask(job, d, disk, &s.fault, err) < 0)
            return err->class;
        if (s.fault && refine(job, &planned, &s, d, err) < 0)
            return err->class;
    }
    if (d->read != planned.mode)
        log_info("disk %u is read as '%s' (%s), not as '%s'", d->key,
                 read_mode_to_str(d->read), reason_to_str(d->reason),
                 read_mode_to_str(planned.mode));
    return 0;
}

int
vsphere_changes_settle(struct vsphere_job *job, struct err *err)
{
    job->changes = xcalloc(job->spec->n_disks, sizeof(*job->changes));
    for (size_t i = 0; i < job->spec->n_disks; i++)
        if (settle(job, &job->spec->disks[i], err) < 0)
            return err->class;
    return 0;
}

void
vsphere_changes_done(struct vsphere_job *job)
{
    for (size_t i = 0; i < job->n_changes; i++) {
        free((void *)job->changes[i].areas);
        free((void *)job->changes[i].page_ends);
    }
    free(job->changes);
    job->changes = NULL;
    job->n_changes = 0;
}
