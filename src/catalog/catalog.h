/* catalog/catalog.h - the hub's database: opening it, transactions.    Layer 2. Blocking.
 *
 * One connection under one recursive mutex: every function of catalog/cat_*.h may be
 * called from any thread.  A transaction holds the mutex from begin to its end, so keep
 * it short and never wait for anything else inside.  Lock order: the catalog's mutex is
 * the innermost of the program.
 *
 * Rows: a struct cat_x read from the catalog owns its strings (cat_x_done); NULL = SQL
 * NULL.  A struct that the caller fills for an insert may point anywhere and then must
 * not be given to cat_x_done. Times are microseconds UTC, 0 = not yet (SQL NULL).  Sizes
 * are bytes, at most 2^63-1.  Enums are the words of model/, stored as text.  Text is
 * UTF-8 without NUL, at most CATALOG_TEXT_MAX bytes: else ERR_INVALID "invalid_text" or
 * ERR_LIMIT "text_too_long" (error messages are repaired and cut instead: the outcome of
 * a job must never be lost for its message). */
#ifndef SENDENSE_CATALOG_CATALOG_H
#define SENDENSE_CATALOG_CATALOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define CATALOG_TEXT_MAX (1u << 20)
#define CATALOG_PAGE_DEFAULT 100u
#define CATALOG_PAGE_MAX 1000u

struct catalog;

/* Opens the SQLite file @path (mode 0600) and brings its schema up to date; a copy is
 * kept as PATH.before-NNNN first.  @create: make it when missing or empty.  Otherwise a
 * missing file is ERR_NOT_FOUND "catalog_missing", an empty one ERR_CORRUPT: never start
 * over in silence. ERR_INVALID "catalog_too_new", ERR_CORRUPT
 * "catalog_migration_changed", and those of db.h. */
int catalog_open(const char *path, bool create, struct catalog **ret, struct err *err);
void catalog_close(struct catalog *c); /* NULL ok; no other thread may be inside */

/* Reads the whole database: ERR_CORRUPT "catalog_corrupt" when it is damaged. */
int catalog_check(struct catalog *c, struct err *err);

int catalog_schema_version(struct catalog *c); /* the number of the last migration */

/* A transaction ends with its scope: rolled back unless committed.  They nest
 * (savepoints, to a depth of CATALOG_TX_DEPTH): an inner one that is rolled back leaves
 * the outer usable. CLEANUP_TX struct catalog_tx tx = {0}; if (catalog_tx_begin(c, &tx,
 * err) < 0) ... return catalog_tx_commit(&tx, err); When the database itself ended the
 * transaction (full, I/O error) everything until the outermost end fails with ERR_IO
 * "catalog_tx_lost". */
#define CATALOG_TX_DEPTH 4
struct catalog_tx {
    struct catalog *cat; /* NULL = not open */
    unsigned depth;      /* 1 = outermost */
};
#define CLEANUP_TX CLEANUP(catalog_tx_done)
int catalog_tx_begin(struct catalog *c, struct catalog_tx *tx, struct err *err);
int catalog_tx_commit(struct catalog_tx *tx, struct err *err); /* failed = rolled back */
void catalog_tx_rollback(struct catalog_tx *tx);
void catalog_tx_done(struct catalog_tx *tx);

/* One page of a list.  The sort key of a list is stated at its function; @after_* is the
 * key of the last row already seen, NULL after_id = from the start. */
struct cat_page {
    unsigned
        limit; /* 0 = CATALOG_PAGE_DEFAULT; more than CATALOG_PAGE_MAX is cut to it */
    int64_t after_us;
    const char *after_id;
};

#endif
