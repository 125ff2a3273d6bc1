#include "catalog/cat_repository.h"

#include <stdio.h>

#include "catalog/stmt.h"

#define COLUMNS "id, name, kind, path, repository_uuid, probe, created_us"

static const struct row_field fields[] = {
    ROW_FIELD(cat_repository, TEXT, id),
    ROW_FIELD(cat_repository, TEXT, name),
    ROW_FIELD(cat_repository, TEXT, kind),
    ROW_FIELD(cat_repository, TEXT, path),
    ROW_FIELD(cat_repository, TEXT, repository_uuid),
    ROW_FIELD(cat_repository, TEXT, probe),
    ROW_FIELD(cat_repository, I64, created_us),
};
static const struct row_map map = ROW_MAP(cat_repository, fields);

void
cat_repository_done(struct cat_repository *r)
{
    row_done(&map, r);
}

void
cat_repositories_done(struct cat_repositories *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_repositories){0};
}

static int
next_id(struct catalog *c, char ret[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c,
                  "SELECT id FROM backup_repositories ORDER BY LENGTH(id) DESC, id DESC "
                  "LIMIT 1",
                  err) < 0)
        return err->class;
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    return id_after(&s, rc > 0, ret);
}

static int
insert(struct catalog *c, const struct cat_repository *r, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO backup_repositories (" COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, r);
    if (stmt_exec(&s) >= 0)
        return 0;
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "repository_exists",
                       "a repository has this name, path or identity already");
    return err->class;
}

int
cat_repository_add(struct catalog *c, const struct cat_repository *r,
                   char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_repository row = *r;
    char id[CAT_ID_SIZE];

    if (catalog_tx_begin(c, &tx, err) < 0 || next_id(c, id, err) < 0)
        return err->class;
    row.id = id;
    if (insert(c, &row, err) < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    snprintf(ret_id, CAT_ID_SIZE, "%s", id);
    return 0;
}

int
cat_repository_get(struct catalog *c, const char *id, struct cat_repository *ret,
                   struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM backup_repositories WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "repository_not_found", "repository");
}

int
cat_repository_get_by_name(struct catalog *c, const char *name,
                           struct cat_repository *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM backup_repositories WHERE name = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, name);
    return row_read_one(&s, &map, ret, "repository_not_found", "repository");
}

int
cat_repository_list(struct catalog *c, const struct cat_page *page,
                    struct cat_repositories *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_repositories l = {0};
    unsigned limit = page_limit(page->limit);

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM backup_repositories WHERE (? IS NULL "
                  "OR LENGTH(id) > LENGTH(?) OR (LENGTH(id) = LENGTH(?) AND id > ?)) "
                  "ORDER BY LENGTH(id), id LIMIT ?",
                  err) < 0)
        return err->class;
    for (int i = 0; i < 4; i++)
        bind_text(&s, page->after_id);
    bind_i64(&s, (int64_t)limit + 1);
    if (row_read_all(&s, &map, limit, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    *ret = l;
    return 0;
}

int
cat_repository_remove(struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM backup_repositories WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    if (stmt_exec_one(&s, "repository_not_found", "repository") >= 0)
        return 0;
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "repository_in_use",
                       "the repository has backups: delete them first");
    return err->class;
}
