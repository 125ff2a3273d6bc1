/* store/layer.c - layers, whatever the engine; see layer.h. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "model/manifest.h"
#include "model/naming.h"
#include "store/layer.h"
#include "store/store_priv.h"

static int
check_locator(const char *locator, struct err *err)
{
    if (!repo_locator_is_valid(locator))
        return err_set(err, ERR_INVALID, "repo_name", "not a locator of a layer");
    return 0;
}

static int
check_change(const struct repo *r, const char *locator, struct err *err)
{
    int rc = check_locator(locator, err);

    if (rc == 0 && r->lock_fd < 0)
        rc = err_set(err, ERR_UNAVAILABLE, "repo_not_locked",
                     "repository '%s' is not locked by this hub", r->folder);
    return rc;
}

int
layer_create(struct repo *r, const struct repo_layer_spec *spec, struct err *err)
{
    struct naming_locator own, parent;
    int rc = check_change(r, spec->locator, err);

    if (rc == 0 && spec->parent != NULL)
        rc = check_locator(spec->parent, err);
    if (rc < 0)
        return rc;
    if (spec->size_bytes == 0 || spec->size_bytes > MANIFEST_DISK_SIZE_MAX)
        return err_set(err, ERR_INVALID, NULL, "a disk of %llu bytes cannot be stored",
                       (unsigned long long)spec->size_bytes);
    if (spec->parent != NULL) {
        (void)naming_locator_parse(spec->locator, &own); /* both are valid: see above */
        (void)naming_locator_parse(spec->parent, &parent);
        if (strcmp(own.vm_uuid, parent.vm_uuid) != 0 ||
            strcmp(own.disk_uuid, parent.disk_uuid) != 0 || own.seq <= parent.seq)
            return err_set(err, ERR_INVALID, NULL,
                           "the parent must be an older layer of the same disk");
    }
    return r->ops->create_layer(r, spec, err);
}

int
layer_repair(struct repo *r, const char *locator, struct err *err)
{
    int rc = check_change(r, locator, err);

    return rc < 0 ? rc : r->ops->repair_layer(r, locator, err);
}

int
layer_check(struct repo *r, const char *locator, int cancel_fd, struct err *err)
{
    int rc = check_change(r, locator, err);

    return rc < 0 ? rc : r->ops->check_layer(r, locator, cancel_fd, err);
}

int
layer_remove(struct repo *r, const char *locator, struct err *err)
{
    int rc = check_change(r, locator, err);

    return rc < 0 ? rc : r->ops->remove_layer(r, locator, err);
}

int
layer_stored_bytes(struct repo *r, const char *locator, uint64_t *ret, struct err *err)
{
    int rc = check_locator(locator, err);

    return rc < 0 ? rc : r->ops->stored_bytes(r, locator, ret, err);
}

int
layer_sync(struct repo *r, const char *locator, struct err *err)
{
    int rc = check_locator(locator, err);

    return rc < 0 ? rc : r->ops->sync_layer(r, locator, err);
}

int
layer_export_rw(struct repo *r, const char *locator, const struct export_spec *spec,
                struct export **ret, struct err *err)
{
    int rc = check_change(r, locator, err);

    return rc < 0 ? rc : r->ops->export_rw(r, locator, spec, ret, err);
}

int
layer_export_ro(struct repo *r, const char *locator, const struct export_spec *spec,
                struct export **ret, struct err *err)
{
    int rc = check_locator(locator, err);

    return rc < 0 ? rc : r->ops->export_ro(r, locator, spec, ret, err);
}

int
layer_merge(struct repo *r, struct layer_merge *m, struct err *err)
{
    int rc = check_change(r, m->child, err);

    if (rc == 0)
        rc = check_locator(m->parent, err);
    return rc < 0 ? rc : r->ops->merge_layer(r, m, err);
}

/* --- the next number --- */

struct seq_walk {
    struct repo *r;
    const char *vm_uuid;
    uint32_t highest;
};

static int
see_numbered(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct seq_walk *w = arg;
    uint32_t seq;

    if (seq_of_name(name, &seq) && seq > w->highest)
        w->highest = seq;
    return 0;
}

static int
see_disk(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct seq_walk *w = arg;
    CLEANUP_FREE char *dir = NULL;

    if (kind != REPO_ENTRY_DIR || !uuid_is_valid(name))
        return 0;
    dir = xasprintf("vms/%s/disks/%s", w->vm_uuid, name);
    return w->r->ops->list(w->r, dir, see_numbered, w, err);
}

int
layer_next_seq(struct repo *r, const char *vm_uuid, uint32_t *ret, struct err *err)
{
    struct seq_walk w = {.r = r, .vm_uuid = vm_uuid};
    CLEANUP_FREE char *points = NULL;
    CLEANUP_FREE char *disks = NULL;

    if (!uuid_is_valid(vm_uuid))
        return err_set(err, ERR_INVALID, "repo_name", "the VM's id is no UUID");
    points = xasprintf("vms/%s/points", vm_uuid);
    disks = xasprintf("vms/%s/disks", vm_uuid);
    if (r->ops->list(r, points, see_numbered, &w, err) < 0 ||
        r->ops->list(r, disks, see_disk, &w, err) < 0)
        return err->class;
    if (w.highest >= NAMING_SEQ_MAX)
        return err_set(err, ERR_LIMIT, NULL, "VM %s has used up its numbers", vm_uuid);
    *ret = w.highest + 1;
    return 0;
}
