/* base/buf.c - see buf.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"

#define BUF_MIN_ALLOC 64

int
buf_reserve(struct buf *b, size_t n, struct err *err)
{
    size_t need, want;
    char *p;

    if (n > b->cap || b->len > b->cap - n)
        return err_set(err, ERR_LIMIT, NULL, "data is larger than the limit of %zu bytes",
                       b->cap);
    if (b->cap == SIZE_MAX && b->len + n == SIZE_MAX)
        return err_set(err, ERR_LIMIT, NULL, "data is larger than the address space");
    need = b->len + n + 1;
    if (need <= b->alloc)
        return 0;
    want = b->alloc <= SIZE_MAX / 2 ? b->alloc * 2 : need;
    if (want > b->cap)
        want = b->cap + 1;
    if (want < BUF_MIN_ALLOC)
        want = BUF_MIN_ALLOC;
    if (want < need)
        want = need;
    p = realloc(b->data, want);
    if (!p)
        return err_set(err, ERR_LIMIT, NULL, "no memory for %zu bytes", want);
    b->data = p;
    b->alloc = want;
    b->data[b->len] = '\0';
    return 0;
}

int
buf_append(struct buf *b, const void *p, size_t n, struct err *err)
{
    int r = buf_reserve(b, n, err);

    if (r < 0)
        return r;
    if (n > 0)
        memcpy(b->data + b->len, p, n);
    b->len += n;
    b->data[b->len] = '\0';
    return 0;
}

int
buf_printf(struct buf *b, struct err *err, const char *fmt, ...)
{
    va_list ap, again;
    int n, r;

    va_start(ap, fmt);
    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        r = err_set(err, ERR_INTERNAL, NULL, "cannot format text");
    else
        r = buf_reserve(b, (size_t)n, err);
    if (r == 0) {
        vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
        b->len += (size_t)n;
    }
    va_end(again);
    return r;
}

void
buf_reset(struct buf *b)
{
    b->len = 0;
    if (b->data)
        b->data[0] = '\0';
}

void
buf_done(struct buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = 0;
    b->alloc = 0;
}

char *
buf_take(struct buf *b)
{
    char *s = b->data ? b->data : xstrdup("");

    b->data = NULL;
    b->len = 0;
    b->alloc = 0;
    return s;
}
