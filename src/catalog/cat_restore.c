#include "catalog/cat_restore.h"

#include "catalog/job_rows.h"

#define COLUMNS                                                                          \
    "id, backup_id, device_key, target_path, format, state, current_phase, "             \
    "bytes_total, "                                                                      \
    "bytes_done, bad_ranges, requested_by, created_us, started_us, completed_us, "       \
    "error_code, "                                                                       \
    "error_phase, error_message, salvaged_us"

static const struct row_field fields[] = {
    ROW_FIELD(cat_restore, TEXT, id),
    ROW_FIELD(cat_restore, TEXT, backup_id),
    ROW_FIELD(cat_restore, I64, device_key),
    ROW_FIELD(cat_restore, TEXT, target_path),
    ROW_FIELD(cat_restore, TEXT, format),
    ROW_FIELD(cat_restore, TEXT, state),
    ROW_FIELD(cat_restore, TEXT, current_phase),
    ROW_FIELD(cat_restore, U64, bytes_total),
    ROW_FIELD(cat_restore, U64, bytes_done),
    ROW_FIELD(cat_restore, TEXT, bad_ranges),
    ROW_FIELD(cat_restore, TEXT, requested_by),
    ROW_FIELD(cat_restore, I64, created_us),
    ROW_FIELD(cat_restore, OPT, started_us),
    ROW_FIELD(cat_restore, OPT, completed_us),
    ROW_FIELD(cat_restore, TEXT, error_code),
    ROW_FIELD(cat_restore, TEXT, error_phase),
    ROW_FIELD(cat_restore, MESSAGE, error_message),
    ROW_FIELD(cat_restore, OPT, salvaged_us),
};
static const struct row_map map = ROW_MAP(cat_restore, fields);

void
cat_restore_done(struct cat_restore *r)
{
    row_done(&map, r);
}

void
cat_restores_done(struct cat_restores *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_restores){0};
}

int
cat_restore_insert(struct catalog *c, const struct cat_restore *r, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO restore_jobs (" COLUMNS ") "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, r);
    if (stmt_exec(&s) >= 0)
        return 0;
    return err->class == ERR_EXISTS ? err_recode(err, "restore_exists") : err->class;
}

int
cat_restore_get(struct catalog *c, const char *id, struct cat_restore *ret,
                struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM restore_jobs WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "restore_not_found", "restore");
}

int
cat_restore_list(struct catalog *c, const char *backup_id, const struct cat_page *page,
                 struct cat_restores *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_restores l = {0};

    if (stmt_open(&s, c, JOB_ROWS_PAGE(COLUMNS, "restore_jobs", "backup_id"), err) < 0 ||
        job_rows_page(&s, &map, backup_id, page, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    *ret = l;
    return 0;
}

int
cat_restore_list_open(struct catalog *c, struct cat_restores *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_restores l = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM restore_jobs WHERE state IN ('pending', 'running') "
                  "ORDER BY created_us, id",
                  err) < 0)
        return err->class;
    if (row_read_all(&s, &map, 0, (void **)&l.v, &l.n, NULL) < 0)
        return err->class;
    *ret = l;
    return 0;
}

static const struct job_rows rows = {JOB_ROWS_STATE("restore_jobs", "id"),
                                     "restore_not_found", "restore"};

int
cat_restore_set_state(struct catalog *c, const char *id, const struct cat_transition *t,
                      struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, JOB_ROWS_SET_STATE("restore_jobs", "id"), err) < 0)
        return err->class;
    return job_rows_set_state(&s, &rows, c, id, t);
}

int
cat_restore_set_progress(struct catalog *c, const char *id, uint64_t bytes_total,
                         uint64_t bytes_done, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE restore_jobs SET bytes_total = ?, bytes_done = ? WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_u64(&s, bytes_total);
    bind_u64(&s, bytes_done);
    bind_text(&s, id);
    return stmt_exec_one(&s, "restore_not_found", "restore");
}

int
cat_restore_set_bad_ranges(struct catalog *c, const char *id, const char *bad_ranges,
                           struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE restore_jobs SET bad_ranges = ? WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, bad_ranges);
    bind_text(&s, id);
    return stmt_exec_one(&s, "restore_not_found", "restore");
}

int
cat_restore_set_salvaged(struct catalog *c, const char *id, const char *bad_ranges,
                         int64_t now_us, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE restore_jobs SET bad_ranges = ?, salvaged_us = ? WHERE id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, bad_ranges);
    bind_i64(&s, now_us);
    bind_text(&s, id);
    return stmt_exec_one(&s, "restore_not_found", "restore");
}

int
cat_restore_finish(struct catalog *c, const char *id, const struct cat_finish *f,
                   struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, JOB_ROWS_FINISH("restore_jobs", "id"), err) < 0)
        return err->class;
    return job_rows_finish(&s, &rows, c, id, f);
}
