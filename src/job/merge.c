/* job/merge.c - see merge.h. */
#include "job/merge_priv.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_resource.h"
#include "job/backup.h"
#include "job/journal.h"
#include "job/outcome.h"
#include "job/pins.h"
#include "job/point_files.h"
#include "job/repo_set.h"
#include "store/layer.h"

/* Kept free beside what is written: manifests, tables, the catalog. */
#define RESERVE_BYTES (16ull << 20)
#define RETRY_MS 5000u

static void
job_free(struct merge_job *j)
{
    struct live_job *live = j->live;

    for (size_t i = 0; i < j->n_claimed; i++)
        pins_unclaim(j->above.v[i].backup_id);
    if (j->row_claimed)
        pins_unclaim(j->row.backup_id);
    cat_backups_done(&j->above);
    cat_backup_done(&j->row);
    joblog_close(j->log);
    free(j->actor);
    free(j);
    live_end(live);
}

const struct cat_backup_disk *
merge_child(const struct merge_job *j, const struct cat_backup_disk *d,
            const struct cat_backup **ret_backup)
{
    for (size_t i = 0; i < j->above.n; i++)
        for (size_t k = 0; k < j->above.v[i].n_disks; k++) {
            const struct cat_backup_disk *c = &j->above.v[i].disks[k];

            if (c->parent_layer_id && strcmp(c->parent_layer_id, d->layer_id) == 0) {
                if (ret_backup)
                    *ret_backup = &j->above.v[i];
                return c;
            }
        }
    return NULL;
}

/* --- before anything is changed --- */

static int
claim_all(struct merge_job *j, struct err *err)
{
    struct cat_backups again = {0};
    int r;

    if (cat_backup_above(j->env->catalog, j->row.job_id, &j->above, err) < 0 ||
        pins_claim_merge(j->row.backup_id, err) < 0)
        return err->class;
    j->row_claimed = true;
    for (size_t i = 0; i < j->above.n; i++) {
        if (strcmp(j->above.v[i].state, "completed") != 0)
            return err_set(err, ERR_EXISTS, "backup_in_use",
                           "backup '%s', which stands on it, is %s: wait for it",
                           j->above.v[i].backup_id, j->above.v[i].state);
        if (pins_claim_merge(j->above.v[i].backup_id, err) < 0)
            return err->class;
        j->n_claimed++;
    }
    /* Again: before the claims another backup on them may have begun. */
    r = cat_backup_above(j->env->catalog, j->row.job_id, &again, err);
    if (r >= 0 && again.n != j->above.n)
        r = err_set(err, ERR_EXISTS, "backup_in_use",
                    "a backup that stands on it has just begun or ended: try again");
    cat_backups_done(&again);
    return r < 0 ? err->class : 0;
}

/* Damage must not be carried into what is kept, and its owner not be forgotten. */
static int
check_verdicts(const struct merge_job *j, struct err *err)
{
    const struct cat_backup *bad =
        strcmp(j->row.verification, "failed") == 0 ? &j->row : NULL;

    for (size_t i = 0; !bad && i < j->row.n_disks; i++) {
        const struct cat_backup *child;

        if (merge_child(j, &j->row.disks[i], &child) &&
            strcmp(child->verification, "failed") == 0)
            bad = child;
    }
    if (!bad)
        return 0;
    return err_set(err, ERR_EXISTS, "merge_damaged",
                   "backup '%s' is damaged: a damaged layer is not merged. Verify it, or "
                   "delete what stands on '%s' first, newest first",
                   bad->backup_id, j->row.backup_id);
}

static int
check_space(const struct merge_job *j, struct err *err)
{
    struct repo_space space;
    uint64_t need = RESERVE_BYTES;

    for (size_t i = 0; i < j->row.n_disks; i++) {
        const struct cat_backup_disk *c = merge_child(j, &j->row.disks[i], NULL);
        uint64_t stored;

        if (c && layer_stored_bytes(j->repo, c->locator, &stored, err) < 0)
            return err->class;
        need += c ? stored : 0;
    }
    if (repo_space(j->repo, &space, err) < 0)
        return err->class;
    if (need <= space.free_bytes)
        return 0;
    return err_set(err, ERR_NO_SPACE, "repo_full",
                   "the merge may take %llu bytes until it is done, the repository at "
                   "'%s' has %llu free",
                   (unsigned long long)need, repo_folder(j->repo),
                   (unsigned long long)space.free_bytes);
}

/* --- the thread: until the point is removed --- */

