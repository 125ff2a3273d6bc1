/* model/vsphere_answer.c - what a vCenter answered.  See vsphere.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/jobevent.h"
#include "model/naming.h"
#include "model/spec_common.h"
#include "model/vsphere.h"
#include "model/vsphere_codec.h"

#define WORD_MAX 64u

static void
disk_done(struct vsphere_disk *d)
{
    free(d->label);
    free(d->bus);
    free(d->uuid);
    free(d->backing);
    free(d->file);
    free(d->base_file);
    free(d->datastore);
    free(d->mode);
    free(d->not_protected);
    free(d->advice);
}

static void
vm_done(struct vsphere_vm *vm)
{
    for (size_t i = 0; i < vm->n_disks; i++)
        disk_done(&vm->disks[i]);
    free(vm->disks);
    free(vm->ref);
    free(vm->name);
    free(vm->instance_uuid);
    free(vm->power);
    free(vm->connection);
    free(vm->datacenter);
    free(vm->host);
    free(vm->guest_id);
    free(vm->version);
    free(vm->firmware);
}

void
vsphere_answer_done(struct vsphere_answer *a)
{
    for (size_t i = 0; i < a->n_vms; i++)
        vm_done(&a->vms[i]);
    free(a->vms);
    for (size_t i = 0; i < a->n_marked; i++)
        vsphere_marked_vm_done(&a->marked[i]);
    free(a->marked);
    free(a->code);
    free(a->message);
    free(a->sha256);
    free(a->full_name);
    free(a->api_version);
    free(a->server_uuid);
    *a = (struct vsphere_answer){0};
}

/* ---- decode ---- */

static char *
get_text(struct jreader *r, const char *key)
{
    return codec_str(r, key, 0, VSPHERE_TEXT_MAX);
}

static void
get_not_protected(struct jreader *up, struct vsphere_disk *d)
{
    const json_t *j = jopt_obj(up, "not_protected");
    struct jreader r;

    if (!j)
        return;
    jreader_init(&r, j, "not_protected", up->err);
    d->not_protected = codec_code(&r, "reason");
    d->advice = get_text(&r, "message");
    jreader_end(&r);
}

static int
get_disk(const json_t *j, struct vsphere_disk *d, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "disk", err);
    d->key = (uint32_t)codec_range(&r, "key", 0, NAMING_KEY_MAX);
    d->label = get_text(&r, "label");
    d->bus = codec_str(&r, "bus", 1, WORD_MAX);
    d->bus_number = (uint32_t)codec_range(&r, "bus_number", 0, CODEC_U31_MAX);
    d->unit = (uint32_t)codec_range(&r, "unit", 0, CODEC_U31_MAX);
    d->size_bytes = codec_range(&r, "size_bytes", 1, MANIFEST_DISK_SIZE_MAX);
    d->uuid = get_text(&r, "uuid");
    d->backing = get_text(&r, "backing");
    d->file = get_text(&r, "file");
    d->base_file = get_text(&r, "base_file");
    d->datastore = get_text(&r, "datastore");
    d->mode = get_text(&r, "mode");
    d->thin = jget_bool(&r, "thin");
    d->encrypted = jget_bool(&r, "encrypted");
    get_not_protected(&r, d);
    return jreader_end(&r);
}

static int
get_disks(struct jreader *r, struct vsphere_vm *vm)
{
    const json_t *a = codec_array(r, "disks", 0, VSPHERE_DISKS_MAX);

    if (!a)
        return r->err->class;
    vm->disks = xcalloc(json_array_size(a) + 1, sizeof(*vm->disks));
    for (size_t i = 0; i < json_array_size(a); i++) {
        vm->n_disks = i + 1;
        if (get_disk(json_array_get(a, i), &vm->disks[i], r->err) < 0)
            return err_prefix(r->err, "disk %zu", i);
    }
    if (codec_has_twin_keys(&vm->disks[0].key, sizeof(*vm->disks), vm->n_disks))
        return spec_twins(r->err, "VM", "key");
    return 0;
}

static void
get_details(struct jreader *r, struct vsphere_vm *vm)
{
    vm->has_details = true;
    vm->datacenter = get_text(r, "datacenter");
    vm->host = get_text(r, "host");
    vm->guest_id = get_text(r, "guest_id");
    vm->version = get_text(r, "version");
    vm->firmware = get_text(r, "firmware");
    vm->cbt_supported = jget_bool(r, "cbt_supported");
    vm->cbt_enabled = jget_bool(r, "cbt_enabled");
    vm->consolidation_needed = jget_bool(r, "consolidation_needed");
    vm->tools_running = jget_bool(r, "tools_running");
    vm->encrypted = jget_bool(r, "encrypted");
    vm->n_snapshots = (uint32_t)codec_range(r, "snapshots", 0, CODEC_U31_MAX);
    vm->allocated_bytes = jget_u64(r, "allocated_bytes");
    get_disks(r, vm);
}

