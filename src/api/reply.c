/* api/reply.c - see reply.h. */
#include "api/reply.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"

#define CURSOR_RAW_MAX 96
#define LISTING_FILTERS_MAX 6u

void
put_str(json_t *o, const char *key, const char *text)
{
    json_object_set_new(o, key, text ? json_string(text) : json_null());
}

void
put_u64(json_t *o, const char *key, uint64_t v)
{
    json_object_set_new(o, key, json_integer((json_int_t)v));
}

void
put_time(json_t *o, const char *key, int64_t utc_us)
{
    char text[TIME_STR_SIZE];

    time_utc_to_str(utc_us, text);
    put_str(o, key, utc_us ? text : NULL);
}

void
put_json_text(json_t *o, const char *key, const char *text)
{
    struct err ignored = ERR_INIT;
    json_t *j = NULL;

    if (text && json_parse(text, strlen(text), &j, &ignored) < 0)
        j = NULL;
    json_object_set_new(o, key, j ? j : json_null());
}

void
put_error(json_t *o, const char *code, const char *phase, const char *message)
{
    json_t *e;

    if (!code) {
        json_object_set_new(o, "error", json_null());
        return;
    }
    e = json_object();
    put_str(e, "code", code);
    put_str(e, "phase", phase);
    put_str(e, "message", message);
    json_object_set_new(o, "error", e);
}

static int
bad_cursor(struct err *err)
{
    return err_set(err, ERR_INVALID, "invalid_parameter",
                   "'after' is not a cursor that this list gave as 'next'");
}

static int
cursor_decode(const char *text, struct cursor *ret, struct err *err)
{
    char raw[CURSOR_RAW_MAX + 1];
    size_t n = strlen(text) / 2;
    uint64_t us;
    char *dot;

    if (n == 0 || n > CURSOR_RAW_MAX || text_unhex(text, raw, n) < 0)
        return bad_cursor(err);
    raw[n] = '\0';
    dot = strchr(raw, '.');
    if (!dot || strlen(dot + 1) >= sizeof ret->id || !text_is_utf8(raw, n))
        return bad_cursor(err);
    *dot = '\0';
    if (text_to_u64(raw, &us) < 0 || us > INT64_MAX)
        return bad_cursor(err);
    ret->us = (int64_t)us;
    snprintf(ret->id, sizeof ret->id, "%s", dot + 1);
    return 0;
}

/* What every list has, and what this one has. */
static int
only_known(struct http_call *call, const char *const *more, struct err *err)
{
    const char *known[LISTING_FILTERS_MAX + 3] = {"limit", "after"};

    for (size_t i = 0; more && more[i] && i < LISTING_FILTERS_MAX; i++)
        known[i + 2] = more[i];
    return http_call_query_only(call, known, err);
}

int
listing_begin(struct http_call *call, const char *const *known, struct listing *ret,
              struct err *err)
{
    const char *after = http_call_query(call, "after");
    uint64_t limit;

    memset(ret, 0, sizeof *ret);
    if (only_known(call, known, err) < 0 ||
        http_call_query_u64(call, "limit", PAGE_DEFAULT, PAGE_MAX, &limit, err) < 0)
        return err->class;
    if (limit == 0)
        return err_set(err, ERR_INVALID, "invalid_parameter", "'limit' is 1 to %u",
                       PAGE_MAX);
    if (after && cursor_decode(after, &ret->after, err) < 0)
        return err->class;
    ret->page.limit = (unsigned)limit;
    ret->page.after_us = ret->after.us;
    ret->page.after_id = after ? ret->after.id : NULL;
    return 0;
}

void
listing_add(struct listing *l, json_t *item, const char *id, int64_t us)
{
    if (!l->items)
        l->items = json_array();
    json_array_append_new(l->items, item);
    l->last.us = us;
    snprintf(l->last.id, sizeof l->last.id, "%s", id);
}

json_t *
listing_end(struct listing *l, const char *items, bool more)
{
    json_t *array = l->items ? l->items : json_array();

    l->items = NULL;
    return page_reply(items, array, more ? &l->last : NULL);
}

json_t *
page_reply(const char *items, json_t *array, const struct cursor *next)
{
    json_t *o = json_object();
    char raw[CURSOR_RAW_MAX], hex[2 * CURSOR_RAW_MAX + 1];

    json_object_set_new(o, items, array);
    if (!next) {
        put_str(o, "next", NULL);
        return o;
    }
    snprintf(raw, sizeof raw, "%lld.%s", (long long)next->us, next->id);
    text_hex(raw, strlen(raw), hex);
    put_str(o, "next", hex);
    return o;
}
