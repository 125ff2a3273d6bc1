/* cli/output.c - see output.h. */
#include <libsmartcols/libsmartcols.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/escape.h"
#include "cli/output.h"

#define CELL_MAX 65536

static const json_t *
at_path(const json_t *obj, const char *path)
{
    char key[64];

    while (obj && *path) {
        size_t n = strcspn(path, ".");

        if (n >= sizeof(key))
            return NULL;
        memcpy(key, path, n);
        key[n] = '\0';
        obj = json_object_get(obj, key);
        path += n + (path[n] == '.');
    }
    return obj;
}

void
output_duration(uint64_t s, char out[OUTPUT_DURATION_SIZE])
{
    unsigned h = (unsigned)(s / 3600 > 99999 ? 99999 : s / 3600);

    if (h)
        snprintf(out, OUTPUT_DURATION_SIZE, "%u:%02u:%02u", h, (unsigned)(s / 60 % 60),
                 (unsigned)(s % 60));
    else
        snprintf(out, OUTPUT_DURATION_SIZE, "%u:%02u", (unsigned)(s / 60),
                 (unsigned)(s % 60));
}

static uint64_t
as_u64(const json_t *v)
{
    json_int_t i = json_integer_value(v);

    return i > 0 ? (uint64_t)i : 0;
}

/* "2026-01-02T03:04:05.678901Z" without its fraction; other texts stay. */
static char *
short_time(const char *s)
{
    const char *dot = strchr(s, '.');
    CLEANUP_FREE char *cut = NULL;

    if (!dot || dot[1 + strspn(dot + 1, "0123456789")] != 'Z')
        return escape_text(s, strlen(s), "");
    cut = xasprintf("%.*sZ", (int)(dot - s), s);
    return escape_text(cut, strlen(cut), "");
}

static char *
joined(const json_t *v)
{
    CLEANUP_BUF struct buf b = BUF_INIT(CELL_MAX);
    struct err ignored = ERR_INIT; /* the cap only cuts a cell for people */
    const char *key;
    json_t *item;
    size_t i;

    json_array_foreach(v, i, item) if (json_is_string(item))
        buf_printf(&b, &ignored, "%s%s", b.len ? "," : "", json_string_value(item));
    json_object_foreach((json_t *)v, key, item) if (json_is_true(item))
        buf_printf(&b, &ignored, "%s%s", b.len ? "," : "", key);
    return escape_text(b.data ? b.data : "", b.len, "");
}

static char *
plain(const json_t *v)
{
    if (json_is_string(v))
        return escape_text(json_string_value(v), json_string_length(v), "");
    if (json_is_integer(v))
        return xasprintf("%lld", (long long)json_integer_value(v));
    if (json_is_real(v))
        return xasprintf("%g", json_real_value(v));
    return xstrdup(json_is_true(v) ? "yes" : json_is_false(v) ? "no" : "");
}

static char *
formatted(const json_t *v, enum output_kind kind)
{
    char size[TEXT_SIZE_STR], time[OUTPUT_DURATION_SIZE];

    if (kind == OUTPUT_LIST)
        return joined(v);
    if (kind == OUTPUT_COUNT)
        return xasprintf("%zu", json_array_size(v));
    if (kind == OUTPUT_TIME && json_is_string(v))
        return short_time(json_string_value(v));
    if (kind == OUTPUT_PERCENT && json_is_number(v))
        return xasprintf("%.1f%%", json_number_value(v));
    if (!json_is_integer(v))
        return plain(v);
    switch (kind) {
    case OUTPUT_SIZE:
    case OUTPUT_RATE:
        text_size(as_u64(v), size);
        return xasprintf("%s%s", size, kind == OUTPUT_RATE ? "/s" : "");
    case OUTPUT_SECONDS:
        output_duration(as_u64(v), time);
        return xstrdup(time);
    default:
        return plain(v);
    }
}

char *
output_value(const json_t *obj, const char *path, enum output_kind kind)
{
    const json_t *v = at_path(obj, path);
    char *text = v && !json_is_null(v) ? formatted(v, kind) : xstrdup("");

    if (*text == '\0') {
        free(text);
        return xstrdup("-");
    }
    return text;
}

static const char *
status_color(const char *status)
{
    static const struct {
        const char *word, *color;
    } colors[] = {
        {"completed", "green"}, {"verified", "green"},   {"ready", "green"},
        {"online", "green"},    {"failed", "red"},       {"offline", "red"},
        {"error", "red"},       {"unavailable", "red"},  {"running", "cyan"},
        {"pending", "yellow"},  {"cancelled", "yellow"}, {"warning", "yellow"},
    };

    for (size_t i = 0; i < ARRAY_LEN(colors); i++)
        if (strcmp(colors[i].word, status) == 0)
            return colors[i].color;
    return NULL;
}