static int
get_vm(const json_t *j, bool details, struct vsphere_vm *vm, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "VM", err);
    vm->ref = codec_str(&r, "ref", 1, VSPHERE_REF_MAX);
    vm->name = get_text(&r, "name");
    vm->instance_uuid = codec_str(&r, "instance_uuid", 0, SPEC_INSTANCE_UUID_MAX);
    vm->power = codec_str(&r, "power", 0, WORD_MAX);
    vm->connection = codec_str(&r, "connection", 0, WORD_MAX);
    vm->is_template = jget_bool(&r, "is_template");
    if (details)
        get_details(&r, vm);
    return jreader_end(&r);
}

static int
get_vms(struct jreader *r, struct vsphere_answer *a)
{
    const bool one = a->kind == VSPHERE_VM;
    const json_t *vms = codec_array(r, "vms", one, one ? 1 : VSPHERE_VMS_MAX);

    if (!vms)
        return r->err->class;
    a->vms = xcalloc(json_array_size(vms) + 1, sizeof(*a->vms));
    for (size_t i = 0; i < json_array_size(vms); i++) {
        a->n_vms = i + 1;
        if (get_vm(json_array_get(vms, i), one, &a->vms[i], r->err) < 0)
            return err_prefix(r->err, "VM %zu", i);
    }
    return 0;
}

static void
get_server(struct jreader *up, struct vsphere_answer *a)
{
    const json_t *j = jget_obj(up, "server");
    struct jreader r;

    jreader_init(&r, j, "server", up->err);
    a->full_name = get_text(&r, "full_name");
    a->api_version = get_text(&r, "api_version");
    a->server_uuid = codec_str(&r, "uuid", 0, SPEC_INSTANCE_UUID_MAX);
    jreader_end(&r);
}

/* "AA:BB:...": 32 bytes as tools show them. */
static bool
is_fingerprint(const char *s)
{
    for (size_t i = 0; i < 95; i++)
        if (i % 3 == 2 ? s[i] != ':' : !s[i] || !strchr("0123456789ABCDEF", s[i]))
            return false;
    return s[95] == '\0';
}

static void
get_good_answer(struct jreader *r, struct vsphere_answer *a)
{
    switch (a->kind) {
    case VSPHERE_FINGERPRINT:
        a->sha256 = codec_str(r, "sha256", 1, VSPHERE_TEXT_MAX);
        if (a->sha256 && !is_fingerprint(a->sha256))
            codec_fail(r, "sha256", "must be 32 bytes like AA:BB");
        return;
    case VSPHERE_LIST:
    case VSPHERE_VM:
        get_vms(r, a);
        get_server(r, a);
        return;
    case VSPHERE_SNAPSHOTS:
        vsphere_marked_get(r, a);
        get_server(r, a);
        return;
    case VSPHERE_REMOVE_SNAPSHOT:
        a->removed = (uint32_t)codec_range(r, "removed", 0, CODEC_U31_MAX);
        a->consolidation_needed = jget_bool(r, "consolidation_needed");
        return;
    case VSPHERE_TEST:
    case VSPHERE_QUESTION_COUNT:
        get_server(r, a);
        return;
    }
}

int
vsphere_answer_decode(const json_t *j, struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct jreader r;

    jreader_init(&r, j, "answer", err);
    codec_version(&r);
    codec_word(&r, "question", vsphere_question_from_str, &a.kind);
    a.ok = jget_bool(&r, "ok");
    if (a.ok) {
        get_good_answer(&r, &a);
    } else {
        a.code = codec_code(&r, "code");
        a.message = codec_str(&r, "message", 0, EVENT_MESSAGE_MAX);
    }
    if (jreader_end(&r) < 0)
        return err->class;
    *ret = a;
    a = (struct vsphere_answer){0};
    return 0;
}

/* ---- encode ---- */

static void
put_text(json_t *o, const char *key, const char *s)
{
    codec_put_text(o, key, s ? s : "", VSPHERE_TEXT_MAX);
}

