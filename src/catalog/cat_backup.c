#include "catalog/cat_backup.h"

#include "catalog/backup_rows.h"
#include "catalog/stmt.h"

#define COLUMNS                                                                          \
    "job_id, backup_id, vm_id, vm_name, repository_id, node_id, backup_type, state, "    \
    "current_phase, verification, readback, verified_us, seq, attempt, point_id, "       \
    "requested_by, job_token_hash, created_us, started_us, completed_us, error_code, "   \
    "error_phase, error_disk, error_message, nbd_targets_string, client_identity, "      \
    "cleanup, snapshot_name, quiesced, not_protected, retries, retry_delay_s, limits, "  \
    "quiesce, snapshot_ref, moment_us, interrupted_us, interrupted_code, "               \
    "interrupted_message, snapshot_chain"

static const struct row_field fields[] = {
    ROW_FIELD(cat_backup, TEXT, job_id),
    ROW_FIELD(cat_backup, TEXT, backup_id),
    ROW_FIELD(cat_backup, TEXT, vm_id),
    ROW_FIELD(cat_backup, TEXT, vm_name),
    ROW_FIELD(cat_backup, TEXT, repository_id),
    ROW_FIELD(cat_backup, TEXT, node_id),
    ROW_FIELD(cat_backup, TEXT, backup_type),
    ROW_FIELD(cat_backup, TEXT, state),
    ROW_FIELD(cat_backup, TEXT, current_phase),
    ROW_FIELD(cat_backup, TEXT, verification),
    ROW_FIELD(cat_backup, TEXT, readback),
    ROW_FIELD(cat_backup, OPT, verified_us),
    ROW_FIELD(cat_backup, I64, seq),
    ROW_FIELD(cat_backup, I64, attempt),
    ROW_FIELD(cat_backup, TEXT, point_id),
    ROW_FIELD(cat_backup, TEXT, requested_by),
    ROW_FIELD(cat_backup, TEXT, job_token_hash),
    ROW_FIELD(cat_backup, I64, created_us),
    ROW_FIELD(cat_backup, OPT, started_us),
    ROW_FIELD(cat_backup, OPT, completed_us),
    ROW_FIELD(cat_backup, TEXT, error_code),
    ROW_FIELD(cat_backup, TEXT, error_phase),
    ROW_FIELD(cat_backup, INDEX, error_disk),
    ROW_FIELD(cat_backup, MESSAGE, error_message),
    ROW_FIELD(cat_backup, TEXT, nbd_targets_string),
    ROW_FIELD(cat_backup, TEXT, client_identity),
    ROW_FIELD(cat_backup, TEXT, cleanup),
    ROW_FIELD(cat_backup, TEXT, snapshot_name),
    ROW_FIELD(cat_backup, TEXT, quiesced),
    ROW_FIELD(cat_backup, TEXT, not_protected),
    ROW_FIELD(cat_backup, I64, retries),
    ROW_FIELD(cat_backup, I64, retry_delay_s),
    ROW_FIELD(cat_backup, TEXT, limits),
    ROW_FIELD(cat_backup, TEXT, quiesce),
    ROW_FIELD(cat_backup, TEXT, snapshot_ref),
    ROW_FIELD(cat_backup, OPT, moment_us),
    ROW_FIELD(cat_backup, OPT, interrupted_us),
    ROW_FIELD(cat_backup, TEXT, interrupted_code),
    ROW_FIELD(cat_backup, MESSAGE, interrupted_message),
    ROW_FIELD(cat_backup, TEXT, snapshot_chain),
};
static const struct row_map map = ROW_MAP(cat_backup, fields);

void
cat_backup_done(struct cat_backup *b)
{
    row_free_all(&cat_backup_disk_map, b->disks, b->n_disks);
    row_done(&map, b);
}

void
cat_backups_done(struct cat_backups *l)
{
    for (size_t i = 0; i < l->n; i++)
        cat_backup_done(&l->v[i]);
    free(l->v);
    *l = (struct cat_backups){0};
}

