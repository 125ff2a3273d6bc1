/* job/doctor_nodes.c - what the nodes say: of their machines, and of their leases. */
#include <string.h>

#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_node.h"
#include "job/doctor_priv.h"
#include "job/nodes.h"

/* Copies what the node found, under our name for it. */
static void
take_over(struct doctor_look *l, const struct cat_node *row, const char *where,
          const struct doctor_findings *theirs)
{
    for (size_t i = 0; i < theirs->n; i++) {
        const struct doctor_finding *t = &theirs->v[i];
        struct doctor_finding *f =
            doctor_add(&l->found, DOCTOR_LOOK_FAILED, where, "%s", t->what);

        if (!f)
            return;
        free(f->kind);
        f->kind = xstrdup(t->kind);
        f->severity = t->severity;
        f->texts[0] = xstrdup(t->why);
        f->texts[1] = xstrdup(t->mend);
        f->why = f->texts[0];
        f->mend = f->texts[1];
        if (t->fixable)
            doctor_fixable(l, &(struct doctor_fix){.action = DOCTOR_ASK_NODE,
                                                   .id = (char *)row->id});
    }
}

static bool
is_our_job(const struct doctor_look *l, const char *job_id)
{
    struct cat_backup row = {0};
    struct err ignored = ERR_INIT;
    bool ours = cat_backup_get_by_job(l->env->catalog, job_id, &row, &ignored) >= 0;

    cat_backup_done(&row);
    return ours;
}

static void
judge_lease(struct doctor_look *l, const char *node_id, const char *where,
            const struct lease *lease)
{
    if (lease->state == LEASE_REMOVING) {
        if (lease->attempts > 0)
            doctor_add(&l->found, DOCTOR_LEASE_STUCK, where,
                       "snapshot '%s' of VM '%.200s': %.300s", lease->snapshot_name,
                       lease->vm_name,
                       lease->last_error ? lease->last_error : "no reason given");
        return;
    }
    if (doctor_is_live(l, lease->job_id))
        return;
    doctor_add(&l->found, DOCTOR_LEASE_UNKNOWN, where, "snapshot '%s' of VM '%.200s'",
               lease->snapshot_name, lease->vm_name);
    if (is_our_job(l, lease->job_id))
        doctor_fixable(l, &(struct doctor_fix){.action = DOCTOR_END_LEASE,
                                               .id = (char *)node_id,
                                               .name = (char *)lease->job_id});
}

/* A node of an older version has no doctor: then its machine was not looked at. */
static void
look_at_node(struct doctor_look *l, const struct cat_node *row)
{
    CLEANUP_FREE char *where = xasprintf("node '%s'", row->name);
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings theirs = {0};
    CLEANUP_LEASES struct leases leases = {0};
    struct err err = ERR_INIT;

    if (nodes_connect(l->env, row->id, &node, &err) < 0 ||
        node_client_doctor(node, false, &theirs, &err) < 0 ||
        node_client_leases(node, &leases, &err) < 0) {
        doctor_add(&l->found, DOCTOR_NODE_AWAY, where, "%s", err.msg);
        return;
    }
    take_over(l, row, where, &theirs);
    for (size_t i = 0; i < leases.n; i++)
        judge_lease(l, row->id, where, &leases.v[i]);
    doctor_look_vcenters(l, row->id, &leases);
}

void
doctor_look_nodes(struct doctor_look *l)
{
    struct cat_nodes list = {0};
    struct cat_page page = {.limit = CATALOG_PAGE_MAX};
    struct err err = ERR_INIT;

    if (cat_node_list(l->env->catalog, &page, &list, &err) < 0)
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, "hub", "nodes: %s", err.msg);
    for (size_t i = 0; i < list.n; i++) {
        CLEANUP_FREE char *where = xasprintf("node '%s'", list.v[i].name);

        if (!doctor_out_of_time(l))
            look_at_node(l, &list.v[i]);
        else
            doctor_add(&l->found, DOCTOR_NODE_AWAY, where,
                       "the others took so long that it was not asked");
    }
    cat_nodes_done(&list);
}
