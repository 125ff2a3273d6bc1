/* Between two attempts of a transfer (docs/design/protocol.md 5.3).  What was cut off is
 * proven to be still, the reason is told, some time passes, and everything that the next
 * client needs is made ready: on the layers and manifests that are there, or, when these
 * cannot be gone on with, on new ones. */
#include "job/backup_priv.h"

#include <poll.h>
#include <sodium.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "job/bus.h"
#include "job/journal.h"
#include "job/snapshot_lease.h"
#include "store/layer.h"
#include "store/ports.h"

#define WAIT_MAX_S 60u
#define TICK_MS 500
/* How long an attempt that starts anew waits for the removal of the snapshot before. */
#define REMOVAL_WAIT_S 600u
#define FULL_BYTES (1u << 20)

static struct cat_disk_ref
ref(const struct backup_job *b, const struct bdisk *d)
{
    return (struct cat_disk_ref){.job_id = b->row.job_id,
                                 .disk_index = d->row->disk_index};
}

/* --- may it go on? --- */

bool
backup_is_transient(const struct err *why)
{
    static const char *const codes[] = {"client_died",   "export_died",   "job_not_found",
                                        "too_many_jobs", "snapshot_gone", "lease_ended",
                                        "layer_damaged"};

    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (strcmp(why->code, codes[i]) == 0)
            return true;
    return why->class == ERR_UNAVAILABLE || why->class == ERR_TIMEOUT;
}

bool
backup_may_resume(struct backup_job *b, const struct err *why)
{
    struct repo_space space;
    struct err err = ERR_INIT;

    if (live_cancelled(b->live) || live_interrupted(b->live) || b->stuck ||
        !backup_is_transient(why))
        return false;
    if (b->row.attempt > b->row.retries) {
        if (b->row.retries > 0)
            joblog_line(b->log, LOG_LEVEL_ERROR, "attempt %lld was the last one",
                        (long long)b->row.attempt);
        return false;
    }
    /* What the hub cannot answer because the parent is damaged, it never will. */
    if (strcmp(why->code, "hub_unavailable") == 0 && backup_condemn_parents(b))
        return false;
    /* A full repository looks like a target that was cut off. */
    return repo_space(b->repo, &space, &err) < 0 || space.free_bytes >= FULL_BYTES;
}

/* --- what was cut off is still --- */

int
backup_keep_checkpoint(struct backup_job *b, struct bdisk *d, struct err *err)
{
    struct manifest_in *m = live_manifests_lock(b->live);
    struct cat_checkpoint at = d->at;
    int r = m ? manifest_in_checkpoint(m, (uint32_t)d->row->device_key, &at.block,
                                       &at.records, err)
              : 0;

    live_manifests_unlock(b->live);
    if (r < 0)
        return r;
    if (at.block < d->at.block ||
        (at.block == d->at.block && at.records == d->at.records))
        return 0;
    d->at = at;
    return cat_backup_disk_set_checkpoint(b->env->catalog, ref(b, d), &at, err);
}

int
backup_set_moment(struct backup_job *b, int64_t time_us, struct err *err)
{
    if (cat_backup_set_moment(b->env->catalog, b->row.job_id, time_us, err) < 0)
        return err->class;
    b->time_us = time_us;
    return 0;
}

void
backup_cut_off(struct backup_job *b)
{
    struct err err = ERR_INIT;

    if (b->res_node_job && node_client_cancel(b->node, b->row.job_id, &err) < 0)
        b->node_lost = err.class == ERR_UNAVAILABLE;
    for (size_t i = 0; i < b->n; i++) {
        struct err e = ERR_INIT;

        /* The undo stops it again, and tells what it met. */
        if (b->disks[i].export && export_stop(b->disks[i].export, NULL, &e) < 0)
            joblog_line(b->log, LOG_LEVEL_WARN, "%s, ignoring", e.msg);
    }
}

static int
stop_export(struct backup_job *b, struct bdisk *d, struct err *err)
{
    struct export_stop_result res = {0};
    struct cat_disk_export none = {0};

    if (d->export && export_stop(d->export, &res, err) < 0) {
        b->stuck = true;
        return err_prefix(err, "stop the export of disk %lld",
                          (long long)d->row->device_key);
    }
    d->unclean = d->unclean || res.already_dead || res.kill;
    export_free(d->export);
    d->export = NULL;
    journal_released(b->env, b->row.job_id, &d->res_export);
    if (d->port)
        port_release(b->env->ports, d->port, b->row.job_id);
    d->port = 0;
    journal_released(b->env, b->row.job_id, &d->res_port);
    return cat_backup_disk_set_export(b->env->catalog, ref(b, d), &none, err);
}

