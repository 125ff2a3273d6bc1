/* model/point_encode.c - writing a restore point.  See point.h. */
#include "model/codec.h"
#include "model/point.h"

static json_t *
encode_bytes(const struct point_bytes *b)
{
    json_t *o = json_object();

    codec_put_u64(o, "read", b->read);
    codec_put_u64(o, "sent", b->sent);
    codec_put_u64(o, "zero", b->zero);
    codec_put_u64(o, "skipped", b->skipped);
    codec_put_u64(o, "audit", b->audit);
    codec_put_u64(o, "stored", b->stored);
    return o;
}

static json_t *
encode_disk(const struct point_disk *d)
{
    json_t *o = json_object(), *source_read = json_object();

    codec_put_str(source_read, "mode", read_mode_to_str(d->read_mode));
    codec_put_str(source_read, "reason",
                  d->reason == REASON_NONE ? NULL : reason_to_str(d->reason));
    codec_put_u64(o, "key", d->key);
    codec_put_u64(o, "index", d->index);
    codec_put_uuid(o, "disk_uuid", d->disk_uuid);
    codec_put_str(o, "label", d->label ? d->label : "");
    codec_put_str(o, "source_url", d->source_url ? d->source_url : "");
    codec_put_u64(o, "size_bytes", d->size_bytes);
    codec_put_str(o, "locator", d->locator);
    codec_put_uuid(o, "layer_id", d->layer_id);
    codec_put_uuid(o, "parent_layer_id", d->parent_layer_id);
    codec_put_hash(o, "layer_root", true, d->layer_root);
    codec_put_hash(o, "content_root", true, d->content_root);
    codec_put_u64(o, "records", d->records);
    codec_put_str(o, "change_id", d->change_id);
    if (d->source_uuid)
        codec_put_str(o, "source_uuid", d->source_uuid);
    if (d->datastore)
        codec_put_str(o, "datastore", d->datastore);
    if (d->frozen_file)
        codec_put_str(o, "frozen_file", d->frozen_file);
    if (d->frozen_on)
        codec_put_str(o, "frozen_on", d->frozen_on);
    codec_put(o, "source_read", source_read);
    if (d->has_audit)
        codec_put(o, "audit",
                  json_pack("{s:I, s:I}", "sampled", (json_int_t)d->audit_sampled, "bad",
                            (json_int_t)d->audit_bad));
    codec_put(o, "bytes", encode_bytes(&d->bytes));
    codec_put(o, "encryption", json_null());
    codec_put(o, "compression", json_null());
    return o;
}

static json_t *
encode_backup(const struct point *p)
{
    json_t *o = json_object();

    codec_put_str(o, "id", p->backup_id);
    codec_put_uuid(o, "job_id", p->job_id);
    codec_put_str(o, "type", backup_type_to_str(p->type));
    codec_put_time(o, "created", p->created_us);
    codec_put_time(o, "started", p->started_us);
    codec_put_time(o, "completed", p->completed_us);
    codec_put_str(o, "verification", verification_to_str(p->verification));
    codec_put_str(o, "readback",
                  p->readback == READBACK_NONE ? NULL : readback_to_str(p->readback));
    return o;
}

static json_t *
encode_vm(const struct point *p)
{
    json_t *o = json_object();

    codec_put_uuid(o, "uuid", p->vm_uuid);
    codec_put_str(o, "name", p->vm_name);
    codec_put_str(o, "source_type", p->source_type);
    if (p->instance_uuid && p->instance_uuid[0])
        codec_put_str(o, "instance_uuid", p->instance_uuid);
    codec_put(o, "configuration",
              p->configuration ? json_incref(p->configuration) : json_null());
    codec_put_str(o, "nvram", p->nvram);
    return o;
}

json_t *
point_encode(const struct point *p)
{
    json_t *o = json_object(), *disks = json_array();

    for (size_t i = 0; i < p->n_disks; i++)
        json_array_append_new(disks, encode_disk(&p->disks[i]));
    codec_put_u64(o, "format", POINT_FORMAT);
    codec_put(o, "incompat", json_array());
    codec_put_uuid(o, "point_id", p->point_id);
    codec_put_u64(o, "seq", p->seq);
    codec_put_time(o, "time", p->time_us);
    codec_put(o, "backup", encode_backup(p));
    codec_put(o, "vm", encode_vm(p));
    codec_put(o, "disks", disks);
    codec_put(o, "not_protected",
              p->not_protected ? json_incref(p->not_protected) : json_array());
    return o;
}
