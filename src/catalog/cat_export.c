#include "catalog/cat_export.h"

#include "catalog/job_rows.h"

#define COLUMNS                                                                          \
    "id, backup_id, state, access, listen, disks, requested_by, created_us, "            \
    "expires_us, closed_us, close_reason, error_code, error_message"

static const struct row_field fields[] = {
    ROW_FIELD(cat_export, TEXT, id),
    ROW_FIELD(cat_export, TEXT, backup_id),
    ROW_FIELD(cat_export, TEXT, state),
    ROW_FIELD(cat_export, TEXT, access),
    ROW_FIELD(cat_export, TEXT, listen),
    ROW_FIELD(cat_export, TEXT, disks),
    ROW_FIELD(cat_export, TEXT, requested_by),
    ROW_FIELD(cat_export, I64, created_us),
    ROW_FIELD(cat_export, I64, expires_us),
    ROW_FIELD(cat_export, OPT, closed_us),
    ROW_FIELD(cat_export, TEXT, close_reason),
    ROW_FIELD(cat_export, TEXT, error_code),
    ROW_FIELD(cat_export, MESSAGE, error_message),
};
static const struct row_map map = ROW_MAP(cat_export, fields);

void
cat_export_done(struct cat_export *e)
{
    row_done(&map, e);
}

void
cat_exports_done(struct cat_exports *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_exports){0};
}

int
cat_export_insert(struct catalog *c, const struct cat_export *e, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO restore_exports (" COLUMNS ") "
                  "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, e);
    return stmt_exec(&s) < 0 ? err->class : 0;
}

int
cat_export_get(struct catalog *c, const char *id, struct cat_export *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM restore_exports WHERE id = ?", err) < 0)
        return err->class;
    bind_text(&s, id);
    return row_read_one(&s, &map, ret, "export_not_found", "export");
}

int
cat_export_list(struct catalog *c, const char *state, const struct cat_page *page,
                struct cat_exports *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_exports l = {0};

    if (stmt_open(&s, c, JOB_ROWS_PAGE(COLUMNS, "restore_exports", "state"), err) < 0 ||
        job_rows_page(&s, &map, state, page, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    *ret = l;
    return 0;
}

int
cat_export_list_open(struct catalog *c, struct cat_exports *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_exports l = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM restore_exports WHERE state IN ('opening', 'open') "
                  "ORDER BY created_us, id",
                  err) < 0)
        return err->class;
    if (row_read_all(&s, &map, 0, (void **)&l.v, &l.n, NULL) < 0)
        return err->class;
    *ret = l;
    return 0;
}

static const struct job_rows rows = {JOB_ROWS_STATE("restore_exports", "id"),
                                     "export_not_found", "export"};

int
cat_export_set_open(struct catalog *c, const char *id, const char *disks, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE restore_exports SET state = 'open', disks = ? "
                  "WHERE id = ? AND state = 'opening'",
                  err) < 0)
        return err->class;
    bind_text(&s, disks);
    bind_text(&s, id);
    return job_rows_change(&s, &rows, c, id);
}

int
cat_export_finish(struct catalog *c, const char *id, const struct cat_export_end *end,
                  struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE restore_exports SET state = ?, close_reason = ?, closed_us = ?, "
            "error_code = ?, error_message = ? WHERE id = ? "
            "AND state IN ('opening', 'open')",
            err) < 0)
        return err->class;
    bind_text(&s, end->state);
    bind_text(&s, end->reason);
    bind_opt(&s, end->closed_us);
    bind_text(&s, end->error_code);
    bind_message(&s, end->error_message);
    bind_text(&s, id);
    return job_rows_change(&s, &rows, c, id);
}
