/* The transfer: the job goes to the node, its events come back. */
#include "job/backup_priv.h"

#include <poll.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_backup_update.h"
#include "job/journal.h"

#define EVENTS_WAIT_S 20u
/* How long the node may be out of reach before the job is given up. */
#define NODE_LOST_S 60u
#define NODE_RETRY_MS 1000
/* How often a node that is full is asked again. */
#define NODE_BUSY_FIRST_MS 250
#define NODE_BUSY_MAX_MS 4000
#define SEED_MASK ((1ull << 62) - 1)

static void
fill_disk(const struct backup_job *b, const struct bdisk *d, struct job_spec_disk *s)
{
    char description[NAMING_DESCRIPTION_SIZE];

    naming_description(b->row.job_id, (uint32_t)d->row->device_key, description);
    *s = (struct job_spec_disk){
        .key = (uint32_t)d->row->device_key,
        .size_bytes = d->row->size_bytes,
        .source_url = b->vsphere ? NULL : xstrdup(d->row->source_url),
        .source_uuid =
            b->vsphere && d->row->source_uuid ? xstrdup(d->row->source_uuid) : NULL,
        .target = xstrdup(export_uri(d->export)),
        .target_description = xstrdup(description),
        .read = d->read_mode,
        .reason = d->reason,
        .resume = {.block = d->at.block, .records = d->at.block ? d->at.records : 0}};
    strncpy(s->disk_uuid, d->row->disk_uuid, sizeof s->disk_uuid - 1);
    strncpy(s->layer_id, d->row->layer_id, sizeof s->layer_id - 1);
    if (d->row->parent_layer_id)
        strncpy(s->parent_layer_id, d->row->parent_layer_id,
                sizeof s->parent_layer_id - 1);
    if (d->read_mode != READ_CHANGED || !d->parent_change_id)
        return;
    s->change_id = xstrdup(d->parent_change_id);
    s->parent_file = d->parent_file ? xstrdup(d->parent_file) : NULL;
    s->parent_on = d->parent_on ? xstrdup(d->parent_on) : NULL;
}

static void
fill_spec(struct backup_job *b, struct job_spec *s)
{
    *s = (struct job_spec){.attempt = (uint32_t)b->row.attempt,
                           .vm_ref = xstrdup(""),
                           .vm_name = xstrdup(b->row.vm_name),
                           .source_type = xstrdup("nbd"),
                           .n_disks = b->n,
                           .disks = xcalloc(b->n, sizeof *s->disks),
                           .limits = b->limits,
                           .audit_samples = b->env->audit_samples,
                           .audit_seed =
                               (time_mono_ns() ^ (uint64_t)time_utc_us()) & SEED_MASK,
                           .hub_url = xstrdup(b->env->hub_url),
                           .job_token = secret_new(b->token, strlen(b->token)),
                           .deadlines = b->env->deadlines};
    strncpy(s->job_id, b->row.job_id, sizeof s->job_id - 1);
    strncpy(s->vm_instance_uuid, b->row.vm_id, sizeof s->vm_instance_uuid - 1);
    for (size_t i = 0; i < b->n; i++)
        fill_disk(b, &b->disks[i], &s->disks[i]);
}

static bool
node_is_busy(const struct err *err)
{
    return strcmp(err->code, "too_many_jobs") == 0 ||
           strcmp(err->code, "too_many_leases") == 0;
}

/* A node that runs as many clients as it may is waited for, for as long as it takes:
 * those end.  Whoever asked for the backup is answered meanwhile. */
static int
start_client(struct backup_job *b, const struct job_spec *spec, struct node_job *ret,
             struct err *err)
{
    struct pollfd cancel = {.fd = live_cancel_fd(b->live), .events = POLLIN};
    bool first = !b->time_us;
    int pause_ms = 0;

