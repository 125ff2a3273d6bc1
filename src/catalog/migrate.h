/* catalog/migrate.h - brings a database to the schema of this program.  Layer 2.
 * Blocking.
 *
 * Each migration runs in one transaction with its row in schema_migrations: killed at any
 * moment, the old schema stays and works.  (MariaDB ends a transaction at each DDL
 * statement; its driver will need migrations that can be repeated.) */
#ifndef SENDENSE_CATALOG_MIGRATE_H
#define SENDENSE_CATALOG_MIGRATE_H

#include "catalog/db.h"

struct migration {
    int version; /* 1, 2, ... without a gap */
    const char *name;
    const char *checksum; /* SHA-256 of the file, hex */
    const char *sql;
};

/* Made from migrations/NNNN_NAME.sql at build time. */
extern const struct migration catalog_migrations[];
extern const size_t catalog_n_migrations;

struct migrate_plan {
    const struct migration *v;
    size_t n;
    const char *path; /* copies are PATH.before-NNNN */
    bool create;      /* an empty database may be filled */
};

/* ERR_INVALID "catalog_too_new", ERR_CORRUPT "catalog_migration_changed" (also for a
 * gap), ERR_CORRUPT "catalog_corrupt" (empty without create, or tables that are not
 * ours), and those of db.h. */
int migrate_run(const struct db_ops *ops, struct db *db, const struct migrate_plan *plan,
                int *ret_version, struct err *err);

#endif
