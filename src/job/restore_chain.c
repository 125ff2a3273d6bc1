/* job/restore_chain.c - a disk as the layers that it is stored in: copied into a folder,
 * where their relative backing names hold, each read back and compared. */
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/mem.h"
#include "job/folder_make.h"
#include "job/journal.h"
#include "job/restore_priv.h"
#include "store/layer.h"

static char *
file_of(const struct restore_job *j, const struct chain_layer *l)
{
    return xasprintf("%s/%s.qcow2", j->part, strrchr(l->locator, '/') + 1);
}

static int
make_folder(struct restore_job *j, struct err *err)
{
    restore_set_phase(j, "preparing");
    if (journal_intent(j->env, j->id, RES_FOLDER, j->part, &j->res_target, err) < 0 ||
        folder_make(j->part, err) < 0)
        return err->class;
    j->made = true;
    if (restore_hold_target(j, err) < 0)
        return err->class;
    FAILPOINT(RESTORE_TARGET_CREATED);
    return 0;
}

static int
copy_layers(struct restore_job *j, struct err *err)
{
    restore_set_phase(j, "copying");
    for (size_t i = 0; i < j->chain.n; i++) {
        CLEANUP_FREE char *to = file_of(j, &j->chain.v[i]);

        if (layer_copy(j->stored.repo, j->chain.v[i].locator, to, live_cancel_fd(j->live),
                       err) < 0)
            return err->class;
    }
    return 0;
}

/* The copy of layer @i, on the copies below it: what it recorded is what it holds.  When
 * that is true of each, the disk is true. */
static int
compare_layer(struct restore_job *j, size_t i, struct err *err)
{
    const struct chain_layer *l = &j->chain.v[i];
    CLEANUP_FREE char *path = file_of(j, l);
    const struct restore_image image = {.path = path,
                                        .format = "qcow2",
                                        .size_bytes = naming_round_up_512(l->size_bytes),
                                        .read_only = true,
                                        .allocation_depth = true};
    const struct chain below = {.v = j->chain.v, .n = i};
    struct verify_disk d;

    if (stored_fill(&j->stored, j->disk, &d, err) < 0 ||
        restore_open_image(j, &image, err) < 0)
        return err->class;
    d.locator = l->locator;
    d.layer_id = l->layer_id;
    memcpy(d.layer_root, l->layer_root, sizeof d.layer_root);
    d.size_bytes = l->size_bytes;
    d.source = export_uri(j->writer.export);
    d.below = &below;
    d.has_content_root = i + 1 == j->chain.n; /* the point speaks of the tip */
    if (restore_run_worker(j, WORKER_VERIFY, &d, err) < 0)
        return err_prefix(err, "layer '%s'", l->locator);
    return restore_close_image(j, err);
}

int
restore_make_chain(struct restore_job *j, struct err *err)
{
    if (make_folder(j, err) < 0 || copy_layers(j, err) < 0)
        return err->class;
    FAILPOINT(RESTORE_COPIED);
    restore_set_phase(j, "comparing");
    for (size_t i = 0; i < j->chain.n; i++)
        if (compare_layer(j, i, err) < 0)
            return err->class;
    return fs_sync_path(j->part, err);
}
