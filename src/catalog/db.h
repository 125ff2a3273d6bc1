/* catalog/db.h - one door to a SQL database, whatever its vendor.      Layer 2. Blocking.
 *
 * A driver fills struct db_ops; the rest of the catalog knows no vendor.  SQL is the
 * common subset of SQLite and MariaDB: `?` parameters, INSERT ... RETURNING, BIGINT,
 * VARCHAR and TEXT columns, times as integer microseconds UTC; no upsert, no partial
 * index, no STRICT (its type names are SQLite's own), no auto-increment (spelled
 * differently by each: see the table `counters`).
 *
 * Errors that every driver must map alike:
 *   locked for longer than the busy timeout -> ERR_UNAVAILABLE "catalog_busy"
 *   unique or primary key violated          -> ERR_EXISTS "already_exists"
 *   foreign key violated                    -> ERR_EXISTS "in_use"
 *   CHECK or NOT NULL violated              -> ERR_INVALID "catalog_constraint"
 *   not a database, damaged                 -> ERR_CORRUPT "catalog_corrupt"
 *   disk or quota full                      -> ERR_NO_SPACE "catalog_full"
 *   other I/O                               -> ERR_IO "catalog_io"
 * Messages never hold SQL or a bound value.
 *
 * Threads: a db and its statements are used by one thread at a time; struct catalog sees
 * to it. */
#ifndef SENDENSE_CATALOG_DB_H
#define SENDENSE_CATALOG_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct db;      /* a connection; each driver has its own */
struct db_stmt; /* a prepared statement of one connection */

struct db_where {
    const char *path; /* SQLite: the file */
    bool create;      /* make it when missing; else ERR_NOT_FOUND "catalog_missing" */
    unsigned busy_timeout_ms; /* how long a statement waits for another process */
};

struct db_ops {
    const char *name;

    int (*open)(const struct db_where *where, struct db **ret, struct err *err);
    void (*close)(struct db *db); /* NULL ok; every statement must be finalized before */

    /* @sql must outlive the statement.  Exactly one statement; parameters are numbered
     * from 1. */
    int (*prepare)(struct db *db, const char *sql, struct db_stmt **ret, struct err *err);
    int (*bind_null)(struct db_stmt *st, int i, struct err *err);
    int (*bind_int64)(struct db_stmt *st, int i, int64_t v, struct err *err);
    /* The bytes must stay unchanged until reset. */
    int (*bind_text)(struct db_stmt *st, int i, const char *s, size_t n, struct err *err);
    int (*bind_blob)(struct db_stmt *st, int i, const void *p, size_t n, struct err *err);

    /* 1 = there is a row, 0 = done, < 0. */
    int (*step)(struct db_stmt *st, struct err *err);
    int (*column_count)(struct db_stmt *st);
    const char *(*column_name)(struct db_stmt *st, int i);

    /* Columns from 0.  Text and blob live until the next step or reset; NULL when SQL
     * NULL. */
    bool (*column_is_null)(struct db_stmt *st, int i);
    int64_t (*column_int64)(struct db_stmt *st, int i);
    const char *(*column_text)(struct db_stmt *st, int i, size_t *ret_n);
    const void *(*column_blob)(struct db_stmt *st, int i, size_t *ret_n);

    int64_t (*changes)(
        struct db_stmt *st); /* rows *matched* by the last INSERT/UPDATE/DELETE */
    void (*reset)(struct db_stmt *st); /* ends the execution, forgets the bound values */
    void (*finalize)(struct db_stmt *st); /* NULL ok */

    int (*begin)(struct db *db, struct err *err); /* takes the right to write at once */
    int (*commit)(struct db *db, struct err *err);
    void (*rollback)(struct db *db); /* nothing to do when none is open */
    bool (*in_tx)(struct db *db);    /* false too when the database ended it by itself */

    /* Several statements without parameters or results: migrations and savepoints. */
    int (*script)(struct db *db, const char *sql, struct err *err);
    /* Is there a table @name; is there any table at all. */
    int (*tables)(struct db *db, const char *name, bool *ret_has, bool *ret_any,
                  struct err *err);
    /* A consistent copy, durable when it returns; replaces @path. */
    int (*copy_to)(struct db *db, const char *path, struct err *err);
    /* Reads everything; ERR_CORRUPT when structure or references are damaged. */
    int (*check)(struct db *db, struct err *err);
};

extern const struct db_ops db_sqlite_ops;

#endif
