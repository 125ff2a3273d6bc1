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
#include "job/worker_run.h"

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
        .reason = d->reason};
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
    int pause_ms = 0;

    for (;;) {
        b->time_us = time_utc_us();
        if (b->vsphere)
            b->vsphere->renewed_ns = time_mono_ns();
        if (node_client_start(b->node, spec, ret, err) >= 0)
            break;
        if (!node_is_busy(err))
            return err->class;
        if (pause_ms == 0) {
            joblog_line(b->log, LOG_LEVEL_INFO, "waiting for the node: %s", err->msg);
            backup_phase(b, "queued");
            live_set_prepared(b->live);
        }
        err_clear(err);
        pause_ms = pause_ms * 2 < NODE_BUSY_MAX_MS ? pause_ms * 2 + NODE_BUSY_FIRST_MS
                                                   : NODE_BUSY_MAX_MS;
        if (poll(&cancel, 1, pause_ms) > 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "cancelled while queued");
    }
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

    if (backup_snapshot_intend(b, err) < 0 ||
        journal_intent(b->env, b->row.job_id, RES_NODE_JOB, key, &b->res_node_job, err) <
            0)
        return err->class;
    FAILPOINT(NODE_JOB_INTENT);
    fill_spec(b, &spec);
    if (backup_snapshot_spec(b, &spec, err) < 0)
        return err->class;
    if (start_client(b, &spec, &job, err) < 0)
        return err->class;
    FAILPOINT(NODE_JOB_POSTED);
    joblog_line(b->log, LOG_LEVEL_INFO, "node started client pid=%u attempt=%u", job.pid,
                job.attempt);
    return journal_held(b->env, b->row.job_id, b->res_node_job, NULL, err);
}

static struct cat_disk_ref
ref(const struct backup_job *b, const struct bdisk *d)
{
    return (struct cat_disk_ref){.job_id = b->row.job_id,
                                 .disk_index = d->row->disk_index};
}

static int
store_counters(struct backup_job *b, struct bdisk *d, uint64_t checkpoint,
               struct err *err)
{
    struct cat_disk_bytes bytes = {.read = d->bytes.read,
                                   .sent = d->bytes.sent,
                                   .zero = d->bytes.zero,
                                   .skipped = d->bytes.skipped,
                                   .audit = d->bytes.audit};

    return cat_backup_disk_set_progress(b->env->catalog, ref(b, d), &bytes,
                                        (int64_t)checkpoint, err);
}

static int
on_hello(struct backup_job *b, const struct job_event *e, struct err *err)
{
    CLEANUP_FREE char *id = xasprintf("%s %s (commit %s, build %s) pid %u", e->program,
                                      e->version, e->commit, e->build_id, e->pid);

    joblog_line(b->log, LOG_LEVEL_INFO, "client %s", id);
    return cat_backup_set_client(b->env->catalog, b->row.job_id, id, err);
}

static int
on_disk_done(struct backup_job *b, struct bdisk *d, const struct job_event *e,
             struct err *err)
{
    d->bytes = e->bytes;
    d->done = true;
    memcpy(d->client_root, e->layer_root, sizeof d->client_root);
    live_update(b->live, e->disk, &e->bytes);
    joblog_line(
        b->log, LOG_LEVEL_INFO,
        "disk device_key=%u transferred read=%llu sent=%llu zero=%llu skipped=%llu "
        "audit=%llu records=%llu",
        e->disk, (unsigned long long)e->bytes.read, (unsigned long long)e->bytes.sent,
        (unsigned long long)e->bytes.zero, (unsigned long long)e->bytes.skipped,
        (unsigned long long)e->bytes.audit, (unsigned long long)e->records);
    if (store_counters(b, d, 0, err) < 0)
        return err->class;
    return cat_backup_disk_set_state(b->env->catalog, ref(b, d), "transferred", NULL,
                                     err);
}

/* What is read may turn out otherwise than planned, what it stands on may not: a full
 * stays one. */
static int
on_read_mode(struct backup_job *b, struct bdisk *d, const struct job_event *e,
             struct err *err)
{
    if ((e->mode == READ_ALL) != (d->parent_locator == NULL))
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client reads disk %u as '%s', which is not what its layer is "
                       "made for",
                       e->disk, read_mode_to_str(e->mode));
    d->read_mode = e->mode;
    d->reason = e->reason;
    joblog_line(b->log, LOG_LEVEL_INFO, "disk device_key=%u read=%s reason=%s", e->disk,
                read_mode_to_str(e->mode), reason_to_str(e->reason));
    if (cat_backup_disk_set_read(b->env->catalog, ref(b, d), read_mode_to_str(e->mode),
                                 reason_to_str(e->reason), err) < 0)
        return err->class;
    return cat_backup_disk_set_state(b->env->catalog, ref(b, d), "transferring", NULL,
                                     err);
}

