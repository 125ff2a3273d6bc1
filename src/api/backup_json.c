/* api/backup_json.c - see backup_json.h. */
#include "api/backup_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/reply.h"
#include "base/cleanup.h"
#include "model/explain.h"
#include "model/sampling.h"

static double
percent(const struct progress_view *v)
{
    return v->percent_x10 / 10.0;
}

json_t *
progress_to_json(struct live_job *live)
{
    struct progress_view v;
    char phase[LIVE_PHASE_SIZE];
    json_t *o = json_object();

    live_view(live, &v);
    live_phase(live, phase);
    json_object_set_new(o, "percent", json_real(percent(&v)));
    put_u64(o, "rate_bytes_per_s", v.rate_bytes_per_s);
    json_object_set_new(o, "eta_s",
                        v.eta_s == PROGRESS_ETA_UNKNOWN
                            ? json_null()
                            : json_integer((json_int_t)v.eta_s));
    put_str(o, "phase", phase);
    return o;
}

struct totals {
    struct byte_counters bytes;
    uint64_t stored;
    uint64_t chain_layers, chain_stored; /* with all that is below */
};

static json_t *
bytes_to_json(const struct totals *t)
{
    json_t *o = json_object();

    put_u64(o, "total", t->bytes.total);
    put_u64(o, "done", t->bytes.done);
    put_u64(o, "read", t->bytes.read);
    put_u64(o, "sent", t->bytes.sent);
    put_u64(o, "zero", t->bytes.zero);
    put_u64(o, "skipped", t->bytes.skipped);
    put_u64(o, "audit", t->bytes.audit);
    put_u64(o, "stored", t->stored);
    return o;
}

/* What is known of a disk's bytes: live while the transfer runs, else the row. */
static void
disk_totals(const struct cat_backup *b, const struct cat_backup_disk *d,
            struct live_job *live, struct totals *ret, double *ret_percent)
{
    struct progress_view v;
    bool completed = strcmp(b->state, "completed") == 0;

    *ret = (struct totals){.bytes = {.total = d->size_bytes,
                                     .done = completed ? d->size_bytes : 0,
                                     .read = d->bytes.read,
                                     .sent = d->bytes.sent,
                                     .zero = d->bytes.zero,
                                     .skipped = d->bytes.skipped,
                                     .audit = d->bytes.audit},
                           .stored = d->bytes.stored};
    *ret_percent = completed ? 100.0 : 0.0;
    if (live && live_view_disk(live, (uint32_t)d->device_key, &v)) {
        ret->bytes = v.bytes;
        *ret_percent = percent(&v);
    }
}

/* Blocks that were not read: never more than the disk has. */
static uint64_t
unread_blocks(const struct cat_backup_disk *d, const struct totals *t)
{
    uint64_t n = (t->bytes.skipped + MANIFEST_BLOCK_SIZE - 1) / MANIFEST_BLOCK_SIZE;
    uint64_t all =
        d->size_bytes / MANIFEST_BLOCK_SIZE + (d->size_bytes % MANIFEST_BLOCK_SIZE != 0);

    return n < all ? n : all;
}

/* How sure is it that nothing was missed?  At least so sure.  Once a bad block was found
 * what the source had said was not used, and how many of the samples are of what was used
 * instead is not known. */
static json_t *
audit_to_json(const struct cat_backup *b, const struct cat_backup_disk *d,
              const struct totals *t)
{
    static const uint64_t bad[] = {1, 10, 100, 1000};
    uint64_t blocks = unread_blocks(d, t), from = blocks, uniform;
    enum read_mode mode = READ_CHANGED; /* the one of which the least is certain */
    json_t *o, *miss;

    if (d->audit_sampled < 0)
        return json_null();
    (void)read_mode_from_str(d->read_mode, &mode);
    uniform = sampling_uniform(mode, (uint64_t)d->audit_sampled);
    /* What an attempt skipped last before it was cut off may not have been told.  More to
     * draw from is more to miss, so the whole disk is safe. */
    if (b->attempt > 1)
        from = d->size_bytes / MANIFEST_BLOCK_SIZE + 1;
    o = json_object();
    miss = json_object();
    json_object_set_new(o, "sampled", json_integer(d->audit_sampled));
    json_object_set_new(o, "bad", json_integer(d->audit_bad));
    put_u64(o, "unread_blocks", blocks);
    for (size_t i = 0; d->audit_bad == 0 && i < ARRAY_LEN(bad) && bad[i] <= blocks; i++) {
        char key[24];

        snprintf(key, sizeof key, "%" PRIu64, bad[i]);
        json_object_set_new(
            miss, key,
            json_real(100.0 * sampling_miss_probability(from, uniform, bad[i])));
    }
    json_object_set_new(o, "miss_percent", miss);
    return o;
}

