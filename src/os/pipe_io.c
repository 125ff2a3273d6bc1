/* os/pipe_io.c - see pipe_io.h. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "os/pipe_io.h"

#define FILL_BYTES 65536 /* what a pipe holds by default, pipe(7) */

int
pipe_set_nonblock(int fd, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(err, errno, NULL, "make a pipe non-blocking");
    return 0;
}

int
pipe_write_some(int fd, const void *p, size_t n, size_t *ret_n, struct err *err)
{
    ssize_t w;

    do
        w = write(fd, p, n);
    while (w < 0 && errno == EINTR);
    if (w < 0 && errno == EAGAIN)
        w = 0;
    if (w < 0 && errno == EPIPE)
        return err_set(err, ERR_UNAVAILABLE, NULL, "the reader of the pipe is gone");
    if (w < 0)
        return err_errno(err, errno, NULL, "write to a pipe");
    *ret_n = (size_t)w;
    return 0;
}

void
line_reader_init(struct line_reader *r, size_t max)
{
    *r = (struct line_reader){.buf = BUF_INIT(max + FILL_BYTES + 1), .max = max};
}

void
line_reader_done(struct line_reader *r)
{
    buf_done(&r->buf);
    r->start = 0;
}

int
line_reader_fill(struct line_reader *r, int fd, struct err *err)
{
    ssize_t n;

    if (r->start > 0) {
        memmove(r->buf.data, r->buf.data + r->start, r->buf.len - r->start);
        r->buf.len -= r->start;
        r->start = 0;
    }
    if (buf_reserve(&r->buf, FILL_BYTES, err) < 0)
        return err->class;
    do
        n = read(fd, r->buf.data + r->buf.len, FILL_BYTES);
    while (n < 0 && errno == EINTR);
    if (n < 0 && errno == EAGAIN)
        return LINE_FILL_NOTHING;
    if (n < 0)
        return err_errno(err, errno, NULL, "read from a pipe");
    if (n == 0)
        return LINE_FILL_EOF;
    r->buf.len += (size_t)n;
    r->buf.data[r->buf.len] = '\0';
    return LINE_FILL_DATA;
}

int
line_reader_next(struct line_reader *r, char **ret_line, size_t *ret_n, struct err *err)
{
    size_t left = r->buf.len - r->start;
    char *p = r->buf.data + r->start;
    char *end = left > 0 ? memchr(p, '\n', left) : NULL;
    size_t n = end ? (size_t)(end - p) : left;

    if (n > r->max)
        return err_set(err, ERR_LIMIT, "line_too_long", "a line of more than %zu bytes",
                       r->max);
    if (!end)
        return 0;
    *end = '\0';
    r->start += n + 1;
    *ret_line = p;
    *ret_n = n;
    return 1;
}

int
line_reader_rest(struct line_reader *r, char **ret_line, size_t *ret_n)
{
    if (r->start == r->buf.len)
        return 0;
    *ret_line = r->buf.data + r->start;
    *ret_n = r->buf.len - r->start;
    r->start = r->buf.len;
    return 1;
}
