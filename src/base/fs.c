/* base/fs.c - see fs.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"

/* Linux moves at most this much in one call; see read(2). */
#define IO_CALL_MAX ((size_t)0x7ffff000)

static size_t
call_size(size_t n)
{
    return n < IO_CALL_MAX ? n : IO_CALL_MAX;
}

/* off_t is signed; a range that does not fit is the caller's mistake, not the disk's. */
static int
check_range(size_t n, uint64_t off, struct err *err)
{
    if (off > INT64_MAX || n > INT64_MAX - off)
        return err_set(err, ERR_INVALID, NULL, "offset %llu is out of range",
                       (unsigned long long)off);
    return 0;
}

int
fs_read_full(int fd, void *p, size_t n, struct err *err)
{
    char *at = p;
    size_t left = n;

    while (left > 0) {
        ssize_t got = read(fd, at, call_size(left));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, NULL, "read %zu bytes", n);
        if (got == 0)
            return err_set(err, ERR_CORRUPT, NULL, "file ends %zu bytes too early", left);
        at += got;
        left -= (size_t)got;
    }
    return 0;
}

int
fs_pread_full(int fd, void *p, size_t n, uint64_t off, struct err *err)
{
    char *at = p;
    size_t left = n;
    int r = check_range(n, off, err);

    if (r < 0)
        return r;
    while (left > 0) {
        ssize_t got = pread(fd, at, call_size(left), (off_t)off);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_errno(err, errno, NULL, "read %zu bytes at %llu", left,
                             (unsigned long long)off);
        if (got == 0)
            return err_set(err, ERR_CORRUPT, NULL,
                           "file ends at %llu, %zu bytes too early",
                           (unsigned long long)off, left);
        at += got;
        left -= (size_t)got;
        off += (uint64_t)got;
    }
    return 0;
}

int
fs_write_full(int fd, const void *p, size_t n, struct err *err)
{
    const char *at = p;
    size_t left = n;

    while (left > 0) {
        ssize_t put = write(fd, at, call_size(left));

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return err_errno(err, put < 0 ? errno : EIO, NULL, "write %zu bytes", n);
        at += put;
        left -= (size_t)put;
    }
    return 0;
}

int
fs_pwrite_full(int fd, const void *p, size_t n, uint64_t off, struct err *err)
{
    const char *at = p;
    size_t left = n;
    int r = check_range(n, off, err);

    if (r < 0)
        return r;
    while (left > 0) {
        ssize_t put = pwrite(fd, at, call_size(left), (off_t)off);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0)
            return err_errno(err, put < 0 ? errno : EIO, NULL, "write %zu bytes at %llu",
                             left, (unsigned long long)off);
        at += put;
        left -= (size_t)put;
        off += (uint64_t)put;
    }
    return 0;
}

/* O_NONBLOCK: a FIFO put in the place of a file must not hang us. */
static int
open_regular(const char *path, struct stat *ret_st, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (fstat(fd, ret_st) < 0)
        return err_errno(err, errno, NULL, "stat '%s'", path);
    if (!S_ISREG(ret_st->st_mode))
        return err_set(err, ERR_INVALID, NULL, "'%s' is not a regular file", path);
    return take_fd(&fd);
}

static int
read_to_end(int fd, uint64_t size_hint, struct buf *b, struct err *err)
{
    /* One allocation when the size is true; files of /proc say 0. */
    int r = buf_reserve(b, size_hint < b->cap ? (size_t)size_hint : 0, err);
    char chunk[4096];

    while (r == 0) {
        ssize_t got = read(fd, chunk, sizeof(chunk));

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            r = err_errno(err, errno, NULL, "read");
        if (got <= 0)
            break;
        r = buf_append(b, chunk, (size_t)got, err);
    }
    explicit_bzero(chunk, sizeof(chunk)); /* secrets come this way too */
    return r;
}

int
fs_read_file(const char *path, struct buf *b, struct err *err)
{
    struct stat st;
    CLEANUP_FD int fd = open_regular(path, &st, err);

    if (fd < 0)
        return err->class;
    if (read_to_end(fd, (uint64_t)st.st_size, b, err) < 0)
        return err_prefix(err, "file '%s'", path);
    return 0;
}

int
fs_read_secret_file(const char *path, struct buf *b, struct err *err)
{
    struct stat st;
    CLEANUP_FD int fd = open_regular(path, &st, err);

    if (fd < 0 && err->class == ERR_INVALID)
        err->class = ERR_AUTH;
    if (fd < 0)
        return err->class;
    if (st.st_mode & 077)
        return err_set(
            err, ERR_AUTH, NULL,
            "secret file '%s' has mode %04o; others must not reach it: chmod 600", path,
            (unsigned)(st.st_mode & 07777));
    if (read_to_end(fd, (uint64_t)st.st_size, b, err) < 0)
        return err_prefix(err, "file '%s'", path);
    if (b->len > 0 && b->data[b->len - 1] == '\n')
        b->data[--b->len] = '\0';
    if (b->len > 0 && b->data[b->len - 1] == '\r')
        b->data[--b->len] = '\0';
    return 0;
}

