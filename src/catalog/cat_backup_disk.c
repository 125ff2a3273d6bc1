#include "catalog/cat_backup_disk.h"

#include "catalog/backup_rows.h"
#include "catalog/stmt.h"

#define COLUMNS                                                                          \
    "job_id, disk_index, device_key, disk_uuid, size_bytes, label, source_url, "         \
    "backup_type, "                                                                      \
    "read_mode, reason, locator, layer_id, parent_layer_id, layer_root, content_root, "  \
    "records, change_id, nbd_port, nbd_export_name, qemu_nbd_pid, state, "               \
    "error_message, "                                                                    \
    "bytes_read, bytes_sent, bytes_zero, bytes_skipped, bytes_audit, bytes_stored, "     \
    "checkpoint, source_uuid, datastore, audit_sampled, audit_bad, frozen_file, "        \
    "frozen_on, checkpoint_block, checkpoint_records, verification"

static const struct row_field fields[] = {
    ROW_FIELD(cat_backup_disk, TEXT, job_id),
    ROW_FIELD(cat_backup_disk, I64, disk_index),
    ROW_FIELD(cat_backup_disk, I64, device_key),
    ROW_FIELD(cat_backup_disk, TEXT, disk_uuid),
    ROW_FIELD(cat_backup_disk, U64, size_bytes),
    ROW_FIELD(cat_backup_disk, TEXT, label),
    ROW_FIELD(cat_backup_disk, TEXT, source_url),
    ROW_FIELD(cat_backup_disk, TEXT, backup_type),
    ROW_FIELD(cat_backup_disk, TEXT, read_mode),
    ROW_FIELD(cat_backup_disk, TEXT, reason),
    ROW_FIELD(cat_backup_disk, TEXT, locator),
    ROW_FIELD(cat_backup_disk, TEXT, layer_id),
    ROW_FIELD(cat_backup_disk, TEXT, parent_layer_id),
    ROW_FIELD(cat_backup_disk, TEXT, layer_root),
    ROW_FIELD(cat_backup_disk, TEXT, content_root),
    ROW_FIELD(cat_backup_disk, I64, records),
    ROW_FIELD(cat_backup_disk, TEXT, change_id),
    ROW_FIELD(cat_backup_disk, OPT, nbd_port),
    ROW_FIELD(cat_backup_disk, TEXT, nbd_export_name),
    ROW_FIELD(cat_backup_disk, OPT, qemu_nbd_pid),
    ROW_FIELD(cat_backup_disk, TEXT, state),
    ROW_FIELD(cat_backup_disk, MESSAGE, error_message),
    ROW_FIELD_AS("bytes_read", cat_backup_disk, U64, bytes.read),
    ROW_FIELD_AS("bytes_sent", cat_backup_disk, U64, bytes.sent),
    ROW_FIELD_AS("bytes_zero", cat_backup_disk, U64, bytes.zero),
    ROW_FIELD_AS("bytes_skipped", cat_backup_disk, U64, bytes.skipped),
    ROW_FIELD_AS("bytes_audit", cat_backup_disk, U64, bytes.audit),
    ROW_FIELD_AS("bytes_stored", cat_backup_disk, U64, bytes.stored),
    ROW_FIELD(cat_backup_disk, I64, checkpoint),
    ROW_FIELD(cat_backup_disk, TEXT, source_uuid),
    ROW_FIELD(cat_backup_disk, TEXT, datastore),
    ROW_FIELD(cat_backup_disk, INDEX, audit_sampled),
    ROW_FIELD(cat_backup_disk, INDEX, audit_bad),
    ROW_FIELD(cat_backup_disk, TEXT, frozen_file),
    ROW_FIELD(cat_backup_disk, TEXT, frozen_on),
    ROW_FIELD(cat_backup_disk, U64, checkpoint_block),
    ROW_FIELD(cat_backup_disk, U64, checkpoint_records),
    ROW_FIELD(cat_backup_disk, TEXT, verification),
};
const struct row_map cat_backup_disk_map = ROW_MAP(cat_backup_disk, fields);

