#include "job/recover.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_export.h"
#include "catalog/cat_resource.h"
#include "catalog/cat_restore.h"
#include "catalog/cat_verify.h"
#include "catalog/catalog.h"
#include "job/backup.h"
#include "job/bus.h"
#include "job/folder.h"
#include "job/joblog.h"
#include "job/journal.h"
#include "job/live.h"
#include "job/merge.h"
#include "job/outcome.h"
#include "job/point_files.h"
#include "job/repo_set.h"
#include "job/restore_record.h"
#include "job/sweep.h"

#define INTERRUPTED "interrupted"

struct recovery {
    struct job_env *env;
    struct leftovers_how how;
    struct recover_report *report;
};

static const struct cat_finish interrupted_finish = {
    .state = "failed",
    .phase = INTERRUPTED,
    .error_code = INTERRUPTED,
    .error_phase = INTERRUPTED,
    .error_message = "the hub ended while this job ran: start it again"};

static bool
state_is_open(const char *state)
{
    return strcmp(state, "pending") == 0 || strcmp(state, "running") == 0;
}

bool
recover_job_is_open(struct job_env *env, const char *job_id)
{
    struct cat_backup b = {0};
    struct cat_restore r = {0};
    struct cat_verify v = {0};
    struct cat_export e = {0};
    struct err err = ERR_INIT;
    bool open = false;

    if (cat_backup_get_by_job(env->catalog, job_id, &b, &err) >= 0)
        open = state_is_open(b.state);
    else if (err.class != ERR_NOT_FOUND)
        open = true;
    err_clear(&err);
    if (!open && cat_restore_get(env->catalog, job_id, &r, &err) >= 0)
        open = state_is_open(r.state);
    else if (err.class && err.class != ERR_NOT_FOUND)
        open = true;
    err_clear(&err);
    if (!open && cat_verify_get(env->catalog, job_id, &v, &err) >= 0)
        open = state_is_open(v.state);
    else if (err.class && err.class != ERR_NOT_FOUND)
        open = true;
    err_clear(&err);
    if (!open && cat_export_get(env->catalog, job_id, &e, &err) >= 0)
        open = strcmp(e.state, "opening") == 0 || strcmp(e.state, "open") == 0;
    else if (err.class && err.class != ERR_NOT_FOUND)
        open = true;
    cat_export_done(&e);
    cat_backup_done(&b);
    cat_restore_done(&r);
    cat_verify_done(&v);
    return open;
}

