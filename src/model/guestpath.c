#include "model/guestpath.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"

static const char hex_digits[] = "0123456789abcdef";

/* Length of the printable character at @s, 0 when it must be escaped. */
static size_t
plain_len(const char *s, size_t n)
{
    size_t len = text_utf8_len(s, n);
    unsigned char c = (unsigned char)s[0];

    if (len == 1 && (c < 0x20 || c == 0x7f || c == '\\'))
        return 0;
    /* C1 controls */
    if (len == 2 && c == 0xc2 && (unsigned char)s[1] < 0xa0)
        return 0;
    return len;
}

char *
guestpath_to_text(const char *bytes)
{
    size_t n = strlen(bytes);
    char *out = xcalloc(n + 1, 4), *o = out;

    for (size_t i = 0; i < n;) {
        size_t len = plain_len(bytes + i, n - i);

        if (len > 0) {
            memcpy(o, bytes + i, len);
            o += len;
            i += len;
        } else if (bytes[i] == '\\') {
            *o++ = '\\';
            *o++ = '\\';
            i++;
        } else {
            unsigned char c = (unsigned char)bytes[i++];

            *o++ = '\\';
            *o++ = 'x';
            *o++ = hex_digits[c >> 4];
            *o++ = hex_digits[c & 15];
        }
    }
    *o = '\0';
    return out;
}

static int
hex_value(char c)
{
    const char *p =
        c ? strchr(hex_digits, c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c) : NULL;

    return p ? (int)(p - hex_digits) : -1;
}

int
guestpath_unescape(const char *text, char **ret, struct err *err)
{
    CLEANUP_FREE char *out = xcalloc(strlen(text) + 1, 1);
    char *o = out;

    for (const char *p = text; *p;) {
        int hi, lo;

        if (*p != '\\') {
            *o++ = *p++;
            continue;
        }
        if (p[1] == '\\') {
            *o++ = '\\';
            p += 2;
            continue;
        }
        hi = p[1] == 'x' ? hex_value(p[2]) : -1;
        lo = hi >= 0 ? hex_value(p[3]) : -1;
        if (lo < 0 || (hi == 0 && lo == 0))
            return err_set(err, ERR_INVALID, "invalid_path",
                           "in a path a backslash is written '\\\\' and other bytes "
                           "'\\xHH'");
        *o++ = (char)(hi << 4 | lo);
        p += 4;
    }
    *ret = take_ptr(&out);
    return 0;
}

/* Parts of a path, as pieces of one string. */
struct parts {
    struct part {
        const char *s;
        size_t n;
    } * v;
    size_t n;
    bool climbs_late; /* a ".." after a name */
    size_t climbs;    /* ".." at the start */
};

static bool
is(const struct part *p, const char *s)
{
    return strlen(s) == p->n && memcmp(p->s, s, p->n) == 0;
}

static void
split(struct parts *ps, const char *path)
{
    ps->v = xcalloc(strlen(path) / 2 + 2, sizeof *ps->v);
    while (*path) {
        struct part p = {path, strcspn(path, "/")};

        path += p.n + (path[p.n] == '/');
        if (p.n == 0 || is(&p, "."))
            continue;
        if (is(&p, "..")) {
            if (ps->n > ps->climbs)
                ps->climbs_late = true;
            else
                ps->climbs++;
        }
        ps->v[ps->n++] = p;
    }
}

static bool
has_climb(const struct parts *ps)
{
    return ps->climbs > 0 || ps->climbs_late;
}

static char *
join(const char *head, const struct part *v, size_t n)
{
    size_t size = strlen(head) + 1;
    char *out, *o;

    for (size_t i = 0; i < n; i++)
        size += v[i].n + 1;
    out = xcalloc(size, 1);
    o = stpcpy(out, head);
    for (size_t i = 0; i < n; i++) {
        if (o > out && o[-1] != '/')
            *o++ = '/';
        memcpy(o, v[i].s, v[i].n);
        o += v[i].n;
    }
    *o = '\0';
    return out;
}

int
guestpath_from_text(const char *text, char **ret, struct err *err)
{
    CLEANUP_FREE char *bytes = NULL;
    struct parts ps = {0};
    bool climbs;

    if (strlen(text) > 4u * GUESTPATH_MAX)
        return err_set(err, ERR_INVALID, "invalid_path", "the path is too long");
    if (guestpath_unescape(text, &bytes, err) < 0)
        return err->class;
    if (bytes[0] != '/' || strlen(bytes) > GUESTPATH_MAX)
        return err_set(err, ERR_INVALID, "invalid_path",
                       "a path begins with '/' and has at most %u bytes", GUESTPATH_MAX);
    split(&ps, bytes);
    climbs = has_climb(&ps);
    if (!climbs)
        *ret = join("/", ps.v, ps.n);
    free(ps.v);
    if (climbs)
        return err_set(err, ERR_INVALID, "invalid_path", "a path must not hold '..'");
    return 0;
}

char *
guestpath_entry(const char *prefix, const char *name)
{
    struct parts ps = {0};
    char *out = NULL;

    split(&ps, name);
    if (!has_climb(&ps))
        out = join(prefix, ps.v, ps.n);
    free(ps.v);
    return out;
}

/* @target seen from the folder @at, both with the top as root. */
static char *
relative(const struct parts *at, const struct parts *target, bool absolute)
{
    static const struct part up = {"..", 2};
    size_t n_to = absolute ? 0 : at->n, same = 0, n = 0;
    struct part *to = xcalloc(at->n + target->n + 1, sizeof *to);
    struct part *out = xcalloc(at->n + at->n + target->n + 1, sizeof *out);
    char *text;

    memcpy(to, at->v, n_to * sizeof *to);
    for (size_t i = 0; i < target->n; i++) {
        if (!is(&target->v[i], ".."))
            to[n_to++] = target->v[i];
        else if (n_to > 0)
            n_to--;
    }
    while (same < at->n && same < n_to && at->v[same].n == to[same].n &&
           memcmp(at->v[same].s, to[same].s, to[same].n) == 0)
        same++;
    for (size_t i = same; i < at->n; i++)
        out[n++] = up;
    for (size_t i = same; i < n_to; i++)
        out[n++] = to[i];
    text = n > 0 ? join("", out, n) : xstrdup(".");
    free(to);
    free(out);
    return text;
}

char *
guestpath_link(const char *entry, const char *target)
{
    const char *slash = strrchr(entry, '/');
    CLEANUP_FREE char *folder =
        xasprintf("%.*s", slash ? (int)(slash - entry) : 0, entry);
    struct parts at = {0}, to = {0};
    char *out;

    split(&at, folder);
    split(&to, target);
    if (target[0] && target[0] != '/' && !to.climbs_late && to.climbs <= at.n)
        out = xstrdup(target);
    else
        out = relative(&at, &to, target[0] == '/');
    free(at.v);
    free(to.v);
    return out;
}

bool
guestpath_is_windows_trap(const char *entry)
{
    return strchr(entry, '\\') || (entry[0] && entry[1] == ':');
}
