/* api/routes_discover.c - the VMs of a vCenter: listing them, taking them in. */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/vm_json.h"
#include "api/vsphere_json.h"
#include "base/json.h"
#include "base/mem.h"
#include "job/discover.h"

#define WANTED_MAX 1000u

json_t *
server_to_json(const struct vsphere_answer *a)
{
    json_t *o = json_object();

    put_str(o, "full_name", a->full_name);
    put_str(o, "api_version", a->api_version);
    put_str(o, "uuid", a->server_uuid);
    return o;
}

json_t *
listed_to_json(const struct vsphere_vm *v)
{
    json_t *o = json_object();

    put_str(o, "ref", v->ref);
    put_str(o, "name", v->name);
    put_str(o, "instance_uuid", v->instance_uuid);
    put_str(o, "power", v->power);
    put_str(o, "connection", v->connection);
    json_object_set_new(o, "is_template", json_boolean(v->is_template));
    return o;
}

struct wanted {
    const char *credential_id;
    const json_t *names, *refs;
    bool all;
};

static int
check_words(const json_t *list, const char *what, struct err *err)
{
    if (json_array_size(list) > WANTED_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "%s: at most %u in one request",
                       what, WANTED_MAX);
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return err_set(err, ERR_INVALID, "invalid_field", "%s[%zu] must be text",
                           what, i);
    return 0;
}

static int
read_request(struct http_call *call, struct wanted *w, struct err *err)
{
    struct jreader r;

    jreader_init(&r, http_call_json(call), "request", err);
    w->credential_id = jget_str(&r, "credential_id");
    w->names = jopt_arr(&r, "vm_names");
    w->refs = jopt_arr(&r, "vm_refs");
    w->all = jopt_bool(&r, "all", false);
    if (jreader_end(&r) < 0 || check_words(w->names, "vm_names", err) < 0 ||
        check_words(w->refs, "vm_refs", err) < 0)
        return err->class;
    if (w->all && (json_array_size(w->names) || json_array_size(w->refs)))
        return err_set(err, ERR_INVALID, "invalid_field",
                       "either all, or vm_names and vm_refs");
    return 0;
}

/* Only what is there. */
static int
answer_list(struct api *a, const struct vsphere_door *door,
            const struct vsphere_answer *list, json_t *answer, struct err *err)
{
    json_t *vms = json_array();

    json_object_set_new(answer, "vms", vms);
    for (size_t i = 0; i < list->n_vms; i++) {
        json_t *o = listed_to_json(&list->vms[i]);
        char id[UUID_STR_SIZE];

        json_array_append_new(vms, o);
        if (discover_known(a->env, door->row.id, list->vms[i].instance_uuid, id, err) < 0)
            return err->class;
        json_object_set_new(o, "in_inventory", json_boolean(id[0]));
        put_str(o, "vm_id", id[0] ? id : NULL);
    }
    return 0;
}

static json_t *
candidates(const struct vsphere_answer *list, const char *name)
{
    json_t *out = json_array();

    for (size_t i = 0; i < list->n_vms; i++)
        if (strcmp(list->vms[i].name, name) == 0)
            json_array_append_new(out, listed_to_json(&list->vms[i]));
    return out;
}

struct picked {
    const struct vsphere_vm **v;
    size_t n;
};

static void
pick(struct picked *p, const struct vsphere_vm *vm)
{
    p->v = xreallocarray(p->v, p->n + 1, sizeof *p->v);
    p->v[p->n++] = vm;
}

/* Every word is found before anything is stored. */
static int
pick_all(const struct wanted *w, const struct vsphere_answer *list, struct picked *p,
         struct http_reply *reply, struct err *err)
{
    const struct vsphere_vm *vm;

    for (size_t i = 0; w->all && i < list->n_vms; i++)
        pick(p, &list->vms[i]);
    for (size_t i = 0; i < json_array_size(w->names); i++) {
        const char *name = json_string_value(json_array_get(w->names, i));

        if (discover_by_name(list, name, &vm, err) < 0) {
            if (strcmp(err->code, "vm_ambiguous") == 0)
                reply->extra_problem =
                    json_pack("{s:o}", "candidates", candidates(list, name));
            return err->class;
        }
        pick(p, vm);
    }
    for (size_t i = 0; i < json_array_size(w->refs); i++) {
        if (discover_by_ref(list, json_string_value(json_array_get(w->refs, i)), &vm,
                            err) < 0)
            return err->class;
        pick(p, vm);
    }
    return 0;
}

static json_t *
failed_to_json(const struct vsphere_vm *v, const struct err *why)
{
    json_t *o = json_object();

    put_str(o, "ref", v->ref);
    put_str(o, "name", v->name);
    put_str(o, "code", why->code);
    put_str(o, "message", why->msg);
    return o;
}

static int
append_vm(struct api *a, const char *id, json_t *vms, struct err *err)
{
    struct cat_vm vm = {0};

    if (cat_vm_get(a->env->catalog, id, &vm, err) < 0)
        return err->class;
    json_array_append_new(vms, vm_to_json(a, &vm));
    cat_vm_done(&vm);
    return 0;
}

/* One VM that cannot be taken in holds up no other; when it is the only one, its error is
 * the answer. */
static int
take_in(struct http_call *call, struct api *a, struct vsphere_door *door,
        const struct picked *p, json_t *answer, struct err *err)
{
    json_t *vms = json_array(), *failed = json_array();
    json_int_t added = 0, refreshed = 0;

    json_object_set_new(answer, "vms", vms);
    json_object_set_new(answer, "failed", failed);
    for (size_t i = 0; i < p->n; i++) {
        struct err why = ERR_INIT;
        char id[UUID_STR_SIZE];
        bool is_new = false;

        if (http_call_stopping(call))
            return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the hub stops");
        if (discover_vm(door, p->v[i], http_call_user(call), id, &is_new, &why) < 0) {
            if (p->n == 1) {
                *err = why;
                return err->class;
            }
            json_array_append_new(failed, failed_to_json(p->v[i], &why));
            continue;
        }
        if (is_new)
            added++;
        else
            refreshed++;
        if (append_vm(a, id, vms, err) < 0)
            return err->class;
    }
    json_object_set_new(answer, "added", json_integer(added));
    json_object_set_new(answer, "refreshed", json_integer(refreshed));
    return 0;
}

int
api_vms_discover(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer list = {0};
    CLEANUP_JSON json_t *answer = NULL;
    struct api *a = app;
    struct wanted w = {0};
    struct picked p = {0};
    int r;

    if (read_request(call, &w, err) < 0 ||
        vsphere_door_open(a->env, w.credential_id, &door, err) < 0 ||
        discover_list(&door, &list, err) < 0)
        return err->class;
    answer = json_object();
    json_object_set_new(answer, "server", server_to_json(&list));
    r = pick_all(&w, &list, &p, reply, err);
    if (r >= 0 && !w.all && !w.names && !w.refs)
        r = answer_list(a, &door, &list, answer, err);
    else if (r >= 0)
        r = take_in(call, a, &door, &p, answer, err);
    free(p.v);
    if (r < 0)
        return err->class;
    reply->json = take_ptr(&answer);
    return 0;
}