/* 1 = rolled forward, 0 = the job has no point. */
static int
roll_forward(struct job_env *env, const struct cat_backup *row, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(row->vm_id, row->seq);
    CLEANUP_POINT struct point p = {0};
    struct repo *repo;

    if (repo_set_get(env, row->repository_id, &repo, err) < 0)
        return err->class;
    if (point_files_read(repo, name, &p, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        return 0;
    }
    if (strcmp(p.job_id, row->job_id) != 0)
        return err_set(err, ERR_CORRUPT, "point_corrupt", "point '%s' is of another job",
                       name);
    return outcome_completed(env, &p, err) < 0 ? err->class : 1;
}

/* What the journal says was there and is gone, as a job that undoes itself tells it. */
static char *
cleanup_text(const struct cat_resources *before, const struct cat_resources *after)
{
    CLEANUP_JSON json_t *j = json_pack("{s:[], s:[]}", "released", "left");

    for (size_t i = 0; i < before->n; i++) {
        bool left = false;

        for (size_t k = 0; k < after->n; k++)
            left = left || after->v[k].id == before->v[i].id;
        json_array_append_new(json_object_get(j, left ? "left" : "released"),
                              json_pack("{s:s, s:s}", "kind", before->v[i].kind, "key",
                                        before->v[i].res_key));
    }
    return json_line(j);
}

/* Removes what the job made; the text is NULL when the journal cannot be read. */
static char *
unmake(struct recovery *rec, const char *job_id)
{
    struct cat_resources before = {0}, after = {0};
    struct err err = ERR_INIT;
    char *text = NULL;
    int r = cat_resource_list_job(rec->env->catalog, job_id, &before, &err);

    leftovers_unmake(rec->env, job_id, &rec->how);
    if (r >= 0 && cat_resource_list_job(rec->env->catalog, job_id, &after, &err) >= 0)
        text = cleanup_text(&before, &after);
    cat_resources_done(&before);
    cat_resources_done(&after);
    return text;
}

static void
end_backup(struct job_env *env, const struct cat_backup *row, const char *cleanup,
           const struct err *no_resume)
{
    bool cancelled = strcmp(row->current_phase, "cancelling") == 0;
    struct outcome_failure f = {.state = cancelled ? "cancelled" : "failed",
                                .phase = row->current_phase,
                                .bad_disk = -1,
                                .cleanup = cleanup};
    CLEANUP_JOBLOG struct joblog *log = joblog_open(env, row->job_id);
    struct err why = ERR_INIT, err = ERR_INIT;

    if (cancelled)
        err_set(&why, ERR_CANCELLED, "cancelled",
                "cancelled; the hub ended before that was done, and did it at its start");
    else
        err_set(&why, ERR_UNAVAILABLE, INTERRUPTED,
                "the hub ended while this backup was %s; what it had made is removed: "
                "start it again (%s)",
                row->current_phase, no_resume->msg);
    joblog_line(log, LOG_LEVEL_ERROR, "%s", why.msg);
    if (outcome_failed(env, row, &f, &why, &err) < 0)
        log_error("job='%s' store its outcome: %s", row->job_id, err.msg);
}

/* No point: it goes on, or everything of it is undone. */
static void
settle_unfinished(struct recovery *rec, const struct cat_backup *row)
{
    struct err err = ERR_INIT;
    int r = backup_again(rec->env, row->job_id, &err);

    if (r > 0) {
        log_info("job='%s' backup '%s' goes on", row->job_id, row->backup_id);
        rec->report->resumed++;
    } else if (r == 0) {
        CLEANUP_FREE char *cleanup = unmake(rec, row->job_id);

        FAILPOINT(RECOVERY_UNMADE);
        end_backup(rec->env, row, cleanup, &err);
        rec->report->interrupted++;
    } else {
        log_error("job='%s' cannot go on now: %s", row->job_id, err.msg);
        rec->report->left++;
    }
}

static void
settle_backup(struct recovery *rec, const struct cat_backup *row)
{
    struct err err = ERR_INIT;
    int r = roll_forward(rec->env, row, &err);

    if (r > 0) {
        log_info("job='%s' backup '%s' had its point: completed", row->job_id,
                 row->backup_id);
        rec->report->rolled_forward++;
    } else if (r == 0) {
        settle_unfinished(rec, row);
    } else {
        /* Whether it has a point is not known: nothing of it may be touched. */
        log_error("job='%s' cannot be settled now: %s", row->job_id, err.msg);
        rec->report->left++;
    }
}

/* A job without a live one of its id has ended, or nobody will ever end it. */
static bool
is_live(const struct recovery *rec, const char *job_id)
{
    CLEANUP_LIVE struct live_job *live = live_find(rec->env->live, job_id);

    return live != NULL;
}

/* The list was read before the job's end may have been: only the row of now counts. */
static bool
is_orphan(const struct recovery *rec, const char *job_id)
{
    return !is_live(rec, job_id) && recover_job_is_open(rec->env, job_id);
}

static int
settle_backups(struct recovery *rec, struct err *err)
{
    struct cat_backups open = {0};

    if (cat_backup_list_open(rec->env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n && !leftovers_stop_asked(&rec->how); i++)
        if (is_orphan(rec, open.v[i].job_id))
            settle_backup(rec, &open.v[i]);
    cat_backups_done(&open);
    return 0;
}

static bool
is_target(const char *kind)
{
    return strcmp(kind, RES_FILE) == 0 || strcmp(kind, RES_FOLDER) == 0 ||
           strcmp(kind, RES_PARTIAL) == 0;
}

/* Is @path the very file that the journal speaks of?  One that a restore was to replace
 * is not. */
static bool
is_file(const char *path, const char *detail)
{
    char id[RESTORE_FILE_ID_SIZE];

    return detail && restore_file_id(path, id) == 0 && strcmp(id, detail) == 0;
}

/* The journal's file was held, is gone, and the target is there: it was renamed, whole.
 */
static bool
restore_is_whole(struct job_env *env, const struct cat_restore *row)
{
    CLEANUP_FREE char *part = xasprintf("%s.part", row->target_path);
    struct cat_resources list = {0};
    struct err err = ERR_INIT;
    bool held = false;

    if (cat_resource_list_job(env->catalog, row->id, &list, &err) < 0)
        return false;
    for (size_t i = 0; i < list.n; i++)
        held =
            held || (is_target(list.v[i].kind) && strcmp(list.v[i].state, "held") == 0 &&
                     is_file(row->target_path, list.v[i].detail));
    cat_resources_done(&list);
    return held && access(part, F_OK) < 0 && errno == ENOENT &&
           access(row->target_path, F_OK) == 0 &&
           fs_sync_parent(row->target_path, &err) == 0;
}

static int
settle_restore(struct recovery *rec, const struct cat_restore *row, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct job_env *env = rec->env;
    bool whole = restore_is_whole(env, row);
    struct cat_finish f = interrupted_finish;
    struct cat_event e = {.severity = whole ? "info" : "error",
                          .type = whole ? "restore.completed" : "restore.failed",
                          .code = whole ? NULL : INTERRUPTED,
                          .message =
                              whole ? row->target_path : interrupted_finish.error_message,
                          .job_id = row->id,
                          .backup_id = row->backup_id};

    if (whole)
        f = (struct cat_finish){.state = "completed", .phase = "completed"};
    f.completed_us = time_utc_us();
    /* The entry of the file is the proof that the target is ours: it goes last. */
    if (!whole)
        leftovers_unmake(env, row->id, &rec->how);
    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        (whole && cat_restore_set_progress(env->catalog, row->id, row->bytes_total,
                                           row->bytes_total, err) < 0) ||
        cat_restore_finish(env->catalog, row->id, &f, err) < 0 ||
        bus_emit(env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    if (whole) {
        leftovers_unmake(env, row->id, &rec->how);
        rec->report->rolled_forward++;
    } else {
        rec->report->interrupted++;
    }
    return 0;
}

static int
settle_restores(struct recovery *rec, struct err *err)
{
    struct cat_restores open = {0};
    int r = cat_restore_list_open(rec->env->catalog, &open, err);

    for (size_t i = 0; r >= 0 && i < open.n; i++)
        if (is_orphan(rec, open.v[i].id))
            r = settle_restore(rec, &open.v[i], err);
    cat_restores_done(&open);
    return r < 0 ? err->class : 0;
}

static int
settle_verify(struct recovery *rec, const struct cat_verify *row, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct job_env *env = rec->env;
    struct cat_finish f = interrupted_finish;
    struct cat_event e = {.severity = "error",
                          .type = "verification.failed",
                          .code = INTERRUPTED,
                          .message = interrupted_finish.error_message,
                          .job_id = row->id,
                          .backup_id = row->backup_id};

    f.completed_us = time_utc_us();
    leftovers_unmake(env, row->id, &rec->how);
    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_verify_finish(env->catalog, row->id, &f, err) < 0 ||
        bus_emit(env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    rec->report->interrupted++;
    return 0;
}

static int
settle_verifies(struct recovery *rec, struct err *err)
{
    struct cat_verifies open = {0};
    int r = cat_verify_list_open(rec->env->catalog, &open, err);

    for (size_t i = 0; r >= 0 && i < open.n; i++)
        if (is_orphan(rec, open.v[i].id))
            r = settle_verify(rec, &open.v[i], err);
    cat_verifies_done(&open);
    return r < 0 ? err->class : 0;
}

/* What a hub had open ended with it. */
static int
settle_export(struct recovery *rec, const struct cat_export *row, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct job_env *env = rec->env;
    struct cat_export_end end = {
        .state = "closed", .reason = "hub_ended", .closed_us = time_utc_us()};
    struct cat_event e = {.severity = "warning",
                          .type = "export.closed",
                          .code = end.reason,
                          .message = "the hub ended while the disks were open",
                          .job_id = row->id,
                          .backup_id = row->backup_id};

    leftovers_unmake(env, row->id, &rec->how);
    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_export_finish(env->catalog, row->id, &end, err) < 0 ||
        bus_emit(env, &e, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    bus_wake(env->bus);
    rec->report->interrupted++;
    return 0;
}

static int
settle_exports(struct recovery *rec, struct err *err)
{
    struct cat_exports open = {0};
    int r = cat_export_list_open(rec->env->catalog, &open, err);

    for (size_t i = 0; r >= 0 && i < open.n; i++)
        if (is_orphan(rec, open.v[i].id))
            r = settle_export(rec, &open.v[i], err);
    cat_exports_done(&open);
    return r < 0 ? err->class : 0;
}

/* Entries of jobs that ran at one time lie mixed. */
static bool
is_first_of_its_job(const struct cat_resources *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (strcmp(l->v[k].job_id, l->v[i].job_id) == 0)
            return false;
    return true;
}

/* Deletions by a merge are gone on with, in a thread of their own. */
static int
settle_merges(struct recovery *rec, struct err *err)
{
    struct cat_resources open = {0};

    if (cat_resource_list_open(rec->env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n && !leftovers_stop_asked(&rec->how); i++) {
        const char *job = open.v[i].job_id;
        struct err why = ERR_INIT;

        if (strcmp(open.v[i].kind, RES_MERGE) != 0 || is_live(rec, job))
            continue;
        if (!leftovers_unmake(rec->env, job, &rec->how) ||
            merge_resume(rec->env, job, &why) < 0) {
            log_error("job='%s' go on with its merge: %s", job,
                      why.class ? why.msg : "something of it is still there");
            rec->report->left++;
        }
    }
    cat_resources_done(&open);
    return 0;
}

/* Entries of jobs that have ended: what an undo could not remove at its time. */
static int
settle_leftovers(struct recovery *rec, struct err *err)
{
    struct cat_resources open = {0};

    if (cat_resource_list_open(rec->env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n && !leftovers_stop_asked(&rec->how); i++) {
        const char *job = open.v[i].job_id;

        if (is_first_of_its_job(&open, i) && !is_live(rec, job) &&
            !recover_job_is_open(rec->env, job) &&
            !leftovers_unmake(rec->env, job, &rec->how))
            rec->report->left++;
    }
    cat_resources_done(&open);
    return 0;
}

static int
round_locked(struct job_env *env, const struct leftovers_how *how,
             struct recover_report *ret, struct err *err)
{
    struct recovery rec = {.env = env, .how = *how, .report = ret};

    if (settle_backups(&rec, err) < 0 || settle_restores(&rec, err) < 0 ||
        settle_verifies(&rec, err) < 0 || settle_exports(&rec, err) < 0 ||
        settle_merges(&rec, err) < 0 || settle_leftovers(&rec, err) < 0)
        return err_prefix(err, "recover");
    return 0;
}

/* The janitor's rounds and those that somebody asks for come one after the other: two
 * must not give one job its end. */
static pthread_mutex_t round_lock = PTHREAD_MUTEX_INITIALIZER;

int
recover_round(struct job_env *env, const struct leftovers_how *how,
              struct recover_report *ret, struct err *err)
{
    LOCK_SCOPE(&round_lock);
    return round_locked(env, how, ret, err);
}

/* Overlays end with the hub that made them, also those that a catalog which was lost
 * knew.
 */
static void
sweep_scratch(const struct job_env *env)
{
    CLEANUP_FREE char *path = xasprintf("%s/scratch", env->data_dir);
    struct err err = ERR_INIT;

    if (folder_remove(path, &err) < 0)
        log_warn("recovery: %s, ignoring", err.msg);
}

int
recover_all(struct job_env *env, struct recover_report *ret, struct err *err)
{
    /* A node that hangs must not hold up the start: the janitor asks it. */
    static const struct leftovers_how how = {.not_nodes = true};

    memset(ret, 0, sizeof *ret);
    if (recover_round(env, &how, ret, err) < 0)
        return err->class;
    sweep_scratch(env);
    sweep_all(env, &ret->swept);
    log_info("recovery: %u rolled forward, %u resumed, %u interrupted, %u files swept",
             ret->rolled_forward, ret->resumed, ret->interrupted, ret->swept);
    return 0;
}
