#include "catalog/cat_backup_update.h"

#include "catalog/job_rows.h"
#include "catalog/stmt.h"

static const struct job_rows rows = {JOB_ROWS_STATE("backup_jobs", "job_id"),
                                     "backup_not_found", "backup"};

int
cat_backup_set_state(struct catalog *c, const char *job_id,
                     const struct cat_transition *t, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, JOB_ROWS_SET_STATE("backup_jobs", "job_id"), err) < 0)
        return err->class;
    return job_rows_set_state(&s, &rows, c, job_id, t);
}

int
cat_backup_set_phase(struct catalog *c, const char *job_id, const char *phase,
                     struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_jobs SET current_phase = " PHASE_UNLESS_CANCELLING
                  " WHERE job_id = ? "
                  "AND state IN ('pending', 'running')",
                  err) < 0)
        return err->class;
    bind_text(&s, phase);
    bind_text(&s, job_id);
    return job_rows_change(&s, &rows, c, job_id);
}

int
cat_backup_finish(struct catalog *c, const char *job_id, const struct cat_finish *f,
                  struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_jobs SET state = ?, current_phase = ?, completed_us = ?, "
            "error_code = ?, error_phase = ?, error_disk = ?, error_message = ?, "
            "point_id = ?, cleanup = ?, job_token_hash = NULL WHERE job_id = ? "
            "AND state IN ('pending', 'running') AND (? IS NULL OR state = ?) "
            "AND ? IN ('completed', 'failed', 'cancelled')",
            err) < 0)
        return err->class;
    bind_text(&s, f->state);
    bind_text(&s, f->phase);
    bind_opt(&s, f->completed_us);
    bind_text(&s, f->error_code);
    bind_text(&s, f->error_phase);
    if (f->error_disk)
        bind_i64(&s, *f->error_disk);
    else
        bind_text(&s, NULL);
    bind_message(&s, f->error_message);
    bind_text(&s, f->point_id);
    bind_text(&s, f->cleanup);
    bind_text(&s, job_id);
    bind_text(&s, f->from);
    bind_text(&s, f->from);
    bind_text(&s, f->state);
    return job_rows_change(&s, &rows, c, job_id);
}

static int
set_verdict(struct catalog *c, const char *job_id, const struct cat_verification *v,
            struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_jobs SET verification = ?, readback = ?, verified_us = ?, "
            "error_code = CASE WHEN state = 'completed' AND ? = 'verified' THEN NULL "
            "ELSE error_code END, "
            "error_phase = CASE WHEN state = 'completed' AND ? = 'verified' THEN NULL "
            "ELSE error_phase END, "
            "error_disk = CASE WHEN state = 'completed' AND ? = 'verified' THEN NULL "
            "ELSE error_disk END, "
            "error_message = CASE WHEN state = 'completed' AND ? = 'verified' THEN NULL "
            "ELSE error_message END "
            "WHERE job_id = ?",
            err) < 0)
        return err->class;
    bind_text(&s, v->verification);
    bind_text(&s, v->readback);
    bind_opt(&s, v->verified_us);
    for (int i = 0; i < 4; i++)
        bind_text(&s, v->verification);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

static int
set_all_disks(struct catalog *c, const char *job_id, const char *verification,
              struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE backup_disks SET verification = ? WHERE job_id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, verification);
    bind_text(&s, job_id);
    return stmt_exec(&s) < 0 ? err->class : 0;
}

