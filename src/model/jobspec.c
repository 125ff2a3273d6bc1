/* model/jobspec.c - the job spec.  See jobspec.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/jobsource.h"
#include "model/naming.h"
#include "model/spec_common.h"
#include "model/targets.h"

#define WHAT "job spec"

static void
disk_done(struct job_spec_disk *d)
{
    free(d->source_url);
    free(d->source_uuid);
    free(d->target);
    free(d->target_description);
    free(d->change_id);
    free(d->parent_file);
    free(d->parent_on);
}

void
job_spec_done(struct job_spec *s)
{
    for (size_t i = 0; i < s->n_disks; i++)
        disk_done(&s->disks[i]);
    free(s->disks);
    free(s->vm_ref);
    free(s->vm_name);
    free(s->source_type);
    job_vsphere_free(s->vsphere);
    job_snapshot_free(s->snapshot);
    free(s->hub_url);
    secret_free(s->job_token);
    *s = (struct job_spec){0};
}

/* An NBD source is named by the plan; that of a vSphere disk is made by the client. */
static void
decode_disk_source(struct jreader *r, bool vsphere, struct job_spec_disk *d)
{
    if (!vsphere)
        d->source_url = codec_uri(r, "source_url");
    else if (jopt_str(r, "source_url", NULL))
        codec_fail(r, "source_url", "must be null for a source of type 'vsphere'");
    d->source_uuid = codec_str_opt(r, "source_uuid", 1, SPEC_SOURCE_UUID_MAX);
    if (d->source_uuid && !vsphere)
        codec_fail(r, "source_uuid", "must be null for a source of type 'nbd'");
}

static void
decode_resume(struct jreader *up, struct job_spec_disk *d)
{
    const json_t *j = jopt_obj(up, "resume_checkpoint");
    struct jreader r;

    if (!j)
        return;
    jreader_init(&r, j, "job spec resume_checkpoint", up->err);
    d->resume.block = codec_range(&r, "block", 1, manifest_blocks(d->size_bytes));
    d->resume.records = codec_range(&r, "records", 0, d->resume.block);
    jreader_end(&r);
}

static int
decode_disk(const json_t *j, bool vsphere, struct job_spec_disk *d, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "job spec disk", err);
    d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
    codec_uuid(&r, "disk_uuid", d->disk_uuid);
    d->size_bytes = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
    decode_disk_source(&r, vsphere, d);
    d->target = codec_uri(&r, "target");
    d->target_description = codec_str_opt(&r, "target_description", 1, NAMING_NAME_MAX);
    codec_word(&r, "read", read_mode_from_str, &d->read);
    codec_word_opt(&r, "reason", reason_from_str, &d->reason);
    d->change_id = codec_str_opt(&r, "change_id", 1, SPEC_CHANGE_ID_MAX);
    d->parent_file = codec_str_opt(&r, "parent_file", 1, SPEC_PARENT_FILE_MAX);
    d->parent_on = codec_str_opt(&r, "parent_on", 1, NAMING_NAME_MAX);
    codec_uuid(&r, "layer_id", d->layer_id);
    codec_uuid_opt(&r, "parent_layer_id", d->parent_layer_id);
    decode_resume(&r, d);
    if (err->class == 0 && strcmp(d->layer_id, d->parent_layer_id) == 0)
        codec_fail(&r, "parent_layer_id", "must differ from layer_id");
    if (err->class == 0 && d->read != READ_ALL && !d->parent_layer_id[0])
        codec_fail(&r, "read", "must be 'all' without a parent");
    return jreader_end(&r);
}

