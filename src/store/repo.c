/* store/repo.c - making, opening and using a repository, whatever its engine; see repo.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "model/naming.h"
#include "store/store_priv.h"

void
cleanup_repo(struct repo **r)
{
    repo_close(*r);
}

static int
check_name(const char *name, struct err *err)
{
    if (!repo_name_is_valid(name))
        return err_set(err, ERR_INVALID, "repo_name",
                       "not a name inside a repository (a-z, 0-9, '.', '_', '-', '/')");
    return 0;
}

static int
check_locked(const struct repo *r, struct err *err)
{
    if (r->lock_fd < 0)
        return err_set(err, ERR_UNAVAILABLE, "repo_not_locked",
                       "repository '%s' is not locked by this hub", r->folder);
    return 0;
}

static int
check_change(const struct repo *r, const char *name, struct err *err)
{
    int rc = check_name(name, err);

    return rc < 0 ? rc : check_locked(r, err);
}

/* --- making and opening --- */

static int
open_folder(const char *path, struct repo **ret, struct err *err)
{
    char real[PATH_MAX];
    struct repo *r;
    int fd;

    if (path == NULL || path[0] != '/')
        return err_set(err, ERR_INVALID, "repo_path",
                       "the path of a repository must be absolute");
    if (realpath(path, real) == NULL)
        return err_errno(err, errno, errno == ENOENT ? "repo_missing" : NULL,
                         "open repository '%s'", path);
    fd = open(real, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, errno == ENOTDIR ? "repo_path" : NULL,
                         "open repository '%s'", path);
    r = xcalloc(1, sizeof(*r));
    r->ops = &repo_local_ops;
    r->folder = xstrdup(real);
    r->root_fd = fd;
    r->lock_fd = -1;
    pthread_mutex_init(&r->put_lock, NULL);
    *ret = r;
    return 0;
}

/* What a mount point or an interrupted creation leaves behind is not "something else". */
static int
see_entry(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    static const char *const ours[] = {REPO_FILE ".tmp", "lost+found"};
    const struct repo *r = arg;

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strcmp(name, ours[i]) == 0)
            return 0;
    if (strncmp(name, PROBE_PREFIX, strlen(PROBE_PREFIX)) == 0) {
        (void)unlinkat(r->root_fd, name, 0);
        return 0;
    }
    return err_set(err, ERR_EXISTS, "repo_folder_not_empty",
                   "'%s' is not empty and is no repository; give an empty folder",
                   r->folder);
}

static int
init_folder(struct repo *r, struct err *err)
{
    int rc = r->ops->list(r, "", see_entry, r, err);

    if (rc == 0)
        rc = r->ops->probe(r, &r->probed, err);
    if (rc < 0)
        return rc;
    if (!r->probed.ofd_locks)
        return err_set(err, ERR_INVALID, "repo_path",
                       "the file system of '%s' has no working file locks (OFD); a "
                       "repository needs them",
                       r->folder);
    uuid_make(r->uuid);
    return repo_meta_write(r, err);
}

int
repo_create(const char *path, struct repo **ret, struct err *err)
{
    CLEANUP_REPO struct repo *r = NULL;
    int rc;

    if (path == NULL || path[0] != '/')
        return err_set(err, ERR_INVALID, "repo_path",
                       "the path of a repository must be absolute");
    if (fs_mkdirs(path, 0700, err) < 0)
        return store_recode(err);
    if (open_folder(path, &r, err) < 0)
        return err->class;
    rc = repo_meta_read(r, err);
    if (rc == ERR_NOT_FOUND) {
        err_clear(err);
        rc = init_folder(r, err);
        if (rc == ERR_EXISTS && strcmp(err->code, "repo_folder_not_empty") != 0)
            err_prefix(err, "another program makes a repository in '%s' now", path);
    }
    if (rc == 0)
        rc = r->ops->make_dir(r, "vms", err);
    if (rc == 0)
        *ret = take_ptr(&r);
    return rc;
}

int
repo_open(const char *path, const char *expected_uuid, struct repo **ret, struct err *err)
{
    CLEANUP_REPO struct repo *r = NULL;

    if (open_folder(path, &r, err) < 0 || repo_meta_read(r, err) < 0)
        return err->class;
    if (expected_uuid != NULL && strcmp(expected_uuid, r->uuid) != 0)
        return err_set(err, ERR_EXISTS, "repo_uuid_mismatch",
                       "'%s' holds repository %s, expected %s; is the right file system "
                       "mounted?",
                       path, r->uuid, expected_uuid);
    *ret = take_ptr(&r);
    return 0;
}

void
repo_close(struct repo *r)
{
    if (r == NULL)
        return;
    if (r->lock_fd >= 0)
        close(r->lock_fd);
    r->ops->close(r);
    pthread_mutex_destroy(&r->put_lock);
    free(r->folder);
    free(r);
}

/* --- facts --- */

const char *
repo_uuid(const struct repo *r)
{
    return r->uuid;
}

const char *
repo_folder(const struct repo *r)
{
    return r->folder;
}

