/* job/doctor_vcenter.c - snapshots at the vCenters: ours, and whose else. */
#include <string.h>

#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_credential.h"
#include "catalog/cat_vm.h"
#include "job/credentials.h"
#include "job/discover.h"
#include "job/doctor_priv.h"
#include "model/vsphere.h"

#define ANSWER_S 25u

struct server_look {
    struct doctor_look *l;
    const struct cat_credential *row;
    const struct leases *leases; /* of the node that reaches it */
    const char *where;
};

static bool
has_lease(const struct server_look *s, const char *name,
          const struct vsphere_marked_vm *vm)
{
    for (size_t i = 0; i < s->leases->n; i++)
        if (strcmp(s->leases->v[i].snapshot_name, name) == 0 &&
            strcmp(s->leases->v[i].vm_ref, vm->ref) == 0)
            return true;
    return false;
}

/* Its name must be the one that the hub gives to the snapshot of that very job. */
static bool
name_fits(const char *name, const struct vsphere_mark *mark)
{
    CLEANUP_FREE char *want = xasprintf(VSPHERE_SNAPSHOT_PREFIX "%s", mark->job);

    return strcmp(name, want) == 0;
}

static void
judge_snapshot(const struct server_look *s, const struct vsphere_marked_vm *vm,
               const struct vsphere_marked_snapshot *snap)
{
    struct doctor_findings *found = &s->l->found;
    struct vsphere_mark mark;

    if (!vsphere_mark_parse(snap->description, &mark) || !name_fits(snap->name, &mark)) {
        doctor_add(found, DOCTOR_SNAPSHOT_FOREIGN, s->where,
                   "'%.200s' of VM '%.200s', without a mark of ours", snap->name,
                   vm->name);
        return;
    }
    if (strcmp(mark.hub, s->l->env->hub_uuid) != 0) {
        doctor_add(found, DOCTOR_SNAPSHOT_FOREIGN, s->where,
                   "'%.200s' of VM '%.200s', of hub %s", snap->name, vm->name, mark.hub);
        return;
    }
    if (strcmp(mark.node, s->row->node_id) != 0) {
        doctor_add(found, DOCTOR_SNAPSHOT_FOREIGN, s->where,
                   "'%.200s' of VM '%.200s', of node %s of this hub, through which this "
                   "vCenter is not reached",
                   snap->name, vm->name, mark.node);
        return;
    }
    /* With a lease the node removes it; while the job runs it is in use. */
    if (doctor_is_live(s->l, mark.job) || has_lease(s, snap->name, vm))
        return;
    doctor_add(found, DOCTOR_SNAPSHOT_ORPHAN, s->where, "'%s' of VM '%.200s'", snap->name,
               vm->name);
    doctor_fixable(s->l, &(struct doctor_fix){.action = DOCTOR_REMOVE_SNAPSHOT,
                                              .id = (char *)s->row->id,
                                              .name = snap->name,
                                              .vm_ref = vm->ref,
                                              .vm_uuid = vm->instance_uuid});
}

/* A removal that is under way leaves the VM so for a moment. */
static bool
is_being_backed_up(const struct server_look *s, const char *vm_id)
{
    struct cat_backups open = {0};
    struct err ignored = ERR_INIT;
    bool busy = false;

    if (cat_backup_list_open(s->l->env->catalog, &open, &ignored) < 0)
        return false;
    for (size_t i = 0; i < open.n; i++)
        busy = busy || strcmp(open.v[i].vm_id, vm_id) == 0;
    cat_backups_done(&open);
    return busy;
}

/* The node may just be removing one, of a job that is over. */
static bool
has_any_lease(const struct server_look *s, const struct vsphere_marked_vm *vm)
{
    for (size_t i = 0; i < s->leases->n; i++)
        if (strcmp(s->leases->v[i].vm_ref, vm->ref) == 0)
            return true;
    return false;
}

