#include "catalog/cat_backup_update.h"

#include "catalog/stmt.h"

/* A conditional change matched nothing: is the job unknown, or in another state? */
static int
explain(struct catalog *c, const char *job_id, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};
    CLEANUP_FREE char *state = NULL;
    int rc;

    if (stmt_open(&s, c, "SELECT state FROM backup_jobs WHERE job_id = ?", err) < 0)
        return err->class;
    bind_text(&s, job_id);
    rc = stmt_row(&s);
    if (rc < 0)
        return rc;
    if (rc == 0)
        return err_set(err, ERR_NOT_FOUND, "backup_not_found", "no such backup");
    state = stmt_col_text(&s, 0);
    return err_set(err, ERR_EXISTS, "state_conflict", "the job is '%s' now", state);
}

static int
exec_conditional(struct stmt *s, struct catalog *c, const char *job_id)
{
    int rc = stmt_exec(s);

    if (rc == 0)
        return explain(c, job_id, s->err);
    return rc < 0 ? rc : 0;
}

int
cat_backup_set_state(struct catalog *c, const char *job_id,
                     const struct cat_transition *t, struct err *err)
{
    CLEANUP_STMT struct stmt s = {0};

    if (stmt_open(&s, c,
                  "UPDATE backup_jobs SET state = ?, current_phase = ?, "
                  "started_us = COALESCE(started_us, ?) WHERE job_id = ? AND state = ? "
                  "AND state IN ('pending', 'running') AND ? IN ('pending', 'running')",
                  err) < 0)
        return err->class;
    bind_text(&s, t->to);
    bind_text(&s, t->phase);
    bind_opt(&s, t->started_us);
    bind_text(&s, job_id);
    bind_text(&s, t->from);
    bind_text(&s, t->to);
    return exec_conditional(&s, c, job_id);
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
    return exec_conditional(&s, c, job_id);
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
    return exec_conditional(&s, c, job_id);
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
    return exec_conditional(&s, c, job_id);
}
