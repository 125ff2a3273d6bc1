/* job/backup_plan.c - see backup_plan.h. */
#include "job/backup_plan.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "job/chain.h"
#include "job/parent_manifest.h"
#include "job/pins.h"

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

/* What a verification said of the backup that made a layer counts for all that stand on
 * it. */
static int
check_verdict(const struct plan_question *q, const char *layer_id, const char *locator,
              struct err *err)
{
    struct cat_backup_disk d = {0};
    struct cat_backup b = {0};
    int r = cat_backup_disk_by_layer(q->env->catalog, layer_id, &d, err);

    if (r >= 0)
        r = cat_backup_get_by_job(q->env->catalog, d.job_id, &b, err);
    if (r >= 0 && strcmp(b.verification, "verified") != 0)
        r = err_set(err, ERR_CORRUPT, "chain_broken",
                    "layer '%s': the verification of backup '%s' says '%s'", locator,
                    b.backup_id, b.verification);
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

    if (chain_load(q->repo, tip->locator, &c, err) < 0)
        return err->class;
    *ret_length = (uint32_t)c.n;
    if (strcmp(c.v[c.n - 1].layer_id, tip->layer_id) != 0 ||
        strcmp(c.disk_uuid, disk_uuid) != 0)
        return damaged(err, tip->locator, "it is not the one that the catalog knows");
    for (size_t i = 0; i < c.n; i++)
        if (check_verdict(q, c.v[i].layer_id, c.v[i].locator, err) < 0)
            return err->class;
    return parent_manifest_open(&c, &manifests, err);
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

/* Another disk where the last backup had one: that is worth more to a reader than that
 * the new one has no parent. */
static int
was_replaced(const struct plan_question *q, const struct cat_vm_disk *d, bool *ret,
             struct err *err)
{
    struct cat_backup last = {0};

    *ret = false;
    if (cat_backup_last_completed(q->env->catalog, q->vm->id, q->repository_id, &last,
                                  err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        return 0;
    }
    for (size_t i = 0; i < last.n_disks; i++)
        *ret = *ret || (last.disks[i].device_key == d->device_key &&
                        strcmp(last.disks[i].disk_uuid, d->disk_uuid) != 0);
    cat_backup_done(&last);
    return 0;
}

static int
no_parent(const struct plan_question *q, const struct cat_vm_disk *d,
          struct disk_plan *ret, struct err *err)
{
    bool replaced;

    if (was_replaced(q, d, &replaced, err) < 0)
        return err->class;
    ret->how = (struct plan_result){.mode = READ_ALL,
                                    .reason = replaced ? REASON_DISK_UUID_DIFFERS
                                                       : REASON_NO_PARENT};
    return 0;
}

/* The pin keeps a deletion away from here on.  One that began before is no error: what it
 * removes is no parent. */
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

static int
plan_on(const struct plan_question *q, const struct cat_vm_disk *d,
        const struct cat_backup_disk *tip, struct disk_plan *ret, struct err *err)
{
    struct plan_parent parent = {.exists = true,
                                 .size_bytes = tip->size_bytes,
                                 .source_uuid = tip->source_uuid,
                                 .datastore = tip->datastore,
                                 .change_id = tip->change_id};
    struct plan_source source = {.can_track = says(q->vm, "cbt_supported"),
                                 .tracking_on = says(q->vm, "cbt_enabled"),
                                 .size_bytes = d->size_bytes,
                                 .source_uuid = d->source_uuid,
                                 .datastore = d->datastore};

    if (pin(q, tip, ret, err) < 0 ||
        check_chain(q, tip, d->disk_uuid, &parent.chain_length, err) < 0) {
        if (err->class != ERR_CORRUPT && err->class != ERR_NOT_FOUND &&
            err->class != ERR_INVALID && strcmp(err->code, "backup_in_use") != 0)
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

int
backup_plan_disk(const struct plan_question *q, const struct cat_vm_disk *d,
                 struct disk_plan *ret, struct err *err)
{
    struct cat_backup_disk tip = {0};
    struct disk_plan p = {.pinned = NULL};
    int r =
        cat_backup_disk_tip(q->env->catalog, d->disk_uuid, q->repository_id, &tip, err);

    if (r >= 0) {
        r = plan_on(q, d, &tip, &p, err);
    } else if (err->class == ERR_NOT_FOUND) {
        err_clear(err);
        r = no_parent(q, d, &p, err);
    }
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
