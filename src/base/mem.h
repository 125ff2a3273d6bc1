/* base/mem.h - allocation of small, fixed sizes.                          Layer 0.
 * These abort on out-of-memory.  Anything sized by a peer goes through struct buf (with a
 * limit) or checks malloc itself. */
#ifndef SENDENSE_BASE_MEM_H
#define SENDENSE_BASE_MEM_H

#include <stddef.h>

void *xcalloc(size_t n, size_t size); /* zeroed; free() */
void *xreallocarray(void *p, size_t n, size_t size);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
