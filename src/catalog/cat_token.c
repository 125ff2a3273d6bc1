#include "catalog/cat_token.h"

#include "catalog/stmt.h"

#define TOUCH_US (60 * 1000000ll)

#define COLUMNS                                                                          \
    "id, name, token_hash, scopes, created_us, expires_us, revoked_us, last_used_us"

static const struct row_field fields[] = {
    ROW_FIELD(cat_token, TEXT, id),         ROW_FIELD(cat_token, TEXT, name),
    ROW_FIELD(cat_token, TEXT, token_hash), ROW_FIELD(cat_token, TEXT, scopes),
    ROW_FIELD(cat_token, I64, created_us),  ROW_FIELD(cat_token, OPT, expires_us),
    ROW_FIELD(cat_token, OPT, revoked_us),  ROW_FIELD(cat_token, OPT, last_used_us),
};
static const struct row_map map = ROW_MAP(cat_token, fields);

void
cat_token_done(struct cat_token *t)
{
    row_done(&map, t);
}

void
cat_tokens_done(struct cat_tokens *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_tokens){0};
}

int
cat_token_add(struct catalog *c, const struct cat_token *t, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO api_tokens (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, t);
    if (stmt_exec(&s) >= 0)
        return 0;
    if (err->class == ERR_EXISTS)
        return err_set(err, ERR_EXISTS, "token_exists", "this token exists already");
    return err->class;
}

int
cat_token_find(struct catalog *c, const char *token_hash, int64_t now_us,
               struct cat_token *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_token t;
    int rc;

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM api_tokens WHERE token_hash = ?", err) <
        0)
        return err->class;
    bind_text(&s, token_hash);
    rc = row_read(&s, &map, &t);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(err, ERR_AUTH, "token_unknown", "the token is not known");
    if (t.revoked_us != 0)
        rc = err_set(err, ERR_AUTH, "token_revoked", "the token was revoked");
    else if (t.expires_us != 0 && now_us >= t.expires_us)
        rc = err_set(err, ERR_AUTH, "token_expired", "the token has expired");
    if (rc < 0) {
        cat_token_done(&t);
        return rc;
    }
    *ret = t;
    return 0;
}

int
cat_token_get(struct catalog *c, const char *id, struct cat_token *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM api_tokens WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "token_not_found", "token");
}

int
cat_token_list(struct catalog *c, const struct cat_page *page, struct cat_tokens *ret,
               struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_tokens l = {0};
    unsigned limit = page_limit(page->limit);

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM api_tokens WHERE (? IS NULL OR id > ?) "
                  "ORDER BY id LIMIT ?",
                  err) < 0)
        return err->class;
    bind_text(&s, page->after_id);
    bind_text(&s, page->after_id);
    bind_i64(&s, (int64_t)limit + 1);
    if (row_read_all(&s, &map, limit, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    *ret = l;
    return 0;
}

int
cat_token_revoke(struct catalog *c, const char *id, int64_t now_us, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE api_tokens SET revoked_us = COALESCE(revoked_us, ?) WHERE id = ?",
            err) < 0)
        return err->class;
    bind_i64(&s, now_us);
    bind_text(&s, id);
    return stmt_exec_one(&s, "token_not_found", "token");
}

int
cat_token_touch(struct catalog *c, const char *id, int64_t now_us, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c,
                  "UPDATE api_tokens SET last_used_us = ? "
                  "WHERE id = ? AND (last_used_us IS NULL OR last_used_us <= ?)",
                  err) < 0)
        return err->class;
    bind_i64(&s, now_us);
    bind_text(&s, id);
    bind_i64(&s, now_us - TOUCH_US);
    rc = stmt_exec(&s);
    return rc < 0 ? rc : 0;
}
