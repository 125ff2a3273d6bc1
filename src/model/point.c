/* model/point.c - reading a restore point.  See point.h; writing is in point_encode.c. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/codec.h"
#include "model/point.h"
#include "model/targets.h"

static void
disk_done(struct point_disk *d)
{
    free(d->label);
    free(d->source_url);
    free(d->change_id);
    free(d->source_uuid);
    free(d->datastore);
    free(d->frozen_file);
    free(d->frozen_on);
}

void
point_done(struct point *p)
{
    for (size_t i = 0; i < p->n_disks; i++)
        disk_done(&p->disks[i]);
    free(p->disks);
    free(p->backup_id);
    free(p->vm_name);
    free(p->source_type);
    free(p->nvram);
    free(p->instance_uuid);
    json_decref(p->configuration);
    json_decref(p->not_protected);
    *p = (struct point){0};
}

static int
unsupported(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "point_unsupported",
                   "point: %s, which this program does not know", what);
}

/* First of all: everything else may mean something different in another format. */
static void
check_format(struct jreader *r)
{
    uint64_t format = jget_u64(r, "format");
    const json_t *words = jget_arr(r, "incompat");

    if (r->err->class != 0)
        return;
    if (format != POINT_FORMAT)
        unsupported(r->err, "another format");
    else if (json_array_size(words) > 0)
        unsupported(r->err, "an incompatible feature");
}

static void
decode_backup(struct jreader *up, struct point *p)
{
    const json_t *j = jget_obj(up, "backup");
    struct jreader r;

    jreader_init(&r, j, "point backup", up->err);
    p->backup_id = codec_str(&r, "id", 1, POINT_ID_MAX);
    codec_uuid(&r, "job_id", p->job_id);
    codec_word(&r, "type", backup_type_from_str, &p->type);
    p->created_us = codec_time(&r, "created");
    p->started_us = codec_time(&r, "started");
    p->completed_us = codec_time(&r, "completed");
    codec_word(&r, "verification", verification_from_str, &p->verification);
    codec_word_opt(&r, "readback", readback_from_str, &p->readback);
    if (p->verification == VERIFICATION_NONE || p->verification == VERIFICATION_FAILED)
        codec_fail(&r, "verification", "must be pending, sampled or verified");
    else if (p->verification != VERIFICATION_PENDING && p->readback == READBACK_NONE)
        codec_fail(&r, "readback", "must say where the bytes came from");
    jreader_end_lax(&r);
}

static bool
is_base64(const char *s)
{
    size_t n =
        strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/");
    size_t pad = strspn(s + n, "=");

    return s[n + pad] == '\0' && pad <= 2 && (n + pad) % 4 == 0;
}

static void
decode_vm(struct jreader *up, struct point *p)
{
    const json_t *j = jget_obj(up, "vm"), *configuration;
    struct jreader r;

    jreader_init(&r, j, "point vm", up->err);
    codec_uuid(&r, "uuid", p->vm_uuid);
    p->vm_name = codec_name(&r, "name");
    p->source_type = codec_str(&r, "source_type", 1, POINT_ID_MAX);
    p->instance_uuid = codec_str_opt(&r, "instance_uuid", 1, POINT_ID_MAX);
    configuration = jopt_obj(&r, "configuration");
    p->nvram = codec_str_opt(&r, "nvram", 0, POINT_NVRAM_MAX);
    if (p->nvram && !is_base64(p->nvram))
        codec_fail(&r, "nvram", "must be base64");
    if (jreader_end_lax(&r) == 0)
        p->configuration = json_incref((json_t *)configuration);
}

static void
check_locator(struct jreader *r, const struct point *p, struct point_disk *d)
{
    char expected[NAMING_LOCATOR_SIZE];
    const char *s = jget_str(r, "locator");

    if (r->err->class != 0)
        return;
    naming_locator_build(p->vm_uuid, d->disk_uuid, p->seq, expected);
    if (strcmp(s, expected) != 0)
        codec_fail(r, "locator", "does not agree with the VM, the disk and the sequence");
    else
        memcpy(d->locator, expected, sizeof(d->locator));
}

static void
decode_source_read(struct jreader *up, struct point_disk *d)
{
    const json_t *j = jget_obj(up, "source_read");
    struct jreader r;

    jreader_init(&r, j, "point disk source_read", up->err);
    codec_word(&r, "mode", read_mode_from_str, &d->read_mode);
    codec_word_opt(&r, "reason", reason_from_str, &d->reason);
    jreader_end_lax(&r);
}

static void
decode_bytes(struct jreader *up, struct point_bytes *b)
{
    const json_t *j = jget_obj(up, "bytes");
    struct jreader r;

    jreader_init(&r, j, "point disk bytes", up->err);
    b->read = jget_u64(&r, "read");
    b->sent = jget_u64(&r, "sent");
    b->zero = jget_u64(&r, "zero");
    b->skipped = jget_u64(&r, "skipped");
    b->audit = jget_u64(&r, "audit");
    b->stored = jget_u64(&r, "stored");
    jreader_end_lax(&r);
}

