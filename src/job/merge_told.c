/* job/merge_told.c - what a merge changes in the catalog, and the events of it. */
#include "job/merge_priv.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "catalog/cat_backup_update.h"
#include "catalog/catalog.h"
#include "job/bus.h"
#include "job/point_files.h"
#include "model/point.h"
#include "store/layer.h"

static int
store_disk(struct merge_job *j, const struct point *p, const struct cat_backup_disk *d,
           struct err *err)
{
    struct cat_disk_ref ref = {.job_id = d->job_id, .disk_index = d->disk_index};
    char root[2 * MANIFEST_HASH_SIZE + 1];

    for (size_t i = 0; i < p->n_disks; i++) {
        const struct point_disk *now = &p->disks[i];
        bool full = !now->parent_layer_id[0];
        struct cat_disk_merge m = {
            .parent_layer_id = full ? NULL : now->parent_layer_id,
            .backup_type = backup_type_to_str(full ? BACKUP_FULL : BACKUP_INCREMENTAL),
            .layer_root = root,
            .records = (int64_t)now->records};

        if (strcmp(now->locator, d->locator) != 0)
            continue;
        text_hex(now->layer_root, MANIFEST_HASH_SIZE, root);
        if (layer_stored_bytes(j->repo, d->locator, &m.bytes_stored, err) < 0)
            return err->class;
        return cat_backup_disk_set_merged(j->env->catalog, ref, &m, err);
    }
    return err_set(err, ERR_CORRUPT, "point_corrupt",
                   "the point of layer '%s' does not name it", d->locator);
}

static bool
is_child(const struct merge_job *j, const struct cat_backup *b)
{
    const struct cat_backup *child;

    for (size_t i = 0; i < j->row.n_disks; i++)
        if (merge_child(j, &j->row.disks[i], &child) && child == b)
            return true;
    return false;
}

/* What a child is now: its point, with what the merge left beside its layers. */
static int
store_child(struct merge_job *j, const struct cat_backup *b, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(b->vm_id, b->seq);
    CLEANUP_FREE char *message =
        xasprintf("backup '%s', which it stood on, was deleted: its layers are merged",
                  j->row.backup_id);
    CLEANUP_POINT struct point p = {.seq = 0};
    struct cat_event e = {.severity = "info",
                          .type = "backup.merged",
                          .message = message,
                          .backup_id = b->backup_id,
                          .vm_id = b->vm_id,
                          .job_id = b->job_id,
                          .actor = j->actor};

    if (point_files_read(j->repo, name, &p, err) < 0)
        return err->class;
    for (size_t i = 0; i < j->row.n_disks; i++) {
        const struct cat_backup *of;
        const struct cat_backup_disk *d = merge_child(j, &j->row.disks[i], &of);

        if (d && of == b && store_disk(j, &p, d, err) < 0)
            return err->class;
    }
    if (cat_backup_set_type(j->env->catalog, b->job_id, backup_type_to_str(p.type), err) <
        0)
        return err->class;
    return bus_emit(j->env, &e, err);
}

int
merge_tell_done(void *arg, struct err *err)
{
    struct merge_job *j = arg;
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "backup.deleted",
                          .message = "backup deleted; what stood on it is merged with it",
                          .backup_id = j->row.backup_id,
                          .vm_id = j->row.vm_id,
                          .job_id = j->row.job_id,
                          .actor = j->actor};

    if (catalog_tx_begin(j->env->catalog, &tx, err) < 0)
        return err->class;
    for (size_t i = 0; i < j->above.n; i++)
        if (is_child(j, &j->above.v[i]) && store_child(j, &j->above.v[i], err) < 0)
            return err->class;
    if (cat_backup_delete(j->env->catalog, j->row.job_id, err) < 0 ||
        bus_emit(j->env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(j->env->bus);
    return 0;
}

void
merge_tell_failed(struct merge_job *j, const char *type, const struct err *why)
{
    struct cat_event e = {.severity = "error",
                          .type = type,
                          .code = why->code,
                          .message = why->msg,
                          .backup_id = j->row.backup_id,
                          .vm_id = j->row.vm_id,
                          .job_id = j->row.job_id,
                          .actor = j->actor};
    struct err err = ERR_INIT;

    if (bus_emit(j->env, &e, &err) < 0)
        log_error("job='%s' store event '%s': %s", j->row.job_id, type, err.msg);
}
