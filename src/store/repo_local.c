/* store/repo_local.c - the engine for a folder on a local or mounted file system. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/failpoint.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/store_priv.h"

/* Only the restore point has fail points here: its rename is the commit of a backup. */
static bool
is_point(const char *name)
{
    return strstr(name, "/points/") != NULL;
}

static int
write_tmp(int dir, const char *tmp, const void *p, size_t n, struct err *err)
{
    CLEANUP_FD int fd = -1;

    if (unlinkat(dir, tmp, 0) < 0 && errno != ENOENT) /* left by a crash */
        return err_errno(err, errno, store_code(errno), "remove '%s'", tmp);
    fd = openat(dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, store_code(errno), "create '%s'", tmp);
    if (fs_write_full(fd, p, n, err) < 0)
        return store_recode(err);
    if (fsync(fd) < 0)
        return err_errno(err, errno, store_code(errno), "fsync '%s'", tmp);
    if (close(take_fd(&fd)) < 0)
        return err_errno(err, errno, store_code(errno), "close '%s'", tmp);
    return 0;
}

/* Never over an existing file.  NFS knows no RENAME_NOREPLACE; link(2) refuses as well.
 */
static int
put_in_place(int dir, const char *tmp, const char *base, struct err *err)
{
    if (renameat2(dir, tmp, dir, base, RENAME_NOREPLACE) == 0)
        return 0;
    if ((errno == EINVAL || errno == ENOSYS) && linkat(dir, tmp, dir, base, 0) == 0 &&
        unlinkat(dir, tmp, 0) == 0)
        return 0;
    return err_errno(err, errno, store_code(errno), "rename '%s' to '%s'", tmp, base);
}

static int
local_put(struct repo *r, const char *name, const void *p, size_t n, struct err *err)
{
    const char *base;
    CLEANUP_FD int dir = dirwalk_parent(r->root_fd, name, true, &base, err);
    CLEANUP_FREE char *tmp = NULL;

    if (dir < 0)
        return err->class;
    tmp = xasprintf("%s.tmp", base);
    LOCK_SCOPE(&r->put_lock);
    if (write_tmp(dir, tmp, p, n, err) < 0)
        goto failed;
    if (is_point(name))
        FAILPOINT(POINT_TEMP_WRITTEN);
    if (put_in_place(dir, tmp, base, err) < 0)
        goto failed;
    if (is_point(name))
        FAILPOINT(POINT_RENAMED);
    if (dirwalk_sync(dir, name, err) < 0)
        return err->class;
    if (is_point(name))
        FAILPOINT(POINT_DURABLE);
    return 0;
failed:
    (void)unlinkat(dir, tmp, 0);
    return err_prefix(err, "file '%s' of the repository", name);
}

static int
local_get(struct repo *r, const char *name, struct buf *b, struct err *err)
{
    CLEANUP_FD int fd = dirwalk_file(r->root_fd, name, O_RDONLY, err);
    struct stat st;

    if (fd < 0)
        return err->class;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat '%s'", name);
    if (buf_reserve(b, (size_t)st.st_size, err) < 0)
        return err_prefix(err, "file '%s' of the repository", name);
    if (fs_pread_full(fd, b->data + b->len, (size_t)st.st_size, 0, err) < 0)
        return err_prefix(err, "file '%s' of the repository", name);
    b->len += (size_t)st.st_size;
    b->data[b->len] = '\0';
    return 0;
}

