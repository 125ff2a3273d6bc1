#include "catalog/cat_resource.h"

#include "catalog/stmt.h"

#define COLUMNS                                                                          \
    "id, job_id, kind, res_key, state, detail, pid, start_ticks, boot_id, created_us, "  \
    "updated_us"

static const struct row_field fields[] = {
    ROW_FIELD(cat_resource, I64, id),         ROW_FIELD(cat_resource, TEXT, job_id),
    ROW_FIELD(cat_resource, TEXT, kind),      ROW_FIELD(cat_resource, TEXT, res_key),
    ROW_FIELD(cat_resource, TEXT, state),     ROW_FIELD(cat_resource, TEXT, detail),
    ROW_FIELD(cat_resource, OPT, pid),        ROW_FIELD(cat_resource, OPT, start_ticks),
    ROW_FIELD(cat_resource, TEXT, boot_id),   ROW_FIELD(cat_resource, I64, created_us),
    ROW_FIELD(cat_resource, I64, updated_us),
};
static const struct row_map map = ROW_MAP(cat_resource, fields);

void
cat_resource_done(struct cat_resource *r)
{
    row_done(&map, r);
}

void
cat_resources_done(struct cat_resources *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_resources){0};
}

static int
insert(struct catalog *c, const struct cat_resource *r, int64_t id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "INSERT INTO job_resources (id, job_id, kind, res_key, state, open_mark, "
            "detail, created_us, updated_us) VALUES (?, ?, ?, ?, 'intent', 1, ?, ?, ?)",
            err) < 0)
        return err->class;
    bind_i64(&s, id);
    bind_text(&s, r->job_id);
    bind_text(&s, r->kind);
    bind_text(&s, r->res_key);
    bind_text(&s, r->detail);
    bind_i64(&s, r->created_us);
    bind_i64(&s, r->created_us);
    return stmt_exec(&s);
}

/* Who has it?  Never hides the refusal behind a failure of the question. */
static int
taken(struct catalog *c, const struct cat_resource *r, struct err *err)
{
    struct err ask = ERR_INIT;
    struct cat_resource holder;

    if (cat_resource_find(c, r->kind, r->res_key, &holder, &ask) < 0)
        return err_set(err, ERR_EXISTS, "resource_taken", "%s '%s' is taken", r->kind,
                       r->res_key);
    err_set(err, ERR_EXISTS, "resource_taken", "%s '%s' is taken by job %s", r->kind,
            r->res_key, holder.job_id);
    cat_resource_done(&holder);
    return err->class;
}

int
cat_resource_intend(struct catalog *c, const struct cat_resource *r, int64_t *ret_id,
                    struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    int64_t id;

    if (catalog_tx_begin(c, &tx, err) < 0 ||
        counter_next(c, "job_resources", &id, err) < 0)
        return err->class;
    if (insert(c, r, id, err) < 0)
        return err->class == ERR_EXISTS ? taken(c, r, err) : err->class;
    if (catalog_tx_commit(&tx, err) < 0)
        return err->class;
    *ret_id = id;
    return 0;
}

int
cat_resource_hold(struct catalog *c, const char *job_id, int64_t id,
                  const struct cat_hold *h, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE job_resources SET state = 'held', detail = COALESCE(?, detail), "
            "pid = ?, start_ticks = ?, boot_id = ?, updated_us = ? "
            "WHERE id = ? AND job_id = ? AND open_mark = 1",
            err) < 0)
        return err->class;
    bind_text(&s, h->detail);
    bind_opt(&s, h->pid);
    bind_opt(&s, h->start_ticks);
    bind_text(&s, h->boot_id);
    bind_i64(&s, h->now_us);
    bind_i64(&s, id);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "resource_not_found", "open entry of this job");
}

int
cat_resource_release(struct catalog *c, const char *job_id, int64_t id, int64_t now_us,
                     struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    /* A repeat keeps the moment of the first release. */
    if (stmt_open(&s, c,
                  "UPDATE job_resources SET "
                  "updated_us = CASE WHEN open_mark IS NULL THEN updated_us ELSE ? END, "
                  "state = 'released', open_mark = NULL WHERE id = ? AND job_id = ?",
                  err) < 0)
        return err->class;
    bind_i64(&s, now_us);
    bind_i64(&s, id);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "resource_not_found", "entry of this job");
}

int
cat_resource_list_job(struct catalog *c, const char *job_id, struct cat_resources *ret,
                      struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM job_resources WHERE job_id = ? AND open_mark = 1 "
                  "ORDER BY id",
                  err) < 0)
        return err->class;
    bind_text(&s, job_id);
    return row_read_all(&s, &map, 0, (void **)&ret->v, &ret->n, NULL);
}

int
cat_resource_list_open(struct catalog *c, struct cat_resources *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM job_resources WHERE open_mark = 1 ORDER BY id",
                  err) < 0)
        return err->class;
    return row_read_all(&s, &map, 0, (void **)&ret->v, &ret->n, NULL);
}

int
cat_resource_find(struct catalog *c, const char *kind, const char *res_key,
                  struct cat_resource *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM job_resources WHERE kind = ? AND res_key = ? "
                  "AND open_mark = 1",
                  err) < 0)
        return err->class;
    bind_text(&s, kind);
    bind_text(&s, res_key);
    return row_read_one(&s, &map, ret, "resource_not_found", "open entry");
}

int
cat_resource_prune(struct catalog *c, int64_t before_us, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "DELETE FROM job_resources WHERE open_mark IS NULL AND updated_us < ?",
                  err) < 0)
        return err->class;
    bind_i64(&s, before_us);
    return stmt_exec(&s);
}
