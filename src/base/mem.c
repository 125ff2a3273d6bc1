/* base/mem.c - see mem.h. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

static void *
checked(void *p)
{
    if (!p) {
        log_error("out of memory, aborting");
        abort();
    }
    return p;
}

/* malloc(0) may give NULL, which would look like a failure. */
static size_t
at_least_one(size_t n)
{
    return n ? n : 1;
}

void *
xcalloc(size_t n, size_t size)
{
    return checked(calloc(at_least_one(n), at_least_one(size)));
}

void *
xreallocarray(void *p, size_t n, size_t size)
{
    return checked(reallocarray(p, at_least_one(n), at_least_one(size)));
}

char *
xstrdup(const char *s)
{
    return s ? checked(strdup(s)) : NULL;
}

char *
xasprintf(const char *fmt, ...)
{
    char *s = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    return checked(n < 0 ? NULL : s);
}
