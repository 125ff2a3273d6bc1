/* store/lockprobe.c - see lockprobe.h. */
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "store/lockprobe.h"

/* QEMU block/file-posix.c: RAW_LOCK_PERM_BASE, RAW_LOCK_SHARED_BASE; BLK_PERM_WRITE is
 * bit 1. */
#define LOCK_RANGE_FIRST 100
#define LOCK_RANGE_LAST 299
#define LOCK_WRITE_PERM (100 + 1)

/* A write lock conflicts with the read locks of qemu, so asking for one finds any of
 * them. */
static int
is_locked(int fd, off_t start, off_t len, const char *path, bool *ret, struct err *err)
{
    struct flock fl = {
        .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = len};

    if (fcntl(fd, F_OFD_GETLK, &fl) < 0)
        return err_errno(err, errno, NULL, "ask for the locks of '%s'", path);
    *ret = fl.l_type != F_UNLCK;
    return 0;
}

int
lockprobe_file(const char *path, struct lockprobe *ret, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct lockprobe found = {0};
    struct stat st;
    int r;

    if (fd < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, NULL, "'%s' is no regular file", path);
    r = is_locked(fd, LOCK_RANGE_FIRST, LOCK_RANGE_LAST - LOCK_RANGE_FIRST + 1, path,
                  &found.in_use, err);
    if (r == 0)
        r = is_locked(fd, LOCK_WRITE_PERM, 1, path, &found.written, err);
    if (r == 0)
        *ret = found;
    return r;
}
