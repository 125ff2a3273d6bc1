/* store/repo_probe.c - tries what the file system below a repository can do.
 * Each property is seen, not derived from the name of the file system. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "store/store_priv.h"

#define PROBE_NAME_SIZE 64
#define PROBE_HOLE (1024 * 1024)

struct names {
    char a[PROBE_NAME_SIZE], b[PROBE_NAME_SIZE];
};

static int
make_file(int dir, const char *name, struct err *err)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, errno, store_code(errno),
                         "create a file in the repository");
    return fd;
}

/* Two descriptions of one file: the second must be refused while the first holds the
 * lock. */
static bool
probe_ofd(int dir, const char *name, int fd)
{
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP_FD int other = openat(dir, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool ok;

    if (other < 0 || fcntl(fd, F_OFD_SETLK, &fl) < 0)
        return false;
    ok = fcntl(other, F_OFD_SETLK, &fl) < 0 && (errno == EAGAIN || errno == EACCES);
    fl.l_type = F_UNLCK;
    (void)fcntl(fd, F_OFD_SETLK, &fl);
    return ok;
}

/* Opening is not enough: some file systems fail at the first request. */
static bool
probe_direct(int dir, const char *name)
{
    CLEANUP_FD int fd = openat(dir, name, O_RDWR | O_DIRECT | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP_FREE void *page = NULL;

    if (fd < 0 || posix_memalign(&page, 4096, 4096) != 0)
        return false;
    memset(page, 1, 4096);
    return pwrite(fd, page, 4096, 0) == 4096 && pread(fd, page, 4096, 0) == 4096;
}

static bool
probe_holes(int fd)
{
    char one = 1;

    return ftruncate(fd, 0) == 0 && pwrite(fd, &one, 1, 0) == 1 &&
           pwrite(fd, &one, 1, PROBE_HOLE) == 1 && fsync(fd) == 0 &&
           lseek(fd, 0, SEEK_HOLE) < PROBE_HOLE;
}

static bool
probe_rename(int dir, const struct names *n)
{
    /* b exists: the rename onto it must be refused, and work without it. */
    return renameat2(dir, n->a, dir, n->b, RENAME_NOREPLACE) < 0 && errno == EEXIST &&
           unlinkat(dir, n->b, 0) == 0 &&
           renameat2(dir, n->a, dir, n->b, RENAME_NOREPLACE) == 0;
}

int
probe_folder(int dir, struct repo_probe *ret, struct err *err)
{
    struct repo_probe found = {0};
    struct names n;
    char tag[17];
    CLEANUP_FD int fa = -1;
    CLEANUP_FD int fb = -1;
    int r = 0;

    random_hex(tag, 8);
    snprintf(n.a, sizeof(n.a), PROBE_PREFIX "-%s-a", tag);
    snprintf(n.b, sizeof(n.b), PROBE_PREFIX "-%s-b", tag);
    fa = make_file(dir, n.a, err);
    if (fa < 0)
        return err->class;
    fb = make_file(dir, n.b, err);
    if (fb < 0) {
        r = err->class;
    } else {
        found.ofd_locks = probe_ofd(dir, n.a, fa);
        found.o_direct = probe_direct(dir, n.a);
        found.holes = probe_holes(fa);
        found.reflink = ioctl(fb, FICLONE, fa) == 0;
        found.atomic_rename = probe_rename(dir, &n);
        *ret = found;
    }
    (void)unlinkat(dir, n.a, 0); /* gone already when the rename worked */
    (void)unlinkat(dir, n.b, 0);
    return r;
}