/* The client of the attempt before may live and write: nothing of it gets through any
 * more.  The next one goes on from the last checkpoint that the client *told of*: what
 * was pushed since may have been read in a way that nobody heard of. */
static int
fence(struct backup_job *b, struct err *err)
{
    live_set_manifests(b->live, NULL);
    manifest_in_free(b->manifests);
    b->manifests = NULL;
    explicit_bzero(b->token, sizeof b->token);
    for (size_t i = 0; i < b->n; i++)
        if (stop_export(b, &b->disks[i], err) < 0 && b->stuck)
            return err->class;
    err_clear(err);
    return 0;
}

/* --- the reason is told --- */

/* 1, 2, 4, … times the delay, at most a minute (or the delay), give or take a fifth, so
 * that many jobs that one event cut off do not come back as one. */
static uint64_t
wait_ms(const struct backup_job *b)
{
    uint64_t delay = (uint64_t)b->row.retry_delay_s, most = delay;
    uint64_t ms;

    if (most < WAIT_MAX_S)
        most = WAIT_MAX_S;
    for (int64_t i = 1; i < b->row.attempt && delay < most; i++)
        delay *= 2;
    ms = (delay < most ? delay : most) * 1000;
    return ms == 0 ? 0 : ms - ms / 5 + randombytes_uniform((uint32_t)(ms / 5 * 2) + 1);
}

/* For people, so it fails nothing. */
static void
tell(struct backup_job *b, uint64_t ms, const struct err *why)
{
    struct cat_interruption i = {
        .at_us = time_utc_us(), .code = why->code, .message = why->msg};
    CLEANUP_FREE char *text =
        xasprintf("attempt %lld of %lld was cut off, the next one begins in %llu s: %s",
                  (long long)b->row.attempt, (long long)b->row.retries + 1,
                  (unsigned long long)(ms + 999) / 1000, why->msg);
    struct cat_event e = {.severity = "warning",
                          .type = "backup.resuming",
                          .code = why->code,
                          .message = text,
                          .job_id = b->row.job_id,
                          .backup_id = b->row.backup_id,
                          .vm_id = b->row.vm_id};
    struct err err = ERR_INIT;

    joblog_line(b->log, LOG_LEVEL_WARN, "resuming code=%s %s", why->code, text);
    if (cat_backup_set_interruption(b->env->catalog, b->row.job_id, &i, &err) < 0 ||
        bus_emit(b->env, &e, &err) < 0)
        joblog_line(b->log, LOG_LEVEL_WARN, "store the reason: %s, ignoring", err.msg);
    else
        bus_wake(b->env->bus);
}

