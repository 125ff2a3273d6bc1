#include "catalog/cat_event.h"

#include "catalog/stmt.h"

#define COLUMNS                                                                          \
    "id, time_us, severity, type, code, message, job_id, backup_id, vm_id, actor"

static const struct row_field fields[] = {
    ROW_FIELD(cat_event, I64, id),        ROW_FIELD(cat_event, I64, time_us),
    ROW_FIELD(cat_event, TEXT, severity), ROW_FIELD(cat_event, TEXT, type),
    ROW_FIELD(cat_event, TEXT, code),     ROW_FIELD(cat_event, MESSAGE, message),
    ROW_FIELD(cat_event, TEXT, job_id),   ROW_FIELD(cat_event, TEXT, backup_id),
    ROW_FIELD(cat_event, TEXT, vm_id),    ROW_FIELD(cat_event, TEXT, actor),
};
static const struct row_map map = ROW_MAP(cat_event, fields);

void
cat_event_done(struct cat_event *e)
{
    row_done(&map, e);
}

void
cat_events_done(struct cat_events *l)
{
    row_free_all(&map, l->v, l->n);
    *l = (struct cat_events){0};
}

static int
insert(struct catalog *c, const struct cat_event *e, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO events (" COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &map, e);
    return stmt_exec(&s);
}

int
cat_event_add(struct catalog *c, const struct cat_event *e, int64_t *ret_id,
              struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event row = *e;

    if (catalog_tx_begin(c, &tx, err) < 0 ||
        counter_next(c, "events", &row.id, err) < 0 || insert(c, &row, err) < 0 ||
        catalog_tx_commit(&tx, err) < 0)
        return err->class;
    *ret_id = row.id;
    return 0;
}

int
cat_event_list(struct catalog *c, int64_t after_id, unsigned limit, const char *job_id,
               struct cat_events *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_events l = {0};

    limit = page_limit(limit);
    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM events WHERE id > ? AND (? IS NULL OR job_id = ?) "
                  "ORDER BY id LIMIT ?",
                  err) < 0)
        return err->class;
    bind_i64(&s, after_id);
    bind_text(&s, job_id);
    bind_text(&s, job_id);
    bind_i64(&s, (int64_t)limit + 1);
    if (row_read_all(&s, &map, limit, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    *ret = l;
    return 0;
}

int
cat_event_of_backup(struct catalog *c, const char *backup_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT 1 FROM events WHERE backup_id = ? LIMIT 1", err) < 0)
        return err->class;
    bind_text(&s, backup_id);
    return stmt_row(&s);
}

int
cat_event_last_id(struct catalog *c, int64_t *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c, "SELECT value FROM counters WHERE name = 'events'", err) < 0)
        return err->class;
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    *ret = rc > 0 ? stmt_col_i64(&s, 0) : 0;
    return 0;
}

/* The newest id that has to go; 0 = none. */
static int
prune_border(struct catalog *c, unsigned keep, int64_t *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c, "SELECT id FROM events ORDER BY id DESC LIMIT 1 OFFSET ?", err) <
        0)
        return err->class;
    bind_i64(&s, keep);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    *ret = rc > 0 ? stmt_col_i64(&s, 0) : 0;
    return 0;
}

static int
delete_up_to(struct catalog *c, int64_t id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM events WHERE id <= ?", err) < 0)
        return err->class;
    bind_i64(&s, id);
    return stmt_exec(&s);
}

int
cat_event_prune(struct catalog *c, unsigned keep, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    int64_t border = 0;
    int n;

    if (catalog_tx_begin(c, &tx, err) < 0 || prune_border(c, keep, &border, err) < 0)
        return err->class;
    n = delete_up_to(c, border, err);
    if (n < 0 || catalog_tx_commit(&tx, err) < 0)
        return err->class;
    return n;
}
