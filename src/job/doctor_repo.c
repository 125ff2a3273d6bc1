/* job/doctor_repo.c - repositories: who owns them, who has their images open, what lies
 * in them that belongs to nobody. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_repository.h"
#include "job/doctor_priv.h"
#include "job/journal.h"
#include "job/repo_set.h"
#include "job/sweep.h"
#include "store/lockprobe.h"

#define LOCK_RECORD_MAX 4096
#define SUFFIX ".qcow2"

struct repo_look {
    struct doctor_look *l;
    const struct cat_repository *row;
    struct repo *repo;
    const char *where;
};

/* ---- the lock ---- */

static void
judge_record(struct repo_look *rl, const char *path)
{
    CLEANUP_BUF struct buf b = BUF_INIT(LOCK_RECORD_MAX);
    CLEANUP_JSON json_t *j = NULL;
    const char *hub = NULL;
    json_int_t pid = 0;
    struct err err = ERR_INIT;

    if (fs_read_file(path, &b, &err) < 0 ||
        json_parse(b.data ? b.data : "", b.len, &j, &err) < 0) {
        doctor_add(&rl->l->found, DOCTOR_REPO_LOCK, rl->where, "%s: %s", path, err.msg);
        return;
    }
    hub = json_string_value(json_object_get(j, "hub"));
    pid = json_integer_value(json_object_get(j, "pid"));
    if (hub && strcmp(hub, rl->l->env->hub_uuid) == 0 && pid == getpid())
        return;
    doctor_add(&rl->l->found, DOCTOR_REPO_LOCK, rl->where,
               "%s names hub %.64s, pid %lld; this is hub %s, pid %d", path,
               hub ? hub : "?", (long long)pid, rl->l->env->hub_uuid, (int)getpid());
}

/* A lock file that was exchanged lets another hub in: our lock is on the old one. */
static void
look_at_lock(struct repo_look *rl)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", repo_folder(rl->repo));
    struct stat ours, theirs;

    if (fstat(repo_lock_fd(rl->repo), &ours) < 0 || stat(path, &theirs) < 0 ||
        ours.st_ino != theirs.st_ino || ours.st_dev != theirs.st_dev) {
        doctor_add(&rl->l->found, DOCTOR_REPO_LOCK, rl->where,
                   "%s is not the file that this hub has locked: it was removed or "
                   "exchanged",
                   path);
        return;
    }
    judge_record(rl, path);
}

/* ---- images ---- */

static void
probe_image(struct repo_look *rl, const char *name)
{
    CLEANUP_FREE char *others = NULL;
    char path[REPO_PATH_SIZE];
    struct lockprobe lock;
    struct err err = ERR_INIT;
    bool any;

    if (repo_path(rl->repo, name, path, &err) < 0 ||
        lockprobe_file(path, &lock, &err) < 0) {
        if (err.class != ERR_NOT_FOUND)
            doctor_add(&rl->l->found, DOCTOR_LOOK_FAILED, rl->where, "%s", err.msg);
        return;
    }
    others = doctor_others(rl->l, path, &any);
    if (!others && (any || !lock.in_use))
        return;
    if (others && !lock.in_use)
        return; /* read by something that takes no lock: a copy, a backup of the files */
    doctor_add(&rl->l->found, DOCTOR_IMAGE_LOCKED, rl->where, "%s is %s by %s", name,
               lock.written ? "written" : "read",
               others ? others : "a process of another user or machine");
}

static bool
is_image(const char *name)
{
    size_t n = strlen(name);

    return n > strlen(SUFFIX) && strcmp(name + n - strlen(SUFFIX), SUFFIX) == 0;
}

struct folder_walk {
    struct repo_look *rl;
    const char *dir;
    int depth; /* of folders that are still below */
};

/* vms/VM/disks/DISK/FILE */
static int
walk_entry(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    const struct folder_walk *w = arg;
    CLEANUP_FREE char *path = xasprintf("%s/%s", w->dir, name);
    struct folder_walk below = {.rl = w->rl, .dir = path, .depth = w->depth - 1};

    if (w->depth == 0) {
        if (kind == REPO_ENTRY_FILE && is_image(name))
            probe_image(w->rl, path);
        return 0;
    }
    if (kind != REPO_ENTRY_DIR || (w->depth == 2 && strcmp(name, "disks") != 0))
        return 0;
    return repo_list(w->rl->repo, path, walk_entry, &below, err);
}

static void
look_at_images(struct repo_look *rl)
{
    struct folder_walk w = {.rl = rl, .dir = "vms", .depth = 3};
    struct err err = ERR_INIT;

    if (repo_list(rl->repo, "vms", walk_entry, &w, &err) < 0)
        doctor_add(&rl->l->found, DOCTOR_LOOK_FAILED, rl->where, "images: %s", err.msg);
}

/* ---- files that belong to nobody ---- */

/* "vms/…/000007" of "vms/…/000007.manifest.part". */
static bool
is_journalled(const struct repo_look *rl, const char *name)
{
    const char *base = strrchr(name, '/');
    const char *dot = base ? strchr(base, '.') : NULL;
    CLEANUP_FREE char *locator = NULL, *point = NULL;

    if (!dot)
        return false;
    locator = xasprintf("%s:%.*s", rl->row->id, (int)(dot - name), name);
    point = xasprintf("%s.json", locator);
    return doctor_in_journal(rl->l, NULL, locator) ||
           doctor_in_journal(rl->l, RES_POINT, point);
}

static void
stray_file(void *arg, struct repo *repo, const char *name)
{
    const struct repo_look *rl = arg;

    if (is_journalled(rl, name))
        return;
    doctor_add(&rl->l->found, DOCTOR_FILE_STRAY, rl->where, "%s", name);
    doctor_fixable(rl->l, &(struct doctor_fix){.action = DOCTOR_REMOVE_FILE,
                                               .id = (char *)rl->row->id,
                                               .name = (char *)name});
}

static void
look_at_strays(struct repo_look *rl)
{
    struct err err = ERR_INIT;

    if (sweep_look(rl->l->env, rl->row->id, rl->repo, stray_file, rl, &err) < 0)
        doctor_add(&rl->l->found, DOCTOR_LOOK_FAILED, rl->where, "files: %s", err.msg);
}

static void
look_at(struct doctor_look *l, const struct cat_repository *row)
{
    CLEANUP_FREE char *where = xasprintf("repository '%s'", row->name);
    struct repo_look rl = {.l = l, .row = row, .where = where};
    struct err err = ERR_INIT;

    if (repo_set_get(l->env, row->id, &rl.repo, &err) < 0) {
        doctor_add(&l->found, DOCTOR_REPO_AWAY, where, "%s", err.msg);
        return;
    }
    look_at_lock(&rl);
    look_at_images(&rl);
    look_at_strays(&rl);
    doctor_look_points(l, row, rl.repo, where);
}

void
doctor_look_repositories(struct doctor_look *l)
{
    struct cat_repositories list = {0};
    struct cat_page page = {.limit = CATALOG_PAGE_MAX};
    struct err err = ERR_INIT;

    if (cat_repository_list(l->env->catalog, &page, &list, &err) < 0)
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, "hub", "repositories: %s", err.msg);
    for (size_t i = 0; i < list.n; i++)
        look_at(l, &list.v[i]);
    cat_repositories_done(&list);
}
