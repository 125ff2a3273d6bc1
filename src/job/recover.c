#include "job/recover.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_resource.h"
#include "catalog/cat_restore.h"
#include "catalog/cat_verify.h"
#include "job/backup.h"
#include "job/bus.h"
#include "job/journal.h"
#include "job/nodes.h"
#include "job/outcome.h"
#include "job/point_files.h"
#include "job/repo_set.h"
#include "job/sweep.h"
#include "os/child.h"
#include "store/layer.h"

#define KILL_TIMEOUT_MS 10000u
#define INTERRUPTED "interrupted"

/* "REPO_ID:name" of a layer, manifest or point. */
static int
split_key(const struct job_env *env, const char *res_key, struct repo **ret_repo,
          const char **ret_name, struct err *err)
{
    const char *colon = strchr(res_key, ':');
    char id[CAT_ID_SIZE];

    if (!colon || (size_t)(colon - res_key) >= sizeof id)
        return err_set(err, ERR_CORRUPT, NULL, "journal key '%.100s' makes no sense",
                       res_key);
    snprintf(id, sizeof id, "%.*s", (int)(colon - res_key), res_key);
    *ret_name = colon + 1;
    return repo_set_get(env, id, ret_repo, err);
}

static int
kill_process(const struct cat_resource *r, struct err *err)
{
    struct child_id id = {.pid = (pid_t)r->pid, .start_ticks = (uint64_t)r->start_ticks};

    if (r->pid == 0 || !r->boot_id)
        return 0;
    snprintf(id.boot_id, sizeof id.boot_id, "%s", r->boot_id);
    if (!child_id_alive(&id))
        return 0;
    log_warn("job='%s' %s '%s': process %d outlived the hub, ending it", r->job_id,
             r->kind, r->res_key, (int)id.pid);
    return child_id_kill(&id, KILL_TIMEOUT_MS, err);
}

static int
remove_manifest(struct repo *repo, const char *locator, struct err *err)
{
    CLEANUP_FREE char *sealed = xasprintf("%s.manifest", locator);
    CLEANUP_FREE char *part = xasprintf("%s.manifest.part", locator);

    if (repo_remove(repo, part, true, err) < 0)
        return err->class;
    return repo_remove(repo, sealed, true, err);
}

/* The entry stays open while the node is out of reach: its client may still run. */
static int
end_node_job(struct job_env *env, const struct cat_resource *r, struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    const char *colon = strchr(r->res_key, ':');
    char id[CAT_ID_SIZE];

    if (!colon || (size_t)(colon - r->res_key) >= sizeof id)
        return err_set(err, ERR_CORRUPT, NULL, "journal key '%.100s' makes no sense",
                       r->res_key);
    snprintf(id, sizeof id, "%.*s", (int)(colon - r->res_key), r->res_key);
    if (nodes_connect(env, id, &node, err) < 0)
        return err->class;
    return node_client_delete(node, colon + 1, err);
}

static int
unmake(struct job_env *env, const struct cat_resource *r, struct err *err)
{
    struct repo *repo = NULL;
    const char *name = NULL;

    if (strcmp(r->kind, RES_DELETE) == 0)
        return backup_delete_finish(env, r->job_id, err);
    if (strcmp(r->kind, RES_EXPORT) == 0 || strcmp(r->kind, RES_WORKER) == 0)
        return kill_process(r, err);
    if (strcmp(r->kind, RES_PORT) == 0)
        return 0; /* free since its process is gone */
    if (strcmp(r->kind, RES_SOCKET) == 0 || strcmp(r->kind, RES_FILE) == 0)
        return fs_unlink(r->res_key, true, err);
    if (strcmp(r->kind, RES_NODE_JOB) == 0)
        return end_node_job(env, r, err);
    if (split_key(env, r->res_key, &repo, &name, err) < 0)
        return err->class;
    if (strcmp(r->kind, RES_LAYER) == 0)
        return layer_remove(repo, name, err);
    if (strcmp(r->kind, RES_MANIFEST) == 0)
        return remove_manifest(repo, name, err);
    if (strcmp(r->kind, RES_POINT) == 0)
        return repo_remove(repo, name, true, err);
    return err_set(err, ERR_CORRUPT, NULL, "journal kind '%s' is unknown", r->kind);
}

/* Processes before the files they have open; else in the reverse order of making. */
static int
rank(const char *kind)
{
    if (strcmp(kind, RES_NODE_JOB) == 0)
        return 0;
    if (strcmp(kind, RES_EXPORT) == 0 || strcmp(kind, RES_WORKER) == 0)
        return 1;
    return strcmp(kind, RES_POINT) == 0 ? 2 : 3;
}

static int
by_rank(const void *a, const void *b)
{
    const struct cat_resource *x = a, *y = b;
    int d = rank(x->kind) - rank(y->kind);

    return d ? d : (x->id < y->id) - (x->id > y->id);
}

/* Unmakes everything that the job has open.  What fails stays open, for the next start.
 */