static int
insert_job(struct catalog *c, const struct cat_backup *b, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    struct cat_backup row = *b;

    /* A caller that zeroed the struct did not mean disk 0. */
    if (!row.error_code)
        row.error_disk = -1;
    if (stmt_open(
            &s, c,
            "INSERT INTO backup_jobs (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
            "?, ?, ?, ?, ?)",
            err) < 0)
        return err->class;
    row_bind(&s, &map, &row);
    if (stmt_exec(&s) >= 0)
        return 0;
    if (err_has_code(err, "in_use"))
        return err_set(err, ERR_NOT_FOUND, "backup_reference",
                       "virtual machine, repository or node of the backup is not known");
    return err->class;
}

int
cat_backup_insert(struct catalog *c, const struct cat_backup *b, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    int rc;

    if (catalog_tx_begin(c, &tx, err) < 0)
        return err->class;
    rc = insert_job(c, b, err);
    for (size_t i = 0; rc >= 0 && i < b->n_disks; i++) {
        struct cat_backup_disk d = b->disks[i];

        d.job_id = b->job_id;
        if (!d.verification)
            d.verification = b->verification;
        rc = backup_disk_insert(c, &d, err);
    }
    if (rc < 0) {
        if (err->class == ERR_EXISTS)
            err_recode(err, "backup_exists");
        return err->class;
    }
    return catalog_tx_commit(&tx, err);
}

static int
read_one(struct stmt *s, struct catalog *c, struct cat_backup *ret, struct err *err)
{
    struct cat_backup b;

    if (row_read_one(s, &map, &b, "backup_not_found", "backup") < 0)
        return err->class;
    if (backup_disks_read(c, b.job_id, &b.disks, &b.n_disks, err) < 0) {
        cat_backup_done(&b);
        return err->class;
    }
    *ret = b;
    return 0;
}

static int
read_list(struct stmt *s, struct catalog *c, unsigned limit, struct cat_backups *ret,
          struct err *err)
{
    struct cat_backups l = {0};

    if (row_read_all(s, &map, limit, (void **)&l.v, &l.n, &l.more) < 0)
        return err->class;
    for (size_t i = 0; i < l.n; i++) {
        struct cat_backup *b = &l.v[i];

        if (backup_disks_read(c, b->job_id, &b->disks, &b->n_disks, err) < 0) {
            cat_backups_done(&l);
            return err->class;
        }
    }
    *ret = l;
    return 0;
}

int
cat_backup_get(struct catalog *c, const char *backup_id, struct cat_backup *ret,
               struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM backup_jobs WHERE backup_id = ?", err) <
        0)
        return err->class;
    bind_text(&s, backup_id);
    return read_one(&s, c, ret, err);
}

int
cat_backup_get_by_job(struct catalog *c, const char *job_id, struct cat_backup *ret,
                      struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "SELECT " COLUMNS " FROM backup_jobs WHERE job_id = ?", err) < 0)
        return err->class;
    bind_text(&s, job_id);
    return read_one(&s, c, ret, err);
}

int
cat_backup_list(struct catalog *c, const struct cat_backup_filter *f,
                const struct cat_page *page, struct cat_backups *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    const char *words[] = {f->vm_id, f->vm_name, f->repository_id, f->state};
    unsigned limit = page_limit(page->limit);

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM backup_jobs WHERE (? IS NULL OR vm_id = ?) "
                  "AND (? IS NULL OR vm_name = ?) AND (? IS NULL OR repository_id = ?) "
                  "AND (? IS NULL OR state = ?) "
                  "AND (? IS NULL OR created_us < ? OR (created_us = ? AND job_id < ?)) "
                  "ORDER BY created_us DESC, job_id DESC LIMIT ?",
                  err) < 0)
        return err->class;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        bind_text(&s, words[i]);
        bind_text(&s, words[i]);
    }
    bind_text(&s, page->after_id);
    bind_i64(&s, page->after_us);
    bind_i64(&s, page->after_us);
    bind_text(&s, page->after_id);
    bind_i64(&s, (int64_t)limit + 1);
    return read_list(&s, c, limit, ret, err);
}

int
cat_backup_list_open(struct catalog *c, struct cat_backups *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM backup_jobs WHERE state IN ('pending', 'running') "
                  "ORDER BY created_us, job_id",
                  err) < 0)
        return err->class;
    return read_list(&s, c, 0, ret, err);
}