static struct libscols_table *
new_table(const struct cli *c)
{
    struct libscols_table *t = scols_new_table();

    if (!t)
        return NULL;
    scols_table_set_stream(t, c->io->out);
    scols_table_enable_colors(t, c->color);
    /* In a pipe or file nothing is cut to the width of a window. */
    scols_table_set_termforce(t, c->io->out_tty ? SCOLS_TERMFORCE_AUTO
                                                : SCOLS_TERMFORCE_NEVER);
    return t;
}

static bool
is_right_aligned(enum output_kind kind)
{
    return kind == OUTPUT_SIZE || kind == OUTPUT_RATE || kind == OUTPUT_PERCENT ||
           kind == OUTPUT_COUNT || kind == OUTPUT_SECONDS;
}

static int
set_cell(struct libscols_line *line, size_t n, const json_t *obj,
         const struct output_col *col)
{
    CLEANUP_FREE char *text = output_value(obj, col->path, col->kind);
    const char *color = col->kind == OUTPUT_STATUS ? status_color(text) : NULL;
    int r = line ? scols_line_set_data(line, n, text) : -1;

    if (r == 0 && color)
        r = scols_cell_set_color(scols_line_get_cell(line, n), color);
    return r;
}

static int
finish(struct libscols_table *t, int r, struct err *err)
{
    if (t && r == 0)
        r = scols_print_table(t);
    scols_unref_table(t);
    return r == 0 ? 0 : err_set(err, ERR_IO, NULL, "print a table");
}

int
output_rows(const struct cli *c, const json_t *rows, const struct output_col *cols,
            struct err *err)
{
    struct libscols_table *t = new_table(c);
    const json_t *row;
    int r = t ? 0 : -1;
    size_t i;

    for (size_t n = 0; r == 0 && cols[n].title; n++)
        if (!scols_table_new_column(t, cols[n].title, 0,
                                    is_right_aligned(cols[n].kind) ? SCOLS_FL_RIGHT : 0))
            r = -1;
    json_array_foreach(rows, i, row)
    {
        struct libscols_line *line = r == 0 ? scols_table_new_line(t, NULL) : NULL;

        for (size_t n = 0; r == 0 && cols[n].title; n++)
            r = set_cell(line, n, row, &cols[n]);
    }
    return finish(t, r, err);
}

int
output_fields(const struct cli *c, const json_t *obj, const struct output_col *cols,
              struct err *err)
{
    struct libscols_table *t = new_table(c);
    int r = t ? scols_table_enable_noheadings(t, 1) : -1;

    if (r == 0 && (!scols_table_new_column(t, "FIELD", 0, 0) ||
                   !scols_table_new_column(t, "VALUE", 0, SCOLS_FL_WRAP)))
        r = -1;
    for (; r == 0 && cols->title; cols++) {
        const json_t *v = at_path(obj, cols->path);
        struct libscols_line *line;

        if (!v || json_is_null(v))
            continue;
        line = scols_table_new_line(t, NULL);
        r = line ? scols_line_set_data(line, 0, cols->title) : -1;
        if (r == 0)
            r = set_cell(line, 1, obj, cols);
    }
    return finish(t, r, err);
}

/* On a terminal everything beyond ASCII is written as \uXXXX: JSON leaves DEL and C1
 * controls as they are, and a program that reads JSON does not mind. */
static void
dump(const struct cli *c, const json_t *v, size_t flags)
{
    json_dumpf(v, c->io->out,
               flags | JSON_ENCODE_ANY | (c->io->out_tty ? JSON_ENSURE_ASCII : 0));
    fputc('\n', c->io->out);
}

bool
output_json(const struct cli *c, const json_t *obj)
{
    if (c->format == FORMAT_TABLE)
        return false;
    dump(c, obj, c->format == FORMAT_JSON ? JSON_INDENT(2) : JSON_COMPACT);
    return true;
}

int
output_list(const struct cli *c, const json_t *page, const char *items,
            const struct output_col *cols, struct err *err)
{
    const json_t *rows = json_object_get(page, items), *row;
    size_t i;

    if (c->format == FORMAT_JSON) {
        output_json(c, page);
        return 0;
    }
    if (c->format == FORMAT_TABLE)
        return output_rows(c, rows, cols, err);
    json_array_foreach(rows, i, row) dump(c, row, JSON_COMPACT);
    return 0;
}