int
cat_backup_set_verification(struct catalog *c, const char *job_id,
                            const struct cat_verification *v, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0 || set_verdict(c, job_id, v, err) < 0 ||
        set_all_disks(c, job_id, v->verification, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

int
cat_backup_condemn_disk(struct catalog *c, struct cat_disk_ref d, const char *readback,
                        int64_t now_us, struct err *err)
{
    const struct cat_verification v = {
        .verification = "failed", .readback = readback, .verified_us = now_us};
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0 || set_verdict(c, d.job_id, &v, err) < 0 ||
        cat_backup_disk_set_verification(c, d, "failed", err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

/* Layers above one, and their jobs.  The depth ends a chain that bites its own tail. */
#define ABOVE                                                                            \
    "WITH RECURSIVE above (layer_id, job_id, depth) AS ("                                \
    "SELECT layer_id, job_id, 1 FROM backup_disks WHERE parent_layer_id = ? "            \
    "UNION ALL SELECT d.layer_id, d.job_id, above.depth + 1 FROM backup_disks d "        \
    "JOIN above ON d.parent_layer_id = above.layer_id WHERE above.depth < 4096) "

static int
condemn_disks_above(struct catalog *c, const char *layer_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_disks SET verification = 'failed' "
                  "WHERE layer_id IN (" ABOVE "SELECT above.layer_id FROM above "
                  "JOIN backup_jobs ON backup_jobs.job_id = above.job_id "
                  "WHERE backup_jobs.state = 'completed')",
                  err) < 0)
        return err->class;
    bind_text(&s, layer_id);
    return stmt_exec(&s) < 0 ? err->class : 0;
}

static int
condemn_backups_above(struct catalog *c, const char *layer_id, int64_t now_us,
                      const char *why, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_jobs SET verification = 'failed', verified_us = ?, "
            "error_phase = CASE WHEN error_code IS NULL THEN 'verifying' "
            "ELSE error_phase END, "
            "error_message = CASE WHEN error_code IS NULL THEN ? ELSE error_message END, "
            "error_code = COALESCE(error_code, 'parent_damaged') "
            "WHERE state = 'completed' AND job_id IN (" ABOVE "SELECT job_id FROM above)",
            err) < 0)
        return err->class;
    bind_i64(&s, now_us);
    bind_message(&s, why);
    bind_text(&s, layer_id);
    return stmt_exec(&s) < 0 ? err->class : 0;
}

int
cat_backup_condemn_above(struct catalog *c, const char *layer_id, int64_t now_us,
                         const char *why, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};

    if (catalog_tx_begin(c, &tx, err) < 0 || condemn_disks_above(c, layer_id, err) < 0 ||
        condemn_backups_above(c, layer_id, now_us, why, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

int
cat_backup_set_type(struct catalog *c, const char *job_id, const char *backup_type,
                    struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE backup_jobs SET backup_type = ? WHERE job_id = ?", err) <
        0)
        return err->class;
    bind_text(&s, backup_type);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_set_targets(struct catalog *c, const char *job_id,
                       const char *nbd_targets_string, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE backup_jobs SET nbd_targets_string = ? WHERE job_id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, nbd_targets_string);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_set_snapshot(struct catalog *c, const char *job_id,
                        const struct cat_snapshot *snap, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_jobs SET snapshot_ref = ?, snapshot_chain = ?, quiesced = ?, "
            "not_protected = ? WHERE job_id = ?",
            err) < 0)
        return err->class;
    bind_text(&s, snap->ref);
    bind_text(&s, snap->chain);
    bind_text(&s, snap->quiesced ? "yes" : "no");
    bind_text(&s, snap->not_protected);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_forget_snapshot(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_jobs SET snapshot_ref = NULL, snapshot_chain = NULL "
                  "WHERE job_id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_set_moment(struct catalog *c, const char *job_id, int64_t moment_us,
                      struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE backup_jobs SET moment_us = ? WHERE job_id = ?", err) <
        0)
        return err->class;
    bind_opt(&s, moment_us);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_set_interruption(struct catalog *c, const char *job_id,
                            const struct cat_interruption *i, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_jobs SET interrupted_us = ?, interrupted_code = ?, "
                  "interrupted_message = ? WHERE job_id = ?",
                  err) < 0)
        return err->class;
    bind_opt(&s, i->at_us);
    bind_text(&s, i->code);
    bind_message(&s, i->message);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_set_client(struct catalog *c, const char *job_id, const char *client_identity,
                      struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c, "UPDATE backup_jobs SET client_identity = ? WHERE job_id = ?",
                  err) < 0)
        return err->class;
    bind_text(&s, client_identity);
    bind_text(&s, job_id);
    return stmt_exec_one(&s, "backup_not_found", "backup");
}

int
cat_backup_set_attempt(struct catalog *c, const char *job_id, int64_t attempt,
                       const char *job_token_hash, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_jobs SET attempt = ?, job_token_hash = ? WHERE job_id = ? "
            "AND attempt < ? AND state IN ('pending', 'running')",
            err) < 0)
        return err->class;
    bind_i64(&s, attempt);
    bind_text(&s, job_token_hash);
    bind_text(&s, job_id);
    bind_i64(&s, attempt);
    return job_rows_change(&s, &rows, c, job_id);
}
