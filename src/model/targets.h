/* model/targets.h - "KEY:URI,KEY:URI": which disk goes where.             Layer 1.  Pure.
 * docs/design/protocol.md section 1.  The same form lists the sources of a client run by
 * hand. */
#ifndef SENDENSE_MODEL_TARGETS_H
#define SENDENSE_MODEL_TARGETS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define TARGETS_MAX 256u
#define TARGETS_URI_MAX 2048u

struct target {
    uint32_t key;
    char *uri; /* a comma in it is %2C */
};

struct targets {
    struct target *items; /* in the order of the string */
    size_t n;
};
#define CLEANUP_TARGETS CLEANUP(targets_done)

/* ERR_INVALID "invalid_targets" for the whole string; *ret is owned by the caller. */
int targets_parse(const char *s, struct targets *ret, struct err *err);
/* Adds a copy; does not check.  For targets_build(). */
void targets_add(struct targets *t, uint32_t key, const char *uri);
/* Commas become %2C; caller frees.  NULL when more than the limits above allow was added.
 */
char *targets_build(const struct targets *t);
const char *targets_find(const struct targets *t, uint32_t key); /* uri or NULL */
void targets_done(struct targets *t);

/* An NBD URI that we accept: nbd:// or nbd+unix://, at most 2,048 bytes, visible ASCII
 * only, no user or password.  ERR_INVALID "invalid_uri"; @what names the field; no
 * message repeats the URI. */
int targets_uri_check(const char *uri, const char *what, struct err *err);

#endif
