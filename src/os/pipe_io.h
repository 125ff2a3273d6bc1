/* os/pipe_io.h - bounded, non-blocking I/O over the pipes of a child.       Layer 1.
 * For loops that poll(2) several descriptors and must never wait inside one of them.
 * Not thread-safe: each object has one owner. */
#ifndef SENDENSE_OS_PIPE_IO_H
#define SENDENSE_OS_PIPE_IO_H

#include <stddef.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

int pipe_set_nonblock(int fd, struct err *err);

/* As much of @p as fits now; *ret_n may be 0.  ERR_UNAVAILABLE when the reader is gone.
 */
int pipe_write_some(int fd, const void *p, size_t n, size_t *ret_n, struct err *err);

/* Splits a byte stream into lines of at most @max bytes (newline not counted). */
struct line_reader {
    struct buf buf;
    size_t start; /* first byte not yet handed out */
    size_t max;
};
#define CLEANUP_LINE_READER CLEANUP(line_reader_done)

enum line_fill { LINE_FILL_DATA, LINE_FILL_NOTHING, LINE_FILL_EOF };

void line_reader_init(struct line_reader *r, size_t max);
void line_reader_done(struct line_reader *r);

/* One read of @fd (non-blocking): an enum line_fill, or ERR_IO.  Before the next fill,
 * take lines until there are none. */
int line_reader_fill(struct line_reader *r, int fd, struct err *err);

/* 1 and the next whole line, without its newline, NUL-terminated, valid until the next
 * call on
 * @r; 0 when there is none; ERR_LIMIT when a line is longer than the maximum. */
int line_reader_next(struct line_reader *r, char **ret_line, size_t *ret_n,
                     struct err *err);

/* What is left without a newline, as line_reader_next(); 0 when nothing is. */
int line_reader_rest(struct line_reader *r, char **ret_line, size_t *ret_n);

#endif
