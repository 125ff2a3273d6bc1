/* model/targets.c - see targets.h. */
#include <inttypes.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "model/codec.h"
#include "model/naming.h"
#include "model/targets.h"

/* Every part at its longest, each of its bytes written as %2C. */
#define BUILD_MAX ((size_t)TARGETS_MAX * (3 * TARGETS_URI_MAX + 16))

void
targets_done(struct targets *t)
{
    for (size_t i = 0; i < t->n; i++)
        free(t->items[i].uri);
    free(t->items);
    *t = (struct targets){0};
}

int
targets_uri_check(const char *uri, const char *what, struct err *err)
{
    /* No nbds://: the engine speaks no TLS, so such a source would never open. */
    static const char *const schemes[] = {"nbd://", "nbd+unix://"};
    size_t n = strnlen(uri, TARGETS_URI_MAX + 1);
    const char *authority = NULL;

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++)
        if (strncmp(uri, schemes[i], strlen(schemes[i])) == 0)
            authority = uri + strlen(schemes[i]);
    if (!authority)
        return err_set(err, ERR_INVALID, "invalid_uri",
                       "%s must start with nbd:// or nbd+unix://", what);
    if (n > TARGETS_URI_MAX)
        return err_set(err, ERR_INVALID, "invalid_uri", "%s is longer than %u bytes",
                       what, TARGETS_URI_MAX);
    for (size_t i = 0; i < n; i++)
        if (uri[i] <= 0x20 || uri[i] >= 0x7f)
            return err_set(err, ERR_INVALID, "invalid_uri",
                           "%s: write byte %zu as %%%02X, only visible ASCII is allowed",
                           what, i, (unsigned)(unsigned char)uri[i]);
    /* URIs are stored, logged and shown, so none may hold a secret. */
    if (memchr(authority, '@', strcspn(authority, "/?#")))
        return err_set(err, ERR_INVALID, "invalid_uri",
                       "%s: leave out the user or password before the '@' of the host",
                       what);
    return 0;
}

static void
add_n(struct targets *t, uint32_t key, const char *uri, size_t n)
{
    char *copy = xcalloc(n + 1, 1);

    memcpy(copy, uri, n);
    t->items = xreallocarray(t->items, t->n + 1, sizeof(*t->items));
    t->items[t->n++] = (struct target){.key = key, .uri = copy};
}

void
targets_add(struct targets *t, uint32_t key, const char *uri)
{
    add_n(t, key, uri, strlen(uri));
}

/* One "KEY:URI" of @n bytes, the @index-th. */
static int
parse_part(struct targets *t, const char *part, size_t n, size_t index, struct err *err)
{
    char digits[16];
    const char *colon = memchr(part, ':', n);
    size_t n_key = colon ? (size_t)(colon - part) : n;
    size_t n_uri = colon ? n - n_key - 1 : 0;
    uint32_t key;

    if (n == 0)
        return err_set(err, ERR_INVALID, "invalid_targets", "part %zu is empty", index);
    if (!colon || n_key >= sizeof(digits))
        return err_set(err, ERR_INVALID, "invalid_targets", "part %zu is not KEY:URI",
                       index);
    memcpy(digits, part, n_key);
    digits[n_key] = '\0';
    if (naming_key_from_str(digits, &key) < 0)
        return err_set(err, ERR_INVALID, "invalid_targets",
                       "part %zu: the key must be a number from 0 to %u", index,
                       NAMING_KEY_MAX);
    if (n_uri > TARGETS_URI_MAX)
        return err_set(err, ERR_INVALID, "invalid_targets",
                       "part %zu: URI longer than %u bytes", index, TARGETS_URI_MAX);
    if (targets_find(t, key))
        return err_set(err, ERR_INVALID, "invalid_targets",
                       "key %" PRIu32 " appears twice", key);
    add_n(t, key, colon + 1, n_uri);
    if (targets_uri_check(t->items[t->n - 1].uri, "URI", err) < 0) {
        err_recode(err, "invalid_targets");
        return err_prefix(err, "part %zu", index);
    }
    return 0;
}

int
targets_parse(const char *s, struct targets *ret, struct err *err)
{
    CLEANUP_TARGETS struct targets t = {0};
    size_t index = 1;

    for (;; index++) {
        size_t n = strcspn(s, ",");

        if (index > TARGETS_MAX)
            return err_set(err, ERR_INVALID, "invalid_targets", "more than %u parts",
                           TARGETS_MAX);
        if (parse_part(&t, s, n, index, err) < 0)
            return err->class;
        if (s[n] == '\0')
            break;
        s += n + 1;
    }
    *ret = t;
    t = (struct targets){0};
    return 0;
}

char *
targets_build(const struct targets *t)
{
    CLEANUP_BUF struct buf b = BUF_INIT(BUILD_MAX);
    struct err err = ERR_INIT;

    for (size_t i = 0; i < t->n; i++) {
        const char *u = t->items[i].uri;

        if (buf_printf(&b, &err, "%s%" PRIu32 ":", i ? "," : "", t->items[i].key) < 0)
            return NULL;
        for (; *u; u++)
            if (buf_append(&b, *u == ',' ? "%2C" : u, *u == ',' ? 3 : 1, &err) < 0)
                return NULL;
    }
    return buf_take(&b);
}

const char *
targets_find(const struct targets *t, uint32_t key)
{
    for (size_t i = 0; i < t->n; i++)
        if (t->items[i].key == key)
            return t->items[i].uri;
    return NULL;
}
