/* catalog/job_rows.c - see job_rows.h. */
#include "catalog/job_rows.h"

#include "base/cleanup.h"

int
job_rows_page(struct stmt *s, const struct row_map *m, const char *filter,
              const struct cat_page *page, void **ret_v, size_t *ret_n, bool *ret_more)
{
    unsigned limit = page_limit(page->limit);

    bind_text(s, filter);
    bind_text(s, filter);
    bind_text(s, page->after_id);
    bind_i64(s, page->after_us);
    bind_i64(s, page->after_us);
    bind_text(s, page->after_id);
    bind_i64(s, (int64_t)limit + 1);
    return row_read_all(s, m, limit, ret_v, ret_n, ret_more);
}

static int
explain(const struct job_rows *rows, struct catalog *c, const char *id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    CLEANUP_FREE char *state = NULL;
    int rc;

    if (stmt_open_literal(&s, c, rows->state_sql, err) < 0)
        return err->class;
    bind_text(&s, id);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, rows->code, "no such %s", rows->what);
    state = stmt_col_text(&s, 0);
    return err_set(err, ERR_EXISTS, "state_conflict", "the %s is '%s' now", rows->what,
                   state);
}

int
job_rows_change(struct stmt *s, const struct job_rows *rows, struct catalog *c,
                const char *id)
{
    int rc = stmt_exec(s);

    if (rc == 0)
        return explain(rows, c, id, s->err);
    return rc < 0 ? rc : 0;
}

int
job_rows_set_state(struct stmt *s, const struct job_rows *rows, struct catalog *c,
                   const char *id, const struct cat_transition *t)
{
    bind_text(s, t->to);
    bind_text(s, t->phase);
    bind_opt(s, t->started_us);
    bind_text(s, id);
    bind_text(s, t->from);
    bind_text(s, t->to);
    return job_rows_change(s, rows, c, id);
}

int
job_rows_finish(struct stmt *s, const struct job_rows *rows, struct catalog *c,
                const char *id, const struct cat_finish *f)
{
    bind_text(s, f->state);
    bind_text(s, f->phase);
    bind_opt(s, f->completed_us);
    bind_text(s, f->error_code);
    bind_text(s, f->error_phase);
    bind_message(s, f->error_message);
    bind_text(s, id);
    bind_text(s, f->from);
    bind_text(s, f->from);
    bind_text(s, f->state);
    return job_rows_change(s, rows, c, id);
}