void
cat_backup_disk_done(struct cat_backup_disk *d)
{
    row_done(&cat_backup_disk_map, d);
}

int
backup_disk_insert(struct catalog *c, const struct cat_backup_disk *d, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "INSERT INTO backup_disks (" COLUMNS
                  ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, "
                  "?, ?, ?, ?, ?)",
                  err) < 0)
        return err->class;
    row_bind(&s, &cat_backup_disk_map, d);
    if (stmt_exec(&s) < 0)
        return err_prefix(err, "disk %lld", (long long)d->disk_index);
    return 0;
}

int
backup_disks_read(struct catalog *c, const char *job_id, struct cat_backup_disk **ret_v,
                  size_t *ret_n, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS
                  " FROM backup_disks WHERE job_id = ? ORDER BY disk_index",
                  err) < 0)
        return err->class;
    bind_text(&s, job_id);
    return row_read_all(&s, &cat_backup_disk_map, 0, (void **)ret_v, ret_n, NULL);
}

int
backup_disks_delete(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "DELETE FROM backup_disks WHERE job_id = ?", err) < 0)
        return err->class;
    bind_text(&s, job_id);
    return stmt_exec(&s);
}

/* The end of every setter: which row, and exactly one. */
static int
exec_disk(struct stmt *s, struct cat_disk_ref d)
{
    bind_text(s, d.job_id);
    bind_i64(s, d.disk_index);
    return stmt_exec_one(s, "disk_not_found", "disk");
}

int
cat_backup_disk_set_read(struct catalog *c, struct cat_disk_ref d, const char *read_mode,
                         const char *reason, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET read_mode = ?, reason = ? "
                  "WHERE job_id = ? AND disk_index = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, read_mode);
    bind_text(&s, reason);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_export(struct catalog *c, struct cat_disk_ref d,
                           const struct cat_disk_export *e, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_disks SET nbd_port = ?, nbd_export_name = ?, qemu_nbd_pid = ? "
            "WHERE job_id = ? AND disk_index = ?",
            err) < 0)
        return err->class;
    bind_opt(&s, e->port);
    bind_text(&s, e->name);
    bind_opt(&s, e->pid);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_state(struct catalog *c, struct cat_disk_ref d, const char *state,
                          const char *error_message, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET state = ?, error_message = ? "
                  "WHERE job_id = ? AND disk_index = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, state);
    bind_message(&s, error_message);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_progress(struct catalog *c, struct cat_disk_ref d,
                             const struct cat_disk_bytes *bytes, int64_t checkpoint,
                             struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_disks SET bytes_read = ?, bytes_sent = ?, bytes_zero = ?, "
            "bytes_skipped = ?, bytes_audit = ?, bytes_stored = ?, checkpoint = ? "
            "WHERE job_id = ? AND disk_index = ?",
            err) < 0)
        return err->class;
    bind_u64(&s, bytes->read);
    bind_u64(&s, bytes->sent);
    bind_u64(&s, bytes->zero);
    bind_u64(&s, bytes->skipped);
    bind_u64(&s, bytes->audit);
    bind_u64(&s, bytes->stored);
    bind_i64(&s, checkpoint);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_checkpoint(struct catalog *c, struct cat_disk_ref d,
                               const struct cat_checkpoint *at, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET checkpoint_block = ?, checkpoint_records = ? "
                  "WHERE job_id = ? AND disk_index = ?",
                  err) < 0)
        return err->class;
    bind_u64(&s, at->block);
    bind_u64(&s, at->records);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_result(struct catalog *c, struct cat_disk_ref d,
                           const struct cat_disk_result *r, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_disks SET layer_root = ?, content_root = ?, records = ?, "
            "change_id = ?, frozen_file = ?, frozen_on = ? "
            "WHERE job_id = ? AND disk_index = ?",
            err) < 0)
        return err->class;
    bind_text(&s, r->layer_root);
    bind_text(&s, r->content_root);
    bind_i64(&s, r->records);
    bind_text(&s, r->change_id);
    bind_text(&s, r->frozen_file);
    bind_text(&s, r->frozen_on);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_merged(struct catalog *c, struct cat_disk_ref d,
                           const struct cat_disk_merge *m, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET parent_layer_id = ?, backup_type = ?, "
                  "layer_root = ?, records = ?, bytes_stored = ? "
                  "WHERE job_id = ? AND disk_index = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, m->parent_layer_id);
    bind_text(&s, m->backup_type);
    bind_text(&s, m->layer_root);
    bind_i64(&s, m->records);
    bind_u64(&s, m->bytes_stored);
    return exec_disk(&s, d);
}

