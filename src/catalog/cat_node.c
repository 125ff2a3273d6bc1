#include "catalog/cat_node.h"

#include <stdio.h>

#include "catalog/stmt.h"

#define COLUMNS "id, name, url, sealed_token, created_us, last_seen_us, version"

static const struct row_field fields[] = {
    ROW_FIELD(cat_node, TEXT, id),        ROW_FIELD(cat_node, TEXT, name),
    ROW_FIELD(cat_node, TEXT, url),       ROW_FIELD(cat_node, TEXT, sealed_token),
    ROW_FIELD(cat_node, I64, created_us), ROW_FIELD(cat_node, OPT, last_seen_us),
    ROW_FIELD(cat_node, TEXT, version),
};
static const struct row_map map = ROW_MAP(cat_node, fields);

void
cat_node_done(struct cat_node *n)
{
    row_done(&map, n);
}

void
cat_nodes_done(struct cat_nodes *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_nodes){0};
}

static int
next_id(struct catalog *c, char ret[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c, "SELECT id FROM nodes ORDER BY LENGTH(id) DESC, id DESC LIMIT 1",
                  err) < 0)
        return err->class;
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    return id_after(&s, rc > 0, ret);
}

static int
insert(struct catalog *c, const struct cat_node *n, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "INSERT INTO nodes (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, n);
    if (stmt_exec(&s) >= 0)
        return 0;
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "node_exists", "a node has this name already");
    return err->class;
}

int
cat_node_add(struct catalog *c, const struct cat_node *n, char ret_id[CAT_ID_SIZE],
             struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_node row = *n;
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
cat_node_get(struct catalog *c, const char *id, struct cat_node *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM nodes WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "node_not_found", "node");
}

int
cat_node_get_by_name(struct catalog *c, const char *name, struct cat_node *ret,
                     struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM nodes WHERE name = ?", err) < 0)
        return err->class;
    bind_text(&s, name);
    return row_read_one(&s, &map, ret, "node_not_found", "node");
}

int
cat_node_list(struct catalog *c, const struct cat_page *page, struct cat_nodes *ret,
              struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_nodes l = {0};
    unsigned limit = page_limit(page->limit);

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM nodes WHERE (? IS NULL "
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
cat_node_set_access(struct catalog *c, const char *id, const char *url,
                    const char *sealed_token, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE nodes SET url = ?, sealed_token = ? WHERE id = ?", err) <
        0)
        return err->class;
    bind_text(&s, url);
    bind_text(&s, sealed_token);
    bind_text(&s, id);
    return stmt_exec_one(&s, "node_not_found", "node");
}

int
cat_node_set_seen(struct catalog *c, const char *id, const char *version, int64_t now_us,
                  struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE nodes SET version = ?, last_seen_us = ? WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, version);
    bind_opt(&s, now_us);
    bind_text(&s, id);
    return stmt_exec_one(&s, "node_not_found", "node");
}

int
cat_node_remove(struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM nodes WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    if (stmt_exec_one(&s, "node_not_found", "node") >= 0)
        return 0;
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "node_in_use",
                       "virtual machines, credentials or backups name this node");
    return err->class;
}
