/* job/backup_plan.c - see backup_plan.h. */
#include "job/backup_plan.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_resource.h"
#include "job/chain.h"
#include "job/journal.h"
#include "job/parent_manifest.h"
#include "job/pins.h"
#include "job/point_files.h"

void
disk_plan_done(struct disk_plan *p)
{
    if (p->pinned)
        pins_unpin(p->pinned);
    free(p->pinned);
    *p = (struct disk_plan){.pinned = NULL};
}

static int
damaged(struct err *err, const char *locator, const char *what)
{
    return err_set(err, ERR_CORRUPT, "chain_broken", "layer '%s': %s", locator, what);
}

/* What is known of the disk in the backup that made a layer counts for all that stand on
 * it; what its other disks are does not. */
static int
check_verdict(const struct plan_question *q, const char *layer_id, const char *locator,
              struct err *err)
{
    struct cat_backup_disk d = {0};
    struct cat_backup b = {0};
    int r = cat_backup_disk_by_layer(q->env->catalog, layer_id, &d, err);

    if (r >= 0)
        r = cat_backup_get_by_job(q->env->catalog, d.job_id, &b, err);
    if (r >= 0 && strcmp(d.verification, "verified") != 0)
        r = err_set(err, ERR_CORRUPT, "chain_broken",
                    "layer '%s': the verification of this disk of backup '%s' says '%s'",
                    locator, b.backup_id, d.verification);
    else if (r < 0 && err->class == ERR_NOT_FOUND)
        r = damaged(err, locator, "the catalog does not know its backup");
    cat_backup_done(&b);
    cat_backup_disk_done(&d);
    return r < 0 ? err->class : 0;
}

static int
check_chain(const struct plan_question *q, const struct cat_backup_disk *tip,
            const char *disk_uuid, uint32_t *ret_length, struct err *err)
{
    CLEANUP_PARENT_MANIFEST struct parent_manifest *manifests = NULL;
    CLEANUP_CHAIN struct chain c = {.n = 0};
    struct naming_locator l;

    if (naming_locator_parse(tip->locator, &l) < 0)
        return damaged(err, tip->locator, "the catalog's name of it is none of a layer");
    if (chain_load(q->repo, tip->locator, &c, err) < 0)
        return err->class;
    *ret_length = (uint32_t)c.n;
    if (strcmp(c.v[c.n - 1].layer_id, tip->layer_id) != 0 ||
        strcmp(c.disk_uuid, disk_uuid) != 0)
        return damaged(err, tip->locator, "it is not the one that the catalog knows");
    for (size_t i = 0; i < c.n; i++)
        if (check_verdict(q, c.v[i].layer_id, c.v[i].locator, err) < 0)
            return err->class;
    return parent_manifest_open(&c, NULL, &manifests, err);
}

static bool
says(const struct cat_vm *vm, const char *word)
{
    CLEANUP_JSON json_t *platform = NULL;
    struct err ignored = ERR_INIT;

    return vm->platform &&
           json_parse(vm->platform, strlen(vm->platform), &platform, &ignored) >= 0 &&
           json_is_true(json_object_get(platform, word));
}