int
cat_backup_last_completed(struct catalog *c, const char *vm_id, const char *repository_id,
                          struct cat_backup *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM backup_jobs WHERE vm_id = ? AND repository_id = ? "
                  "AND state = 'completed' ORDER BY seq DESC LIMIT 1",
                  err) < 0)
        return err->class;
    bind_text(&s, vm_id);
    bind_text(&s, repository_id);
    return read_one(&s, c, ret, err);
}

int
cat_backup_by_seq(struct catalog *c, const char *vm_id, const char *repository_id,
                  int64_t seq, struct cat_backup *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM backup_jobs WHERE vm_id = ? AND repository_id = ? AND seq = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, vm_id);
    bind_text(&s, repository_id);
    bind_i64(&s, seq);
    return read_one(&s, c, ret, err);
}

int
cat_backup_max_seq(struct catalog *c, const char *vm_id, const char *repository_id,
                   int64_t *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c,
                  "SELECT COALESCE(MAX(seq), 0) FROM backup_jobs "
                  "WHERE vm_id = ? AND repository_id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, vm_id);
    bind_text(&s, repository_id);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    *ret = stmt_col_i64(&s, 0);
    return 0;
}

int
cat_backup_child(struct catalog *c, const char *job_id, char **ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(&s, c,
                  "SELECT child.backup_id FROM backup_disks mine "
                  "JOIN backup_disks above ON above.parent_layer_id = mine.layer_id "
                  "JOIN backup_jobs child ON child.job_id = above.job_id "
                  "WHERE mine.job_id = ? AND child.job_id <> mine.job_id "
                  "AND child.state IN ('completed', 'pending', 'running') "
                  "ORDER BY child.seq LIMIT 1",
                  err) < 0)
        return err->class;
    bind_text(&s, job_id);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    *ret = rc > 0 ? stmt_col_text(&s, 0) : NULL;
    return 0;
}

int
cat_backup_above(struct catalog *c, const char *job_id, struct cat_backups *ret,
                 struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    /* UNION, not UNION ALL: a chain that bites its own tail ends. */
    if (stmt_open(&s, c,
                  "WITH RECURSIVE above (layer_id, job_id) AS "
                  "(SELECT layer_id, job_id FROM backup_disks WHERE job_id = ? "
                  "UNION SELECT d.layer_id, d.job_id FROM backup_disks d "
                  "JOIN above ON d.parent_layer_id = above.layer_id) "
                  "SELECT " COLUMNS " FROM backup_jobs WHERE job_id <> ? "
                  "AND job_id IN (SELECT above.job_id FROM above) "
                  "AND state IN ('completed', 'pending', 'running') ORDER BY seq, job_id",
                  err) < 0)
        return err->class;
    bind_text(&s, job_id);
    bind_text(&s, job_id);
    return read_list(&s, c, 0, ret, err);
}

/* Refused while the job runs or somebody reads its layers. */
static int
check_unused(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    if (stmt_open(
            &s, c,
            "SELECT 1 FROM backup_jobs b WHERE b.job_id = ? "
            "AND (b.state IN ('pending', 'running') "
            "OR EXISTS (SELECT 1 FROM restore_jobs r WHERE r.backup_id = b.backup_id "
            "AND r.state IN ('pending', 'running')) "
            "OR EXISTS (SELECT 1 FROM verify_jobs v WHERE v.backup_id = b.backup_id "
            "AND v.state IN ('pending', 'running')))",
            err) < 0)
        return err->class;
    bind_text(&s, job_id);
    rc = stmt_row(&s);
    if (rc > 0)
        return err_set(err, ERR_EXISTS, "backup_in_use",
                       "the backup runs, or is being restored or verified");
    return rc;
}

static int
check_childless(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_FREE char *child = NULL;

    if (cat_backup_child(c, job_id, &child, err) < 0)
        return err->class;
    if (child)
        return err_set(err, ERR_EXISTS, "backup_has_children",
                       "backup '%s' is built on it: delete that one first", child);
    return 0;
}

static int
delete_job(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM backup_jobs WHERE job_id = ?", err) < 0)
        return err->class;
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_delete(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0 || check_unused(c, job_id, err) < 0 ||
        check_childless(c, job_id, err) < 0 || backup_disks_delete(c, job_id, err) < 0 ||
        delete_job(c, job_id, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}
