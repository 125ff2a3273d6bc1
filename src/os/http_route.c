/* os/http_route.c - percent-decoding and route matching, without I/O. */
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "os/http_priv.h"

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
http_decode(const char *raw, size_t n, char **ret, struct err *err)
{
    CLEANUP_FREE char *out = malloc(n + 1);
    size_t len = 0;

    if (!out)
        return err_set(err, ERR_LIMIT, NULL, "out of memory");
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)raw[i];

        if (c == '%') {
            int hi = i + 2 < n ? hex_digit(raw[i + 1]) : -1;
            int lo = hi >= 0 ? hex_digit(raw[i + 2]) : -1;

            if (lo < 0)
                return err_set(
                    err, ERR_INVALID, "invalid_encoding",
                    "a '%%' in the URL is not followed by two hexadecimal digits");
            c = (unsigned char)(hi * 16 + lo);
            i += 2;
        }
        /* No name or id of ours holds one, and NUL, CR and LF are how strings are cut,
         * headers are injected and log lines are forged. */
        if (c < 0x20 || c == 0x7f)
            return err_set(err, ERR_INVALID, "invalid_encoding",
                           "the URL holds a control character");
        out[len++] = (char)c;
    }
    out[len] = '\0';
    if (!text_is_utf8(out, len))
        return err_set(err, ERR_INVALID, "invalid_encoding",
                       "the URL is not valid UTF-8");
    *ret = take_ptr(&out);
    return 0;
}

static int
no_such_route(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "no_such_route", "there is nothing at this path");
}

int
http_path_parse(const char *raw, struct http_path *ret, struct err *err)
{
    struct http_path p = {0};

    if (raw[0] != '/')
        return err_set(err, ERR_INVALID, "invalid_path",
                       "the path does not begin with '/'");
    for (const char *s = raw; *s == '/';) {
        size_t len = strcspn(++s, "/");
        int r;

        if (p.n == HTTP_SEGMENTS_MAX)
            r = no_such_route(err);
        else
            r = http_decode(s, len, &p.segments[p.n], err);
        if (r < 0) {
            http_path_done(&p);
            return r;
        }
        p.n++;
        s += len;
    }
    *ret = p;
    return 0;
}

void
http_path_done(struct http_path *p)
{
    for (unsigned i = 0; i < p->n; i++)
        free(p->segments[i]);
    *p = (struct http_path){0};
}

/* Steps through "/a/{b}": gives one segment, true while there are any. */
static bool
next_segment(const char **pattern, const char **ret_seg, size_t *ret_len)
{
    if (**pattern != '/')
        return false;
    *ret_seg = *pattern + 1;
    *ret_len = strcspn(*ret_seg, "/");
    *pattern = *ret_seg + *ret_len;
    return true;
}

static bool
is_placeholder(const char *seg, size_t len)
{
    return len > 2 && seg[0] == '{' && seg[len - 1] == '}';
}

/* 0 = no match, else a mask with bit 31-i set when segment i is literal, and bit 0
 * always: the greater mask is the more literal pattern, seen from the left. */
static uint32_t
match_rank(const char *pattern, const struct http_path *path)
{
    uint32_t rank = 1;
    unsigned i = 0;
    const char *seg;
    size_t len;

    for (; next_segment(&pattern, &seg, &len); i++) {
        if (i >= path->n)
            return 0;
        if (is_placeholder(seg, len)) {
            if (path->segments[i][0] == '\0')
                return 0;
        } else {
            if (strlen(path->segments[i]) != len ||
                memcmp(path->segments[i], seg, len) != 0)
                return 0;
            rank |= UINT32_C(1) << (31 - i);
        }
    }
    return i == path->n ? rank : 0;
}

static const char *const known_methods[] = {"DELETE", "GET", "PATCH", "POST", "PUT"};

static int
method_index(const char *method)
{
    for (unsigned i = 0; i < ARRAY_LEN(known_methods); i++)
        if (strcmp(known_methods[i], method) == 0)
            return (int)i;
    return -1;
}