/* The snapshot must not expire meanwhile. */
static int
pause_for(struct backup_job *b, uint64_t ms, struct err *err)
{
    struct pollfd p = {.fd = live_cancel_fd(b->live), .events = POLLIN};
    uint64_t until = time_mono_ns() + ms * NS_PER_MS, now;

    while ((now = time_mono_ns()) < until) {
        uint64_t left = (until - now) / NS_PER_MS + 1;

        if (poll(&p, 1, left < TICK_MS ? (int)left : TICK_MS) > 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled while it waited");
        backup_snapshot_renew(b);
    }
    return 0;
}

/* --- on new layers --- */

/* The node's client ends first: under one that lives nothing is removed. */
static int
end_snapshot(struct backup_job *b, struct err *err)
{
    uint64_t until = time_mono_ns() + REMOVAL_WAIT_S * NS_PER_S;

    if (node_client_delete(b->node, b->row.job_id, live_cancel_fd(b->live), err) < 0)
        return err->class;
    journal_released(b->env, b->row.job_id, &b->res_node_job);
    if (!b->vsphere)
        return 0;
    while (snapshot_lease_settle(b->node, b->row.job_id, err) < 0) {
        if (strcmp(err->code, "snapshot_removing") != 0 || time_mono_ns() > until)
            return err->class;
        err_clear(err);
        if (pause_for(b, 2000, err) < 0)
            return err->class;
    }
    journal_released(b->env, b->row.job_id, &b->vsphere->res_snapshot);
    backup_snapshot_forget(b);
    return 0;
}

static int
remake_disk(struct backup_job *b, struct bdisk *d, struct err *err)
{
    CLEANUP_FREE char *part = xasprintf("%s.manifest.part", d->row->locator);
    struct cat_checkpoint none = {0};

    /* First the row: what it says is never more than what there is. */
    if (cat_backup_disk_set_checkpoint(b->env->catalog, ref(b, d), &none, err) < 0)
        return err->class;
    d->at = none;
    if (repo_remove(b->repo, part, true, err) < 0)
        return err->class;
    journal_released(b->env, b->row.job_id, &d->res_manifest);
    if (layer_remove(b->repo, d->row->locator, err) < 0)
        return err->class;
    journal_released(b->env, b->row.job_id, &d->res_layer);
    FAILPOINT(RESUME_LAYER_REMOVED);
    d->unclean = false;
    return 0;
}

static int
start_anew(struct backup_job *b, struct err *err)
{
    joblog_line(b->log, LOG_LEVEL_WARN,
                "what was transferred cannot be gone on with: new layers%s",
                b->vsphere ? ", another snapshot" : "");
    if (end_snapshot(b, err) < 0)
        return err->class;
    for (size_t i = 0; i < b->n; i++)
        if (remake_disk(b, &b->disks[i], err) < 0)
            return err_prefix(err, "start disk %lld anew",
                              (long long)b->disks[i].row->device_key);
    b->time_us = 0;
    return 0;
}

/* --- ready for the next client --- */

static int
take_number(struct backup_job *b, struct err *err)
{
    char hash[TOKEN_HASH_SIZE];

    token_make(b->token);
    token_hash(b->token, hash);
    /* Durable before the node hears of it: a hub that dies now goes on with a higher one.
     */
    if (cat_backup_set_attempt(b->env->catalog, b->row.job_id, b->row.attempt + 1, hash,
                               err) < 0) {
        b->stuck = true;
        return err->class;
    }
    b->row.attempt++;
    manifest_in_free(b->manifests);
    b->manifests = manifest_in_new(hash);
    FAILPOINT(RESUME_ATTEMPT);
    return 0;
}

/* A qemu-nbd that was killed leaves clusters that nothing refers to; and perhaps worse,
 * which is seen here and not at the end. */
static int
reuse_disk(struct backup_job *b, struct bdisk *d, struct err *err)
{
    if (d->unclean && layer_repair(b->repo, d->row->locator, err) < 0) {
        b->anew = b->anew || err->class == ERR_CORRUPT || err->class == ERR_NOT_FOUND;
        if (b->anew)
            err_recode(err, "layer_damaged");
        return err->class;
    }
    d->unclean = false;
    return backup_reopen_manifest(b, d, err);
}

static int
ready_disk(struct backup_job *b, struct bdisk *d, struct err *err)
{
    if (!d->res_layer) {
        if (backup_make_layer(b, d, err) < 0 || backup_make_manifest(b, d, err) < 0)
            return err->class;
    } else if (reuse_disk(b, d, err) < 0) {
        return err->class;
    }
    FAILPOINT(RESUME_MANIFEST);
    return backup_make_export(b, d, err);
}

static int
make_ready(struct backup_job *b, struct err *err)
{
    /* The number first: what fails from here on counts as an attempt. */
    if (take_number(b, err) < 0 || (b->anew && start_anew(b, err) < 0))
        return err->class;
    b->anew = false;
    for (size_t i = 0; i < b->n; i++) {
        b->bad_disk = b->disks[i].row->disk_index;
        if (live_cancelled(b->live))
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled while %s",
                           b->phase);
        if (ready_disk(b, &b->disks[i], err) < 0)
            return err->class;
    }
    b->bad_disk = -1;
    return backup_publish_targets(b, err);
}

/* Without the name of its snapshot no attempt can go on with it; without a live lease it
 * is being removed. */
static bool
must_start_anew(const struct backup_job *b, const struct err *why)
{
    return strcmp(why->code, "snapshot_gone") == 0 ||
           strcmp(why->code, "lease_ended") == 0 ||
           (b->vsphere && !b->vsphere->snapshot_ref);
}

int
backup_resume(struct backup_job *b, struct err *err)
{
    struct err why = *err;
    uint64_t ms = wait_ms(b);

    err_clear(err);
    backup_phase(b, "resuming");
    b->anew = b->anew || must_start_anew(b, &why);
    if (fence(b, err) < 0)
        return err->class;
    FAILPOINT(RESUME_FENCED);
    tell(b, ms, &why);
    FAILPOINT(RESUME_WAITING);
    return pause_for(b, ms, err) < 0 ? err->class : make_ready(b, err);
}