static enum repo_entry
kind_of(int dir, const struct dirent *e)
{
    unsigned char type = e->d_type;
    struct stat st;

    if (type == DT_UNKNOWN && fstatat(dir, e->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        type = IFTODT(st.st_mode);
    if (type == DT_DIR)
        return REPO_ENTRY_DIR;
    return type == DT_REG ? REPO_ENTRY_FILE : REPO_ENTRY_OTHER;
}

static int
local_list(struct repo *r, const char *dir, repo_list_fn fn, void *arg, struct err *err)
{
    int fd = dirwalk_open(r->root_fd, dir, false, err);
    DIR *d;
    int result = 0;

    if (fd < 0 && err->class == ERR_NOT_FOUND) {
        err_clear(err);
        return 0;
    }
    if (fd < 0)
        return err->class;
    d = fdopendir(fd);
    if (d == NULL) {
        close(fd);
        return err_errno(err, errno, NULL, "list folder '%s'", dir);
    }
    while (result == 0) {
        const struct dirent *e;

        errno = 0;
        e = readdir(d);
        if (e == NULL) {
            if (errno != 0)
                result = err_errno(err, errno, NULL, "list folder '%s'", dir);
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            result = fn(arg, e->d_name, kind_of(fd, e), err);
    }
    closedir(d);
    return result < 0 ? result : 0;
}

static int
local_remove(struct repo *r, const char *name, bool missing_ok, struct err *err)
{
    const char *base;
    CLEANUP_FD int dir = dirwalk_parent(r->root_fd, name, false, &base, err);

    if (dir < 0 && err->class == ERR_NOT_FOUND && missing_ok) {
        err_clear(err);
        return 0;
    }
    if (dir < 0)
        return err->class;
    if (unlinkat(dir, base, 0) == 0)
        return dirwalk_sync(dir, name, err);
    if (errno == ENOENT && missing_ok)
        return 0;
    return err_errno(err, errno, store_code(errno), "remove '%s'", name);
}

/* rmdir(2) refuses a folder that is not empty; that is the end of the walk, not a
 * failure. */
static int
local_remove_dir(struct repo *r, const char *dir, struct err *err)
{
    CLEANUP_FREE char *at = xstrdup(dir);

    while (strchr(at, '/') != NULL) {
        const char *base;
        CLEANUP_FD int parent = dirwalk_parent(r->root_fd, at, false, &base, err);

        if (parent < 0 && err->class == ERR_NOT_FOUND) {
            err_clear(err);
        } else if (parent < 0) {
            return err->class;
        } else if (unlinkat(parent, base, AT_REMOVEDIR) == 0) {
            if (dirwalk_sync(parent, at, err) < 0)
                return err->class;
        } else if (errno == ENOTEMPTY || errno == EEXIST) {
            return 0;
        } else if (errno != ENOENT) {
            return err_errno(err, errno, store_code(errno), "remove folder '%s'", at);
        }
        *strrchr(at, '/') = '\0';
    }
    return 0;
}

static int
local_make_dir(struct repo *r, const char *dir, struct err *err)
{
    CLEANUP_FD int fd = dirwalk_open(r->root_fd, dir, true, err);

    return fd < 0 ? err->class : 0;
}

static int
local_probe(struct repo *r, struct repo_probe *ret, struct err *err)
{
    return probe_folder(r->root_fd, ret, err);
}

/* Our descriptor outlives the name: a folder that was moved away, unmounted or mounted
 * over answers as before, but qemu-nbd is given paths. */
static int
check_in_place(const struct repo *r, struct err *err)
{
    struct stat named = {0}, held;

    if (stat(r->folder, &named) < 0 && errno != ENOENT)
        return err_errno(err, errno, NULL, "look at repository '%s'", r->folder);
    if (fstat(r->root_fd, &held) < 0)
        return err_errno(err, errno, NULL, "look at repository '%s'", r->folder);
    if (named.st_dev == held.st_dev && named.st_ino == held.st_ino)
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "repository_unavailable",
                   "the folder of the repository is not at '%s' any more: mount it, or "
                   "move it back",
                   r->folder);
}

static int
local_space(struct repo *r, struct repo_space *ret, struct err *err)
{
    struct statvfs st;

    if (check_in_place(r, err) < 0)
        return err->class;
    if (fstatvfs(r->root_fd, &st) < 0)
        return err_errno(err, errno, NULL, "space of repository '%s'", r->folder);
    ret->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
    ret->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
    return 0;
}

static void
local_close(struct repo *r)
{
    if (r->root_fd >= 0)
        close(r->root_fd);
    r->root_fd = -1;
}

const struct repo_ops repo_local_ops = {
    .engine = "local",
    .create_layer = local_create_layer,
    .remove_layer = local_remove_layer,
    .repair_layer = local_repair_layer,
    .check_layer = local_check_layer,
    .stored_bytes = local_stored_bytes,
    .sync_layer = local_sync_layer,
    .export_rw = local_export_rw,
    .export_ro = local_export_ro,
    .put = local_put,
    .get = local_get,
    .list = local_list,
    .remove = local_remove,
    .remove_dir = local_remove_dir,
    .make_dir = local_make_dir,
    .rename = local_rename,
    .merge_layer = local_merge_layer,
    .probe = local_probe,
    .space = local_space,
    .close = local_close,
};
