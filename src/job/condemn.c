/* job/condemn.c - see condemn.h. */
#include "job/condemn.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_backup_update.h"
#include "store/manifest_file.h"

bool
condemn_is_damaged(const struct chain_layer *l, struct err *why)
{
    uint8_t root[MANIFEST_ROOT_SIZE];

    if (manifest_file_check(l->manifest, root, why) < 0)
        return why->class == ERR_CORRUPT || why->class == ERR_NOT_FOUND;
    if (memcmp(root, l->layer_root, sizeof root) == 0)
        return false;
    err_set(why, ERR_CORRUPT, "manifest_corrupt",
            "its manifest is not the one that its restore point names");
    return true;
}

static int
condemn_above(const struct job_env *env, const struct cat_backup_disk *d,
              const struct cat_backup *b, struct err *err)
{
    CLEANUP_FREE char *why =
        xasprintf("layer '%s' of backup '%s', on which this one stands, is damaged",
                  d->locator, b->backup_id);

    return cat_backup_condemn_above(env->catalog, d->layer_id, time_utc_us(), why, err);
}

static int
find(const struct job_env *env, const char *layer_id, struct cat_backup_disk *ret_disk,
     struct cat_backup *ret, struct err *err)
{
    if (cat_backup_disk_by_layer(env->catalog, layer_id, ret_disk, err) < 0 ||
        cat_backup_get_by_job(env->catalog, ret_disk->job_id, ret, err) < 0)
        return err->class;
    return 0;
}

int
condemn_layer(const struct job_env *env, const char *layer_id, const char *readback,
              char ret_backup_id[NAMING_BACKUP_ID_SIZE], struct err *err)
{
    struct cat_backup_disk d = {0};
    struct cat_backup b = {0};
    int r = find(env, layer_id, &d, &b, err);

    ret_backup_id[0] = '\0';
    if (r >= 0)
        r = cat_backup_condemn_disk(
            env->catalog,
            (struct cat_disk_ref){.job_id = d.job_id, .disk_index = d.disk_index},
            readback, time_utc_us(), err);
    if (r >= 0)
        r = condemn_above(env, &d, &b, err);
    if (r >= 0) {
        snprintf(ret_backup_id, NAMING_BACKUP_ID_SIZE, "%s", b.backup_id);
    } else if (err->class == ERR_NOT_FOUND) {
        err_clear(err);
        r = 0;
    }
    cat_backup_done(&b);
    cat_backup_disk_done(&d);
    return r < 0 ? err->class : 0;
}

static int
check_parent(const struct job_env *env, const char *layer_id, bool *ret, struct err *err)
{
    struct cat_backup_disk d = {0};
    struct cat_backup b = {0};
    int r = find(env, layer_id, &d, &b, err);

    if (r >= 0 && strcmp(d.verification, "failed") == 0) {
        *ret = true;
        r = condemn_above(env, &d, &b, err);
    } else if (r < 0 && err->class == ERR_NOT_FOUND) {
        /* An import tells of it: job/import.c. */
        err_clear(err);
        r = 0;
    }
    cat_backup_done(&b);
    cat_backup_disk_done(&d);
    return r < 0 ? err->class : 0;
}

int
condemn_if_below(const struct job_env *env, const struct point *p, bool *ret,
                 struct err *err)
{
    *ret = false;
    for (size_t i = 0; i < p->n_disks; i++)
        if (p->disks[i].parent_layer_id[0] &&
            check_parent(env, p->disks[i].parent_layer_id, ret, err) < 0)
            return err->class;
    return 0;
}
