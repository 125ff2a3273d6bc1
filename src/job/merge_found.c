/* job/merge_found.c - merges that a repository shows and no journal knows: the catalog
 * that began them is lost.  docs/design/repository.md 5.3, "a start finds". */
#include "job/merge.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_resource.h"
#include "job/journal.h"
#include "job/merge_files.h"
#include "job/point_files.h"
#include "store/repo.h"

static bool
is_named_folder(const struct repo_name *n)
{
    return n->kind == REPO_ENTRY_DIR && uuid_is_valid(n->name);
}

static bool
is_journalled(struct job_env *env, const char *job_id)
{
    struct cat_resources list = {0};
    struct err err = ERR_INIT;
    bool known = false;

    if (cat_resource_list_job(env->catalog, job_id, &list, &err) < 0)
        return true;
    for (size_t i = 0; i < list.n; i++)
        known = known || strcmp(list.v[i].kind, RES_MERGE) == 0;
    cat_resources_done(&list);
    return known;
}

/* 1 = the point is there; 0 = it is gone, for good. */
static int
has_point(struct repo *repo, const char *vm, uint32_t seq, struct err *err)
{
    CLEANUP_FREE char *name = point_files_name(vm, seq);
    CLEANUP_BUF struct buf b = BUF_INIT(POINT_FILE_MAX);
    char path[REPO_PATH_SIZE];

    if (repo_get(repo, name, &b, err) >= 0)
        return 1;
    if (err->class != ERR_NOT_FOUND)
        return err->class;
    err_clear(err);
    if (repo_path(repo, name, path, err) < 0)
        return err->class;
    return fs_sync_parent(path, err);
}

static int
finish(struct merge_files *m, struct err *err)
{
    const struct live_disk disk = {.key = m->key, .size_bytes = m->note.size_bytes};
    CLEANUP_JOBLOG struct joblog *log = joblog_open(m->env, m->job_id);
    int r;

    m->log = log;
    if (live_start(m->env->live, LIVE_MERGE, m->job_id, &disk, 1, &m->live, err) < 0)
        return err->class;
    joblog_line(log, LOG_LEVEL_INFO, "the merge that deletes backup '%s' is finished",
                m->note.backup_id);
    r = merge_files_finish(m, err);
    live_end(m->live);
    return r;
}

static int
settle_disk(struct job_env *env, struct repo *repo, const char *vm, const char *disk,
            struct err *err)
{
    CLEANUP_FREE char *dir = xasprintf("vms/%s/disks/%s", vm, disk);
    struct merge_files m = {.env = env, .repo = repo};
    int r = merge_note_read(repo, dir, &m.note, err);

    if (r < 0 && err->class == ERR_NOT_FOUND) {
        err_clear(err);
        return 0;
    }
    if (r < 0)
        return r;
    m.job_id = m.note.job_id;
    merge_files_init(&m, vm, disk);
    if (is_journalled(env, m.job_id))
        return 0;
    r = has_point(repo, vm, m.note.parent_seq, err);
    if (r < 0)
        return r;
    if (r == 0)
        return finish(&m, err);
    log_warn("'%s': a merge that had not begun is taken back", dir);
    return merge_files_take_back(repo, dir, err);
}

static int
settle_vm(struct job_env *env, struct repo *repo, const char *vm, struct err *err)
{
    CLEANUP_FREE char *dir = xasprintf("vms/%s/disks", vm);
    CLEANUP_REPO_NAMES struct repo_names disks = {0};
    int r = repo_list_names(repo, dir, &disks, err);

    for (size_t i = 0; r >= 0 && i < disks.n; i++)
        if (is_named_folder(&disks.v[i]))
            r = settle_disk(env, repo, vm, disks.v[i].name, err);
    return r;
}

int
merge_settle_found(struct job_env *env, struct repo *repo, struct err *err)
{
    CLEANUP_REPO_NAMES struct repo_names vms = {0};
    int r = repo_list_names(repo, "vms", &vms, err);

    for (size_t i = 0; r >= 0 && i < vms.n; i++)
        if (is_named_folder(&vms.v[i]))
            r = settle_vm(env, repo, vms.v[i].name, err);
    return r < 0 ? err->class : 0;
}
