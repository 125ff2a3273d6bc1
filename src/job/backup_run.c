/* The thread of one backup: the steps in order, and how it ends. */
#include "job/backup_priv.h"

#include <poll.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "job/outcome.h"
#include "store/ports.h"

#define QUEUE_POLL_MS 250

void
backup_phase(struct backup_job *b, const char *phase)
{
    struct err err = ERR_INIT;

    b->phase = phase;
    live_set_phase(b->live, phase);
    joblog_line(b->log, LOG_LEVEL_INFO, "phase=%s", phase);
    /* The phase in the catalog is for people; it must not fail a job. */
    if (cat_backup_set_phase(b->env->catalog, b->row.job_id, phase, &err) < 0)
        joblog_line(b->log, LOG_LEVEL_WARN, "store the phase: %s, ignoring", err.msg);
}

struct bdisk *
backup_disk(struct backup_job *b, uint32_t key)
{
    for (size_t i = 0; i < b->n; i++)
        if ((uint32_t)b->disks[i].row->device_key == key)
            return &b->disks[i];
    return NULL;
}

char *
backup_res_key(const struct backup_job *b, const char *name)
{
    return xasprintf("%s:%s", b->row.repository_id, name);
}

void
backup_job_free(struct backup_job *b)
{
    struct live_job *live = b->live;

    manifest_in_free(b->manifests);
    node_client_free(b->node);
    joblog_close(b->log);
    for (size_t i = 0; i < b->n; i++) {
        export_free(b->disks[i].export);
        free(b->disks[i].change_id);
        free(b->disks[i].parent_locator);
        free(b->disks[i].parent_change_id);
        free(b->disks[i].parent_file);
        free(b->disks[i].parent_on);
        free(b->disks[i].frozen_file);
        free(b->disks[i].frozen_on);
        chain_done(&b->disks[i].below);
        disk_plan_done(&b->disks[i].plan);
    }
    free(b->disks);
    backup_vsphere_free(b->vsphere);
    cat_backup_done(&b->row);
    free(b->point_name);
    explicit_bzero(b->token, sizeof b->token);
    free(b);
    live_end(live);
}

/* A full that nobody asked for has a cause that somebody should look at. */
static void
warn_damaged_parents(struct backup_job *b)
{
    for (size_t i = 0; i < b->n; i++)
        if (b->disks[i].plan.damage.class != 0)
            backup_warn(b, "parent_damaged", b->disks[i].plan.damage.msg);
}

/* Waits until the VM's host has room for the disks; the job stays `pending` meanwhile and
 * can be cancelled.  Whoever asked for it is answered at once. */
