#include "catalog/cat_backup_update.h"

#include "catalog/job_rows.h"

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
                  "UPDATE backup_jobs SET current_phase = ? WHERE job_id = ? "
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

int
cat_backup_set_verification(struct catalog *c, const char *job_id,
                            const struct cat_verification *v, struct err *err)
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
cat_backup_set_snapshot(struct catalog *c, const char *job_id, bool quiesced,
                        const char *not_protected, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(
            &s, c,
            "UPDATE backup_jobs SET quiesced = ?, not_protected = ? WHERE job_id = ?",
            err) < 0)
        return err->class;
    bind_text(&s, quiesced ? "yes" : "no");
    bind_text(&s, not_protected);
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
