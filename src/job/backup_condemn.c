/* A job failed: is one of the layers that it stood on the reason?  The plan reads only
 * the ends of the manifests below; what is damaged between them is met by the transfer or
 * by the read-back.  Unless somebody says so, every next backup would choose the same
 * parent and fail in the same way. */
#include "job/backup_priv.h"

#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "model/naming.h"
#include "store/manifest_file.h"

static bool
is_damaged(const struct chain_layer *l, struct err *why)
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

/* The backup that made the layer is `failed` from now on. */
static int
condemn(struct backup_job *b, const struct chain_layer *l, const struct err *why,
        struct err *err)
{
    const struct cat_verification v = {.verification = "failed",
                                       .verified_us = time_utc_us()};
    CLEANUP_FREE char *text = NULL;
    struct cat_backup row = {0};
    struct naming_locator at;

    if (naming_locator_parse(l->locator, &at) < 0)
        return 0;
    if (cat_backup_by_seq(b->env->catalog, b->row.vm_id, b->row.repository_id, at.seq,
                          &row, err) < 0)
        return err->class;
    text =
        xasprintf("layer '%s' of backup '%s', on which this one stood, is damaged: %s; "
                  "the next backup of the disk is a full",
                  l->locator, row.backup_id, why->msg);
    if (cat_backup_set_verification(b->env->catalog, row.job_id, &v, err) >= 0)
        backup_warn(b, "parent_damaged", text);
    cat_backup_done(&row);
    return err->class;
}

void
backup_condemn_parents(struct backup_job *b)
{
    for (size_t i = 0; i < b->n; i++) {
        const struct chain *below = &b->disks[i].below;

        for (size_t k = 0; k < below->n; k++) {
            struct err why = ERR_INIT, err = ERR_INIT;

            if (is_damaged(&below->v[k], &why) &&
                condemn(b, &below->v[k], &why, &err) < 0)
                joblog_line(b->log, LOG_LEVEL_WARN,
                            "what is damaged could not be noted: %s, ignoring", err.msg);
        }
    }
}
