/* A job failed: is one of the layers that it stood on the reason?  The plan reads only
 * the ends of the manifests below; what is damaged between them is met by the transfer or
 * by the read-back.  Unless somebody says so, every next backup would choose the same
 * parent and fail in the same way. */
#include "job/backup_priv.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "catalog/catalog.h"
#include "job/condemn.h"
#include "model/naming.h"

/* The backup that made the layer is `failed` from now on, and all that stand on it. */
static int
condemn(struct backup_job *b, const struct chain_layer *l, const struct err *why,
        struct err *err)
{
    char backup_id[NAMING_BACKUP_ID_SIZE];
    CLEANUP_FREE char *text = NULL;
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(b->env->catalog, &tx, err) < 0 ||
        condemn_layer(b->env, l->layer_id, NULL, backup_id, err) < 0 ||
        catalog_tx_commit(&tx, err) < 0)
        return err->class;
    FAILPOINT(PARENT_CONDEMNED);
    if (!backup_id[0])
        return 0;
    text =
        xasprintf("layer '%s' of backup '%s', on which this one stood, is damaged: %s; "
                  "the next backup of the disk is a full",
                  l->locator, backup_id, why->msg);
    backup_warn(b, "parent_damaged", text);
    return 0;
}

bool
backup_condemn_parents(struct backup_job *b)
{
    bool found = false;

    for (size_t i = 0; i < b->n; i++) {
        const struct chain *below = &b->disks[i].below;

        for (size_t k = 0; k < below->n; k++) {
            struct err why = ERR_INIT, err = ERR_INIT;

            if (!condemn_is_damaged(&below->v[k], &why))
                continue;
            found = true;
            if (condemn(b, &below->v[k], &why, &err) < 0)
                joblog_line(b->log, LOG_LEVEL_WARN,
                            "what is damaged could not be noted: %s, ignoring", err.msg);
        }
    }
    return found;
}
