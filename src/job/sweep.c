#include "job/sweep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_repository.h"
#include "job/merge_files.h"
#include "job/repo_set.h"
#include "model/naming.h"
#include "store/group_roots.h"
#include "store/repo.h"

struct vm_sweep {
    struct job_env *env;
    const char *repository_id;
    struct repo *repo;
    const char *vm;
    bool jobs_run; /* only look: nothing is removed, and what a job writes is its own */
    sweep_fn *found;
    void *arg;
};

/* The number of a file that Sendense makes; false for anything else, which is left alone.
 */
static bool
file_seq(const char *name, uint32_t *ret)
{
    static const char *const suffixes[] = {".qcow2", ".manifest", ".manifest.part",
                                           GROUP_ROOTS_SUFFIX, ".merged"};

    for (size_t i = 0; i < ARRAY_LEN(suffixes); i++)
        if (naming_seq_from_file(name, suffixes[i], ret) == 0)
            return true;
    return false;
}

/* What a merge makes means nothing without its note. */
static bool
is_of_merge(const char *name)
{
    size_t n = strlen(name);

    return strcmp(name, MERGE_NOTE_FILE ".tmp") == 0 ||
           (n > 4 && strcmp(name + n - 4, ".new") == 0) ||
           (n > 9 && strcmp(name + n - 9, ".new.part") == 0) ||
           (n > 8 && strcmp(name + n - 8, ".new.tmp") == 0);
}

/* Looked for after the folder was listed: what a merge made that began later is not in
 * the list. */
static bool
is_merging(struct repo *repo, const char *dir)
{
    struct merge_note note;
    struct err err = ERR_INIT;

    return merge_note_read(repo, dir, &note, &err) >= 0 || err.class != ERR_NOT_FOUND;
}

static bool
has_point(const struct repo_names *points, uint32_t seq)
{
    for (size_t i = 0; i < points->n; i++) {
        uint32_t s;

        if (naming_seq_from_file(points->v[i].name, ".json", &s) == 0 && s == seq)
            return true;
    }
    return false;
}

static void
found_file(const struct vm_sweep *s, const char *dir, const char *name)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);

    s->found(s->arg, s->repo, path);
}

/* A backup that the catalog knows keeps its files even when its point is gone: a folder
 * that was lost or not mounted must not cost the data as well.  So does a job without an
 * end: recovery could not decide on it. */
static bool
is_known(const struct vm_sweep *s, uint32_t seq, const char *path)
{
    struct cat_backup row = {0};
    struct err err = ERR_INIT;
    bool known;

    if (cat_backup_by_seq(s->env->catalog, s->vm, s->repository_id, seq, &row, &err) < 0)
        return err.class != ERR_NOT_FOUND;
    known = strcmp(row.state, "failed") != 0 && strcmp(row.state, "cancelled") != 0;
    if (known && !s->jobs_run && strcmp(row.state, "completed") == 0)
        log_error("sweep: backup '%s' has lost its point, '%s' is kept: bring the file "
                  "back, or delete the backup",
                  row.backup_id, path);
    cat_backup_done(&row);
    return known;
}

static int
sweep_disk(const struct vm_sweep *s, const char *dir, const struct repo_names *points,
           struct err *err)
{
    struct repo *repo = s->repo;
    CLEANUP_REPO_NAMES struct repo_names files = {0};
    struct err ignored = ERR_INIT;
    int r = repo_list_names(repo, dir, &files, err);
    bool merging = r >= 0 && is_merging(repo, dir);

    for (size_t i = 0; r >= 0 && !merging && i < files.n; i++) {
        uint32_t seq;

        if (is_of_merge(files.v[i].name) ||
            (file_seq(files.v[i].name, &seq) && !has_point(points, seq) &&
             !is_known(s, seq, files.v[i].name)))
            found_file(s, dir, files.v[i].name);
    }
    /* Only an empty one goes. */
    if (r >= 0 && !s->jobs_run)
        repo_remove_dir(repo, dir, &ignored);
    return r;
}