/* *ret is zeroed when there is none yet. */
static int
last_backup(const struct plan_question *q, struct cat_backup *ret, struct err *err)
{
    *ret = (struct cat_backup){.job_id = NULL};
    if (cat_backup_last_completed(q->env->catalog, q->vm->id, q->repository_id, ret,
                                  err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
    }
    return 0;
}

/* Another disk where the last backup had one: that is worth more to a reader than that
 * the new one has no parent. */
static void
no_parent(const struct cat_backup *last, const struct cat_vm_disk *d,
          struct disk_plan *ret)
{
    bool replaced = false;

    for (size_t i = 0; i < last->n_disks; i++)
        replaced = replaced || (last->disks[i].device_key == d->device_key &&
                                strcmp(last->disks[i].disk_uuid, d->disk_uuid) != 0);
    ret->how = (struct plan_result){.mode = READ_ALL,
                                    .reason = replaced ? REASON_DISK_UUID_DIFFERS
                                                       : REASON_NO_PARENT};
}

/* The pin keeps a deletion away from here on.  One that has begun may leave the tip half
 * there, and what is below it is no tip yet: neither can be stood on, and a full for want
 * of some seconds is not what anybody wants. */
static int
pin(const struct plan_question *q, const struct cat_backup_disk *tip,
    struct disk_plan *ret, struct err *err)
{
    struct cat_backup b = {0};
    int r = cat_backup_get_by_job(q->env->catalog, tip->job_id, &b, err);

    if (r >= 0)
        r = pins_pin(b.backup_id, err);
    if (r >= 0)
        ret->pinned = xstrdup(b.backup_id);
    cat_backup_done(&b);
    return r < 0 ? err->class : 0;
}

/* The tip, pinned.  One that was deleted while we looked at it is none: the next is. */
static int
find_tip(const struct plan_question *q, const char *disk_uuid,
         struct cat_backup_disk *ret, struct disk_plan *p, struct err *err)
{
    for (;;) {
        struct cat_backup_disk again = {0};
        int r =
            cat_backup_disk_tip(q->env->catalog, disk_uuid, q->repository_id, ret, err);

        if (r < 0)
            return r;
        r = pin(q, ret, p, err);
        if (r >= 0)
            r = cat_backup_disk_by_layer(q->env->catalog, ret->layer_id, &again, err);
        cat_backup_disk_done(&again);
        if (r >= 0)
            return 0;
        cat_backup_disk_done(ret);
        disk_plan_done(p);
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
    }
}

static int
plan_on(const struct plan_question *q, const struct cat_vm_disk *d,
        const struct cat_backup_disk *tip, bool apart, struct disk_plan *ret,
        struct err *err)
{
    struct plan_parent parent = {.exists = true,
                                 .apart = apart,
                                 .size_bytes = tip->size_bytes,
                                 .source_uuid = tip->source_uuid,
                                 .datastore = tip->datastore,
                                 .change_id = tip->change_id};
    struct plan_source source = {.can_track = says(q->vm, "cbt_supported"),
                                 .tracking_on = says(q->vm, "cbt_enabled"),
                                 .size_bytes = d->size_bytes,
                                 .source_uuid = d->source_uuid,
                                 .datastore = d->datastore};

    if (check_chain(q, tip, d->disk_uuid, &parent.chain_length, err) < 0) {
        if (err->class != ERR_CORRUPT && err->class != ERR_NOT_FOUND)
            return err->class;
        parent.damaged = true;
        ret->damage = *err;
        err_clear(err);
    }
    ret->how = plan_disk(&parent, &source, &q->wish);
    if (ret->how.mode != READ_ALL)
        memcpy(ret->parent_layer_id, tip->layer_id,
               strnlen(tip->layer_id, UUID_STR_SIZE - 1));
    return 0;
}

/* A deletion that was cut off is finished by recovery once nobody reads the tip: what
 * stood on it then would be lost.  Asked under the pin, which no deletion passes. */
static int
check_not_deleted(const struct plan_question *q, const struct cat_backup_disk *tip,
                  struct err *err)
{
    CLEANUP_FREE char *point = NULL;
    CLEANUP_FREE char *key = NULL;
    struct cat_backup b = {0};
    struct cat_resource entry = {0};

    if (cat_backup_get_by_job(q->env->catalog, tip->job_id, &b, err) < 0)
        return err->class;
    point = point_files_name(b.vm_id, b.seq);
    key = xasprintf("%s:%s", b.repository_id, point);
    if (cat_resource_find(q->env->catalog, RES_DELETE, key, &entry, err) >= 0)
        err_set(err, ERR_EXISTS, "backup_in_use",
                "the deletion of backup '%s' is not finished: the hub goes on with it",
                b.backup_id);
    else if (err->class == ERR_NOT_FOUND)
        err_clear(err);
    cat_resource_done(&entry);
    cat_backup_done(&b);
    return err->class;
}

int
backup_plan_disk(const struct plan_question *q, const struct cat_vm_disk *d,
                 struct disk_plan *ret, struct err *err)
{
    struct cat_backup_disk tip = {0};
    struct disk_plan p = {.pinned = NULL};
    struct cat_backup last;
    int r = last_backup(q, &last, err);

    if (r >= 0 && (r = find_tip(q, d->disk_uuid, &tip, &p, err)) >= 0) {
        bool apart = !last.job_id || strcmp(last.job_id, tip.job_id) != 0;

        r = plan_on(q, d, &tip, apart, &p, err);
        if (r >= 0 && p.how.mode != READ_ALL)
            r = check_not_deleted(q, &tip, err);
    } else if (r == ERR_NOT_FOUND) {
        err_clear(err);
        no_parent(&last, d, &p);
        r = 0;
    }
    cat_backup_done(&last);
    cat_backup_disk_done(&tip);
    if (r < 0) {
        disk_plan_done(&p);
        return err->class;
    }
    if (p.how.mode == READ_ALL && p.pinned) {
        pins_unpin(p.pinned);
        free(p.pinned);
        p.pinned = NULL;
    }
    *ret = p;
    return 0;
}
