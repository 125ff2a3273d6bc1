/* model/vsphere_snapshots.c - the answer to the question "snapshots".  See vsphere.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/spec_common.h"
#include "model/vsphere.h"
#include "model/vsphere_codec.h"

void
vsphere_marked_vm_done(struct vsphere_marked_vm *vm)
{
    for (size_t i = 0; i < vm->n_snapshots; i++) {
        free(vm->snapshots[i].name);
        free(vm->snapshots[i].description);
    }
    free(vm->snapshots);
    free(vm->ref);
    free(vm->name);
    free(vm->instance_uuid);
    *vm = (struct vsphere_marked_vm){0};
}

static int
get_snapshot(const json_t *j, struct vsphere_marked_snapshot *s, struct err *err)
{
    struct jreader r;

    jreader_init(&r, j, "snapshot", err);
    s->name = codec_str(&r, "name", 0, VSPHERE_TEXT_MAX);
    s->description = codec_str(&r, "description", 0, VSPHERE_TEXT_MAX);
    return jreader_end(&r);
}

static int
get_vm(const json_t *j, struct vsphere_marked_vm *vm, struct err *err)
{
    const json_t *a;
    struct jreader r;

    jreader_init(&r, j, "VM", err);
    vm->ref = codec_str(&r, "ref", 1, VSPHERE_REF_MAX);
    vm->name = codec_str(&r, "name", 0, VSPHERE_TEXT_MAX);
    vm->instance_uuid = codec_str(&r, "instance_uuid", 0, SPEC_INSTANCE_UUID_MAX);
    vm->consolidation_needed = jget_bool(&r, "consolidation_needed");
    a = codec_array(&r, "snapshots", 0, VSPHERE_MARKED_MAX);
    if (jreader_end(&r) < 0)
        return err->class;
    vm->snapshots = xcalloc(json_array_size(a) + 1, sizeof(*vm->snapshots));
    for (size_t i = 0; i < json_array_size(a); i++) {
        vm->n_snapshots = i + 1;
        if (get_snapshot(json_array_get(a, i), &vm->snapshots[i], err) < 0)
            return err_prefix(err, "snapshot %zu", i);
    }
    return 0;
}

int
vsphere_marked_get(struct jreader *r, struct vsphere_answer *a)
{
    const json_t *vms = codec_array(r, "vms", 0, VSPHERE_VMS_MAX);

    if (!vms)
        return r->err->class;
    a->marked = xcalloc(json_array_size(vms) + 1, sizeof(*a->marked));
    for (size_t i = 0; i < json_array_size(vms); i++) {
        a->n_marked = i + 1;
        if (get_vm(json_array_get(vms, i), &a->marked[i], r->err) < 0)
            return err_prefix(r->err, "VM %zu", i);
    }
    return 0;
}

static json_t *
put_vm(const struct vsphere_marked_vm *vm)
{
    json_t *o = json_object(), *snapshots = json_array();

    for (size_t i = 0; i < vm->n_snapshots; i++) {
        const struct vsphere_marked_snapshot *s = &vm->snapshots[i];
        json_t *one = json_object();

        codec_put_text(one, "name", s->name, VSPHERE_TEXT_MAX);
        codec_put_text(one, "description", s->description ? s->description : "",
                       VSPHERE_TEXT_MAX);
        json_array_append_new(snapshots, one);
    }
    codec_put_text(o, "ref", vm->ref, VSPHERE_REF_MAX);
    codec_put_text(o, "name", vm->name ? vm->name : "", VSPHERE_TEXT_MAX);
    codec_put_text(o, "instance_uuid", vm->instance_uuid ? vm->instance_uuid : "",
                   SPEC_INSTANCE_UUID_MAX);
    codec_put(o, "consolidation_needed", json_boolean(vm->consolidation_needed));
    codec_put(o, "snapshots", snapshots);
    return o;
}

void
vsphere_marked_put(json_t *o, const struct vsphere_answer *a)
{
    json_t *vms = json_array();

    for (size_t i = 0; i < a->n_marked; i++)
        json_array_append_new(vms, put_vm(&a->marked[i]));
    codec_put(o, "vms", vms);
}

/* Takes "KEY=WORD" off the text; the word may not be empty. */
static bool
take_word(const char **text, const char *key, char *out, size_t size)
{
    size_t n = strlen(key);

    if (strncmp(*text, key, n) != 0)
        return false;
    *text += n;
    n = strcspn(*text, " ");
    if (n == 0 || n >= size)
        return false;
    snprintf(out, size, "%.*s", (int)n, *text);
    *text += n;
    return true;
}

bool
vsphere_mark_parse(const char *description, struct vsphere_mark *ret)
{
    const char *p = description;
    struct vsphere_mark m = {0};

    if (!take_word(&p, "sendense/1 hub=", m.hub, sizeof(m.hub)) ||
        !take_word(&p, " node=", m.node, sizeof(m.node)) ||
        !take_word(&p, " job=", m.job, sizeof(m.job)) || *p || !uuid_is_valid(m.hub) ||
        !uuid_is_valid(m.job))
        return false;
    *ret = m;
    return true;
}