/* Of a point that is being written: its name becomes the point's. */
static bool
is_being_written(const struct vm_sweep *s, const char *name)
{
    uint32_t seq;

    return naming_seq_from_file(name, ".json.tmp", &seq) == 0 && is_known(s, seq, name);
}

static int
sweep_vm(const struct vm_sweep *s, struct err *err)
{
    CLEANUP_FREE char *points_dir = xasprintf("vms/%s/points", s->vm);
    CLEANUP_FREE char *disks_dir = xasprintf("vms/%s/disks", s->vm);
    struct repo *repo = s->repo;
    CLEANUP_REPO_NAMES struct repo_names points = {0}, disks = {0};
    int r = repo_list_names(repo, points_dir, &points, err);

    for (size_t i = 0; r >= 0 && i < points.n; i++)
        if (strlen(points.v[i].name) > 4 &&
            strcmp(points.v[i].name + strlen(points.v[i].name) - 4, ".tmp") == 0 &&
            !is_being_written(s, points.v[i].name))
            found_file(s, points_dir, points.v[i].name);
    if (r >= 0)
        r = repo_list_names(repo, disks_dir, &disks, err);
    for (size_t i = 0; r >= 0 && i < disks.n; i++) {
        CLEANUP_FREE char *dir = xasprintf("%s/%s", disks_dir, disks.v[i].name);

        if (uuid_is_valid(disks.v[i].name))
            r = sweep_disk(s, dir, &points, err);
    }
    return r;
}

/* 0, or the failure of the first folder that could not be listed; the others are done
 * all the same. */
static int
sweep_repository(struct vm_sweep *s, struct err *err)
{
    CLEANUP_REPO_NAMES struct repo_names vms = {0};

    if (repo_list_names(s->repo, "vms", &vms, err) < 0)
        err_prefix(err, "look through '%s'", repo_folder(s->repo));
    for (size_t i = 0; i < vms.n; i++) {
        struct err e = ERR_INIT;

        s->vm = vms.v[i].name;
        if (!uuid_is_valid(s->vm) || sweep_vm(s, &e) >= 0)
            continue;
        log_error("sweep of VM '%s' in '%s': %s", s->vm, repo_folder(s->repo), e.msg);
        if (err->class == 0)
            *err = e;
    }
    return err->class;
}

int
sweep_look(struct job_env *env, const char *repository_id, struct repo *repo,
           sweep_fn *found, void *arg, struct err *err)
{
    struct vm_sweep s = {.env = env,
                         .repository_id = repository_id,
                         .repo = repo,
                         .jobs_run = true,
                         .found = found,
                         .arg = arg};

    return sweep_repository(&s, err);
}

static void
remove_file(void *arg, struct repo *repo, const char *name)
{
    unsigned *removed = arg;
    struct err err = ERR_INIT;

    if (repo_remove(repo, name, true, &err) < 0) {
        log_error("sweep: remove '%s': %s", name, err.msg);
        return;
    }
    log_warn("sweep: '%s' belonged to no job and no point, removed", name);
    (*removed)++;
}

void
sweep_all(struct job_env *env, unsigned *ret_removed)
{
    struct cat_repositories list = {0};
    struct cat_page page = {.limit = CATALOG_PAGE_MAX};
    struct err err = ERR_INIT;

    *ret_removed = 0;
    if (cat_repository_list(env->catalog, &page, &list, &err) < 0) {
        log_error("sweep: %s", err.msg);
        return;
    }
    for (size_t i = 0; i < list.n; i++) {
        struct vm_sweep s = {.env = env,
                             .repository_id = list.v[i].id,
                             .found = remove_file,
                             .arg = ret_removed};
        struct err e = ERR_INIT;

        if (repo_set_get(env, list.v[i].id, &s.repo, &e) >= 0 &&
            sweep_repository(&s, &e) < 0)
            log_error("sweep of '%s': %s", repo_folder(s.repo), e.msg);
    }
    cat_repositories_done(&list);
}
