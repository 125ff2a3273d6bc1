/* base/secret.c - see secret.h. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"

#define SECRET_FILE_MAX 65536

struct secret {
    size_t len;
    char text[];
};

struct secret *
secret_new(const char *text, size_t n)
{
    struct secret *s = xcalloc(1, sizeof(*s) + n + 1);

    s->len = n;
    if (n > 0)
        memcpy(s->text, text, n);
    return s;
}

void
secret_free(struct secret *s)
{
    if (!s)
        return;
    explicit_bzero(s, sizeof(*s) + s->len);
    free(s);
}

void
cleanup_secret(struct secret **s)
{
    secret_free(*s);
}

const char *
secret_reveal(const struct secret *s)
{
    return s ? s->text : NULL;
}

size_t
secret_len(const struct secret *s)
{
    return s ? s->len : 0;
}

int
secret_from_file(const char *path, struct secret **ret, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(SECRET_FILE_MAX);
    int r = fs_read_secret_file(path, &b, err);

    if (r == 0 && b.len == 0)
        r = err_set(err, ERR_INVALID, NULL, "secret file '%s' is empty", path);
    else if (r == 0 && memchr(b.data, '\0', b.len))
        r = err_set(err, ERR_INVALID, NULL, "secret file '%s' holds a zero byte", path);
    else if (r == 0)
        *ret = secret_new(b.data, b.len);
    if (b.data)
        explicit_bzero(b.data, b.alloc);
    return r;
}
