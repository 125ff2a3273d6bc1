#include "job/repo_set.h"

#include <pthread.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "model/naming.h"

/* Writers of a hub that crashed die with it; this is for how long we wait for the last.
 */
#define LOCK_WAIT_MS 10000u
#define REPOS_MAX 256u

struct entry {
    char id[CAT_ID_SIZE];
    struct repo *repo; /* NULL = not open now */
    struct entry *next;
};

struct repo_set {
    pthread_mutex_t lock;
    struct entry *head;
};

struct repo_set *
repo_set_new(void)
{
    struct repo_set *s = xcalloc(1, sizeof *s);

    pthread_mutex_init(&s->lock, NULL);
    return s;
}

void
repo_set_free(struct repo_set *s)
{
    if (!s)
        return;
    while (s->head) {
        struct entry *e = s->head;

        s->head = e->next;
        repo_close(e->repo);
        free(e);
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}

static struct entry *
entry_locked(struct repo_set *s, const char *id)
{
    struct entry *e;

    for (e = s->head; e; e = e->next)
        if (strcmp(e->id, id) == 0)
            return e;
    e = xcalloc(1, sizeof *e);
    strncpy(e->id, id, sizeof e->id - 1);
    e->next = s->head;
    s->head = e;
    return e;
}

static int
open_and_lock(const struct job_env *env, const char *path, const char *uuid,
              unsigned wait_ms, struct repo **ret, struct err *err)
{
    CLEANUP_REPO struct repo *r = NULL;

    if (repo_open(path, uuid, &r, err) < 0)
        return err->class;
    if (repo_lock(r, env->hub_uuid, wait_ms, err) < 0)
        return err->class;
    *ret = take_ptr(&r);
    return 0;
}

/* Our descriptor works on when the folder is moved or unmounted; the paths that qemu gets
 * do not. */
static int
check_in_place(struct repo *r, struct err *err)
{
    struct repo_space ignored;

    return repo_space(r, &ignored, err);
}

static int
get(const struct job_env *env, const char *id, unsigned wait_ms, struct repo **ret,
    struct err *err)
{
    struct cat_repository row = {0};
    struct entry *e;
    int r;

    if (cat_repository_get(env->catalog, id, &row, err) < 0) {
        if (err->class == ERR_NOT_FOUND)
            return err_set(err, ERR_NOT_FOUND, "repository_not_found",
                           "no repository has the id '%s'; `sendense repo ls` lists them",
                           id);
        return err->class;
    }
    {
        LOCK_SCOPE(&env->repos->lock);
        e = entry_locked(env->repos, id);
        r = e->repo ? 0
                    : open_and_lock(env, row.path, row.repository_uuid, wait_ms, &e->repo,
                                    err);
        if (r >= 0)
            *ret = e->repo;
    }
    if (r >= 0)
        r = check_in_place(*ret, err);
    if (r < 0) {
        err->class = ERR_UNAVAILABLE;
        err_recode(err, "repository_unavailable");
        err_prefix(err, "repository '%s' at '%s'", row.name, row.path);
    }
    cat_repository_done(&row);
    return r < 0 ? err->class : 0;
}

/* Never waits for another owner's lock: callers ask again, and others wait behind them.
 */
int
repo_set_get(const struct job_env *env, const char *id, struct repo **ret,
             struct err *err)
{
    return get(env, id, 0, ret, err);
}

int
repo_set_open_all(struct job_env *env, struct err *err)
{
    struct cat_repositories list = {0};
    struct cat_page page = {.limit = REPOS_MAX};

    if (cat_repository_list(env->catalog, &page, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++) {
        struct err e = ERR_INIT;
        struct repo *repo;

        if (get(env, list.v[i].id, LOCK_WAIT_MS, &repo, &e) < 0)
            log_error("%s", e.msg);
    }
    cat_repositories_done(&list);
    return 0;
}

static char *
probe_text(const struct repo_probe *p)
{
    CLEANUP_JSON json_t *j = json_pack(
        "{s:b, s:b, s:b, s:b, s:b}", "ofd_locks", p->ofd_locks, "o_direct", p->o_direct,
        "holes", p->holes, "reflink", p->reflink, "atomic_rename", p->atomic_rename);

    return json_line(j);
}

static int
check_add(const char *name, const char *path, struct err *err)
{
    if (naming_name_check(name, "repository name", err) < 0)
        return err->class;
    if (path[0] != '/' || strlen(path) >= REPO_PATH_SIZE - 300)
        return err_set(err, ERR_INVALID, "invalid_path",
                       "a repository's path is absolute and not overlong; got '%.200s'",
                       path);
    return 0;
}

/* Locks it and adds the row; then the set owns *r. */
static int
add_open(const struct job_env *env, const char *name, struct repo **r,
         char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_FREE char *probe = NULL;
    struct cat_repository row;

    if (repo_lock(*r, env->hub_uuid, 0, err) < 0)
        return err->class;
    probe = probe_text(repo_probed(*r));
    row = (struct cat_repository){.name = name,
                                  .kind = "local",
                                  .path = repo_folder(*r),
                                  .repository_uuid = repo_uuid(*r),
                                  .probe = probe,
                                  .created_us = time_utc_us()};
    if (cat_repository_add(env->catalog, &row, ret_id, err) < 0)
        return err->class;
    LOCK_SCOPE(&env->repos->lock);
    entry_locked(env->repos, ret_id)->repo = take_ptr(r);
    return 0;
}

int
repo_set_add(const struct job_env *env, const char *name, const char *path,
             char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_REPO struct repo *r = NULL;

    if (check_add(name, path, err) < 0)
        return err->class;
    if (repo_create(path, &r, err) < 0) {
        if (strcmp(err->code, "repo_folder_not_empty") == 0) {
            err->class = ERR_INVALID;
            err_recode(err, "invalid_path");
        }
        return err->class;
    }
    return add_open(env, name, &r, ret_id, err);
}

int
repo_set_add_existing(const struct job_env *env, const char *name, const char *path,
                      char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_REPO struct repo *r = NULL;

    if (check_add(name, path, err) < 0 || repo_open(path, NULL, &r, err) < 0)
        return err->class;
    return add_open(env, name, &r, ret_id, err);
}

bool
repo_set_covers(const struct job_env *env, const char *path)
{
    LOCK_SCOPE(&env->repos->lock);
    for (struct entry *e = env->repos->head; e; e = e->next) {
        size_t n = e->repo ? strlen(repo_folder(e->repo)) : 0;

        if (n && strncmp(path, repo_folder(e->repo), n) == 0 &&
            (path[n] == '/' || path[n] == '\0'))
            return true;
    }
    return false;
}

int
repo_set_space(const struct job_env *env, const char *id, uint64_t *ret_total,
               uint64_t *ret_free, struct err *err)
{
    struct repo_space space;
    struct repo *repo;

    if (repo_set_get(env, id, &repo, err) < 0 || repo_space(repo, &space, err) < 0)
        return err->class;
    *ret_total = space.total_bytes;
    *ret_free = space.free_bytes;
    return 0;
}
