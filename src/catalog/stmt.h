/* catalog/stmt.h - running statements; rows as structs.  Private to src/catalog. Layer 2.
 *
 * A stmt holds the catalog's lock from stmt_open to the end of its scope.  Binding goes
 * from left to right; the first failure sticks and is what stmt_exec or stmt_row returns.
 *     CLEANUP_STMT struct stmt s = {0};
 *     if (stmt_open(&s, c, "UPDATE t SET a = ? WHERE b = ?", err) < 0)
 *         return err->class;
 *     bind_text(&s, a);
 *     bind_text(&s, b);
 *     return stmt_exec(&s);                                                       */
#ifndef SENDENSE_CATALOG_STMT_H
#define SENDENSE_CATALOG_STMT_H

#include "catalog/catalog.h"
#include "catalog/db.h"

struct stmt_slot;

struct stmt {
    struct catalog *cat;
    struct db_stmt *h;
    struct stmt_slot *slot; /* NULL = not from the cache */
    struct err *err;
    int failed; /* class of the first failure */
    int n_bound;
    char *repaired; /* text of bind_message */
};

#define CLEANUP_STMT CLEANUP(stmt_done)

/* @sql is a string literal: the macro takes nothing else, so no statement is ever built.
 */
#define stmt_open(s, c, sql, err) stmt_open_literal((s), (c), "" sql, (err))
int stmt_open_literal(struct stmt *s, struct catalog *c, const char *sql,
                      struct err *err);
void stmt_done(struct stmt *s);

void bind_i64(struct stmt *s, int64_t v);
void bind_u64(struct stmt *s, uint64_t v);
void bind_opt(struct stmt *s, int64_t v);      /* 0 = NULL */
void bind_text(struct stmt *s, const char *t); /* NULL = NULL */
void bind_message(struct stmt *s,
                  const char *t); /* repaired and cut; at most one per statement */

/* Rows inserted, updated or deleted; < 0. */
int stmt_exec(struct stmt *s);
int stmt_row(struct stmt *s); /* 1 = a row, 0 = no more, < 0 */
int64_t stmt_col_i64(struct stmt *s, int i);
char *stmt_col_text(struct stmt *s, int i); /* a copy; NULL when SQL NULL */

/* Of a single-row change: 0, or ERR_NOT_FOUND with @code when no row was matched. */
int stmt_exec_one(struct stmt *s, const char *code, const char *what);

enum row_type {
    ROW_TEXT,    /* const char *, owned; NULL = NULL */
    ROW_MESSAGE, /* the same, repaired when bound */
    ROW_I64,
    ROW_U64,
    ROW_OPT,   /* int64_t, 0 = NULL */
    ROW_INDEX, /* int64_t, -1 = NULL */
};

struct row_field {
    const char *column; /* checked against the statement */
    enum row_type type;
    size_t offset;
};

struct row_map {
    const struct row_field *fields;
    size_t n;
    size_t size; /* of the struct */
};

#define ROW_FIELD(st, type, f)                                                           \
    {                                                                                    \
#f, ROW_##type, offsetof(struct st, f)                                           \
    }
#define ROW_FIELD_AS(column, st, type, f)                                                \
    {                                                                                    \
        column, ROW_##type, offsetof(struct st, f)                                       \
    }
#define ROW_MAP(st, f)                                                                   \
    {                                                                                    \
        (f), ARRAY_LEN(f), sizeof(struct st)                                             \
    }

void row_bind(struct stmt *s, const struct row_map *m, const void *row);
void row_done(const struct row_map *m,
              void *row); /* frees the texts, zeroes the struct */

/* The next row into @row (written only on success): 1, 0 = no more, < 0. */
int row_read(struct stmt *s, const struct row_map *m, void *row);
/* One row or ERR_NOT_FOUND with @code. */
int row_read_one(struct stmt *s, const struct row_map *m, void *row, const char *code,
                 const char *what);
/* All rows; those past @limit only set *ret_more (limit 0 = no limit, ret_more may be
 * NULL). */
int row_read_all(struct stmt *s, const struct row_map *m, unsigned limit, void **ret_v,
                 size_t *ret_n, bool *ret_more);
void row_free_all(const struct row_map *m, void *v, size_t n);

unsigned page_limit(unsigned limit);

bool err_has_code(const struct err *err, const char *code);

/* The decimal id after the one in column 0 (@have a row), "1" when there is none; @ret
 * has CAT_ID_SIZE bytes. */
int id_after(struct stmt *s, bool have, char *ret);

/* The next number of the table `counters`; call it inside a transaction. */
int counter_next(struct catalog *c, const char *name, int64_t *ret, struct err *err);

#endif
