/* api/backup_json.c - see backup_json.h. */
#include "api/backup_json.h"

#include <string.h>

#include "api/reply.h"

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
    put_str(o, "change_id", d->change_id);
    put_str(o, "layer_root", d->layer_root);
    put_str(o, "content_root", d->content_root);
    json_object_set_new(o, "records", json_integer(d->records));
    json_object_set_new(o, "percent", json_real(done));
    json_object_set_new(o, "bytes", bytes_to_json(t));
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

json_t *
backup_to_json(struct api *a, const struct cat_backup *b)
{
    CLEANUP_LIVE struct live_job *live = live_find(a->env->live, b->job_id);
    json_t *o = json_object(), *disks = json_array();
    struct totals sum = {0};
    char phase[LIVE_PHASE_SIZE] = "";

    put_str(o, "backup_id", b->backup_id);
    put_str(o, "job_id", b->job_id);
    put_str(o, "vm_id", b->vm_id);
    put_str(o, "vm_name", b->vm_name);
    put_str(o, "repository_id", b->repository_id);
    put_str(o, "backup_type", b->backup_type);
    put_str(o, "status", b->state);
    if (live)
        live_phase(live, phase);
    put_str(o, "current_phase", live && phase[0] ? phase : b->current_phase);
    for (size_t i = 0; i < b->n_disks; i++) {
        struct totals t;
        double done;

        disk_totals(b, &b->disks[i], live, &t, &done);
        add(&sum, &t);
        json_array_append_new(disks, disk_to_json(b, &b->disks[i], &t, done));
    }
    json_object_set_new(o, "disk_results", disks);
    put_json_text(o, "not_protected", b->not_protected ? b->not_protected : "[]");
    put_str(o, "snapshot_name", b->snapshot_name);
    json_object_set_new(o, "quiesced",
                        b->quiesced ? json_boolean(strcmp(b->quiesced, "yes") == 0)
                                    : json_null());
    put_str(o, "nbd_targets_string", b->nbd_targets_string);
    put_times(o, b);
    json_object_set_new(o, "bytes", bytes_to_json(&sum));
    json_object_set_new(o, "progress", live ? progress_to_json(live) : json_null());
    put_backup_error(o, b);
    put_str(o, "client", b->client_identity);
    put_json_text(o, "cleanup", b->cleanup);
    return o;
}
