/* catalog/cat_repository.h - table backup_repositories.                Layer 2. Blocking.
 */
#ifndef SENDENSE_CATALOG_CAT_REPOSITORY_H
#define SENDENSE_CATALOG_CAT_REPOSITORY_H

#include "catalog/catalog.h"

#define CAT_ID_SIZE 24 /* "1", "2", ...: opaque to everybody else */

struct cat_repository {
    const char *id;              /* ignored by add, which gives one */
    const char *name;            /* unique */
    const char *kind;            /* "local" */
    const char *path;            /* unique */
    const char *repository_uuid; /* unique */
    const char *probe;           /* JSON text of sendense-repo.json */
    int64_t created_us;
};

struct cat_repositories {
    struct cat_repository *v;
    size_t n;
    bool more;
};

void cat_repository_done(struct cat_repository *r);
void cat_repositories_done(struct cat_repositories *l);

/* ERR_EXISTS "repository_exists": name, path or uuid is taken. */
int cat_repository_add(struct catalog *c, const struct cat_repository *r,
                       char ret_id[CAT_ID_SIZE], struct err *err);

/* ERR_NOT_FOUND "repository_not_found". */
int cat_repository_get(struct catalog *c, const char *id, struct cat_repository *ret,
                       struct err *err);
int cat_repository_get_by_name(struct catalog *c, const char *name,
                               struct cat_repository *ret, struct err *err);

/* Sorted by id, as numbers. */
int cat_repository_list(struct catalog *c, const struct cat_page *page,
                        struct cat_repositories *ret, struct err *err);

/* ERR_EXISTS "repository_in_use" while any backup job names it; ERR_NOT_FOUND. */
int cat_repository_remove(struct catalog *c, const char *id, struct err *err);

#endif
