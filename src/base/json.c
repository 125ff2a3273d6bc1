/* base/json.c - see json.h. */
#include <string.h>

#include "base/json.h"
#include "base/mem.h"

void
cleanup_json(json_t **j)
{
    json_decref(*j);
}

/* jansson recurses and has a fixed limit of its own (2048), so depth is checked before it
 * runs. */
static int
check_depth(const char *text, size_t n, struct err *err)
{
    unsigned depth = 0, line = 1;
    size_t line_start = 0;
    bool in_string = false;

    for (size_t i = 0; i < n; i++) {
        char c = text[i];

        if (c == '\n') {
            line++;
            line_start = i + 1;
        }
        if (in_string) {
            if (c == '\\')
                i++;
            else if (c == '"')
                in_string = false;
        } else if (c == '"') {
            in_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > JSON_DEPTH_MAX)
                return err_set(err, ERR_INVALID, "malformed_json",
                               "line %u column %zu: nested deeper than %d", line,
                               i - line_start + 1, JSON_DEPTH_MAX);
        } else if ((c == ']' || c == '}') && depth > 0) {
            depth--;
        }
    }
    return 0;
}

/* jansson's own text quotes the input "near" the error. */
static const char *
error_phrase(enum json_error_code code)
{
    switch (code) {
    case json_error_premature_end_of_input:
        return "text ends too early";
    case json_error_end_of_input_expected:
        return "text after the end of the value";
    case json_error_invalid_utf8:
        return "not UTF-8";
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return "zero byte in a string";
    case json_error_duplicate_key:
        return "a member appears twice";
    case json_error_numeric_overflow:
        return "number out of range";
    default:
        return "not valid JSON";
    }
}

int
json_parse(const char *text, size_t n, json_t **ret, struct err *err)
{
    json_error_t je;
    json_t *j;
    int r = check_depth(text, n, err);

    if (r < 0)
        return r;
    j = json_loadb(text, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &je);
    if (!j)
        return err_set(err, ERR_INVALID, "malformed_json", "line %d column %d: %s",
                       je.line, je.column, error_phrase(json_error_code(&je)));
    *ret = j;
    return 0;
}

char *
json_line(const json_t *j)
{
    return json_dumps(j, JSON_COMPACT | JSON_ENCODE_ANY);
}

void
jreader_init(struct jreader *r, const json_t *obj, const char *what, struct err *err)
{
    *r = (struct jreader){.obj = obj, .what = what, .err = err};
    if (err->class == 0 && !json_is_object(obj))
        err_set(err, ERR_INVALID, "invalid_field", "%s: must be an object", what);
}

static void
wrong(struct jreader *r, const char *key, const char *problem)
{
    err_set(r->err, ERR_INVALID, "invalid_field", "%s: field '%s' %s", r->what, key,
            problem);
}

/* The member, or NULL when it is absent, null, or an earlier getter failed. */
static const json_t *
find(struct jreader *r, const char *key)
{
    const json_t *v;

    if (r->err->class != 0)
        return NULL;
    if (r->n_asked == JREADER_KEYS_MAX) {
        err_set(r->err, ERR_INTERNAL, NULL, "%s: more than %d fields", r->what,
                JREADER_KEYS_MAX);
        return NULL;
    }
    r->asked[r->n_asked++] = key;
    v = json_object_get(r->obj, key);
    return json_is_null(v) ? NULL : v;
}

static const json_t *
find_required(struct jreader *r, const char *key)
{
    const json_t *v = find(r, key);

    if (!v && r->err->class == 0)
        wrong(r, key, json_object_get(r->obj, key) ? "must not be null" : "is missing");
    return v;
}

static const char *
as_str(struct jreader *r, const char *key, const json_t *v, const char *def)
{
    if (v && json_is_string(v))
        return json_string_value(v);
    if (v)
        wrong(r, key, "must be a string");
    return def;
}

static uint64_t
as_u64(struct jreader *r, const char *key, const json_t *v, uint64_t def)
{
    if (v && json_is_integer(v) && json_integer_value(v) >= 0)
        return (uint64_t)json_integer_value(v);
    if (v)
        wrong(r, key, "must be an integer of 0 or more");
    return def;
}

static bool
as_bool(struct jreader *r, const char *key, const json_t *v, bool def)
{
    if (v && json_is_boolean(v))
        return json_is_true(v);
    if (v)
        wrong(r, key, "must be true or false");
    return def;
}

static const json_t *
as_obj(struct jreader *r, const char *key, const json_t *v)
{
    if (v && !json_is_object(v)) {
        wrong(r, key, "must be an object");
        return NULL;
    }
    return v;
}

static const json_t *
as_arr(struct jreader *r, const char *key, const json_t *v)
{
    if (v && !json_is_array(v)) {
        wrong(r, key, "must be an array");
        return NULL;
    }
    return v;
}

const char *
jget_str(struct jreader *r, const char *key)
{
    return as_str(r, key, find_required(r, key), "");
}

uint64_t
jget_u64(struct jreader *r, const char *key)
{
    return as_u64(r, key, find_required(r, key), 0);
}

bool
jget_bool(struct jreader *r, const char *key)
{
    return as_bool(r, key, find_required(r, key), false);
}

const json_t *
jget_obj(struct jreader *r, const char *key)
{
    return as_obj(r, key, find_required(r, key));
}

const json_t *
jget_arr(struct jreader *r, const char *key)
{
    return as_arr(r, key, find_required(r, key));
}

const char *
jopt_str(struct jreader *r, const char *key, const char *def)
{
    return as_str(r, key, find(r, key), def);
}

uint64_t
jopt_u64(struct jreader *r, const char *key, uint64_t def)
{
    return as_u64(r, key, find(r, key), def);
}

bool
jopt_bool(struct jreader *r, const char *key, bool def)
{
    return as_bool(r, key, find(r, key), def);
}

const json_t *
jopt_obj(struct jreader *r, const char *key)
{
    return as_obj(r, key, find(r, key));
}

const json_t *
jopt_arr(struct jreader *r, const char *key)
{
    return as_arr(r, key, find(r, key));
}

static bool
was_asked(const struct jreader *r, const char *key)
{
    for (unsigned i = 0; i < r->n_asked; i++)
        if (strcmp(r->asked[i], key) == 0)
            return true;
    return false;
}

int
jreader_end(struct jreader *r)
{
    const char *key;
    json_t *v;

    if (r->err->class != 0)
        return r->err->class;
    json_object_foreach((json_t *)r->obj, key, v)
    {
        if (!was_asked(r, key))
            return err_set(r->err, ERR_INVALID, "unknown_field",
                           "%s: unknown field '%.64s'", r->what, key);
    }
    return 0;
}

int
jreader_end_lax(struct jreader *r)
{
    return r->err->class;
}
