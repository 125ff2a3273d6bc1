/* After a failure: everything that the job made goes, in the reverse order of its making.
 * What cannot be removed stays in the journal, is named in the record, and is tried again
 * by the next start of the hub. */
#include "job/backup_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "job/journal.h"
#include "job/snapshot_lease.h"
#include "store/group_roots.h"
#include "store/layer.h"
#include "store/ports.h"

struct report {
    json_t *released;
    json_t *left;
};

static void
note(struct backup_job *b, struct report *r, const char *kind, const char *what, int rc,
     const struct err *err)
{
    json_t *item = json_pack("{s:s, s:s}", "kind", kind, "key", what);

    if (rc >= 0) {
        joblog_line(b->log, LOG_LEVEL_INFO, "released %s '%s'", kind, what);
        json_array_append_new(r->released, item);
        return;
    }
    joblog_line(b->log, LOG_LEVEL_ERROR, "left over: %s '%s': %s", kind, what, err->msg);
    json_object_set_new(item, "message", json_string(err->msg));
    json_array_append_new(r->left, item);
}

/* The janitor asks again; the end of the job does not wait for a node that hangs. */
static int
lost(struct err *err)
{
    return err_set(err, ERR_UNAVAILABLE, "node_unreachable", "the node does not answer");
}

static void
undo_node_job(struct backup_job *b, struct report *r)
{
    struct err err = ERR_INIT;
    int rc;

    if (!b->res_node_job)
        return;
    rc = b->node_lost ? lost(&err) : node_client_delete(b->node, b->row.job_id, 0, &err);
    note(b, r, RES_NODE_JOB, b->row.job_id, rc, &err);
    if (rc >= 0)
        journal_released(b->env, b->row.job_id, &b->res_node_job);
}

/* The node goes on removing what is still there; a later round sees that it is gone. */
static void
undo_snapshot(struct backup_job *b, struct report *r)
{
    struct err err = ERR_INIT;
    int rc;

    if (!b->vsphere || !b->vsphere->res_snapshot)
        return;
    rc = b->node_lost ? lost(&err) : snapshot_lease_settle(b->node, b->row.job_id, &err);
    note(b, r, RES_SNAPSHOT, b->row.snapshot_name, rc, &err);
    if (rc >= 0)
        journal_released(b->env, b->row.job_id, &b->vsphere->res_snapshot);
}

/* A point whose write failed half-way may be there; it goes before the files it speaks
 * of.  False: it could not be removed, so its files must stay. */
static bool
undo_point(struct backup_job *b, struct report *r)
{
    struct err err = ERR_INIT;
    int rc;

    if (!b->res_point)
        return true;
    rc = repo_remove(b->repo, b->point_name, true, &err);
    note(b, r, RES_POINT, b->point_name, rc, &err);
    if (rc >= 0)
        journal_released(b->env, b->row.job_id, &b->res_point);
    return rc >= 0;
}

/* False when qemu-nbd could not be ended: its image must then stay. */
static bool
undo_export(struct backup_job *b, struct bdisk *d, struct report *r)
{
    struct err err = ERR_INIT;
    char port[16];
    int rc = d->export ? export_stop(d->export, NULL, &err) : 0;
    bool stopped = rc >= 0 || !export_alive(d->export);

    if (d->res_export)
        note(b, r, RES_EXPORT, d->export_name, stopped ? 0 : rc, &err);
    if (!stopped)
        return false;
    export_free(d->export);
    d->export = NULL;
    journal_released(b->env, b->row.job_id, &d->res_export);
    if (d->port) {
        snprintf(port, sizeof port, "%u", d->port);
        port_release(b->env->ports, d->port, b->row.job_id);
        if (d->res_port)
            note(b, r, RES_PORT, port, 0, &err);
        journal_released(b->env, b->row.job_id, &d->res_port);
    }
    return true;
}

static void
undo_files(struct backup_job *b, struct bdisk *d, struct report *r)
{
    CLEANUP_FREE char *sealed = xasprintf("%s.manifest", d->row->locator);
    CLEANUP_FREE char *part = xasprintf("%s.manifest.part", d->row->locator);
    CLEANUP_FREE char *roots = xasprintf("%s" GROUP_ROOTS_SUFFIX, d->row->locator);
    struct err err = ERR_INIT;
    int rc;

    if (d->res_manifest) {
        rc = repo_remove(b->repo, part, true, &err);
        if (rc >= 0)
            rc = repo_remove(b->repo, roots, true, &err);
        if (rc >= 0)
            rc = repo_remove(b->repo, sealed, true, &err);
        note(b, r, RES_MANIFEST, sealed, rc, &err);
        if (rc >= 0)
            journal_released(b->env, b->row.job_id, &d->res_manifest);
    }
    if (d->res_layer) {
        rc = layer_remove(b->repo, d->row->locator, &err);
        note(b, r, RES_LAYER, d->row->locator, rc, &err);
        if (rc >= 0)
            journal_released(b->env, b->row.job_id, &d->res_layer);
    }
}

static void
remove_empty_folder(struct backup_job *b, struct bdisk *d)
{
    CLEANUP_FREE char *dir = xstrdup(d->row->locator);
    struct err err = ERR_INIT;

    *strrchr(dir, '/') = '\0';
    /* Not empty is the normal case: other backups of this disk are there. */
    repo_remove_dir(b->repo, dir, &err);
}

void
backup_undo(struct backup_job *b, char **ret_cleanup)
{
    struct report r = {.released = json_array(), .left = json_array()};
    CLEANUP_JSON json_t *j = NULL;
    bool files = undo_point(b, &r);

    undo_node_job(b, &r);
    undo_snapshot(b, &r);
    live_set_manifests(b->live, NULL);
    manifest_in_free(b->manifests);
    b->manifests = NULL;
    for (size_t i = b->n; i-- > 0;) {
        struct bdisk *d = &b->disks[i];

        if (undo_export(b, d, &r) && files) {
            undo_files(b, d, &r);
            remove_empty_folder(b, d);
        }
    }
    FAILPOINT(RELEASED);
    j = json_pack("{s:o, s:o}", "released", r.released, "left", r.left);
    *ret_cleanup = json_line(j);
}
