/* base/secret.h - a string that must not be printed.                      Layer 0.
 * Opaque on purpose: no format function exists; memory is wiped on free. */
#ifndef SENDENSE_BASE_SECRET_H
#define SENDENSE_BASE_SECRET_H

#include <stddef.h>

#include "base/cleanup.h"
#include "base/err.h"

struct secret;
#define CLEANUP_SECRET CLEANUP(cleanup_secret)
void cleanup_secret(struct secret **s);

struct secret *secret_new(const char *text, size_t n); /* copies */
void secret_free(struct secret *s);                    /* NULL ok; wipes */
const char *secret_reveal(const struct secret *s);     /* NUL-terminated; NULL for NULL */
size_t secret_len(const struct secret *s);
int secret_from_file(const char *path, struct secret **ret,
                     struct err *err); /* 0600 only */

#endif