static int
wait_turn(struct backup_job *b, bool again, struct err *err)
{
    struct pollfd p = {.fd = live_cancel_fd(b->live), .events = POLLIN};
    unsigned max = b->env->disks_per_host;
    unsigned disks =
        b->n < b->limits.disks_parallel ? (unsigned)b->n : b->limits.disks_parallel;

    if (!b->vsphere || !b->vsphere->host)
        return 0;
    b->vsphere->place = host_queue_join(b->vsphere->host, disks);
    if (host_queue_try(b->vsphere->place, max))
        return 0;
    /* One whose hub ended is `resuming` already, which its row must go on saying. */
    if (!again)
        backup_phase(b, "queued");
    live_set_prepared(b->live);
    while (!host_queue_try(b->vsphere->place, max)) {
        backup_snapshot_renew(b);
        if (poll(&p, 1, QUEUE_POLL_MS) > 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled while queued");
    }
    return 0;
}

static int
begin(struct backup_job *b, struct err *err)
{
    struct cat_transition t = {.from = "pending",
                               .to = "running",
                               .phase = "preparing",
                               .started_us = time_utc_us()};

    b->row.started_us = t.started_us;
    joblog_line(b->log, LOG_LEVEL_INFO,
                "backup '%s' of vm '%s' (%s) into repository %s, %zu disks",
                b->row.backup_id, b->row.vm_name, b->row.vm_id, b->row.repository_id,
                b->n);
    backup_warn_not_protected(b);
    warn_damaged_parents(b);
    return cat_backup_set_state(b->env->catalog, b->row.job_id, &t, err);
}

/* A full repository shows itself as an I/O error of the target; say what it is. */
static void
blame_full_repository(struct backup_job *b, struct err *why)
{
    struct repo_space space;
    struct err err = ERR_INIT;

    if (why->class == ERR_CANCELLED || repo_space(b->repo, &space, &err) < 0)
        return;
    if (why->class == ERR_NO_SPACE || space.free_bytes < (1u << 20)) {
        why->class = ERR_NO_SPACE;
        err_recode(why, "repo_full");
        err_prefix(
            why,
            "the repository at '%s' is full, or a quota of it is used up (%llu bytes "
            "free): make room or use another repository",
            repo_folder(b->repo), (unsigned long long)space.free_bytes);
    }
}

struct failed {
    const struct backup_job *b;
    const struct outcome_failure *f;
    const struct err *why;
};

static int
store_failed(void *arg, struct err *err)
{
    const struct failed *x = arg;

    return outcome_failed(x->b->env, &x->b->row, x->f, x->why, err);
}

static void
finish_failed(struct backup_job *b, struct err *why)
{
    CLEANUP_FREE char *cleanup = NULL;
    struct outcome_failure f = {
        .state = "failed", .phase = b->phase, .bad_disk = b->bad_disk};
    struct failed x = {.b = b, .f = &f, .why = why};
    struct err err = ERR_INIT;

    outcome_name_interruption(b->live, b->phase, why);
    if (live_cancelled(b->live)) {
        f.state = "cancelled";
        err_clear(why);
        err_set(why, ERR_CANCELLED, "cancelled", "cancelled while %s", b->phase);
        f.bad_disk = -1;
    } else {
        blame_full_repository(b, why);
        backup_condemn_parents(b);
    }
    joblog_line(b->log, LOG_LEVEL_ERROR, "%s in phase %s: %s (%s)", f.state, f.phase,
                why->msg, why->code);
    /* In the row: a hub that dies now undoes the job, it does not go on. */
    backup_phase(b, live_cancelled(b->live) ? "cancelling" : "cleanup");
    backup_undo(b, &cleanup);
    f.cleanup = cleanup;
    if (outcome_retry(b->live, b->log, store_failed, &x, &err) < 0)
        joblog_line(b->log, LOG_LEVEL_ERROR,
                    "the outcome could not be stored: %s; the next start settles it",
                    err.msg);
}

/* All steps after the transfer, which ended with @r; takes the job. */
static void
finish(struct backup_job *b, int r, struct err *err)
{
    if (r >= 0)
        r = backup_stop_exports(b, err);
    if (r >= 0)
        r = backup_seal(b, err);
    if (r >= 0)
        r = backup_verify(b, err);
    if (r >= 0)
        r = backup_commit(b, err);
    if (r >= 0)
        joblog_line(b->log, LOG_LEVEL_INFO, "completed, verified (%s)",
                    readback_to_str(b->readback));
    else if (b->committed)
        joblog_line(
            b->log, LOG_LEVEL_ERROR,
            "the point is durable but the catalog was not told: %s; the next start of "
            "the hub does it",
            err->msg);
    else
        finish_failed(b, err);
    port_release_all(b->env->ports, b->row.job_id);
    backup_job_free(b);
}

void *
backup_thread(void *arg)
{
    struct backup_job *b = arg;
    struct err err = ERR_INIT;
    int r = wait_turn(b, false, &err);

    if (r >= 0)
        r = begin(b, &err);
    if (r >= 0)
        r = backup_prepare(b, &err);
    if (r >= 0)
        r = backup_transfer(b, &err);
    finish(b, r, &err);
    return NULL;
}

void *
backup_thread_again(void *arg)
{
    struct backup_job *b = arg;
    struct err err = ERR_INIT;
    int r = wait_turn(b, true, &err);

    if (r >= 0)
        r = backup_transfer_again(b, &err);
    finish(b, r, &err);
    return NULL;
}