/* The layers that a restore of the disk needs. */
static json_t *
chain_to_json(struct api *a, const struct cat_backup_disk *d, struct totals *sum)
{
    struct cat_chain c = {0};
    struct err ignored = ERR_INIT;
    json_t *o;

    if (cat_backup_disk_chain(a->env->catalog, d->layer_id, &c, &ignored) < 0)
        return json_null();
    sum->chain_layers += (uint64_t)c.layers;
    sum->chain_stored += c.bytes_stored;
    o = json_object();
    json_object_set_new(o, "layers", json_integer(c.layers));
    put_u64(o, "stored", c.bytes_stored);
    json_object_set_new(o, "whole", json_boolean(c.whole));
    return o;
}

static json_t *
disk_to_json(const struct cat_backup *b, const struct cat_backup_disk *d,
             const struct totals *t, double done)
{
    json_t *o = json_object();
    bool exported = d->nbd_export_name != NULL;

    json_object_set_new(o, "disk_id", json_integer(d->disk_index));
    json_object_set_new(o, "device_key", json_integer(d->device_key));
    put_str(o, "disk_uuid", d->disk_uuid);
    put_u64(o, "size_bytes", d->size_bytes);
    json_object_set_new(o, "nbd_port",
                        exported ? json_integer(d->nbd_port) : json_null());
    put_str(o, "nbd_export_name", d->nbd_export_name);
    json_object_set_new(o, "qcow2_path", json_sprintf("%s.qcow2", d->locator));
    json_object_set_new(o, "qemu_nbd_pid",
                        exported ? json_integer(d->qemu_nbd_pid) : json_null());
    put_str(o, "backup_type", d->backup_type);
    put_str(o, "read_mode", d->read_mode);
    put_str(o, "reason", d->reason);
    put_str(o, "status", d->state);
    put_str(o, "error_message", d->error_message);
    put_str(o, "verification", d->verification);
    put_str(o, "parent_layer_id", d->parent_layer_id);
    put_str(o, "layer_id", d->layer_id);
    put_str(o, "datastore", d->datastore);
    put_str(o, "change_id", d->change_id);
    put_str(o, "layer_root", d->layer_root);
    put_str(o, "content_root", d->content_root);
    json_object_set_new(o, "records", json_integer(d->records));
    json_object_set_new(o, "percent", json_real(done));
    json_object_set_new(o, "bytes", bytes_to_json(t));
    json_object_set_new(o, "audit", audit_to_json(b, d, t));
    return o;
}

static void
put_backup_error(json_t *o, const struct cat_backup *b)
{
    json_t *e;

    put_error(o, b->error_code, b->error_phase, b->error_message);
    e = json_object_get(o, "error");
    if (!json_is_object(e))
        return;
    json_object_set_new(e, "device_key", json_null());
    for (size_t i = 0; i < b->n_disks; i++)
        if (b->error_disk >= 0 && b->disks[i].disk_index == b->error_disk)
            json_object_set_new(e, "device_key", json_integer(b->disks[i].device_key));
}

static void
put_times(json_t *o, const struct cat_backup *b)
{
    put_str(o, "verification", b->verification);
    put_str(o, "readback", b->readback);
    put_time(o, "verified", b->verified_us);
    json_object_set_new(o, "seq", json_integer(b->seq));
    put_time(o, "created", b->created_us);
    put_time(o, "started", b->started_us);
    put_time(o, "completed", b->completed_us);
    put_str(o, "requested_by", b->requested_by);
}

static void
add(struct totals *sum, const struct totals *t)
{
    sum->bytes.total += t->bytes.total;
    sum->bytes.done += t->bytes.done;
    sum->bytes.read += t->bytes.read;
    sum->bytes.sent += t->bytes.sent;
    sum->bytes.zero += t->bytes.zero;
    sum->bytes.skipped += t->bytes.skipped;
    sum->bytes.audit += t->bytes.audit;
    sum->stored += t->stored;
}

