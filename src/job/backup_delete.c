/* Deleting a backup: the point's JSON first (from then on the backup does not exist), then the
 * files, then the rows.  A crash in between leaves layers without a point, which the next start
 * sweeps, and a completed row without a point, which it removes (job/recover.c). */
#include "job/backup.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "job/bus.h"
#include "job/live.h"
#include "job/pins.h"
#include "job/point_files.h"
#include "job/repo_set.h"

static int
check(struct job_env *env, const struct cat_backup *row, struct err *err)
{
    CLEANUP_FREE char *child = NULL;

    if (strcmp(row->state, "pending") == 0 || strcmp(row->state, "running") == 0)
        return err_set(err, ERR_EXISTS, "backup_running",
                       "backup '%s' is running: cancel it first", row->backup_id);
    if (cat_backup_child(env->catalog, row->job_id, &child, err) < 0)
        return err->class;
    if (child)
        return err_set(err, ERR_EXISTS, "has_children",
                       "backup '%s' stands on layers of '%s': delete that one first", child,
                       row->backup_id);
    return 0;
}

static int
remove_rows(struct job_env *env, const struct cat_backup *row, const char *actor,
            struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "backup.deleted",
                          .message = "backup deleted",
                          .backup_id = row->backup_id,
                          .vm_id = row->vm_id,
                          .job_id = row->job_id,
                          .actor = actor};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_backup_delete(env->catalog, row->job_id, err) < 0 || bus_emit(env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

int
backup_delete(struct job_env *env, const char *backup_id, const char *actor, struct err *err)
{
    struct cat_backup row = {0};
    struct repo *repo = NULL;
    bool pinned = false;
    int r;

    if (cat_backup_get(env->catalog, backup_id, &row, err) < 0)
        return err->class;
    r = check(env, &row, err);
    if (r >= 0) {
        r = pins_claim(backup_id, err);
        pinned = r >= 0;
    }
    if (r >= 0 && strcmp(row.state, "completed") == 0)
        r = repo_set_get(env, row.repository_id, &repo, err);
    if (r >= 0 && repo)
        r = point_files_remove(repo, &row, err);
    if (r >= 0)
        r = remove_rows(env, &row, actor, err);
    if (pinned)
        pins_unclaim(backup_id);
    cat_backup_done(&row);
    return r < 0 ? err->class : 0;
}
