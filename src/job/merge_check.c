/* job/merge_check.c - before a merge changes anything: what is merged is read back and
 * compared.  From the commit on there is no way back, and damage would hold up what is
 * above for ever. */
#include "job/merge_priv.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "job/stored.h"
#include "job/verify_run.h"
#include "store/layer.h"

/* Disk @d of the backup that goes has a layer above, with which it becomes one. */
static bool
is_merged(const struct merge_job *j, const struct cat_backup_disk *d)
{
    return merge_child(j, d, NULL) != NULL;
}

static bool
is_wanted(const struct merge_job *j, const struct point_disk *p, bool below)
{
    for (size_t k = 0; k < j->row.n_disks; k++) {
        const struct cat_backup_disk *d = &j->row.disks[k];

        if (below ? strcmp(p->layer_id, d->layer_id) == 0 && is_merged(j, d)
                  : strcmp(p->parent_layer_id, d->layer_id) == 0)
            return true;
    }
    return false;
}

/* What @b stored on its disks that are merged is read back and compared; @below: it is
 * the one that goes. */
static int
read_back(struct merge_job *j, const struct cat_backup *b, bool below, struct err *err)
{
    struct stored stored;
    CLEANUP_FREE struct verify_disk *disks = NULL;
    struct verify_run v = {.env = j->env,
                           .job_id = j->row.job_id,
                           .attempt = 1,
                           .task = WORKER_VERIFY,
                           .repo = j->repo,
                           .live = j->live,
                           .log = j->log,
                           .limits = &j->env->limits};
    int r = stored_open_claimed(j->env, b->backup_id, &stored, err);

    if (r < 0)
        return r;
    r = stored_load(&stored, err);
    disks = xcalloc(stored.point.n_disks + 1, sizeof *disks);
    for (size_t i = 0; r >= 0 && i < stored.point.n_disks; i++)
        if (is_wanted(j, &stored.point.disks[i], below))
            r = stored_fill(&stored, i, &disks[v.n++], err);
    v.disks = disks;
    if (r >= 0)
        r = verify_run(&v, err);
    stored_close(&stored);
    return r < 0 ? err->class : 0;
}

static int
check_tables(struct merge_job *j, struct err *err)
{
    for (size_t i = 0; i < j->row.n_disks; i++) {
        const struct cat_backup_disk *d = &j->row.disks[i];

        if (is_merged(j, d) &&
            layer_check(j->repo, d->locator, live_cancel_fd(j->live), err) < 0)
            return err_prefix(err, "disk %lld", (long long)d->device_key);
    }
    return 0;
}

/* Its image is written into: qemu-img must find its way in it, before and after; what a
 * wrong reference count does is seen in no read. */
static int
check_own(struct merge_job *j, struct err *err)
{
    bool any = false;

    for (size_t i = 0; i < j->row.n_disks; i++)
        any = any || is_merged(j, &j->row.disks[i]);
    if (!any)
        return 0;
    if (check_tables(j, err) >= 0 && read_back(j, &j->row, true, err) >= 0)
        return 0;
    if (err->class == ERR_CORRUPT)
        err_recode(err, "merge_damaged");
    return err_prefix(err, "backup '%s' itself", j->row.backup_id);
}

static bool
is_direct(const struct merge_job *j, const struct cat_backup *b)
{
    for (size_t k = 0; k < j->row.n_disks; k++) {
        const struct cat_backup *child;

        if (merge_child(j, &j->row.disks[k], &child) && child == b)
            return true;
    }
    return false;
}

int
merge_check_layers(struct merge_job *j, struct err *err)
{
    live_set_phase(j->live, "verifying");
    if (check_own(j, err) < 0)
        return err->class;
    for (size_t i = 0; i < j->above.n; i++)
        if (is_direct(j, &j->above.v[i]) && read_back(j, &j->above.v[i], false, err) < 0)
            return err_prefix(err, "backup '%s', which stands on it",
                              j->above.v[i].backup_id);
    FAILPOINT(MERGE_CHECKED);
    return 0;
}