/* How often it was begun, how often it may be, and why it last was cut off. */
static void
put_attempts(json_t *o, const struct cat_backup *b)
{
    json_t *cut = json_null();

    json_object_set_new(o, "attempt", json_integer(b->attempt));
    json_object_set_new(o, "retries", json_integer(b->retries));
    json_object_set_new(o, "retry_delay_s", json_integer(b->retry_delay_s));
    if (b->interrupted_us) {
        cut = json_object();
        put_time(cut, "time", b->interrupted_us);
        put_str(cut, "code", b->interrupted_code);
        put_str(cut, "message", b->interrupted_message);
    }
    json_object_set_new(o, "interruption", cut);
}

json_t *
backup_to_json(struct api *a, const struct cat_backup *b)
{
    CLEANUP_LIVE struct live_job *live = live_find(a->env->live, b->job_id);
    json_t *o = json_object(), *disks = json_array();
    struct totals sum = {0};
    char phase[LIVE_PHASE_SIZE] = "";
    bool deleting = live && live_kind(live) == LIVE_MERGE;

    put_str(o, "backup_id", b->backup_id);
    put_str(o, "job_id", b->job_id);
    put_str(o, "vm_id", b->vm_id);
    put_str(o, "vm_name", b->vm_name);
    put_str(o, "repository_id", b->repository_id);
    put_str(o, "backup_type", b->backup_type);
    /* A merge takes its time; the row is a completed backup's until it is gone. */
    put_str(o, "status", deleting ? "deleting" : b->state);
    if (live)
        live_phase(live, phase);
    put_str(o, "current_phase", live && phase[0] ? phase : b->current_phase);
    for (size_t i = 0; i < b->n_disks; i++) {
        struct totals t;
        json_t *disk;
        double done;

        disk_totals(b, &b->disks[i], deleting ? NULL : live, &t, &done);
        add(&sum, &t);
        disk = disk_to_json(b, &b->disks[i], &t, done);
        json_object_set_new(disk, "chain", chain_to_json(a, &b->disks[i], &sum));
        json_array_append_new(disks, disk);
    }
    json_object_set_new(o, "disk_results", disks);
    put_json_text(o, "not_protected", b->not_protected ? b->not_protected : "[]");
    put_str(o, "snapshot_name", b->snapshot_name);
    json_object_set_new(o, "quiesced",
                        b->quiesced ? json_boolean(strcmp(b->quiesced, "yes") == 0)
                                    : json_null());
    put_str(o, "nbd_targets_string", b->nbd_targets_string);
    put_times(o, b);
    put_attempts(o, b);
    json_object_set_new(o, "bytes", bytes_to_json(&sum));
    json_object_set_new(o, "chain",
                        json_pack("{s:I, s:I}", "layers", (json_int_t)sum.chain_layers,
                                  "stored", (json_int_t)sum.chain_stored));
    json_object_set_new(o, "progress", live ? progress_to_json(live) : json_null());
    put_backup_error(o, b);
    put_str(o, "client", b->client_identity);
    put_json_text(o, "cleanup", b->cleanup);
    return o;
}

json_t *
backup_explain_to_json(const struct cat_backup *b)
{
    json_t *o = json_object(), *disks = json_array();

    put_str(o, "backup_id", b->backup_id);
    put_str(o, "vm_name", b->vm_name);
    put_str(o, "backup_type", b->backup_type);
    put_str(o, "status", b->state);
    for (size_t i = 0; i < b->n_disks; i++) {
        const struct cat_backup_disk *d = &b->disks[i];
        enum read_mode mode = READ_MODE_COUNT;
        enum reason reason = REASON_COUNT;
        json_t *disk = json_object();

        read_mode_from_str(d->read_mode, &mode);
        reason_from_str(d->reason, &reason);
        json_object_set_new(disk, "disk_id", json_integer(d->disk_index));
        json_object_set_new(disk, "device_key", json_integer(d->device_key));
        put_str(disk, "label", d->label);
        put_str(disk, "backup_type", d->backup_type);
        put_str(disk, "read_mode", d->read_mode);
        put_str(disk, "reason", d->reason);
        put_str(disk, "what", explain_mode(mode));
        put_str(disk, "why", explain_reason(reason));
        put_str(disk, "next", explain_advice(reason));
        json_array_append_new(disks, disk);
    }
    json_object_set_new(o, "disks", disks);
    return o;
}
