#include "job/stored.h"

#include <string.h>

#include "base/mem.h"
#include "job/merge_files.h"
#include "job/pins.h"
#include "job/point_files.h"
#include "job/repo_set.h"

int
stored_open_claimed(struct job_env *env, const char *backup_id, struct stored *s,
                    struct err *err)
{
    memset(s, 0, sizeof *s);
    if (cat_backup_get(env->catalog, backup_id, &s->row, err) < 0) {
        if (err->class == ERR_NOT_FOUND)
            err_set(err, ERR_NOT_FOUND, "backup_not_found",
                    "no backup has the id '%.200s'; `sendense backup ls` lists them",
                    backup_id);
        return err->class;
    }
    if (strcmp(s->row.state, "completed") != 0)
        err_set(err, ERR_EXISTS, "backup_not_completed",
                "backup '%s' is %s: only a completed backup holds data", backup_id,
                s->row.state);
    else
        repo_set_get(env, s->row.repository_id, &s->repo, err);
    if (err->class != 0)
        stored_close(s);
    return err->class;
}

int
stored_open(struct job_env *env, const char *backup_id, struct stored *s, struct err *err)
{
    /* Pinned before it is looked at: a deletion in between would be missed. */
    if (pins_pin(backup_id, err) < 0)
        return err->class;
    if (stored_open_claimed(env, backup_id, s, err) < 0)
        pins_unpin(backup_id);
    else
        s->pinned = true;
    return err->class;
}

static int
differs(const char *what, struct err *err)
{
    return err_set(
        err, ERR_CORRUPT, "verification_failed",
        "the point in the repository is not the one that the catalog knows: %s differs",
        what);
}

static int
compare(const struct stored *s, struct err *err)
{
    const struct point *p = &s->point;

    if (strcmp(p->job_id, s->row.job_id) != 0 ||
        (s->row.point_id && strcmp(p->point_id, s->row.point_id) != 0))
        return differs("its id", err);
    if (p->n_disks != s->row.n_disks)
        return differs("the number of disks", err);
    for (size_t i = 0; i < p->n_disks; i++) {
        const struct cat_backup_disk *d = &s->row.disks[i];
        char root[2 * MANIFEST_HASH_SIZE + 1];

        text_hex(p->disks[i].layer_root, MANIFEST_HASH_SIZE, root);
        if (strcmp(p->disks[i].locator, d->locator) != 0 ||
            strcmp(p->disks[i].layer_id, d->layer_id) != 0 ||
            p->disks[i].size_bytes != d->size_bytes ||
            (d->layer_root && strcmp(root, d->layer_root) != 0))
            return differs("a disk", err);
    }
    return 0;
}

static int
load_chain(struct stored *s, size_t i, struct err *err)
{
    const struct point_disk *p = &s->point.disks[i];
    struct chain *c = &s->chains[i];

    if (!p->parent_layer_id[0] || c->n > 0)
        return 0;
    if (chain_load_below(s->repo, p->locator, c, err) < 0) {
        if (err->class == ERR_CORRUPT)
            err_recode(err, "verification_failed");
        return err->class;
    }
    if (strcmp(c->n ? c->v[c->n - 1].layer_id : "", p->parent_layer_id) != 0)
        return differs("what a disk stands on", err);
    return 0;
}

int
stored_load(struct stored *s, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(s->row.vm_id, s->row.seq);

    if (point_files_read(s->repo, name, &s->point, err) < 0) {
        if (err->class == ERR_NOT_FOUND || err->class == ERR_CORRUPT) {
            err->class = ERR_CORRUPT;
            err_recode(err, "verification_failed");
        }
        return err->class;
    }
    s->chains = xcalloc(s->point.n_disks, sizeof *s->chains);
    for (size_t i = 0; i < s->point.n_disks; i++)
        if (merge_check_free(s->repo, s->point.disks[i].locator, err) < 0)
            return err->class;
    return compare(s, err);
}

int
stored_fill(struct stored *s, size_t index, struct verify_disk *d, struct err *err)
{
    const struct point_disk *p = &s->point.disks[index];

    if (load_chain(s, index, err) < 0)
        return err_prefix(err, "disk %u", p->key);

    *d = (struct verify_disk){.key = p->key,
                              .disk_uuid = p->disk_uuid,
                              .size_bytes = p->size_bytes,
                              .locator = p->locator,
                              .layer_id = p->layer_id,
                              .below = &s->chains[index],
                              .has_content_root = true};
    memcpy(d->layer_root, p->layer_root, sizeof d->layer_root);
    memcpy(d->content_root, p->content_root, sizeof d->content_root);
    return 0;
}

void
stored_close(struct stored *s)
{
    if (s->pinned)
        pins_unpin(s->row.backup_id);
    s->pinned = false;
    for (size_t i = 0; s->chains && i < s->point.n_disks; i++)
        chain_done(&s->chains[i]);
    free(s->chains);
    s->chains = NULL;
    point_done(&s->point);
    cat_backup_done(&s->row);
}
