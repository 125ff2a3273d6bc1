/* What the client of a backup tells, taken into job, log and catalog. */
#include "job/backup_priv.h"

#include <string.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_backup_update.h"
#include "job/worker_run.h"

static struct cat_disk_ref
ref(const struct backup_job *b, const struct bdisk *d)
{
    return (struct cat_disk_ref){.job_id = b->row.job_id,
                                 .disk_index = d->row->disk_index};
}

/* Counters are those of all attempts; how far it is, is the client's own word. */
static void
take_bytes(struct backup_job *b, struct bdisk *d, const struct byte_counters *c)
{
    d->bytes = *c;
    d->bytes.read += d->base.read;
    d->bytes.sent += d->base.sent;
    d->bytes.zero += d->base.zero;
    d->bytes.skipped += d->base.skipped;
    d->bytes.audit += d->base.audit;
    live_update(b->live, (uint32_t)d->row->device_key, &d->bytes);
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

/* What another attempt may go on from: stored here, when the receiver has it durable. */
static int
on_checkpoint(struct backup_job *b, struct bdisk *d, uint64_t n, struct err *err)
{
    if (backup_keep_checkpoint(b, d, err) < 0 || store_counters(b, d, n, err) < 0)
        return err->class;
    FAILPOINT(CHECKPOINT_STORED);
    return 0;
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
    take_bytes(b, d, &e->bytes);
    d->done = true;
    memcpy(d->client_root, e->layer_root, sizeof d->client_root);
    joblog_line(
        b->log, LOG_LEVEL_INFO,
        "disk device_key=%u transferred read=%llu sent=%llu zero=%llu skipped=%llu "
        "audit=%llu records=%llu",
        e->disk, (unsigned long long)e->bytes.read, (unsigned long long)e->bytes.sent,
        (unsigned long long)e->bytes.zero, (unsigned long long)e->bytes.skipped,
        (unsigned long long)e->bytes.audit, (unsigned long long)e->records);
    if (on_checkpoint(b, d, 0, err) < 0)
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
    /* An audit after one that found nothing is another attempt's, of a copy that begins
     * anew: what the one before drew says nothing more, and is not as good as more
     * samples of one draw.  After a finding it is the second of the same attempt. */
    d->audit_sampled = e->sampled + (d->audit_bad > 0 ? d->audit_sampled : 0);
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
        take_bytes(b, d, &e->bytes);
        return 0;
    case EVENT_CHECKPOINT:
        return on_checkpoint(b, d, e->checkpoint, err);
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

int
backup_event(struct backup_job *b, const struct job_event *e, struct err *err)
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
    case EVENT_SNAPSHOT_HELD:
        FAILPOINT(SNAPSHOT_HELD);
        if (b->vsphere)
            b->vsphere->held = true;
        return 0;
    case EVENT_RESULT:
        return on_result(b, e, err);
    default:
        return on_disk_event(b, e, err);
    }
}
