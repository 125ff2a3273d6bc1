#include "catalog/catalog.h"

#include <pthread.h>

#include "base/mem.h"
#include "catalog/catalog_int.h"
#include "catalog/migrate.h"

#define BUSY_TIMEOUT_MS 5000u

/* One row per level below the outermost. */
static const struct savepoint {
    const char *begin, *release, *rollback;
} savepoints[CATALOG_TX_DEPTH - 1] = {
    {"SAVEPOINT level_2", "RELEASE SAVEPOINT level_2", "ROLLBACK TO SAVEPOINT level_2"},
    {"SAVEPOINT level_3", "RELEASE SAVEPOINT level_3", "ROLLBACK TO SAVEPOINT level_3"},
    {"SAVEPOINT level_4", "RELEASE SAVEPOINT level_4", "ROLLBACK TO SAVEPOINT level_4"},
};

static void
lock_init(pthread_mutex_t *lock)
{
    pthread_mutexattr_t attr;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(lock, &attr);
    pthread_mutexattr_destroy(&attr);
}

int
catalog_open(const char *path, bool create, struct catalog **ret, struct err *err)
{
    const struct db_where where = {
        .path = path, .create = create, .busy_timeout_ms = BUSY_TIMEOUT_MS};
    const struct migrate_plan plan = {.v = catalog_migrations,
                                      .n = catalog_n_migrations,
                                      .path = path,
                                      .create = create};
    struct catalog *c = xcalloc(1, sizeof(*c));

    c->ops = &db_sqlite_ops;
    lock_init(&c->lock);
    if (c->ops->open(&where, &c->db, err) < 0 ||
        migrate_run(c->ops, c->db, &plan, &c->version, err) < 0) {
        catalog_close(c);
        return err->class;
    }
    *ret = c;
    return 0;
}

void
catalog_close(struct catalog *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < STMT_SLOTS; i++)
        c->ops->finalize(c->slots[i].h);
    c->ops->close(c->db);
    pthread_mutex_destroy(&c->lock);
    free(c);
}

int
catalog_check(struct catalog *c, struct err *err)
{
    LOCK_SCOPE(&c->lock);
    return c->ops->check(c->db, err);
}

int
catalog_schema_version(struct catalog *c)
{
    return c->version;
}

static int
tx_lost(struct err *err)
{
    return err_set(err, ERR_IO, "catalog_tx_lost",
                   "the database ended the transaction after an earlier error");
}

int
catalog_tx_begin(struct catalog *c, struct catalog_tx *tx, struct err *err)
{
    int rc;

    pthread_mutex_lock(&c->lock);
    if (c->depth == 0)
        rc = c->ops->begin(c->db, err);
    else if (!c->ops->in_tx(c->db))
        rc = tx_lost(err);
    else if (c->depth >= CATALOG_TX_DEPTH)
        rc = err_set(err, ERR_INTERNAL, "catalog_internal",
                     "transactions nest too deeply");
    else
        rc = c->ops->script(c->db, savepoints[c->depth - 1].begin, err);
    if (rc < 0) {
        pthread_mutex_unlock(&c->lock);
        return rc;
    }
    tx->cat = c;
    tx->depth = ++c->depth;
    return 0;
}

/* Leaves the level of @tx; inner levels that were not ended go with it. */
static void
tx_leave(struct catalog_tx *tx)
{
    struct catalog *c = tx->cat;

    c->depth = tx->depth - 1;
    tx->cat = NULL;
    pthread_mutex_unlock(&c->lock);
}

int
catalog_tx_commit(struct catalog_tx *tx, struct err *err)
{
    struct catalog *c = tx->cat;
    int rc;

    if (!c)
        return err_set(err, ERR_INTERNAL, "catalog_internal",
                       "the transaction is not open");
    if (tx->depth != c->depth)
        rc = err_set(err, ERR_INTERNAL, "catalog_internal",
                     "an inner transaction is still open");
    else if (!c->ops->in_tx(c->db))
        rc = tx_lost(err);
    else if (tx->depth == 1)
        rc = c->ops->commit(c->db, err);
    else
        rc = c->ops->script(c->db, savepoints[tx->depth - 2].release, err);
    if (rc < 0) {
        catalog_tx_rollback(tx);
        return rc;
    }
    tx_leave(tx);
    return 0;
}

void
catalog_tx_rollback(struct catalog_tx *tx)
{
    struct catalog *c = tx->cat;

    if (!c)
        return;
    if (tx->depth == 1) {
        c->ops->rollback(c->db);
    } else if (c->ops->in_tx(c->db)) {
        struct err ignored = ERR_INIT;
        const struct savepoint *sp = &savepoints[tx->depth - 2];

        /* Should this fail, nothing of the outer transaction may be committed either. */
        if (c->ops->script(c->db, sp->rollback, &ignored) < 0 ||
            c->ops->script(c->db, sp->release, &ignored) < 0)
            c->ops->rollback(c->db);
    }
    tx_leave(tx);
}

void
catalog_tx_done(struct catalog_tx *tx)
{
    catalog_tx_rollback(tx);
}
