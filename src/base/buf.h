/* base/buf.h - a growing byte buffer with a hard cap.                     Layer 0.
 * The cap is set once, by the use; growing past it fails with ERR_LIMIT and leaves the
 * contents. data is always NUL-terminated when non-NULL; len excludes the NUL. */
#ifndef SENDENSE_BASE_BUF_H
#define SENDENSE_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/cleanup.h"

struct buf {
    char *data;
    size_t len;
    size_t alloc;
    size_t cap; /* bytes; 0 = refuse everything */
};

#define BUF_INIT(cap_)                                                                   \
    {                                                                                    \
        .cap = (cap_)                                                                    \
    }
#define CLEANUP_BUF CLEANUP(buf_done)

/* Room for @n more bytes in one allocation; ERR_LIMIT. */
int buf_reserve(struct buf *b, size_t n, struct err *err);
int buf_append(struct buf *b, const void *p, size_t n, struct err *err);
int buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void buf_reset(struct buf *b); /* len = 0, memory kept */
void buf_done(struct buf *b);
char *buf_take(struct buf *b); /* the string, caller frees; "" when empty */

#endif