static void
decode_audit(struct jreader *up, struct point_disk *d)
{
    const json_t *j = jopt_obj(up, "audit");
    struct jreader r;

    if (!j)
        return;
    jreader_init(&r, j, "point disk audit", up->err);
    d->audit_sampled = jget_u64(&r, "sampled");
    d->audit_bad = jget_u64(&r, "bad");
    d->has_audit = true;
    jreader_end_lax(&r);
}

static bool
is_set(const json_t *j, const char *key)
{
    const json_t *v = json_object_get(j, key);

    return v && !json_is_null(v);
}

static int
decode_disk(const json_t *j, const struct point *p, struct point_disk *d, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "point disk", err);
    d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
    d->index = (uint32_t)codec_range(&r, "index", 0, POINT_DISKS_MAX - 1);
    codec_uuid(&r, "disk_uuid", d->disk_uuid);
    d->label = codec_str(&r, "label", 0, NAMING_NAME_MAX);
    d->source_url = codec_str(&r, "source_url", 0, TARGETS_URI_MAX);
    d->size_bytes = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
    check_locator(&r, p, d);
    codec_uuid(&r, "layer_id", d->layer_id);
    codec_uuid_opt(&r, "parent_layer_id", d->parent_layer_id);
    codec_hash(&r, "layer_root", d->layer_root);
    codec_hash(&r, "content_root", d->content_root);
    d->records = jget_u64(&r, "records");
    d->change_id = codec_str_opt(&r, "change_id", 1, POINT_ID_MAX);
    d->source_uuid = codec_str_opt(&r, "source_uuid", 1, POINT_ID_MAX);
    d->datastore = codec_str_opt(&r, "datastore", 1, POINT_ID_MAX);
    d->frozen_file = codec_str_opt(&r, "frozen_file", 1, POINT_FROZEN_FILE_MAX);
    d->frozen_on = codec_str_opt(&r, "frozen_on", 1, POINT_ID_MAX);
    decode_audit(&r, d);
    decode_source_read(&r, d);
    decode_bytes(&r, &d->bytes);
    if (err->class == 0 && strcmp(d->layer_id, d->parent_layer_id) == 0)
        codec_fail(&r, "parent_layer_id", "must differ from layer_id");
    if (err->class == 0 && (is_set(j, "encryption") || is_set(j, "compression")))
        unsupported(err, "encryption or compression");
    return jreader_end_lax(&r);
}

static int
decode_disks(struct jreader *r, struct point *p)
{
    const json_t *a = codec_array(r, "disks", 1, POINT_DISKS_MAX);
    const size_t stride = sizeof(*p->disks);

    if (!a)
        return r->err->class;
    p->disks = xcalloc(json_array_size(a), sizeof(*p->disks));
    for (size_t i = 0; i < json_array_size(a); i++) {
        p->n_disks = i + 1;
        if (decode_disk(json_array_get(a, i), p, &p->disks[i], r->err) < 0)
            return err_prefix(r->err, "disk %zu", i);
    }
    if (codec_has_twin_keys(&p->disks[0].key, stride, p->n_disks) ||
        codec_has_twin_keys(&p->disks[0].index, stride, p->n_disks) ||
        codec_has_twins(p->disks[0].disk_uuid, stride, p->n_disks) ||
        codec_has_twins(p->disks[0].layer_id, stride, p->n_disks))
        codec_fail(r, "disks", "holds a key, index, disk_uuid or layer_id twice");
    return r->err->class;
}

static int
decode(const json_t *j, struct point *p, struct err *err)
{
    const json_t *not_protected;
    struct jreader r;

    jreader_init(&r, j, "point", err);
    check_format(&r);
    codec_uuid(&r, "point_id", p->point_id);
    p->seq = (uint32_t)codec_range(&r, "seq", 1, NAMING_SEQ_MAX);
    p->time_us = codec_time(&r, "time");
    decode_backup(&r, p);
    decode_vm(&r, p);
    not_protected = jopt_arr(&r, "not_protected");
    decode_disks(&r, p);
    if (jreader_end_lax(&r) < 0)
        return err->class;
    p->not_protected = json_incref((json_t *)not_protected);
    return 0;
}

/* What a stored file holds is nobody's input: it is damaged, or newer than we are. */
static int
as_corrupt(struct err *err)
{
    if (err->class != ERR_INVALID && err->class != ERR_LIMIT)
        return err->class;
    err->class = ERR_CORRUPT;
    if (strcmp(err->code, "point_unsupported") != 0)
        err_recode(err, "point_corrupt");
    return err->class;
}

int
point_decode(const json_t *j, struct point *ret, struct err *err)
{
    CLEANUP_POINT struct point p = {0};

    if (decode(j, &p, err) < 0)
        return as_corrupt(err);
    *ret = p;
    p = (struct point){0};
    return 0;
}

int
point_decode_text(const char *text, size_t n, struct point *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;

    if (codec_line(text, n, POINT_FILE_MAX, &j, err) < 0) {
        err_prefix(err, "point");
        return as_corrupt(err);
    }
    return point_decode(j, ret, err);
}

const struct point_disk *
point_find_disk(const struct point *p, const char *locator)
{
    for (size_t i = 0; i < p->n_disks; i++)
        if (strcmp(p->disks[i].locator, locator) == 0)
            return &p->disks[i];
    return NULL;
}