/* 1 = a merge of it is at work in its folder: @m is filled in. */
static int
load_files(struct merge_job *j, const struct cat_backup_disk *d, struct merge_files *m,
           struct err *err)
{
    struct naming_locator at;
    CLEANUP_FREE char *dir = NULL;

    *m = (struct merge_files){.env = j->env,
                              .job_id = j->row.job_id,
                              .repo = j->repo,
                              .live = j->live,
                              .log = j->log,
                              .key = (uint32_t)d->device_key};
    if (naming_locator_parse(d->locator, &at) < 0)
        return err_set(err, ERR_INVALID, "repo_name", "'%s' is no locator", d->locator);
    dir = xasprintf("%.*s", (int)(strrchr(d->locator, '/') - d->locator), d->locator);
    if (merge_note_read(j->repo, dir, &m->note, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
        return 0;
    }
    merge_files_init(m, at.vm_uuid, at.disk_uuid);
    if (strcmp(m->note.job_id, j->row.job_id) != 0)
        return err_set(err, ERR_EXISTS, "merge_unfinished",
                       "another merge, of backup '%s', is at work in '%s'",
                       m->note.backup_id, dir);
    return 1;
}

static int
prepare_disk(struct merge_job *j, const struct cat_backup_disk *d,
             const struct cat_backup_disk *child, struct err *err)
{
    struct naming_locator lower, upper;
    struct merge_files m;
    int r = load_files(j, d, &m, err);

    if (r != 0)
        return r < 0 ? r
                     : err_set(err, ERR_INTERNAL, NULL, "'%s' has a note already", m.dir);
    if (naming_locator_parse(d->locator, &lower) < 0 ||
        naming_locator_parse(child->locator, &upper) < 0)
        return err_set(err, ERR_INVALID, "repo_name", "'%s' is no locator",
                       child->locator);
    m.note = (struct merge_note){
        .parent_seq = lower.seq, .child_seq = upper.seq, .size_bytes = child->size_bytes};
    snprintf(m.note.job_id, sizeof m.note.job_id, "%s", j->row.job_id);
    snprintf(m.note.backup_id, sizeof m.note.backup_id, "%s", j->row.backup_id);
    snprintf(m.note.parent_layer_id, UUID_STR_SIZE, "%s", d->layer_id);
    snprintf(m.note.child_layer_id, UUID_STR_SIZE, "%s", child->layer_id);
    merge_files_init(&m, lower.vm_uuid, lower.disk_uuid);
    return merge_files_prepare(&m, err);
}

static int
take_back(struct merge_job *j, struct err *err)
{
    for (size_t i = 0; i < j->row.n_disks; i++) {
        const char *locator = j->row.disks[i].locator;
        CLEANUP_FREE char *dir =
            xasprintf("%.*s", (int)(strrchr(locator, '/') - locator), locator);
        struct merge_files m;
        int r = load_files(j, &j->row.disks[i], &m, err);

        /* Another merge's are not ours to take back. */
        if (r < 0 || merge_files_take_back(j->repo, dir, err) < 0)
            return err->class;
    }
    return 0;
}

static int
prepare(struct merge_job *j, struct err *err)
{
    if (check_space(j, err) < 0 || merge_check_layers(j, err) < 0)
        return err->class;
    live_set_phase(j->live, "preparing");
    for (size_t i = 0; i < j->row.n_disks; i++) {
        const struct cat_backup_disk *d = &j->row.disks[i];
        const struct cat_backup_disk *child = merge_child(j, d, NULL);

        if (child && prepare_disk(j, d, child, err) < 0)
            return err_prefix(err, "disk %lld", (long long)d->device_key);
    }
    return 0;
}

/* The removal is durable before any image is touched, also one that an earlier try could
 * not sync: a point that came back would show what its images do not hold any more. */
static int
remove_point(struct merge_job *j, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(j->row.vm_id, j->row.seq);
    char path[REPO_PATH_SIZE];

    if (repo_remove(j->repo, name, true, err) < 0 ||
        repo_path(j->repo, name, path, err) < 0)
        return err_prefix(err, "remove point '%s'", name);
    if (fs_sync_parent(path, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err_prefix(err, "remove point '%s'", name);
        err_clear(err); /* the folder was empty, and went */
    }
    FAILPOINT(MERGE_POINT_REMOVED);
    return 0;
}

/* 1 = the point is there. */
static int
has_point(struct merge_job *j, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(j->row.vm_id, j->row.seq);
    CLEANUP_BUF struct buf b = BUF_INIT(POINT_FILE_MAX);

    if (repo_get(j->repo, name, &b, err) >= 0)
        return 1;
    if (err->class != ERR_NOT_FOUND)
        return err->class;
    err_clear(err);
    return 0;
}

/* --- the thread: from then on --- */

/* A disk without a note is done, was never prepared, or has no child. */
static int
finish_disk(struct merge_job *j, const struct cat_backup_disk *d, struct err *err)
{
    struct merge_files m;
    char parent[NAMING_LOCATOR_SIZE];
    const struct cat_backup_disk *child = merge_child(j, d, NULL);
    int r = load_files(j, d, &m, err);

    if (r < 0)
        return r;
    if (r > 0)
        return merge_files_finish(&m, err);
    if (child) {
        /* The last look before files go that something may still stand on. */
        if (layer_parent(j->repo, child->locator, parent, err) < 0)
            return err->class;
        if (strcmp(parent, d->locator) == 0)
            return err_set(err, ERR_CORRUPT, "merge_corrupt",
                           "layer '%s' still stands on '%s', whose restore point is "
                           "gone and was not to be merged",
                           child->locator, d->locator);
    }
    return point_files_remove_disk(j->repo, d->locator, err);
}

static int
finish_files(struct merge_job *j, struct err *err)
{
    CLEANUP_FREE char *dir = xasprintf("vms/%s/points", j->row.vm_id);
    struct err ignored = ERR_INIT;

    for (size_t i = 0; i < j->row.n_disks; i++)
        if (finish_disk(j, &j->row.disks[i], err) < 0)
            return err->class;
    repo_remove_dir(j->repo, dir, &ignored);
    FAILPOINT(MERGE_FILES_DONE);
    return 0;
}

/* --- the thread --- */

/* *ret_may_give_up: the point is there for certain, and nothing of it was touched. */
static int
run_once(struct merge_job *j, bool *ret_may_give_up, struct err *err)
{
    int r;

    *ret_may_give_up = false;
    if (!j->repo && repo_set_get(j->env, j->row.repository_id, &j->repo, err) < 0)
        return err->class;
    r = has_point(j, err);
    if (r < 0)
        return r;
    *ret_may_give_up = r > 0;
    if (r > 0 && (take_back(j, err) < 0 || prepare(j, err) < 0))
        return err->class;
    *ret_may_give_up = false;
    if (remove_point(j, err) < 0)
        return err->class;
    return finish_files(j, err);
}

static int
run(struct merge_job *j, struct err *err)
{
    bool told = false, may_give_up;

    while (run_once(j, &may_give_up, err) < 0) {
        if (live_interrupted(j->live) || may_give_up)
            return err->class;
        joblog_line(j->log, LOG_LEVEL_WARN, "the merge cannot go on: %s, retrying",
                    err->msg);
        if (!told)
            merge_tell_failed(j, "backup.merge_stalled", err);
        told = true;
        if (!live_pause(j->live, RETRY_MS))
            return err->class;
        err_clear(err);
    }
    return 0;
}

static void
give_up(struct merge_job *j, const struct err *why)
{
    struct err err = ERR_INIT;

    joblog_line(j->log, LOG_LEVEL_ERROR, "the backup is not deleted: %s", why->msg);
    /* The entry stays: the next round begins again. */
    if (take_back(j, &err) < 0) {
        joblog_line(j->log, LOG_LEVEL_ERROR, "take the merge back: %s", err.msg);
        return;
    }
    merge_tell_failed(j, "backup.merge_failed", why);
    journal_released(j->env, j->row.job_id, &j->res);
}

static void *
merge_thread(void *arg)
{
    struct merge_job *j = arg;
    struct err err = ERR_INIT;

    joblog_line(j->log, LOG_LEVEL_INFO,
                "deletion of backup '%s': its layers are merged into those above",
                j->row.backup_id);
    if (run(j, &err) < 0) {
        if (live_interrupted(j->live))
            joblog_line(j->log, LOG_LEVEL_WARN, "the hub stops; the next one goes on");
        else
            give_up(j, &err);
    } else if (outcome_retry(j->live, j->log, merge_tell_done, j, &err) < 0) {
        joblog_line(j->log, LOG_LEVEL_ERROR,
                    "the end could not be stored: %s; the next start does it", err.msg);
    } else {
        FAILPOINT(MERGE_TOLD);
        joblog_line(j->log, LOG_LEVEL_INFO, "merged, the backup is deleted");
        journal_released(j->env, j->row.job_id, &j->res);
    }
    job_free(j);
    return NULL;
}

static int
go_live(struct merge_job *j, struct err *err)
{
    size_t n = j->row.n_disks;
    CLEANUP_FREE struct live_disk *disks = xcalloc(n + 1, sizeof *disks);

    for (size_t i = 0; i < n; i++)
        disks[i] = (struct live_disk){.key = (uint32_t)j->row.disks[i].device_key,
                                      .size_bytes = j->row.disks[i].size_bytes};
    return live_start(j->env->live, LIVE_MERGE, j->row.job_id, disks, n, &j->live, err);
}

/* Takes @j, also when it fails. */
static int
start_thread(struct merge_job *j, struct err *err)
{
    pthread_t thread;
    int r;

    j->log = joblog_open(j->env, j->row.job_id);
    r = pthread_create(&thread, NULL, merge_thread, j);
    if (r != 0) {
        job_free(j);
        return err_errno(err, r, NULL, "start the job's thread");
    }
    pthread_detach(thread);
    return 0;
}

/* A merge that the journal does not know is not ours to touch. */
static int
check_no_other(struct merge_job *j, struct err *err)
{
    for (size_t i = 0; i < j->row.n_disks; i++) {
        struct merge_files m;
        int r = load_files(j, &j->row.disks[i], &m, err);

        if (r > 0)
            r = err_set(err, ERR_EXISTS, "merge_unfinished",
                        "a merge that the catalog does not know is at work in '%s'",
                        m.dir);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
start(struct merge_job *j, struct err *err)
{
    CLEANUP_FREE char *point = point_files_name(j->row.vm_id, j->row.seq);
    CLEANUP_FREE char *key = xasprintf("%s:%s", j->row.repository_id, point);

    if (claim_all(j, err) < 0 || check_verdicts(j, err) < 0 ||
        repo_set_get(j->env, j->row.repository_id, &j->repo, err) < 0 ||
        check_no_other(j, err) < 0 || check_space(j, err) < 0 || go_live(j, err) < 0 ||
        journal_intent(j->env, j->row.job_id, RES_MERGE, key, &j->res, err) < 0) {
        job_free(j);
        return err->class;
    }
    FAILPOINT(MERGE_JOURNALLED);
    return start_thread(j, err);
}

static bool
runs_already(struct job_env *env, const char *job_id)
{
    CLEANUP_LIVE struct live_job *live = live_find(env->live, job_id);

    return live && live_kind(live) == LIVE_MERGE;
}

int
merge_delete(struct job_env *env, const char *backup_id, const char *actor,
             bool *ret_running, struct err *err)
{
    struct merge_job *j = xcalloc(1, sizeof *j);
    CLEANUP_FREE char *child = NULL;

    *ret_running = false;
    j->env = env;
    j->actor = xstrdup(actor);
    if (cat_backup_get(env->catalog, backup_id, &j->row, err) < 0 ||
        cat_backup_child(env->catalog, j->row.job_id, &child, err) < 0) {
        job_free(j);
        return err->class;
    }
    *ret_running = runs_already(env, j->row.job_id);
    if (*ret_running || !child) {
        bool running = *ret_running;

        job_free(j);
        return running ? 0 : backup_delete(env, backup_id, actor, err);
    }
    *ret_running = true;
    return start(j, err);
}

static int64_t
journal_entry(struct job_env *env, const char *job_id)
{
    struct cat_resources list = {0};
    struct err ignored = ERR_INIT;
    int64_t id = 0;

    if (cat_resource_list_job(env->catalog, job_id, &list, &ignored) < 0)
        return 0;
    for (size_t i = 0; i < list.n; i++)
        if (strcmp(list.v[i].kind, RES_MERGE) == 0)
            id = list.v[i].id;
    cat_resources_done(&list);
    return id;
}

int
merge_resume(struct job_env *env, const char *job_id, struct err *err)
{
    struct merge_job *j = xcalloc(1, sizeof *j);

    j->env = env;
    j->actor = xstrdup("recovery");
    j->res = journal_entry(env, job_id);
    if (cat_backup_get_by_job(env->catalog, job_id, &j->row, err) < 0) {
        /* It was told; only the entry is left. */
        if (err->class == ERR_NOT_FOUND) {
            err_clear(err);
            journal_released(env, job_id, &j->res);
        }
        job_free(j);
        return err->class;
    }
    if (claim_all(j, err) < 0 || go_live(j, err) < 0) {
        job_free(j);
        return err->class;
    }
    log_info("job='%s' the deletion of backup '%s' by a merge goes on", job_id,
             j->row.backup_id);
    return start_thread(j, err);
}
