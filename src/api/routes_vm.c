/* api/routes_vm.c */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/vm_json.h"
#include "base/json.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_credential.h"
#include "job/nodes.h"
#include "model/naming.h"

/* Of a disk of a vCenter: where it is plugged in, and what holds it. */
static void
put_place(json_t *o, const struct cat_vm_disk *d)
{
    put_str(o, "bus", d->bus);
    json_object_set_new(o, "bus_number", json_integer(d->bus_number));
    json_object_set_new(o, "unit", json_integer(d->unit_number));
    put_str(o, "backing", d->backing);
    put_str(o, "file", d->file);
    put_str(o, "base_file", d->base_file);
    put_str(o, "datastore", d->datastore);
    put_str(o, "source_uuid", d->source_uuid);
    json_object_set_new(
        o, "not_protected",
        d->not_protected
            ? json_pack("{s:s, s:s}", "reason", d->not_protected, "message",
                        d->not_protected_message ? d->not_protected_message : "")
            : json_null());
}

static json_t *
disks_to_json(const struct cat_vm *vm)
{
    json_t *disks = json_array();

    for (size_t i = 0; i < vm->n_disks; i++) {
        const struct cat_vm_disk *d = &vm->disks[i];
        json_t *o = json_object();

        json_object_set_new(o, "disk_id", json_integer(d->disk_index));
        json_object_set_new(o, "key", json_integer(d->device_key));
        put_str(o, "disk_uuid", d->disk_uuid);
        put_str(o, "label", d->label);
        put_str(o, "source", d->source_url);
        put_u64(o, "size_bytes", d->size_bytes);
        json_object_set_new(o, "protected", json_boolean(!d->not_protected));
        if (d->bus)
            put_place(o, d);
        json_array_append_new(disks, o);
    }
    return disks;
}

static json_t *
last_backup(struct api *a, const char *vm_id)
{
    struct cat_backup_filter f = {.vm_id = vm_id};
    struct cat_page page = {.limit = 1};
    struct cat_backups list = {0};
    struct err ignored = ERR_INIT;
    json_t *o = NULL;

    if (cat_backup_list(a->env->catalog, &f, &page, &list, &ignored) >= 0 && list.n > 0) {
        o = json_object();
        put_str(o, "backup_id", list.v[0].backup_id);
        put_str(o, "status", list.v[0].state);
        put_time(o, "completed", list.v[0].completed_us);
    }
    cat_backups_done(&list);
    return o ? o : json_null();
}

/* {id, name} of what it was discovered with, or null. */
static json_t *
credential_of(struct api *a, const struct cat_vm *vm)
{
    struct cat_credential row = {0};
    struct err ignored = ERR_INIT;
    json_t *o;

    if (!vm->credential_id ||
        cat_credential_get(a->env->catalog, vm->credential_id, &row, &ignored) < 0)
        return json_null();
    o = json_object();
    put_str(o, "id", row.id);
    put_str(o, "name", row.name);
    cat_credential_done(&row);
    return o;
}

json_t *
vm_to_json(struct api *a, const struct cat_vm *vm)
{
    json_t *o = json_object();

    put_str(o, "id", vm->id);
    put_str(o, "name", vm->name);
    put_str(o, "source_type", vm->source_type);
    put_str(o, "node_id", vm->node_id);
    put_time(o, "created", vm->created_us);
    json_object_set_new(o, "credential", credential_of(a, vm));
    put_str(o, "ref", vm->moref);
    put_str(o, "instance_uuid", vm->instance_uuid);
    put_json_text(o, "platform", vm->platform);
    put_time(o, "discovered", vm->discovered_us);
    json_object_set_new(o, "disks", disks_to_json(vm));
    json_object_set_new(o, "last_backup", last_backup(a, vm->id));
    return o;
}

json_t *
vms_to_candidates(const struct cat_vms *list)
{
    json_t *out = json_array();

    for (size_t i = 0; i < list->n; i++) {
        json_t *o = json_object();

        put_str(o, "id", list->v[i].id);
        put_str(o, "name", list->v[i].name);
        put_str(o, "node_id", list->v[i].node_id);
        put_str(o, "credential_id", list->v[i].credential_id);
        put_time(o, "created", list->v[i].created_us);
        json_object_set_new(o, "disks", disks_to_json(&list->v[i]));
        json_array_append_new(out, o);
    }
    return out;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_vm vm = {0};

    if (cat_vm_get(a->env->catalog, id, &vm, err) < 0)
        return err->class;
    reply->json = vm_to_json(a, &vm);
    cat_vm_done(&vm);
    return 0;
}

