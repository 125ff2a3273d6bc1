/* store/dirwalk.c - walks a repository without following links; see store_priv.h.
 * Part by part with O_NOFOLLOW instead of openat2(2): the same guarantee for names
 * without "..", and it works where a sandbox knows no openat2. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/store_priv.h"

/* open(2) says ENOTDIR for a link in the place of a folder and ELOOP for one in the place
 * of a file; people should read the same about both. */
static int
open_failed(int e, const char *name, struct err *err)
{
    if (e == ELOOP || e == ENOTDIR)
        return err_set(
            err, ERR_INVALID, "repo_symlink",
            "'%s' in the repository is a symbolic link, or a file in the place of "
            "a folder; refused",
            name);
    return err_errno(err, e, store_code(e), "open '%s'", name);
}

int
dirwalk_sync(int dir_fd, const char *what, struct err *err)
{
    if (fsync(dir_fd) < 0)
        return err_errno(err, errno, store_code(errno), "fsync the folder of '%s'", what);
    return 0;
}

static int
open_part(int at, const char *part, bool create, struct err *err)
{
    int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(at, part, flags);
    int r;

    if (fd >= 0)
        return fd;
    if (errno != ENOENT || !create)
        return open_failed(errno, part, err);
    if (mkdirat(at, part, 0700) < 0 && errno != EEXIST)
        return err_errno(err, errno, store_code(errno), "make folder '%s'", part);
    r = dirwalk_sync(at, part, err);
    if (r < 0)
        return r;
    fd = openat(at, part, flags);
    return fd >= 0 ? fd : open_failed(errno, part, err);
}

/* @n bytes of @dir; 0 = @root itself. */
static int
walk(int root, const char *dir, size_t n, bool create, struct err *err)
{
    CLEANUP_FD int at = openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (at < 0)
        return err_errno(err, errno, NULL, "open the repository's folder");
    for (size_t i = 0; i < n;) {
        size_t len = strcspn(dir + i, "/");
        char part[REPO_NAME_MAX + 1];
        int next;

        if (len > n - i)
            len = n - i;
        if (len >= sizeof(part))
            return err_set(err, ERR_INVALID, "repo_name", "name is too long");
        memcpy(part, dir + i, len);
        part[len] = '\0';
        next = open_part(at, part, create, err);
        if (next < 0)
            return err->class;
        close(at);
        at = next;
        i += len + 1;
    }
    return take_fd(&at);
}

int
dirwalk_open(int root, const char *dir, bool create, struct err *err)
{
    return walk(root, dir, strlen(dir), create, err);
}

int
dirwalk_parent(int root, const char *name, bool create, const char **ret_base,
               struct err *err)
{
    const char *slash = strrchr(name, '/');
    int fd = walk(root, name, slash ? (size_t)(slash - name) : 0, create, err);

    if (fd >= 0)
        *ret_base = slash ? slash + 1 : name;
    return fd;
}

int
dirwalk_file(int root, const char *name, int flags, struct err *err)
{
    const char *base;
    CLEANUP_FD int dir = dirwalk_parent(root, name, false, &base, err);
    CLEANUP_FD int fd = -1;
    struct stat st;

    if (dir < 0)
        return err->class;
    /* O_NONBLOCK: a FIFO in the place of a file must not hang us. */
    fd = openat(dir, base, flags | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0)
        return open_failed(errno, name, err);
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat '%s'", name);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, "repo_symlink", "'%s' is no regular file", name);
    return take_fd(&fd);
}