/* Creates @path anew and returns only when its bytes are on disk. */
static int
write_new_synced(const char *path, const void *p, size_t n, mode_t mode, struct err *err)
{
    CLEANUP_FD int fd =
        open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    int r;

    if (fd < 0)
        return err_errno(err, errno, NULL, "create '%s'", path);
    r = fs_write_full(fd, p, n, err);
    if (r < 0)
        return err_prefix(err, "file '%s'", path);
    if (fsync(fd) < 0)
        return err_errno(err, errno, NULL, "fsync '%s'", path);
    if (close(take_fd(&fd)) < 0)
        return err_errno(err, errno, NULL, "close '%s'", path);
    return 0;
}

static int
rename_over(const char *from, const char *to, struct err *err)
{
    if (rename(from, to) < 0)
        return err_errno(err, errno, NULL, "rename '%s' to '%s'", from, to);
    return 0;
}

static int
write_durable(const char *path, const void *p, size_t n, mode_t mode,
              int (*put_in_place)(const char *from, const char *to, struct err *err),
              struct err *err)
{
    CLEANUP_FREE char *tmp = xasprintf("%s.tmp", path);
    int r;

    if (unlink(tmp) < 0 && errno != ENOENT) /* left by a crash */
        return err_errno(err, errno, NULL, "remove '%s'", tmp);
    r = write_new_synced(tmp, p, n, mode, err);
    if (r == 0)
        r = put_in_place(tmp, path, err);
    if (r < 0) {
        unlink(tmp);
        return r;
    }
    return fs_sync_parent(path, err);
}

int
fs_write_file_durable(const char *path, const void *p, size_t n, mode_t mode,
                      struct err *err)
{
    return write_durable(path, p, n, mode, rename_over, err);
}

int
fs_create_file_durable(const char *path, const void *p, size_t n, mode_t mode,
                       struct err *err)
{
    return write_durable(path, p, n, mode, fs_rename_noreplace, err);
}

int
fs_rename_noreplace(const char *from, const char *to, struct err *err)
{
    if (renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* File systems without the flag (NFS): link(2) refuses an existing name just as well.
     */
    if ((errno == EINVAL || errno == ENOSYS) && link(from, to) == 0 && unlink(from) == 0)
        return 0;
    return err_errno(err, errno, NULL, "rename '%s' to '%s'", from, to);
}

static int
open_and_fsync(const char *path, int flags, bool drop, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags);
    int e;

    if (fd < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (fsync(fd) < 0)
        return err_errno(err, errno, NULL, "fsync '%s'", path);
    if (!drop)
        return 0;
    e = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (e != 0)
        return err_errno(err, e, NULL, "drop cached pages of '%s'", path);
    return 0;
}

/* The folder that holds @path: text before the last name, trailing slashes ignored. */
static char *
parent_of(const char *path)
{
    size_t n = strlen(path);

    while (n > 1 && path[n - 1] == '/')
        n--;
    while (n > 0 && path[n - 1] != '/')
        n--;
    while (n > 1 && path[n - 1] == '/')
        n--;
    return n == 0 ? xstrdup(".") : xasprintf("%.*s", (int)n, path);
}

int
fs_sync_parent(const char *path, struct err *err)
{
    CLEANUP_FREE char *parent = parent_of(path);

    return open_and_fsync(parent, O_DIRECTORY, false, err);
}

int
fs_sync_path(const char *path, struct err *err)
{
    return open_and_fsync(path, 0, false, err);
}

int
fs_drop_cache(const char *path, struct err *err)
{
    return open_and_fsync(path, 0, true, err);
}

static int
make_one_dir(const char *path, mode_t mode, struct err *err)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return fs_sync_parent(path, err);
    if (errno != EEXIST)
        return err_errno(err, errno, NULL, "mkdir '%s'", path);
    if (stat(path, &st) < 0)
        return err_errno(err, errno, NULL, "stat '%s'", path);
    if (!S_ISDIR(st.st_mode))
        return err_set(err, ERR_EXISTS, NULL, "'%s' exists and is no folder", path);
    return 0;
}

int
fs_mkdirs(const char *path, mode_t mode, struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(path);
    int r = 0;

    if (*copy == '\0')
        return err_set(err, ERR_INVALID, NULL, "empty path");
    for (char *p = copy + 1; r == 0 && *p; p++) {
        if (*p != '/' || p[-1] == '/')
            continue;
        *p = '\0';
        r = make_one_dir(copy, mode, err);
        *p = '/';
    }
    return r == 0 ? make_one_dir(copy, mode, err) : r;
}

int
fs_unlink(const char *path, bool missing_ok, struct err *err)
{
    if (unlink(path) == 0)
        return fs_sync_parent(path, err);
    if (errno == ENOENT && missing_ok)
        return 0;
    return err_errno(err, errno, NULL, "remove '%s'", path);
}

bool
fs_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}