    for (;;) {
        if (first && backup_set_moment(b, time_utc_us(), err) < 0)
            return err->class;
        if (node_client_start(b->node, spec, live_cancel_fd(b->live), ret, err) >= 0)
            break;
        if (!node_is_busy(err))
            return err->class;
        if (pause_ms == 0) {
            joblog_line(b->log, LOG_LEVEL_INFO, "waiting for the node: %s", err->msg);
            backup_phase(b, b->row.attempt > 1 ? "resuming" : "queued");
            live_set_prepared(b->live);
        }
        err_clear(err);
        pause_ms = pause_ms * 2 < NODE_BUSY_MAX_MS ? pause_ms * 2 + NODE_BUSY_FIRST_MS
                                                   : NODE_BUSY_MAX_MS;
        if (poll(&cancel, 1, pause_ms) > 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled while queued");
        if (b->row.attempt > 1) /* the snapshot of the one before must not expire */
            backup_snapshot_renew(b);
    }
    if (b->vsphere)
        b->vsphere->renewed_ns = time_mono_ns();
    if (pause_ms > 0)
        backup_phase(b, "transferring");
    return 0;
}

static int
post_job(struct backup_job *b, struct err *err)
{
    CLEANUP_JOB_SPEC struct job_spec spec = {0};
    CLEANUP_NODE_JOB struct node_job job = {0};
    CLEANUP_FREE char *key = xasprintf("%s:%s", b->row.node_id, b->row.job_id);

    /* The node knows it as one job, however many attempts there are. */
    if (backup_snapshot_intend(b, err) < 0 ||
        (!b->res_node_job && journal_intent(b->env, b->row.job_id, RES_NODE_JOB, key,
                                            &b->res_node_job, err) < 0))
        return err->class;
    FAILPOINT(NODE_JOB_INTENT);
    fill_spec(b, &spec);
    if (backup_snapshot_spec(b, &spec, err) < 0 || start_client(b, &spec, &job, err) < 0)
        return err->class;
    FAILPOINT(NODE_JOB_POSTED);
    joblog_line(b->log, LOG_LEVEL_INFO, "node started client pid=%u attempt=%u", job.pid,
                job.attempt);
    return journal_held(b->env, b->row.job_id, b->res_node_job, NULL, err);
}

/* A node that is out of reach for a while is waited for: its client goes on meanwhile. */
static int
pull_page(struct backup_job *b, uint64_t after, uint64_t *lost_since_ns,
          struct events_page *page, struct err *err)
{
    struct pollfd cancel = {.fd = live_cancel_fd(b->live), .events = POLLIN};