const struct repo_probe *
repo_probed(const struct repo *r)
{
    return &r->probed;
}

int
repo_probe(struct repo *r, struct repo_probe *ret, struct err *err)
{
    return r->ops->probe(r, ret, err);
}

int
repo_space(struct repo *r, struct repo_space *ret, struct err *err)
{
    return r->ops->space(r, ret, err);
}

int
repo_path(struct repo *r, const char *name, char *out, struct err *err)
{
    const char *base;
    CLEANUP_FD int dir = -1;
    struct stat st;
    int rc = check_name(name, err);

    if (rc < 0)
        return rc;
    dir = dirwalk_parent(r->root_fd, name, false, &base, err);
    if (dir < 0 && err->class == ERR_NOT_FOUND)
        err_clear(err);
    else if (dir < 0)
        return err->class;
    else if (fstatat(dir, base, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
        return err_set(err, ERR_INVALID, "repo_symlink",
                       "'%s' in the repository is a symbolic link; refused", name);
    rc = snprintf(out, REPO_PATH_SIZE, "%s/%s", r->folder, name);
    if (rc < 0 || rc >= REPO_PATH_SIZE)
        return err_set(err, ERR_LIMIT, NULL, "path of '%s' is too long", name);
    return 0;
}

/* --- small files --- */

int
repo_put(struct repo *r, const char *name, const void *p, size_t n, struct err *err)
{
    int rc = check_change(r, name, err);

    return rc < 0 ? rc : r->ops->put(r, name, p, n, err);
}

int
repo_get(struct repo *r, const char *name, struct buf *b, struct err *err)
{
    int rc = check_name(name, err);

    return rc < 0 ? rc : r->ops->get(r, name, b, err);
}

int
repo_remove(struct repo *r, const char *name, bool missing_ok, struct err *err)
{
    int rc = check_change(r, name, err);

    return rc < 0 ? rc : r->ops->remove(r, name, missing_ok, err);
}

int
repo_rename(struct repo *r, const char *from, const char *to, struct err *err)
{
    const char *a = strrchr(from, '/'), *b = strrchr(to, '/');

    if (check_change(r, from, err) < 0 || check_name(to, err) < 0)
        return err->class;
    if (!a || !b || a - from != b - to || strncmp(from, to, (size_t)(a - from)) != 0)
        return err_set(err, ERR_INVALID, "repo_name", "a rename stays in its folder");
    return r->ops->rename(r, from, to, err);
}

int
repo_list(struct repo *r, const char *dir, repo_list_fn fn, void *arg, struct err *err)
{
    int rc = check_name(dir, err);

    return rc < 0 ? rc : r->ops->list(r, dir, fn, arg, err);
}

int
repo_make_dir(struct repo *r, const char *dir, struct err *err)
{
    int rc = check_change(r, dir, err);

    return rc < 0 ? rc : r->ops->make_dir(r, dir, err);
}

int
repo_remove_dir(struct repo *r, const char *dir, struct err *err)
{
    int rc = check_change(r, dir, err);

    return rc < 0 ? rc : r->ops->remove_dir(r, dir, err);
}

/* --- the names of one folder --- */

void
repo_names_done(struct repo_names *l)
{
    for (size_t i = 0; i < l->n; i++)
        free(l->v[i].name);
    free(l->v);
    *l = (struct repo_names){0};
}

static int
add_name(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct repo_names *l = arg;

    (void)err;
    l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
    l->v[l->n++] = (struct repo_name){.name = xstrdup(name), .kind = kind};
    return 0;
}

int
repo_list_names(struct repo *r, const char *dir, struct repo_names *ret, struct err *err)
{
    struct repo_names l = {0};

    if (repo_list(r, dir, add_name, &l, err) < 0) {
        repo_names_done(&l);
        return err->class;
    }
    *ret = l;
    return 0;
}

/* --- walking over the points --- */

struct points_walk {
    struct repo *r;
    repo_list_fn fn;
    void *arg;
    char dir[REPO_NAME_MAX + 1]; /* "vms/UUID/points" while one is listed */
};

static int
see_point(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct points_walk *w = arg;
    CLEANUP_FREE char *full = NULL;
    uint32_t seq;

    if (kind != REPO_ENTRY_FILE || naming_seq_from_file(name, ".json", &seq) < 0)
        return 0;
    full = xasprintf("%s/%s", w->dir, name);
    return w->fn(w->arg, full, kind, err);
}

static int
see_vm(void *arg, const char *name, enum repo_entry kind, struct err *err)
{
    struct points_walk *w = arg;

    if (kind != REPO_ENTRY_DIR || !uuid_is_valid(name))
        return 0;
    snprintf(w->dir, sizeof(w->dir), "vms/%s/points", name);
    return w->r->ops->list(w->r, w->dir, see_point, w, err);
}

int
repo_list_points(struct repo *r, repo_list_fn fn, void *arg, struct err *err)
{
    struct points_walk w = {.r = r, .fn = fn, .arg = arg};

    return r->ops->list(r, "vms", see_vm, &w, err);
}
