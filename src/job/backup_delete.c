/* Deleting a backup: the point's JSON first (from then on the backup does not exist),
 * then the files, then the rows.  The deletion is journalled, so that one that a crash
 * cut off is finished by the next start (job/recover.c).  As long as its entry is open
 * nothing new stands on the backup (job/backup_plan.c). */
#include "job/backup.h"

#include <stdbool.h>
#include <string.h>

#include "base/buf.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "job/bus.h"
#include "job/journal.h"
#include "job/pins.h"
#include "job/point_files.h"
#include "job/repo_set.h"
#include "model/point.h"

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
        return err_set(err, ERR_EXISTS, "backup_has_children",
                       "backup '%s' stands on layers of '%s': delete that one first, or "
                       "merge both (`sendense backup rm --merge`, ?merge=true)",
                       child, row->backup_id);
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
        cat_backup_delete(env->catalog, row->job_id, err) < 0 ||
        bus_emit(env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    return 0;
}

/* True when the point is there for certain, so nothing of the backup was touched: the
 * removal of a point is not undone by a sync that fails. */
static bool
has_point(struct repo *repo, const struct cat_backup *row)
{
    CLEANUP_FREE char *name = point_files_name(row->vm_id, row->seq);
    CLEANUP_BUF struct buf b = BUF_INIT(POINT_FILE_MAX);
    struct err ignored = ERR_INIT;

    return repo_get(repo, name, &b, &ignored) >= 0;
}

/* Journalled before the first file goes: a deletion that was cut off is finished by the
 * next start, so a row never outlives its files.  One that failed before anything was
 * gone is over: who asked for it is told so, and may build on the backup. */
static int
remove_all(struct job_env *env, const struct cat_backup *row, const char *actor,
           struct err *err)
{
    CLEANUP_FREE char *point = point_files_name(row->vm_id, row->seq);
    CLEANUP_FREE char *key = xasprintf("%s:%s", row->repository_id, point);
    struct repo *repo = NULL;
    int64_t res = 0;

    if (repo_set_get(env, row->repository_id, &repo, err) < 0 ||
        journal_intent(env, row->job_id, RES_DELETE, key, &res, err) < 0)
        return err->class;
    if (point_files_remove(repo, row, err) < 0) {
        if (has_point(repo, row))
            journal_released(env, row->job_id, &res);
        return err->class;
    }
    if (remove_rows(env, row, actor, err) < 0)
        return err->class;
    journal_released(env, row->job_id, &res);
    return 0;
}

static int
tell_failed(struct job_env *env, const struct cat_backup *row, const struct err *why,
            struct err *err)
{
    struct cat_event e = {.severity = "error",
                          .type = "backup.delete_failed",
                          .code = why->code,
                          .message = why->msg,
                          .backup_id = row->backup_id,
                          .vm_id = row->vm_id,
                          .job_id = row->job_id,
                          .actor = "recovery"};

    log_error("job='%s' its deletion is given up: %s", row->job_id, why->msg);
    return bus_emit(env, &e, err);
}

/* Under the claim.  A backup that something stands on by now is left alone, whatever the
 * journal says. */
static int
finish_claimed(struct job_env *env, const char *job_id, struct err *err)
{
    struct cat_backup row = {0};
    struct repo *repo = NULL;
    struct err why = ERR_INIT;
    int r = cat_backup_get_by_job(env->catalog, job_id, &row, err);

    if (r < 0) {
        if (err->class == ERR_NOT_FOUND)
            err_clear(err);
        return err->class;
    }
    r = check(env, &row, &why);
    if (r >= 0) {
        r = repo_set_get(env, row.repository_id, &repo, err);
        if (r >= 0)
            r = point_files_remove(repo, &row, err);
        if (r >= 0)
            r = remove_rows(env, &row, "recovery", err);
    } else if (why.class == ERR_EXISTS) {
        r = tell_failed(env, &row, &why, err);
        FAILPOINT(DELETE_GIVEN_UP);
    } else {
        *err = why;
    }
    cat_backup_done(&row);
    return r < 0 ? err->class : 0;
}

int
backup_delete_finish(struct job_env *env, const char *job_id, struct err *err)
{
    struct cat_backup row = {0};
    int r;

    if (cat_backup_get_by_job(env->catalog, job_id, &row, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        return 0;
    }
    /* Refused while the deletion that made the entry is still at it. */
    r = pins_claim(row.backup_id, err);
    if (r >= 0) {
        r = finish_claimed(env, job_id, err);
        pins_unclaim(row.backup_id);
    }
    cat_backup_done(&row);
    return r < 0 ? err->class : 0;
}

int
backup_delete(struct job_env *env, const char *backup_id, const char *actor,
              struct err *err)
{
    struct cat_backup row = {0};
    int r;

    if (cat_backup_get(env->catalog, backup_id, &row, err) < 0)
        return err->class;
    r = check(env, &row, err);
    if (r >= 0 && (r = pins_claim(backup_id, err)) >= 0) {
        /* Again: before the claim a backup that stands on it may have begun. */
        r = check(env, &row, err);
        /* A job that failed has no files any more, but what its undo could not remove. */
        if (r >= 0)
            r = strcmp(row.state, "completed") == 0 ? remove_all(env, &row, actor, err)
                                                    : remove_rows(env, &row, actor, err);
        pins_unclaim(backup_id);
    }
    cat_backup_done(&row);
    return r < 0 ? err->class : 0;
}