/* @mask has a bit for each of known_methods. */
static void
allow_from_mask(unsigned mask, char allow[HTTP_ALLOW_SIZE])
{
    struct buf b = BUF_INIT(HTTP_ALLOW_SIZE - 1);
    struct err ignored = ERR_INIT;

    for (unsigned i = 0; i < ARRAY_LEN(known_methods); i++) {
        if (!(mask & (1u << i)))
            continue;
        (void)buf_printf(&b, &ignored, "%s%s", b.len ? ", " : "", known_methods[i]);
        if (strcmp(known_methods[i], "GET") == 0)
            (void)buf_printf(&b, &ignored, ", HEAD");
    }
    memcpy(allow, b.data ? b.data : "", b.len + 1);
    buf_done(&b);
}

int
http_route_find(const struct http_route *routes, const struct http_path *path,
                const char *method, const struct http_route **ret,
                char allow[HTTP_ALLOW_SIZE], struct err *err)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
    const struct http_route *best = NULL;
    uint32_t best_rank = 0;
    unsigned allowed = 0;

    for (const struct http_route *r = routes; r->method; r++) {
        uint32_t rank = match_rank(r->pattern, path);

        if (rank == 0)
            continue;
        allowed |= 1u << method_index(r->method);
        if (strcmp(r->method, wanted) == 0 && rank > best_rank) {
            best = r;
            best_rank = rank;
        }
    }
    if (best) {
        *ret = best;
        return 0;
    }
    if (allowed == 0)
        return no_such_route(err);
    allow_from_mask(allowed, allow);
    return err_set(err, ERR_INVALID, "method_not_allowed", "only %s can be used here",
                   allow);
}

const char *
http_route_param(const struct http_route *r, const struct http_path *path,
                 const char *name)
{
    const char *pattern = r->pattern;
    size_t want = strlen(name);
    const char *seg;
    size_t len;

    for (unsigned i = 0; i < path->n && next_segment(&pattern, &seg, &len); i++)
        if (is_placeholder(seg, len) && len - 2 == want &&
            memcmp(seg + 1, name, want) == 0)
            return path->segments[i];
    return NULL;
}

/* True when no request could tell the two apart. */
static bool
same_shape(const char *a, const char *b)
{
    const char *sa, *sb;
    size_t la, lb;

    for (;;) {
        bool more_a = next_segment(&a, &sa, &la);
        bool more_b = next_segment(&b, &sb, &lb);

        if (!more_a || !more_b)
            return more_a == more_b;
        if (is_placeholder(sa, la) && is_placeholder(sb, lb))
            continue;
        if (la != lb || memcmp(sa, sb, la) != 0)
            return false;
    }
}

static unsigned
count_segments(const char *pattern)
{
    unsigned n = 0;
    const char *seg;
    size_t len;

    while (next_segment(&pattern, &seg, &len))
        n++;
    return n;
}

int
http_routes_check(const struct http_route *routes, bool can_authorize, struct err *err)
{
    for (const struct http_route *r = routes; r->method; r++) {
        const char *wrong = NULL;
        unsigned n = r->pattern ? count_segments(r->pattern) : 0;

        if (n == 0 || n > HTTP_SEGMENTS_MAX)
            wrong = "the pattern is no path";
        else if (method_index(r->method) < 0)
            wrong = "the method is unknown";
        else if (!r->handle)
            wrong = "there is no handler";
        else if ((r->body == HTTP_BODY_STREAM) != (r->on_body != NULL))
            wrong = "on_body and the kind of the body disagree";
        else if (r->scope && !can_authorize)
            wrong = "it has a scope and there is no authorizer";
        for (const struct http_route *o = routes; !wrong && o < r; o++)
            if (strcmp(o->method, r->method) == 0 && same_shape(o->pattern, r->pattern))
                wrong = "another route has the same shape";
        if (wrong)
            return err_set(err, ERR_INTERNAL, "bad_route_table", "route %s %s: %s",
                           r->method, r->pattern ? r->pattern : "(none)", wrong);
    }
    return 0;
}