static json_t *
put_disk(const struct vsphere_disk *d)
{
    json_t *o = json_object(), *why = json_null();

    if (d->not_protected) {
        why = json_object();
        codec_put_str(why, "reason", d->not_protected);
        put_text(why, "message", d->advice);
    }
    codec_put_u64(o, "key", d->key);
    put_text(o, "label", d->label);
    codec_put_str(o, "bus", d->bus);
    codec_put_u64(o, "bus_number", d->bus_number);
    codec_put_u64(o, "unit", d->unit);
    codec_put_u64(o, "size_bytes", d->size_bytes);
    put_text(o, "uuid", d->uuid);
    put_text(o, "backing", d->backing);
    put_text(o, "file", d->file);
    put_text(o, "base_file", d->base_file);
    put_text(o, "datastore", d->datastore);
    put_text(o, "mode", d->mode);
    codec_put(o, "thin", json_boolean(d->thin));
    codec_put(o, "encrypted", json_boolean(d->encrypted));
    codec_put(o, "not_protected", why);
    return o;
}

static void
put_details(json_t *o, const struct vsphere_vm *vm)
{
    json_t *disks = json_array();

    for (size_t i = 0; i < vm->n_disks; i++)
        json_array_append_new(disks, put_disk(&vm->disks[i]));
    put_text(o, "datacenter", vm->datacenter);
    put_text(o, "host", vm->host);
    put_text(o, "guest_id", vm->guest_id);
    put_text(o, "version", vm->version);
    put_text(o, "firmware", vm->firmware);
    codec_put(o, "cbt_supported", json_boolean(vm->cbt_supported));
    codec_put(o, "cbt_enabled", json_boolean(vm->cbt_enabled));
    codec_put(o, "consolidation_needed", json_boolean(vm->consolidation_needed));
    codec_put(o, "tools_running", json_boolean(vm->tools_running));
    codec_put(o, "encrypted", json_boolean(vm->encrypted));
    codec_put_u64(o, "snapshots", vm->n_snapshots);
    codec_put_u64(o, "allocated_bytes", vm->allocated_bytes);
    codec_put(o, "disks", disks);
}

static json_t *
put_vm(const struct vsphere_vm *vm)
{
    json_t *o = json_object();

    codec_put_text(o, "ref", vm->ref, VSPHERE_REF_MAX);
    put_text(o, "name", vm->name);
    codec_put_text(o, "instance_uuid", vm->instance_uuid ? vm->instance_uuid : "",
                   SPEC_INSTANCE_UUID_MAX);
    codec_put_text(o, "power", vm->power ? vm->power : "", WORD_MAX);
    codec_put_text(o, "connection", vm->connection ? vm->connection : "", WORD_MAX);
    codec_put(o, "is_template", json_boolean(vm->is_template));
    if (vm->has_details)
        put_details(o, vm);
    return o;
}

static void
put_vms(json_t *o, const struct vsphere_answer *a)
{
    json_t *vms = json_array();

    for (size_t i = 0; i < a->n_vms; i++)
        json_array_append_new(vms, put_vm(&a->vms[i]));
    codec_put(o, "vms", vms);
}

static void
put_server(json_t *o, const struct vsphere_answer *a)
{
    json_t *server = json_object();

    put_text(server, "full_name", a->full_name);
    put_text(server, "api_version", a->api_version);
    codec_put_text(server, "uuid", a->server_uuid ? a->server_uuid : "",
                   SPEC_INSTANCE_UUID_MAX);
    codec_put(o, "server", server);
}

static void
put_good_answer(json_t *o, const struct vsphere_answer *a)
{
    switch (a->kind) {
    case VSPHERE_FINGERPRINT:
        codec_put_str(o, "sha256", a->sha256);
        return;
    case VSPHERE_LIST:
    case VSPHERE_VM:
        put_server(o, a);
        put_vms(o, a);
        return;
    case VSPHERE_SNAPSHOTS:
        put_server(o, a);
        vsphere_marked_put(o, a);
        return;
    case VSPHERE_REMOVE_SNAPSHOT:
        codec_put_u64(o, "removed", a->removed);
        codec_put(o, "consolidation_needed", json_boolean(a->consolidation_needed));
        return;
    case VSPHERE_TEST:
    case VSPHERE_QUESTION_COUNT:
        put_server(o, a);
        return;
    }
}

json_t *
vsphere_answer_encode(const struct vsphere_answer *a)
{
    json_t *o = json_object();

    codec_put_u64(o, "v", SPEC_VERSION);
    codec_put_str(o, "question", vsphere_question_to_str(a->kind));
    codec_put(o, "ok", json_boolean(a->ok));
    if (a->ok) {
        put_good_answer(o, a);
    } else {
        codec_put_str(o, "code", a->code);
        codec_put_text(o, "message", a->message ? a->message : "", EVENT_MESSAGE_MAX);
    }
    return o;
}