void
recover_leftovers(struct job_env *env, const char *job_id)
{
    struct cat_resources list = {0};
    struct err err = ERR_INIT;

    if (cat_resource_list_job(env->catalog, job_id, &list, &err) < 0) {
        log_error("job='%s' read its journal: %s", job_id, err.msg);
        return;
    }
    qsort(list.v, list.n, sizeof *list.v, by_rank);
    for (size_t i = 0; i < list.n; i++) {
        struct err e = ERR_INIT;
        int64_t id = list.v[i].id;

        if (unmake(env, &list.v[i], &e) < 0) {
            log_error("job='%s' left over: %s '%s': %s", job_id, list.v[i].kind,
                      list.v[i].res_key, e.msg);
            continue;
        }
        log_info("job='%s' released %s '%s'", job_id, list.v[i].kind, list.v[i].res_key);
        journal_released(env, job_id, &id);
    }
    cat_resources_done(&list);
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

static void
interrupt_backup(struct job_env *env, const struct cat_backup *row)
{
    struct outcome_failure f = {
        .state = "failed", .phase = row->current_phase, .bad_disk = -1};
    struct err why = ERR_INIT, err = ERR_INIT;

    err_set(&why, ERR_UNAVAILABLE, INTERRUPTED,
            "the hub ended while this backup was %s; everything it had made was removed: "
            "start "
            "it again",
            row->current_phase);
    if (outcome_failed(env, row, &f, &why, &err) < 0)
        log_error("job='%s' store its outcome: %s", row->job_id, err.msg);
}

static int
settle_backups(struct job_env *env, struct recover_report *rep, struct err *err)
{
    struct cat_backups open = {0};

    if (cat_backup_list_open(env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n; i++) {
        struct err e = ERR_INIT;
        int r;

        r = roll_forward(env, &open.v[i], &e);
        if (r > 0) {
            log_info("job='%s' backup '%s' had its point: completed", open.v[i].job_id,
                     open.v[i].backup_id);
            rep->rolled_forward++;
        } else if (r == 0) {
            recover_leftovers(env, open.v[i].job_id);
            interrupt_backup(env, &open.v[i]);
            rep->interrupted++;
        } else {
            log_error("job='%s' cannot be settled now: %s", open.v[i].job_id, e.msg);
        }
    }
    cat_backups_done(&open);
    return 0;
}

static const struct cat_finish interrupted_finish = {
    .state = "failed",
    .phase = INTERRUPTED,
    .error_code = INTERRUPTED,
    .error_phase = INTERRUPTED,
    .error_message = "the hub ended while this job ran: start it again"};

static void
tell_interrupted(struct job_env *env, const char *type, const char *id,
                 const char *backup_id)
{
    struct cat_event e = {.severity = "error",
                          .type = type,
                          .code = INTERRUPTED,
                          .message = interrupted_finish.error_message,
                          .job_id = id,
                          .backup_id = backup_id};
    struct err err = ERR_INIT;

    if (bus_emit(env, &e, &err) < 0)
        log_error("job='%s' store its event: %s", id, err.msg);
}

static int
settle_restores(struct job_env *env, struct recover_report *rep, struct err *err)
{
    struct cat_restores open = {0};
    struct cat_finish f = interrupted_finish;

    f.completed_us = time_utc_us();
    if (cat_restore_list_open(env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n; i++) {
        recover_leftovers(env, open.v[i].id);
        if (cat_restore_finish(env->catalog, open.v[i].id, &f, err) < 0)
            break;
        tell_interrupted(env, "restore.failed", open.v[i].id, open.v[i].backup_id);
        rep->interrupted++;
    }
    cat_restores_done(&open);
    return err->class;
}

static int
settle_verifies(struct job_env *env, struct recover_report *rep, struct err *err)
{
    struct cat_verifies open = {0};
    struct cat_finish f = interrupted_finish;

    f.completed_us = time_utc_us();
    if (cat_verify_list_open(env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n; i++) {
        recover_leftovers(env, open.v[i].id);
        if (cat_verify_finish(env->catalog, open.v[i].id, &f, err) < 0)
            break;
        tell_interrupted(env, "verification.failed", open.v[i].id, open.v[i].backup_id);
        rep->interrupted++;
    }
    cat_verifies_done(&open);
    return err->class;
}

/* Entries of jobs that have ended: what an undo could not remove at its time. */
static int
settle_leftovers(struct job_env *env, struct err *err)
{
    struct cat_resources open = {0};

    if (cat_resource_list_open(env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n; i++)
        if (i == 0 || strcmp(open.v[i].job_id, open.v[i - 1].job_id) != 0)
            recover_leftovers(env, open.v[i].job_id);
    cat_resources_done(&open);
    return 0;
}

int
recover_all(struct job_env *env, struct recover_report *ret, struct err *err)
{
    memset(ret, 0, sizeof *ret);
    if (settle_backups(env, ret, err) < 0 || settle_restores(env, ret, err) < 0 ||
        settle_verifies(env, ret, err) < 0 || settle_leftovers(env, err) < 0)
        return err_prefix(err, "recover");
    sweep_all(env, &ret->swept);
    log_info("recovery: %u rolled forward, %u interrupted, %u files swept",
             ret->rolled_forward, ret->interrupted, ret->swept);
    return 0;
}
