/* store/layer_copy.c - a layer's file, as it is, to another place. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/layer.h"
#include "store/store_priv.h"

#define PIECE (8u << 20)

struct copy {
    int from, to;
    int cancel_fd;
    bool by_hand; /* the kernel does not copy between these two */
    unsigned char *buf;
};

static int
piece_by_hand(struct copy *c, uint64_t off, size_t n, struct err *err)
{
    if (!c->buf)
        c->buf = xcalloc(1, PIECE);
    if (fs_pread_full(c->from, c->buf, n, off, err) < 0)
        return err->class;
    return fs_pwrite_full(c->to, c->buf, n, off, err);
}

static int
piece(struct copy *c, uint64_t off, size_t n, struct err *err)
{
    while (!c->by_hand && n > 0) {
        off_t in = (off_t)off, out = (off_t)off;
        ssize_t got = copy_file_range(c->from, &in, c->to, &out, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0) {
            /* Also real errors: by hand they are met again, on the side they belong to.
             */
            c->by_hand = true;
            break;
        }
        off += (uint64_t)got;
        n -= (size_t)got;
    }
    return n > 0 ? piece_by_hand(c, off, n, err) : 0;
}

static bool
is_cancelled(const struct copy *c)
{
    struct pollfd p = {.fd = c->cancel_fd > 0 ? c->cancel_fd : -1, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static int
run(struct copy *c, uint64_t end, struct err *err)
{
    off_t at = 0;

    for (;;) {
        off_t data = lseek(c->from, at, SEEK_DATA), hole;

        if (data < 0 && errno == ENXIO)
            return 0;
        hole = data < 0 ? -1 : lseek(c->from, data, SEEK_HOLE);
        if (hole < 0)
            return err_errno(err, errno, NULL, "find the holes of a layer");
        for (at = data; at < hole && (uint64_t)at < end;) {
            uint64_t left = (uint64_t)(hole - at);
            size_t n = left < PIECE ? (size_t)left : PIECE;

            if (is_cancelled(c))
                return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
            if (piece(c, (uint64_t)at, n, err) < 0)
                return err->class;
            at += (off_t)n;
        }
    }
}

int
layer_copy(struct repo *r, const char *locator, const char *to, int cancel_fd,
           struct err *err)
{
    CLEANUP_FREE char *name = xasprintf("%s.qcow2", locator);
    CLEANUP_FD int from = -1, dst = -1;
    struct copy c = {.cancel_fd = cancel_fd};
    struct stat st;
    int rc;

    if (layer_check_chain(r, locator, 0, err) < 0)
        return err->class;
    from = dirwalk_file(r->root_fd, name, O_RDONLY, err);
    if (from < 0)
        return err->class;
    dst = open(to, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (dst < 0)
        return err_errno(err, errno, NULL, "create '%s'", to);
    if (fstat(from, &st) < 0)
        return err_errno(err, errno, NULL, "look at layer '%s'", locator);
    c.from = from;
    c.to = dst;
    rc = run(&c, (uint64_t)st.st_size, err);
    free(c.buf);
    if (rc >= 0 && ftruncate(dst, st.st_size) < 0)
        rc = err_errno(err, errno, NULL, "size '%s'", to);
    if (rc >= 0 && fsync(dst) < 0)
        rc = err_errno(err, errno, NULL, "fsync '%s'", to);
    if (rc < 0 && err->class == ERR_NO_SPACE)
        err_recode(err, "target_full");
    return rc < 0 ? err_prefix(err, "copy layer '%s'", locator) : 0;
}
