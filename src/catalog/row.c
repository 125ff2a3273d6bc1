/* Rows as structs: one table of fields binds, reads and frees them, so that the three
 * cannot drift apart.  Contract: stmt.h. */
#include <string.h>

#include "base/mem.h"
#include "catalog/catalog_int.h"
#include "catalog/stmt.h"

#define ROWS_FIRST 16u

static void *
field_at(void *row, const struct row_field *f)
{
    return (char *)row + f->offset;
}

static bool
is_text(const struct row_field *f)
{
    return f->type == ROW_TEXT || f->type == ROW_MESSAGE;
}

static void
bind_field(struct stmt *s, const struct row_field *f, const void *row)
{
    const void *p = (const char *)row + f->offset;
    int64_t v;

    switch (f->type) {
    case ROW_TEXT:
        bind_text(s, *(const char *const *)p);
        break;
    case ROW_MESSAGE:
        bind_message(s, *(const char *const *)p);
        break;
    case ROW_I64:
        bind_i64(s, *(const int64_t *)p);
        break;
    case ROW_U64:
        bind_u64(s, *(const uint64_t *)p);
        break;
    case ROW_OPT:
        bind_opt(s, *(const int64_t *)p);
        break;
    case ROW_INDEX:
        v = *(const int64_t *)p;
        if (v < 0)
            bind_text(s, NULL);
        else
            bind_i64(s, v);
        break;
    }
}

void
row_bind(struct stmt *s, const struct row_map *m, const void *row)
{
    for (size_t i = 0; i < m->n; i++)
        bind_field(s, &m->fields[i], row);
}

void
row_done(const struct row_map *m, void *row)
{
    if (!row)
        return;
    for (size_t i = 0; i < m->n; i++) {
        if (is_text(&m->fields[i]))
            free(*(char **)field_at(row, &m->fields[i]));
    }
    memset(row, 0, m->size);
}

/* A statement that selects other columns than the struct has would fill it with nonsense.
 */
static int
check_columns(struct stmt *s, const struct row_map *m)
{
    const struct db_ops *ops = s->cat->ops;

    if (ops->column_count(s->h) != (int)m->n)
        return err_set(s->err, ERR_INTERNAL, "catalog_internal",
                       "columns do not fit the row");
    for (size_t i = 0; i < m->n; i++) {
        const char *column = m->fields[i].column;

        if (strcmp(ops->column_name(s->h, (int)i), column) != 0)
            return err_set(s->err, ERR_INTERNAL, "catalog_internal",
                           "column %zu is not '%s'", i, column);
    }
    return 0;
}

static int
read_field(struct stmt *s, const struct row_field *f, int i, void *row)
{
    bool null = s->cat->ops->column_is_null(s->h, i);
    int64_t v = stmt_col_i64(s, i);
    void *p = field_at(row, f);

    switch (f->type) {
    case ROW_TEXT:
    case ROW_MESSAGE:
        *(char **)p = stmt_col_text(s, i);
        break;
    case ROW_U64:
        if (v < 0)
            return err_set(s->err, ERR_CORRUPT, "catalog_corrupt",
                           "column '%s' is negative", f->column);
        *(uint64_t *)p = (uint64_t)v;
        break;
    case ROW_INDEX:
        *(int64_t *)p = null ? -1 : v;
        break;
    case ROW_I64:
    case ROW_OPT:
        *(int64_t *)p = v; /* SQL NULL reads as 0 */
        break;
    }
    return 0;
}

static int
read_columns(struct stmt *s, const struct row_map *m, void *row)
{
    memset(row, 0, m->size);
    for (size_t i = 0; i < m->n; i++) {
        if (read_field(s, &m->fields[i], (int)i, row) < 0) {
            row_done(m, row);
            return s->err->class;
        }
    }
    return 0;
}

int
row_read(struct stmt *s, const struct row_map *m, void *row)
{
    int rc = stmt_row(s);

    if (rc <= 0)
        return rc;
    if (check_columns(s, m) < 0 || read_columns(s, m, row) < 0)
        return s->err->class;
    return 1;
}

int
row_read_one(struct stmt *s, const struct row_map *m, void *row, const char *code,
             const char *what)
{
    int rc = row_read(s, m, row);

    if (rc == 0)
        return err_set(s->err, ERR_NOT_FOUND, code, "no such %s", what);
    return rc < 0 ? rc : 0;
}

int
row_read_all(struct stmt *s, const struct row_map *m, unsigned limit, void **ret_v,
             size_t *ret_n, bool *ret_more)
{
    char *v = NULL;
    size_t n = 0, alloc = 0;
    bool more = false;
    int rc;

    while ((rc = stmt_row(s)) > 0) {
        if (limit > 0 && n == limit) {
            more = true;
            break;
        }
        if (n == alloc) {
            alloc = alloc ? alloc * 2 : ROWS_FIRST;
            v = xreallocarray(v, alloc, m->size);
        }
        if ((n == 0 && check_columns(s, m) < 0) ||
            read_columns(s, m, v + n * m->size) < 0) {
            rc = s->err->class;
            break;
        }
        n++;
    }
    if (rc < 0) {
        row_free_all(m, v, n);
        return rc;
    }
    *ret_v = v;
    *ret_n = n;
    if (ret_more)
        *ret_more = more;
    return 0;
}

void
row_free_all(const struct row_map *m, void *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        row_done(m, (char *)v + i * m->size);
    free(v);
}
