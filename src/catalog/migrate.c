#include "catalog/migrate.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/timeutil.h"

static const char CREATE_TABLE[] = "CREATE TABLE schema_migrations ("
                                   "    version BIGINT NOT NULL PRIMARY KEY,"
                                   "    name VARCHAR(255) NOT NULL,"
                                   "    checksum VARCHAR(64) NOT NULL,"
                                   "    applied_us BIGINT NOT NULL"
                                   ")";

static int
check_row(const struct db_ops *ops, struct db_stmt *st, const struct migrate_plan *plan,
          size_t n_seen, struct err *err)
{
    size_t len;
    int64_t version = ops->column_int64(st, 0);
    const char *checksum = ops->column_text(st, 1, &len);

    if (version > (int64_t)plan->n)
        return err_set(
            err, ERR_INVALID, "catalog_too_new",
            "the catalog has schema %lld, this program knows %zu: install the newer "
            "version, or restore the copy made before the upgrade",
            (long long)version, plan->n);
    if (version != (int64_t)n_seen + 1 || !checksum ||
        strcmp(checksum, plan->v[n_seen].checksum) != 0)
        return err_set(
            err, ERR_CORRUPT, "catalog_migration_changed",
            "schema step %lld of the catalog is not the one that this program has",
            (long long)version);
    return 0;
}

/* How many of the plan's migrations the database has; each is compared. */
static int
read_applied(const struct db_ops *ops, struct db *db, const struct migrate_plan *plan,
             size_t *ret_n, struct err *err)
{
    struct db_stmt *st;
    size_t n = 0;
    int rc;

    if (ops->prepare(db,
                     "SELECT version, checksum FROM schema_migrations ORDER BY version",
                     &st, err) < 0)
        return err->class;
    while ((rc = ops->step(st, err)) > 0) {
        rc = check_row(ops, st, plan, n, err);
        if (rc < 0)
            break;
        n++;
    }
    ops->finalize(st);
    if (rc < 0)
        return rc;
    *ret_n = n;
    return 0;
}

static int
record(const struct db_ops *ops, struct db *db, const struct migration *m,
       struct err *err)
{
    struct db_stmt *st;
    int rc = 0;

    if (ops->prepare(
            db,
            "INSERT INTO schema_migrations (version, name, checksum, applied_us) "
            "VALUES (?, ?, ?, ?)",
            &st, err) < 0)
        return err->class;
    if (ops->bind_int64(st, 1, m->version, err) < 0 ||
        ops->bind_text(st, 2, m->name, strlen(m->name), err) < 0 ||
        ops->bind_text(st, 3, m->checksum, strlen(m->checksum), err) < 0 ||
        ops->bind_int64(st, 4, time_utc_us(), err) < 0 || ops->step(st, err) < 0)
        rc = err->class;
    ops->finalize(st);
    return rc;
}

/* State of the database as seen by the one who may write; @ret_n = migrations applied. */
static int
look(const struct db_ops *ops, struct db *db, const struct migrate_plan *plan,
     bool *ret_has, size_t *ret_n, struct err *err)
{
    bool any;

    *ret_n = 0;
    if (ops->tables(db, "schema_migrations", ret_has, &any, err) < 0)
        return err->class;
    if (*ret_has)
        return read_applied(ops, db, plan, ret_n, err);
    if (any)
        return err_set(err, ERR_CORRUPT, "catalog_corrupt",
                       "the file is a database, but not a catalog of Sendense");
    if (!plan->create)
        return err_set(err, ERR_CORRUPT, "catalog_corrupt",
                       "the catalog is empty: run 'sendense-hub catalog rebuild'");
    return 0;
}

/* Applies the next migration, if another process has not done so in the meantime. */
static int
apply_next(const struct db_ops *ops, struct db *db, const struct migrate_plan *plan,
           size_t *ret_n, struct err *err)
{
    const struct migration *m;
    bool has;
    size_t n;

    if (ops->begin(db, err) < 0)
        return err->class;
    if (look(ops, db, plan, &has, &n, err) < 0)
        goto out;
    if (n < plan->n) {
        m = &plan->v[n];
        if ((!has && ops->script(db, CREATE_TABLE, err) < 0) ||
            ops->script(db, m->sql, err) < 0 || record(ops, db, m, err) < 0) {
            err_prefix(err, "schema step %d (%s)", m->version, m->name);
            goto out;
        }
        n++;
    }
    if (ops->commit(db, err) < 0)
        goto out;
    *ret_n = n;
    return 0;
out:
    ops->rollback(db);
    return err->class;
}

int
migrate_run(const struct db_ops *ops, struct db *db, const struct migrate_plan *plan,
            int *ret_version, struct err *err)
{
    bool has;
    size_t n;

    if (look(ops, db, plan, &has, &n, err) < 0)
        return err->class;
    if (has && n < plan->n) {
        CLEANUP_FREE char *copy =
            xasprintf("%s.before-%04d", plan->path, plan->v[n].version);

        if (ops->copy_to(db, copy, err) < 0)
            return err_prefix(err, "copy of the catalog before its upgrade");
    }
    while (n < plan->n) {
        if (apply_next(ops, db, plan, &n, err) < 0)
            return err->class;
    }
    *ret_version = (int)n;
    return 0;
}