int
cat_backup_disk_set_verification(struct catalog *c, struct cat_disk_ref d,
                                 const char *verification, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET verification = ? "
                  "WHERE job_id = ? AND disk_index = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, verification);
    return exec_disk(&s, d);
}

int
cat_backup_disk_by_layer(struct catalog *c, const char *layer_id,
                         struct cat_backup_disk *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "SELECT " COLUMNS " FROM backup_disks WHERE layer_id = ? AND EXISTS "
            "(SELECT 1 FROM backup_jobs WHERE backup_jobs.job_id = backup_disks.job_id "
            "AND backup_jobs.state = 'completed')",
            err) < 0)
        return err->class;
    bind_text(&s, layer_id);
    return row_read_one(&s, &cat_backup_disk_map, ret, "layer_not_found", "layer");
}

int
cat_backup_disk_set_audit(struct catalog *c, struct cat_disk_ref d, int64_t sampled,
                          int64_t bad, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET "
                  "audit_sampled = CASE WHEN audit_bad > 0 THEN audit_sampled ELSE 0 END "
                  "+ ?, "
                  "audit_bad = COALESCE(audit_bad, 0) + ? "
                  "WHERE job_id = ? AND disk_index = ?",
                  err) < 0)
        return err->class;
    bind_i64(&s, sampled);
    bind_i64(&s, bad);
    return exec_disk(&s, d);
}

int
cat_backup_disk_tip(struct catalog *c, const char *disk_uuid, const char *repository_id,
                    struct cat_backup_disk *ret, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "SELECT " COLUMNS " FROM backup_disks WHERE disk_uuid = ? AND job_id = "
                  "(SELECT b.job_id FROM backup_jobs b JOIN backup_disks d "
                  "ON d.job_id = b.job_id WHERE d.disk_uuid = ? AND "
                  "b.repository_id = ? AND b.state = 'completed' "
                  "ORDER BY b.seq DESC LIMIT 1)",
                  err) < 0)
        return err->class;
    bind_text(&s, disk_uuid);
    bind_text(&s, disk_uuid);
    bind_text(&s, repository_id);
    return row_read_one(&s, &cat_backup_disk_map, ret, "layer_not_found", "layer");
}

int
cat_backup_disk_chain(struct catalog *c, const char *layer_id, struct cat_chain *ret,
                      struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    int rc;

    /* The depth ends a chain that bites its own tail. */
    if (stmt_open(&s, c,
                  "WITH RECURSIVE below (layer_id, parent_layer_id, bytes_stored, depth) "
                  "AS (SELECT layer_id, parent_layer_id, bytes_stored, 1 "
                  "FROM backup_disks WHERE layer_id = ? "
                  "UNION ALL SELECT d.layer_id, d.parent_layer_id, d.bytes_stored, "
                  "below.depth + 1 FROM backup_disks d JOIN below "
                  "ON d.layer_id = below.parent_layer_id WHERE below.depth < 4096) "
                  "SELECT COUNT(*), COALESCE(SUM(bytes_stored), 0), "
                  "COALESCE(SUM(CASE WHEN parent_layer_id IS NULL THEN 1 ELSE 0 END), 0) "
                  "FROM below",
                  err) < 0)
        return err->class;
    bind_text(&s, layer_id);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    *ret = (struct cat_chain){.layers = stmt_col_i64(&s, 0),
                              .bytes_stored = (uint64_t)stmt_col_i64(&s, 1),
                              .whole = stmt_col_i64(&s, 2) == 1};
    return 0;
}
