/* job/doctor_journal.c - what the catalog says is there, against what is. */
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_export.h"
#include "catalog/cat_restore.h"
#include "catalog/cat_verify.h"
#include "job/doctor_priv.h"
#include "job/journal.h"
#include "job/recover.h"

#define HUB "hub"
/* A deletion runs in the request that asked for it, not as a job. */
#define DELETION_MAX_US ((int64_t)60 * 1000000)

static const struct doctor_fix settle = {.action = DOCTOR_SETTLE};

static bool
is_dead(const struct cat_resource *r)
{
    struct child_id id = {.pid = (pid_t)r->pid, .start_ticks = (uint64_t)r->start_ticks};

    if (r->pid == 0 || !r->boot_id || strcmp(r->state, "held") != 0)
        return false;
    snprintf(id.boot_id, sizeof id.boot_id, "%s", r->boot_id);
    return !child_id_alive(&id);
}

static void
judge_entry(struct doctor_look *l, const struct cat_resource *r)
{
    bool live = doctor_is_live(l, r->job_id);

    if (strcmp(r->kind, RES_DELETE) == 0 &&
        time_utc_us() - r->created_us < DELETION_MAX_US)
        return;
    if (is_dead(r)) {
        doctor_add(&l->found, DOCTOR_JOURNAL_DEAD, HUB, "job %s: %s '%s', pid %lld",
                   r->job_id, r->kind, r->res_key, (long long)r->pid);
        if (!live)
            doctor_fixable(l, &settle);
    } else if (!live && !recover_job_is_open(l->env, r->job_id)) {
        doctor_add(&l->found, DOCTOR_JOURNAL_LEFT, HUB, "job %s: %s '%s'", r->job_id,
                   r->kind, r->res_key);
        doctor_fixable(l, &settle);
    }
}

static void
judge_job(struct doctor_look *l, const char *what, const char *job_id, const char *name,
          const char *state)
{
    if (doctor_is_live(l, job_id))
        return;
    doctor_add(&l->found, DOCTOR_JOB_DEAD, HUB, "%s %s is '%s'", what, name, state);
    doctor_fixable(l, &settle);
}

static int
look_at_jobs(struct doctor_look *l, struct err *err)
{
    struct catalog *c = l->env->catalog;
    struct cat_backups backups = {0};
    struct cat_restores restores = {0};
    struct cat_verifies verifies = {0};
    struct cat_exports exports = {0};
    int r = 0;

    if (cat_backup_list_open(c, &backups, err) < 0 ||
        cat_restore_list_open(c, &restores, err) < 0 ||
        cat_verify_list_open(c, &verifies, err) < 0 ||
        cat_export_list_open(c, &exports, err) < 0)
        r = err->class;
    for (size_t i = 0; i < backups.n; i++)
        judge_job(l, "backup", backups.v[i].job_id, backups.v[i].backup_id,
                  backups.v[i].state);
    for (size_t i = 0; i < restores.n; i++)
        judge_job(l, "restore", restores.v[i].id, restores.v[i].id, restores.v[i].state);
    for (size_t i = 0; i < verifies.n; i++)
        judge_job(l, "verification", verifies.v[i].id, verifies.v[i].id,
                  verifies.v[i].state);
    for (size_t i = 0; i < exports.n; i++)
        judge_job(l, "export", exports.v[i].id, exports.v[i].id, exports.v[i].state);
    cat_backups_done(&backups);
    cat_restores_done(&restores);
    cat_verifies_done(&verifies);
    cat_exports_done(&exports);
    return r;
}

void
doctor_look_journal(struct doctor_look *l)
{
    struct err err = ERR_INIT;

    for (size_t i = 0; i < l->journal.n; i++)
        judge_entry(l, &l->journal.v[i]);
    if (look_at_jobs(l, &err) < 0)
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, HUB, "jobs: %s", err.msg);
}
