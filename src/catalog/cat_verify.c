#include "catalog/cat_verify.h"

#include "catalog/job_rows.h"

#define COLUMNS                                                                          \
    "id, backup_id, state, current_phase, bytes_total, bytes_done, bad_ranges, "         \
    "requested_by, created_us, started_us, completed_us, error_code, "                   \
    "error_phase, error_message"

static const struct row_field fields[] = {
    ROW_FIELD(cat_verify, TEXT, id),
    ROW_FIELD(cat_verify, TEXT, backup_id),
    ROW_FIELD(cat_verify, TEXT, state),
    ROW_FIELD(cat_verify, TEXT, current_phase),
    ROW_FIELD(cat_verify, U64, bytes_total),
    ROW_FIELD(cat_verify, U64, bytes_done),
    ROW_FIELD(cat_verify, TEXT, bad_ranges),
    ROW_FIELD(cat_verify, TEXT, requested_by),
    ROW_FIELD(cat_verify, I64, created_us),
    ROW_FIELD(cat_verify, OPT, started_us),
    ROW_FIELD(cat_verify, OPT, completed_us),
    ROW_FIELD(cat_verify, TEXT, error_code),
    ROW_FIELD(cat_verify, TEXT, error_phase),
    ROW_FIELD(cat_verify, MESSAGE, error_message),
};
static const struct row_map map = ROW_MAP(cat_verify, fields);

void
cat_verify_done(struct cat_verify *v)
{
    row_done(&map, v);
}

void
cat_verifies_done(struct cat_verifies *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_verifies){0};
}

int
cat_verify_insert(struct catalog *c, const struct cat_verify *v, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO verify_jobs (" COLUMNS ") "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, v);
    if (stmt_exec(&s) >= 0)
        return 0;
    return err->class == ERR_EXISTS ? err_recode(err, "verify_exists") : err->class;
}

int
cat_verify_get(struct catalog *c, const char *id, struct cat_verify *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM verify_jobs WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "verify_not_found", "verification");
}

int
cat_verify_list(struct catalog *c, const char *backup_id, const struct cat_page *page,
                struct cat_verifies *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_verifies l = {0};

    if (stmt_open(&s, c, JOB_ROWS_PAGE(COLUMNS, "verify_jobs", "backup_id"), err) < 0 ||
        job_rows_page(&s, &map, backup_id, page, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    *ret = l;
    return 0;
}

int
cat_verify_list_open(struct catalog *c, struct cat_verifies *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_verifies l = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM verify_jobs WHERE state IN ('pending', 'running') "
                  "ORDER BY created_us, id",
                  err) < 0)
        return err->class;
    if (row_read_all(&s, &map, 0, (void **)&l.v, &l.n, NULL) < 0)
        return err->class;
    *ret = l;
    return 0;
}

static const struct job_rows rows = {JOB_ROWS_STATE("verify_jobs", "id"),
                                     "verify_not_found", "verification"};

int
cat_verify_set_state(struct catalog *c, const char *id, const struct cat_transition *t,
                     struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, JOB_ROWS_SET_STATE("verify_jobs", "id"), err) < 0)
        return err->class;
    return job_rows_set_state(&s, &rows, c, id, t);
}

int
cat_verify_set_progress(struct catalog *c, const char *id, uint64_t bytes_total,
                        uint64_t bytes_done, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE verify_jobs SET bytes_total = ?, bytes_done = ? WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_u64(&s, bytes_total);
    bind_u64(&s, bytes_done);
    bind_text(&s, id);
    return stmt_exec_one(&s, "verify_not_found", "verification");
}

int
cat_verify_set_bad_ranges(struct catalog *c, const char *id, const char *bad_ranges,
                          struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE verify_jobs SET bad_ranges = ? WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, bad_ranges);
    bind_text(&s, id);
    return stmt_exec_one(&s, "verify_not_found", "verification");
}

int
cat_verify_finish(struct catalog *c, const char *id, const struct cat_finish *f,
                  struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, JOB_ROWS_FINISH("verify_jobs", "id"), err) < 0)
        return err->class;
    return job_rows_finish(&s, &rows, c, id, f);
}