static int
cmp_target(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Two disks written to one export would make a mixture of both. */
static bool
has_twin_targets(const struct job_spec *s)
{
    CLEANUP_FREE const char **v = xcalloc(s->n_disks, sizeof(*v));

    for (size_t i = 0; i < s->n_disks; i++)
        v[i] = s->disks[i].target;
    qsort(v, s->n_disks, sizeof(*v), cmp_target);
    for (size_t i = 1; i < s->n_disks; i++)
        if (strcmp(v[i - 1], v[i]) == 0)
            return true;
    return false;
}

/* Records of two moments would make a disk that never was. */
static int
check_resume(struct jreader *r, const struct job_spec *s)
{
    const bool again = s->snapshot && s->snapshot->existing_ref;

    if (again && s->attempt == 1)
        codec_fail(r, "snapshot", "has an 'existing_ref' in a first attempt");
    for (size_t i = 0; i < s->n_disks && r->err->class == 0; i++) {
        if (s->disks[i].resume.block == 0)
            continue;
        if (s->attempt == 1)
            codec_fail(r, "disks", "with a 'resume_checkpoint' are of later attempts");
        else if (!s->hub_url)
            codec_fail(r, "disks", "with a 'resume_checkpoint' need a hub");
        else if (s->snapshot && !again)
            codec_fail(r, "disks", "with a 'resume_checkpoint' need an 'existing_ref'");
    }
    return r->err->class;
}

static int
decode_disks(struct jreader *r, struct job_spec *s)
{
    const json_t *a = codec_array(r, "disks", 1, SPEC_DISKS_MAX);
    const size_t stride = sizeof(*s->disks);

    if (!a)
        return r->err->class;
    s->disks = xcalloc(json_array_size(a), sizeof(*s->disks));
    for (size_t i = 0; i < json_array_size(a); i++) {
        s->n_disks = i + 1;
        if (decode_disk(json_array_get(a, i), s->vsphere != NULL, &s->disks[i], r->err) <
            0)
            return err_prefix(r->err, "disk %zu", i);
    }
    if (codec_has_twin_keys(&s->disks[0].key, stride, s->n_disks))
        return spec_twins(r->err, WHAT, "key");
    if (codec_has_twins(s->disks[0].disk_uuid, stride, s->n_disks))
        return spec_twins(r->err, WHAT, "disk_uuid");
    if (codec_has_twins(s->disks[0].layer_id, stride, s->n_disks))
        return spec_twins(r->err, WHAT, "layer_id");
    if (has_twin_targets(s))
        return spec_twins(r->err, WHAT, "target");
    return check_resume(r, s);
}

/* Text of a server: it need not be a UUID. */
static void
decode_vsphere_uuid(struct jreader *r, struct job_spec *s)
{
    CLEANUP_FREE char *v = codec_str(r, "instance_uuid", 0, SPEC_INSTANCE_UUID_MAX);

    if (v)
        memcpy(s->vm_instance_uuid, v, strlen(v) + 1);
    if (r->err->class == 0 && !s->vm_ref[0] && !s->vm_instance_uuid[0])
        codec_fail(r, "ref", "or instance_uuid must name the VM");
}

static void
decode_vm(struct jreader *up, struct job_spec *s)
{
    const json_t *j = jget_obj(up, "vm");
    struct jreader r;

    jreader_init(&r, j, "job spec vm", up->err);
    s->vm_ref = codec_str(&r, "ref", 0, NAMING_NAME_MAX);
    if (s->vsphere)
        decode_vsphere_uuid(&r, s);
    else
        codec_uuid(&r, "instance_uuid", s->vm_instance_uuid);
    s->vm_name = codec_name(&r, "name");
    jreader_end(&r);
}

static void
decode_audit(struct jreader *up, struct job_spec *s)
{
    const json_t *j = jget_obj(up, "audit");
    struct jreader r;

    jreader_init(&r, j, "job spec audit", up->err);
    s->audit_samples = (uint32_t)codec_range(&r, "samples", 0, SPEC_AUDIT_SAMPLES_MAX);
    s->audit_seed = jget_u64(&r, "seed");
    jreader_end(&r);
}

static bool
is_visible_ascii(const char *s)
{
    for (; *s; s++)
        if (*s <= 0x20 || *s >= 0x7f)
            return false;
    return true;
}

static void
decode_hub(struct jreader *up, struct job_spec *s)
{
    const json_t *j = jopt_obj(up, "hub");
    const char *token;
    struct jreader r;

    if (!j)
        return;
    jreader_init(&r, j, "job spec hub", up->err);
    s->hub_url = codec_str(&r, "url", 1, TARGETS_URI_MAX);
    if (s->hub_url && ((strncmp(s->hub_url, "http://", 7) != 0 &&
                        strncmp(s->hub_url, "https://", 8) != 0) ||
                       !is_visible_ascii(s->hub_url)))
        codec_fail(&r, "url", "must start with http:// or https:// and be visible ASCII");
    token = jget_str(&r, "job_token");
    /* It becomes a header of HTTP: a control character would end the line. */
    if (up->err->class == 0 &&
        (!token[0] || strlen(token) > SPEC_TOKEN_MAX || !is_visible_ascii(token)))
        codec_fail(&r, "job_token", "must have 1 to 255 visible ASCII characters");
    if (jreader_end(&r) == 0)
        s->job_token = secret_new(token, strlen(token));
}

int
job_spec_decode(const json_t *j, struct job_spec *ret, struct err *err)
{
    CLEANUP_JOB_SPEC struct job_spec s = {0};
    struct jreader r;

    jreader_init(&r, j, WHAT, err);
    codec_version(&r);
    codec_uuid(&r, "job_id", s.job_id);
    s.attempt = (uint32_t)codec_range(&r, "attempt", 1, CODEC_U31_MAX);
    job_source_get(&r, &s);
    decode_vm(&r, &s);
    spec_get_limits(&r, &s.limits);
    decode_audit(&r, &s);
    decode_hub(&r, &s);
    spec_get_deadlines(&r, &s.deadlines);
    decode_disks(&r, &s);
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = s;
    s = (struct job_spec){0};
    return 0;
}

int
job_spec_decode_line(const char *line, size_t n, struct job_spec *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;

    if (codec_line(line, n, SPEC_LINE_MAX, &j, err) < 0)
        return err_prefix(err, WHAT);
    return job_spec_decode(j, ret, err);
}

static json_t *
encode_resume(const struct resume_checkpoint *c)
{
    json_t *o;

    if (c->block == 0)
        return json_null();
    o = json_object();
    codec_put_u64(o, "block", c->block);
    codec_put_u64(o, "records", c->records);
    return o;
}

static json_t *
encode_disk(const struct job_spec_disk *d, bool vsphere)
{
    json_t *o = json_object();

    codec_put_u64(o, "key", d->key);
    codec_put_uuid(o, "disk_uuid", d->disk_uuid);
    codec_put_u64(o, "size_bytes", d->size_bytes);
    codec_put_str(o, "source_url", vsphere ? NULL : d->source_url);
    codec_put_str(o, "source_uuid", d->source_uuid);
    codec_put_str(o, "target", d->target);
    codec_put_str(o, "target_description", d->target_description);
    codec_put_str(o, "read", read_mode_to_str(d->read));
    codec_put_str(o, "reason",
                  d->reason == REASON_NONE ? NULL : reason_to_str(d->reason));
    codec_put_str(o, "change_id", d->change_id);
    codec_put_str(o, "parent_file", d->parent_file);
    codec_put_str(o, "parent_on", d->parent_on);
    codec_put_uuid(o, "layer_id", d->layer_id);
    codec_put_uuid(o, "parent_layer_id", d->parent_layer_id);
    codec_put(o, "resume_checkpoint", encode_resume(&d->resume));
    return o;
}

json_t *
job_spec_encode(const struct job_spec *s)
{
    json_t *o = json_object(), *vm = json_object(), *audit = json_object();
    json_t *disks = json_array(), *hub = json_null();

    codec_put_str(vm, "ref", s->vm_ref ? s->vm_ref : "");
    codec_put_str(vm, "instance_uuid", s->vm_instance_uuid);
    codec_put_str(vm, "name", s->vm_name);
    codec_put_u64(audit, "samples", s->audit_samples);
    codec_put_u64(audit, "seed", s->audit_seed);
    for (size_t i = 0; i < s->n_disks; i++)
        json_array_append_new(disks, encode_disk(&s->disks[i], s->vsphere != NULL));
    if (s->hub_url) {
        hub = json_object();
        codec_put_str(hub, "url", s->hub_url);
        codec_put_str(hub, "job_token", secret_reveal(s->job_token));
    }
    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put_uuid(o, "job_id", s->job_id);
    codec_put_u64(o, "attempt", s->attempt);
    codec_put(o, "vm", vm);
    job_source_put(o, s);
    codec_put(o, "disks", disks);
    codec_put(o, "limits", spec_put_limits(&s->limits));
    codec_put(o, "audit", audit);
    codec_put(o, "hub", hub);
    codec_put(o, "deadlines", spec_put_deadlines(&s->deadlines));
    return o;
}

const struct job_spec_disk *
job_spec_find(const struct job_spec *s, uint32_t key)
{
    for (size_t i = 0; i < s->n_disks; i++)
        if (s->disks[i].key == key)
            return &s->disks[i];
    return NULL;
}

int
spec_cancel_decode(const char *line, size_t n, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    struct jreader r;
    const char *type;

    if (codec_line(line, n, SPEC_LINE_MAX, &j, err) < 0)
        return err_prefix(err, "message");
    jreader_init(&r, j, "message", err);
    type = jget_str(&r, "type");
    if (err->class == 0 && strcmp(type, "cancel") != 0)
        codec_fail(&r, "type", "must be 'cancel'");
    return jreader_end(&r);
}