int
api_vms_list(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    static const char *const known[] = {"name", NULL};
    struct api *a = app;
    const char *name = http_call_query(call, "name");
    struct cat_vms list = {0};
    struct listing l;
    int r;

    if (listing_begin(call, known, &l, err) < 0)
        return err->class;
    r = name ? cat_vm_find_by_name(a->env->catalog, name, &list, err)
             : cat_vm_list(a->env->catalog, &l.page, &list, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, vm_to_json(a, &list.v[i]), list.v[i].id, 0);
    reply->json = listing_end(&l, "vms", list.more);
    cat_vms_done(&list);
    return 0;
}

int
api_vms_get(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

static int
read_disk(const json_t *j, struct vm_request_disk *d, struct err *err)
{
    struct jreader r;
    uint64_t key;

    jreader_init(&r, j, "disk", err);
    key = jget_u64(&r, "key");
    d->source = jget_str(&r, "source");
    d->label = jopt_str(&r, "label", "");
    if (jreader_end(&r) < 0) {
        /* A key that is no number is the commonest mistake: it has its own word. */
        if (j && json_is_object(j) && !json_is_integer(json_object_get(j, "key")))
            err_recode(err, "invalid_key");
        return err->class;
    }
    if (key > NAMING_KEY_MAX)
        return err_set(err, ERR_INVALID, "invalid_key", "a device key is 0 to %u",
                       NAMING_KEY_MAX);
    d->key = (uint32_t)key;
    return 0;
}

/* disks: [{key, source, label?}]; *ret_disks is the caller's. */
static int
read_disks(const json_t *list, struct vm_request *req, struct vm_request_disk **ret_disks,
           struct err *err)
{
    if (json_array_size(list) > SPEC_DISKS_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "at most %u disks",
                       SPEC_DISKS_MAX);
    req->n_disks = json_array_size(list);
    req->disks = *ret_disks = xcalloc(req->n_disks + 1, sizeof **ret_disks);
    for (size_t i = 0; i < req->n_disks; i++)
        if (read_disk(json_array_get(list, i), &req->disks[i], err) < 0)
            return err_prefix(err, "disks[%zu]", i);
    return 0;
}

int
api_vms_set_disks(struct http_call *call, void *app, struct http_reply *reply,
                  struct err *err)
{
    CLEANUP_FREE struct vm_request_disk *disks = NULL;
    struct api *a = app;
    struct vm_request req = {.actor = http_call_user(call)};
    const char *id = http_call_param(call, "id");
    struct jreader r;
    const json_t *list;

    jreader_init(&r, http_call_json(call), "request", err);
    list = jget_arr(&r, "disks");
    if (jreader_end(&r) < 0 || read_disks(list, &req, &disks, err) < 0 ||
        nodes_set_disks(a->env, id, &req, err) < 0)
        return err->class;
    return answer_one(a, id, reply, err);
}

int
api_vms_add(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    CLEANUP_FREE struct vm_request_disk *disks = NULL;
    struct api *a = app;
    struct vm_request req = {.actor = http_call_user(call)};
    struct jreader r;
    const json_t *list;
    char id[UUID_STR_SIZE];

    jreader_init(&r, http_call_json(call), "request", err);
    req.name = jget_str(&r, "name");
    req.node_id = jopt_str(&r, "node_id", NULL);
    list = jget_arr(&r, "disks");
    if (jreader_end(&r) < 0 || read_disks(list, &req, &disks, err) < 0)
        return err->class;
    if (nodes_add_vm(a->env, &req, id, err) < 0)
        return err->class;
    reply->status = 201;
    snprintf(reply->location, sizeof reply->location, "/api/v1/vms/%s", id);
    return answer_one(a, id, reply, err);
}

int
api_vms_remove(struct http_call *call, void *app, struct http_reply *reply,
               struct err *err)
{
    struct api *a = app;

    return nodes_remove_vm(a->env, http_call_param(call, "id"), http_call_user(call),
                           err);
}
