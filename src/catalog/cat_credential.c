#include "catalog/cat_credential.h"

#include <stdio.h>

#include "catalog/stmt.h"

#define COLUMNS                                                                          \
    "id, name, url, username, sealed_password, tls_sha256, tls_ca_pem, node_id, "        \
    "created_us"

static const struct row_field fields[] = {
    ROW_FIELD(cat_credential, TEXT, id),
    ROW_FIELD(cat_credential, TEXT, name),
    ROW_FIELD(cat_credential, TEXT, url),
    ROW_FIELD(cat_credential, TEXT, username),
    ROW_FIELD(cat_credential, TEXT, sealed_password),
    ROW_FIELD(cat_credential, TEXT, tls_sha256),
    ROW_FIELD(cat_credential, TEXT, tls_ca_pem),
    ROW_FIELD(cat_credential, TEXT, node_id),
    ROW_FIELD(cat_credential, I64, created_us),
};
static const struct row_map map = ROW_MAP(cat_credential, fields);

void
cat_credential_done(struct cat_credential *r)
{
    row_done(&map, r);
}

void
cat_credentials_done(struct cat_credentials *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_credentials){0};
}

static int
next_id(struct catalog *c, char ret[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(
            &s, c,
            "SELECT id FROM vmware_credentials ORDER BY LENGTH(id) DESC, id DESC LIMIT 1",
            err) < 0)
        return err->class;
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    return id_after(&s, rc > 0, ret);
}

static int
insert(struct catalog *c, const struct cat_credential *r, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO vmware_credentials (" COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, r);
    if (stmt_exec(&s) >= 0)
        return 0;
    if (err_has_code(err, "in_use"))
        return err_set(err, ERR_NOT_FOUND, "node_not_found", "no such node");
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "credential_exists",
                       "a credential has this name already");
    return err->class;
}

int
cat_credential_add(struct catalog *c, const struct cat_credential *r,
                   char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_credential row = *r;
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
cat_credential_get(struct catalog *c, const char *id, struct cat_credential *ret,
                   struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM vmware_credentials WHERE id = ?", err) <
        0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "credential_not_found", "credential");
}

int
cat_credential_list(struct catalog *c, const struct cat_page *page,
                    struct cat_credentials *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_credentials l = {0};
    unsigned limit = page_limit(page->limit);

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM vmware_credentials WHERE (? IS NULL "
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
cat_credential_change(struct catalog *c, const struct cat_credential *r, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE vmware_credentials SET url = ?, username = ?, "
                  "sealed_password = ?, tls_sha256 = ?, tls_ca_pem = ? WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, r->url);
    bind_text(&s, r->username);
    bind_text(&s, r->sealed_password);
    bind_text(&s, r->tls_sha256);
    bind_text(&s, r->tls_ca_pem);
    bind_text(&s, r->id);
    return stmt_exec_one(&s, "credential_not_found", "credential");
}

int
cat_credential_remove(struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM vmware_credentials WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    if (stmt_exec_one(&s, "credential_not_found", "credential") >= 0)
        return 0;
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "credential_in_use",
                       "virtual machines were discovered with it: remove them first");
    return err->class;
}