/* Machines that nobody backs up with us are others' business. */
static void
judge_consolidation(const struct server_look *s, const struct vsphere_marked_vm *vm)
{
    char id[UUID_STR_SIZE] = "";
    struct err err = ERR_INIT;

    if (!vm->consolidation_needed || !vm->instance_uuid[0] ||
        discover_known(s->l->env, s->row->id, vm->instance_uuid, id, &err) < 0 ||
        !id[0] || is_being_backed_up(s, id) || has_any_lease(s, vm))
        return;
    doctor_add(&s->l->found, DOCTOR_CONSOLIDATION, s->where, "VM '%.200s'", vm->name);
}

static bool
is_listed(const struct vsphere_answer *a, const char *snapshot)
{
    for (size_t i = 0; i < a->n_marked; i++)
        for (size_t k = 0; k < a->marked[i].n_snapshots; k++)
            if (strcmp(a->marked[i].snapshots[k].name, snapshot) == 0)
                return true;
    return false;
}

static bool
reads_a_disk(const struct cat_backup *row)
{
    for (size_t i = 0; i < row->n_disks; i++)
        if (strcmp(row->disks[i].state, "transferring") == 0)
            return true;
    return false;
}

/* Is the job of this server, and reads from its snapshot now? */
static bool
needs_its_snapshot(const struct server_look *s, const char *job_id)
{
    struct cat_backup row = {0};
    struct cat_vm vm = {0};
    struct err ignored = ERR_INIT;
    bool needs = false;

    if (doctor_is_live(s->l, job_id) &&
        cat_backup_get_by_job(s->l->env->catalog, job_id, &row, &ignored) >= 0 &&
        reads_a_disk(&row) &&
        cat_vm_get(s->l->env->catalog, row.vm_id, &vm, &ignored) >= 0)
        needs = vm.credential_id && strcmp(vm.credential_id, s->row->id) == 0;
    cat_vm_done(&vm);
    cat_backup_done(&row);
    return needs;
}

static void
judge_lease(const struct server_look *s, const struct lease *lease,
            const struct vsphere_answer *a)
{
    if (!is_listed(a, lease->snapshot_name) && needs_its_snapshot(s, lease->job_id))
        doctor_add(&s->l->found, DOCTOR_SNAPSHOT_GONE, s->where, "'%s' of VM '%.200s'",
                   lease->snapshot_name, lease->vm_name);
}

static void
look_at_server(const struct server_look *s)
{
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct vsphere_question q = {.kind = VSPHERE_SNAPSHOTS};
    struct err err = ERR_INIT;
    int r = vsphere_door_open(s->l->env, s->row->id, &door, &err);

    door.limit_s = ANSWER_S;
    if (r < 0 || vsphere_ask(&door, &q, &a, &err) < 0) {
        doctor_add(&s->l->found, DOCTOR_VCENTER_AWAY, s->where, "%s", err.msg);
        return;
    }
    for (size_t i = 0; i < a.n_marked; i++) {
        for (size_t k = 0; k < a.marked[i].n_snapshots; k++)
            judge_snapshot(s, &a.marked[i], &a.marked[i].snapshots[k]);
        judge_consolidation(s, &a.marked[i]);
    }
    for (size_t i = 0; i < s->leases->n; i++)
        judge_lease(s, &s->leases->v[i], &a);
}

void
doctor_look_vcenters(struct doctor_look *l, const char *node_id,
                     const struct leases *leases)
{
    struct cat_credentials list = {0};
    struct cat_page page = {.limit = CATALOG_PAGE_MAX};
    struct err err = ERR_INIT;

    if (cat_credential_list(l->env->catalog, &page, &list, &err) < 0)
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, "hub", "credentials: %s", err.msg);
    for (size_t i = 0; i < list.n; i++) {
        CLEANUP_FREE char *where = xasprintf("vCenter '%s'", list.v[i].name);
        const struct server_look s = {
            .l = l, .row = &list.v[i], .leases = leases, .where = where};

        if (strcmp(list.v[i].node_id, node_id) != 0)
            continue;
        if (!doctor_out_of_time(l))
            look_at_server(&s);
        else
            doctor_add(&l->found, DOCTOR_VCENTER_AWAY, where,
                       "the others took so long that it was not asked");
    }
    cat_credentials_done(&list);
}