    if (node_client_events(b->node, b->row.job_id, after, EVENTS_WAIT_S,
                           live_cancel_fd(b->live), page, err) >= 0) {
        *lost_since_ns = 0;
        return 1;
    }
    if (err->class != ERR_UNAVAILABLE)
        return err->class;
    if (*lost_since_ns == 0) {
        joblog_line(b->log, LOG_LEVEL_WARN, "%s, retrying for %u s", err->msg,
                    NODE_LOST_S);
        *lost_since_ns = time_mono_ns();
    } else if (time_mono_ns() - *lost_since_ns > NODE_LOST_S * NS_PER_S) {
        return err_prefix(err, "gave up after %u s", NODE_LOST_S);
    }
    /* Waiting on the cancel descriptor, so that a cancel ends the wait at once. */
    if (poll(&cancel, 1, NODE_RETRY_MS) > 0)
        return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    err_clear(err);
    return 0;
}

static int
follow(struct backup_job *b, struct err *err)
{
    struct event_stream stream;
    uint64_t lost_since_ns = 0;

    event_stream_init(&stream, b->row.job_id, (uint32_t)b->row.attempt, 0, true);
    while (!stream.ended) {
        CLEANUP_EVENTS_PAGE struct events_page page = {0};
        int r = pull_page(b, stream.last_seq, &lost_since_ns, &page, err);

        backup_snapshot_renew(b);
        if (r < 0)
            return r;
        for (size_t i = 0; r > 0 && i < page.n; i++)
            if (event_stream_check(&stream, &page.events[i], err) < 0 ||
                backup_event(b, &page.events[i], err) < 0)
                return err->class;
        if (r > 0 && page.ended && !stream.ended && page.n == 0)
            return err_set(err, ERR_PROTOCOL, "node_protocol",
                           "the node says the job has ended, but gave no result");
    }
    return 0;
}

/* A client that was cut off says so; that qemu-nbd died is the better reason. */
static void
blame_dead_export(struct backup_job *b, struct err *err)
{
    for (size_t i = 0; i < b->n; i++) {
        struct bdisk *d = &b->disks[i];

        if (d->export && !export_alive(d->export)) {
            CLEANUP_FREE char *said = export_stderr(d->export);

            b->bad_disk = b->disks[i].row->disk_index;
            err_recode(err, "export_died");
            err_prefix(err, "qemu-nbd of disk %lld (pid %d) ended by itself%s%s",
                       (long long)d->row->device_key, (int)export_pid(d->export),
                       said && *said ? ", saying: " : "", said ? said : "");
            return;
        }
    }
}

/* What was passed behind the checkpoint is passed again. */
static uint64_t
skipped_before(const struct bdisk *d)
{
    uint64_t max = d->at.block * MANIFEST_BLOCK_SIZE;

    return d->bytes.skipped < max ? d->bytes.skipped : max;
}

static void
begin_attempt(struct backup_job *b)
{
    b->bad_disk = -1;
    backup_phase(b, "transferring");
    if (b->vsphere)
        b->vsphere->held = false;
    for (size_t i = 0; i < b->n; i++) {
        struct bdisk *d = &b->disks[i];

        d->done = d->in_snapshot = false;
        d->base = d->bytes;
        d->base.skipped = skipped_before(d);
        if (b->row.attempt > 1)
            joblog_line(b->log, LOG_LEVEL_INFO,
                        "disk device_key=%lld attempt=%lld from block=%llu records=%llu "
                        "read_before=%llu",
                        (long long)d->row->device_key, (long long)b->row.attempt,
                        (unsigned long long)d->at.block,
                        (unsigned long long)d->at.records,
                        (unsigned long long)d->base.read);
    }
    live_set_manifests(b->live, b->manifests);
}

/* All is read, and of a snapshot it was seen afterwards that it still was what was read.
 */
static bool
all_done(const struct backup_job *b)
{
    if (b->vsphere && !b->vsphere->held)
        return false;
    for (size_t i = 0; i < b->n; i++)
        if (!b->disks[i].done)
            return false;
    return true;
}

/* One client, from its start to its result. */
static int
attempt(struct backup_job *b, struct err *err)
{
    int r;

    begin_attempt(b);
    r = post_job(b, err);
    if (r >= 0) {
        live_set_prepared(b->live);
        FAILPOINT(TRANSFERRING);
        r = follow(b, err);
    }
    if (r >= 0 || live_cancelled(b->live) || live_interrupted(b->live))
        return r;
    if (err->class == ERR_CANCELLED) {
        err->class = ERR_UNAVAILABLE;
        err_recode(err, "node_stopped");
        err_prefix(err, "the node ended the client, as it does when it is stopped");
    }
    /* What is lost is the client's last word, not a byte: the snapshot is the node's. */
    if (all_done(b) && backup_is_transient(err)) {
        joblog_line(
            b->log, LOG_LEVEL_WARN,
            "all disks are transferred, so the end of the client does not matter: "
            "%s",
            err->msg);
        err_clear(err);
        return 0;
    }
    blame_dead_export(b, err);
    return r;
}

static int
check_done(struct backup_job *b, struct err *err)
{
    for (size_t i = 0; i < b->n; i++)
        if (!b->disks[i].done) {
            b->bad_disk = b->disks[i].row->disk_index;
            return err_set(err, ERR_PROTOCOL, "client_protocol",
                           "the client reported success without finishing disk %lld",
                           (long long)b->disks[i].row->device_key);
        }
    return 0;
}

/* Whatever happened: the client is gone once this returns, so nobody writes any more. */
static void
end_transfer(struct backup_job *b, bool ok)
{
    struct err err = ERR_INIT;

    if (live_cancelled(b->live) || live_interrupted(b->live))
        backup_cut_off(b);
    if (b->node_lost)
        joblog_line(b->log, LOG_LEVEL_WARN,
                    "the node does not answer: its client has "
                    "nothing left to write to");
    else if (node_client_delete(b->node, b->row.job_id, 0, &err) >= 0)
        journal_released(b->env, b->row.job_id, &b->res_node_job);
    else
        joblog_line(b->log, LOG_LEVEL_WARN,
                    "the node keeps the job: %s, ignoring: its exports "
                    "are stopped next",
                    err.msg);
    if (ok)
        backup_snapshot_settle(b);
    if (b->vsphere) { /* the host is read no more */
        host_queue_leave(b->vsphere->place);
        b->vsphere->place = NULL;
    }
    FAILPOINT(NODE_JOB_ENDED);
    /* Waits for a push that is being stored. */
    live_set_manifests(b->live, NULL);
    explicit_bzero(b->token, sizeof b->token);
}

/* @r: how the attempt before ended, with @err. */
static int
transfer(struct backup_job *b, int r, struct err *err)
{
    while (r < 0 && backup_may_resume(b, err)) {
        r = backup_resume(b, err);
        if (r >= 0)
            r = attempt(b, err);
    }
    end_transfer(b, r >= 0);
    return r >= 0 ? check_done(b, err) : r;
}

int
backup_transfer(struct backup_job *b, struct err *err)
{
    return transfer(b, attempt(b, err), err);
}

int
backup_transfer_again(struct backup_job *b, struct err *err)
{
    int r = err_set(err, ERR_UNAVAILABLE, "hub_died",
                    "the hub ended while this backup was %s", b->phase);

    return transfer(b, r, err);
}
