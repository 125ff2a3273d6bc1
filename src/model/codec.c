/* model/codec.c - see codec.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "model/codec.h"
#include "model/naming.h"
#include "model/targets.h"

void
codec_fail(struct jreader *r, const char *key, const char *problem)
{
    if (r->err->class == 0)
        err_set(r->err, ERR_INVALID, "invalid_field", "%s: field '%s' %s", r->what, key,
                problem);
}

void
codec_version(struct jreader *r)
{
    uint64_t v = jget_u64(r, "v");

    if (r->err->class == 0 && v != 1)
        err_set(r->err, ERR_INVALID, "unsupported_version",
                "%s: version %llu is not understood, only 1 is", r->what,
                (unsigned long long)v);
}

uint64_t
codec_range(struct jreader *r, const char *key, uint64_t min, uint64_t max)
{
    uint64_t v = jget_u64(r, key);

    if (r->err->class != 0)
        return 0;
    if (v < min || v > max) {
        err_set(r->err, ERR_INVALID, "invalid_field",
                "%s: field '%s' must be from %llu to %llu", r->what, key,
                (unsigned long long)min, (unsigned long long)max);
        return 0;
    }
    return v;
}

static char *
checked_copy(struct jreader *r, const char *key, const char *s, size_t min, size_t max)
{
    size_t n;

    if (r->err->class != 0 || !s)
        return NULL;
    n = strlen(s);
    if (n < min || n > max) {
        err_set(r->err, ERR_INVALID, "invalid_field",
                "%s: field '%s' must have %zu to %zu bytes", r->what, key, min, max);
        return NULL;
    }
    return xstrdup(s);
}

char *
codec_str(struct jreader *r, const char *key, size_t min, size_t max)
{
    return checked_copy(r, key, jget_str(r, key), min, max);
}

char *
codec_str_opt(struct jreader *r, const char *key, size_t min, size_t max)
{
    return checked_copy(r, key, jopt_str(r, key, NULL), min, max);
}

char *
codec_name(struct jreader *r, const char *key)
{
    const char *s = jget_str(r, key);

    if (r->err->class != 0)
        return NULL;
    if (naming_name_check(s, key, r->err) < 0) {
        err_prefix(r->err, "%s", r->what);
        return NULL;
    }
    return xstrdup(s);
}

char *
codec_code(struct jreader *r, const char *key)
{
    const char *s = jget_str(r, key);

    if (r->err->class != 0)
        return NULL;
    if (strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(s)) {
        codec_fail(r, key, "must be a word of a-z, 0-9 and _");
        return NULL;
    }
    return checked_copy(r, key, s, 1, ERR_CODE_SIZE - 1);
}

char *
codec_uri(struct jreader *r, const char *key)
{
    const char *s = jget_str(r, key);

    if (r->err->class != 0)
        return NULL;
    if (targets_uri_check(s, key, r->err) < 0) {
        err_recode(r->err, "invalid_field");
        err_prefix(r->err, "%s", r->what);
        return NULL;
    }
    return xstrdup(s);
}

static bool
take_uuid(struct jreader *r, const char *key, const char *s, char out[UUID_STR_SIZE])
{
    out[0] = '\0';
    if (r->err->class != 0 || !s)
        return false;
    if (!uuid_is_valid(s)) {
        codec_fail(r, key, "must be a lower-case UUID");
        return false;
    }
    memcpy(out, s, UUID_STR_SIZE);
    return true;
}

void
codec_uuid(struct jreader *r, const char *key, char out[UUID_STR_SIZE])
{
    take_uuid(r, key, jget_str(r, key), out);
}

void
codec_uuid_opt(struct jreader *r, const char *key, char out[UUID_STR_SIZE])
{
    take_uuid(r, key, jopt_str(r, key, NULL), out);
}

static bool
take_hash(struct jreader *r, const char *key, const char *s, uint8_t *out)
{
    if (r->err->class != 0 || !s)
        return false;
    if (text_unhex(s, out, MANIFEST_HASH_SIZE) < 0) {
        codec_fail(r, key, "must be 64 lower-case hex digits");
        return false;
    }
    return true;
}

void
codec_hash(struct jreader *r, const char *key, uint8_t out[MANIFEST_HASH_SIZE])
{
    take_hash(r, key, jget_str(r, key), out);
}

bool
codec_hash_opt(struct jreader *r, const char *key, uint8_t out[MANIFEST_HASH_SIZE])
{
    return take_hash(r, key, jopt_str(r, key, NULL), out);
}

int64_t
codec_time(struct jreader *r, const char *key)
{
    const char *s = jget_str(r, key);
    int64_t t = 0;

    if (r->err->class == 0 && time_utc_from_str(s, &t) < 0)
        codec_fail(r, key, "must be a time like 2026-01-02T03:04:05.678901Z");
    return t;
}

const json_t *
codec_array(struct jreader *r, const char *key, size_t min, size_t max)
{
    const json_t *a = jget_arr(r, key);

    if (r->err->class != 0)
        return NULL;
    if (json_array_size(a) < min || json_array_size(a) > max) {
        err_set(r->err, ERR_INVALID, "invalid_field",
                "%s: field '%s' must have %zu to %zu items", r->what, key, min, max);
        return NULL;
    }
    return a;
}

static int
cmp_str(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int
cmp_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

bool
codec_has_twins(const char *first, size_t stride, size_t n)
{
    CLEANUP_FREE const char **v = xcalloc(n ? n : 1, sizeof(*v));

    for (size_t i = 0; i < n; i++)
        v[i] = first + i * stride;
    qsort(v, n, sizeof(*v), cmp_str);
    for (size_t i = 1; i < n; i++)
        if (v[i][0] && strcmp(v[i - 1], v[i]) == 0)
            return true;
    return false;
}

bool
codec_has_twin_keys(const uint32_t *first, size_t stride, size_t n)
{
    CLEANUP_FREE uint32_t *v = xcalloc(n ? n : 1, sizeof(*v));

    for (size_t i = 0; i < n; i++)
        v[i] = *(const uint32_t *)((const char *)first + i * stride);
    qsort(v, n, sizeof(*v), cmp_u32);
    for (size_t i = 1; i < n; i++)
        if (v[i - 1] == v[i])
            return true;
    return false;
}

void
codec_put(json_t *o, const char *key, json_t *v_take)
{
    json_object_set_new(o, key, v_take);
}

void
codec_put_u64(json_t *o, const char *key, uint64_t v)
{
    codec_put(o, key, json_integer((json_int_t)(v > CODEC_I64_MAX ? CODEC_I64_MAX : v)));
}

void
codec_put_str(json_t *o, const char *key, const char *s)
{
    codec_put_text(o, key, s, SIZE_MAX);
}

void
codec_put_text(json_t *o, const char *key, const char *s, size_t max)
{
    CLEANUP_FREE char *copy = xstrdup(s);
    size_t len, n = 0;

    if (!copy) {
        codec_put(o, key, json_null());
        return;
    }
    len = strlen(copy);
    while (n < len) {
        size_t c = text_utf8_len(copy + n, len - n);

        if (c == 0) {
            copy[n] = '?';
            c = 1;
        }
        if (c > max - n)
            break;
        n += c;
    }
    codec_put(o, key, json_stringn(copy, n));
}

void
codec_put_uuid(json_t *o, const char *key, const char *uuid)
{
    codec_put(o, key, uuid[0] ? json_string(uuid) : json_null());
}

void
codec_put_hash(json_t *o, const char *key, bool have, const uint8_t *hash)
{
    char hex[2 * MANIFEST_HASH_SIZE + 1];

    text_hex(hash, MANIFEST_HASH_SIZE, hex);
    codec_put(o, key, have ? json_string(hex) : json_null());
}

void
codec_put_time(json_t *o, const char *key, int64_t utc_us)
{
    char s[TIME_STR_SIZE];

    time_utc_to_str(utc_us, s);
    codec_put(o, key, json_string(s));
}

int
codec_line(const char *line, size_t n, size_t max, json_t **ret, struct err *err)
{
    if (n > 0 && line[n - 1] == '\n')
        n--;
    if (n > max)
        return err_set(err, ERR_LIMIT, "line_too_long", "line of %zu bytes, at most %zu",
                       n, max);
    return json_parse(line, n, ret, err);
}