static int
on_audit(struct backup_job *b, struct bdisk *d, const struct job_event *e,
         struct err *err)
{
    joblog_line(b->log, e->bad ? LOG_LEVEL_WARN : LOG_LEVEL_INFO,
                "disk device_key=%u audit sampled=%llu bad=%llu", e->disk,
                (unsigned long long)e->sampled, (unsigned long long)e->bad);
    d->has_audit = true;
    d->audit_sampled += e->sampled;
    d->audit_bad += e->bad;
    return cat_backup_disk_set_audit(b->env->catalog, ref(b, d), (int64_t)e->sampled,
                                     (int64_t)e->bad, err);
}

/* Events about a disk.  One that the job does not have is the client's fault. */
static int
on_disk_event(struct backup_job *b, const struct job_event *e, struct err *err)
{
    struct bdisk *d = backup_disk(b, e->disk);

    if (!d)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client speaks of disk %u, which this job does not have",
                       e->disk);
    switch (e->type) {
    case EVENT_READ_MODE:
        return on_read_mode(b, d, e, err);
    case EVENT_PROGRESS:
        d->bytes = e->bytes;
        live_update(b->live, e->disk, &e->bytes);
        return 0;
    case EVENT_CHECKPOINT:
        return store_counters(b, d, e->checkpoint, err);
    case EVENT_AUDIT:
        return on_audit(b, d, e, err);
    case EVENT_DISK_DONE:
        return on_disk_done(b, d, e, err);
    default:
        return 0;
    }
}

static int
on_result(struct backup_job *b, const struct job_event *e, struct err *err)
{
    joblog_line(b->log, e->status == RESULT_OK ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
                "client result status=%s code=%s phase=%s message='%s'",
                job_result_to_str(e->status), e->code ? e->code : "-",
                job_phase_to_str(e->phase), e->message ? e->message : "");
    FAILPOINT(CLIENT_RESULT);
    if (e->has_disk) {
        struct bdisk *d = backup_disk(b, e->disk);

        b->bad_disk = d ? d->row->disk_index : -1;
    }
    return result_to_err(e, err);
}

static int
on_event(struct backup_job *b, const struct job_event *e, struct err *err)
{
    switch (e->type) {
    case EVENT_HELLO:
        return on_hello(b, e, err);
    case EVENT_PHASE:
        joblog_line(b->log, LOG_LEVEL_INFO, "client phase=%s",
                    job_phase_to_str(e->phase));
        return 0;
    case EVENT_WARNING:
        backup_warn(b, e->code, e->message);
        return 0;
    case EVENT_SNAPSHOT:
    case EVENT_VM_CONFIG:
    case EVENT_SNAPSHOT_REMOVED:
        return backup_snapshot_event(b, e, err);
    case EVENT_RESULT:
        return on_result(b, e, err);
    default:
        return on_disk_event(b, e, err);
    }
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
                on_event(b, &page.events[i], err) < 0)
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

int
backup_transfer(struct backup_job *b, struct err *err)
{
    struct err stop_err = ERR_INIT;
    int r;

    backup_phase(b, "transferring");
    live_set_manifests(b->live, b->manifests);
    r = post_job(b, err);
    if (r >= 0) {
        live_set_prepared(b->live);
        FAILPOINT(TRANSFERRING);
        r = follow(b, err);
    }
    if (r < 0 && err->class != ERR_CANCELLED)
        blame_dead_export(b, err);
    /* Whatever happened: the client is gone once this returns, so nobody writes any more.
     */
    if (node_client_delete(b->node, b->row.job_id, 0, &stop_err) >= 0)
        journal_released(b->env, b->row.job_id, &b->res_node_job);
    else
        joblog_line(b->log, LOG_LEVEL_WARN,
                    "the node keeps the job: %s, ignoring: its exports "
                    "are stopped next",
                    stop_err.msg);
    if (r >= 0)
        backup_snapshot_settle(b);
    if (b->vsphere) { /* the host is read no more */
        host_queue_leave(b->vsphere->place);
        b->vsphere->place = NULL;
    }
    FAILPOINT(NODE_JOB_ENDED);
    /* Waits for a push that is being stored. */
    live_set_manifests(b->live, NULL);
    explicit_bzero(b->token, sizeof b->token);
    for (size_t i = 0; r >= 0 && i < b->n; i++)
        if (!b->disks[i].done) {
            b->bad_disk = b->disks[i].row->disk_index;
            r = err_set(err, ERR_PROTOCOL, "client_protocol",
                        "the client reported success without finishing disk %lld",
                        (long long)b->disks[i].row->device_key);
        }
    return r;
}
