#include "job/discover.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "job/bus.h"
#include "job/disk_identity.h"
#include "model/naming.h"

#define SOURCE_TYPE "vsphere"
#define SOURCE_UUID_MAX 255u
#define LABEL_MAX NAMING_NAME_MAX

/* Two discoveries must not add one VM twice: looking and storing do not interleave. */
static pthread_mutex_t store_lock = PTHREAD_MUTEX_INITIALIZER;

int
discover_list(struct vsphere_door *door, struct vsphere_answer *ret, struct err *err)
{
    struct vsphere_question q = {.kind = VSPHERE_LIST};

    return vsphere_ask(door, &q, ret, err);
}

int
discover_by_name(const struct vsphere_answer *list, const char *name,
                 const struct vsphere_vm **ret, struct err *err)
{
    const struct vsphere_vm *found = NULL;
    size_t n = 0;

    for (size_t i = 0; i < list->n_vms; i++)
        if (strcmp(list->vms[i].name, name) == 0) {
            found = &list->vms[i];
            n++;
        }
    if (n == 0)
        return err_set(err, ERR_NOT_FOUND, "vcenter_vm_not_found",
                       "the server has no VM named '%.300s'", name);
    if (n > 1)
        return err_set(err, ERR_EXISTS, "vm_ambiguous",
                       "%zu VMs of the server are named '%.300s': say which one by its "
                       "reference",
                       n, name);
    *ret = found;
    return 0;
}

int
discover_by_ref(const struct vsphere_answer *list, const char *ref,
                const struct vsphere_vm **ret, struct err *err)
{
    for (size_t i = 0; i < list->n_vms; i++)
        if (strcmp(list->vms[i].ref, ref) == 0) {
            *ret = &list->vms[i];
            return 0;
        }
    return err_set(err, ERR_NOT_FOUND, "vcenter_vm_not_found",
                   "the server has no VM with the reference '%.100s'", ref);
}

int
discover_known(struct job_env *env, const char *credential_id, const char *instance_uuid,
               char ret_id[UUID_STR_SIZE], struct err *err)
{
    struct cat_vms found = {0};

    ret_id[0] = '\0';
    if (!instance_uuid[0])
        return 0;
    if (cat_vm_find_by_instance(env->catalog, credential_id, instance_uuid, &found, err) <
        0)
        return err->class;
    if (found.n > 0)
        snprintf(ret_id, UUID_STR_SIZE, "%s", found.v[0].id);
    cat_vms_done(&found);
    return 0;
}

/* A name of a server as a name of ours: control characters become '?', what is too long
 * is cut at a character. */
static char *
clean_text(const char *s, const char *fallback, size_t max)
{
    char *out = xcalloc(1, max + 1);
    size_t n = 0;

    for (size_t left = strlen(s), len; left > 0; s += len, left -= len) {
        len = text_utf8_len(s, left);
        if (len == 0)
            len = 1;
        if (n + len > max)
            break;
        memcpy(out + n, s, len);
        /* C0 and DEL are one byte, C1 is C2 80 … C2 9F. */
        if ((len == 1 && ((unsigned char)*s < ' ' || (unsigned char)*s >= 0x7f)) ||
            (len == 2 && (unsigned char)s[0] == 0xc2 && (unsigned char)s[1] < 0xa0)) {
            out[n++] = '?';
            continue;
        }
        n += len;
    }
    out[n] = '\0';
    if (n == 0 && fallback[0]) {
        free(out);
        return clean_text(fallback, "", max);
    }
    return out;
}

static char *
platform_text(const struct vsphere_vm *v)
{
    CLEANUP_JSON json_t *j = json_object();

    json_object_set_new(j, "power", json_string(v->power));
    json_object_set_new(j, "connection", json_string(v->connection));
    json_object_set_new(j, "is_template", json_boolean(v->is_template));
    json_object_set_new(j, "datacenter", json_string(v->datacenter));
    json_object_set_new(j, "host", json_string(v->host));
    json_object_set_new(j, "guest_id", json_string(v->guest_id));
    json_object_set_new(j, "version", json_string(v->version));
    json_object_set_new(j, "firmware", json_string(v->firmware));
    json_object_set_new(j, "cbt_supported", json_boolean(v->cbt_supported));
    json_object_set_new(j, "cbt_enabled", json_boolean(v->cbt_enabled));
    json_object_set_new(j, "consolidation_needed", json_boolean(v->consolidation_needed));
    json_object_set_new(j, "tools_running", json_boolean(v->tools_running));
    json_object_set_new(j, "encrypted", json_boolean(v->encrypted));
    json_object_set_new(j, "snapshots", json_integer(v->n_snapshots));
    json_object_set_new(j, "allocated_bytes",
                        json_integer((json_int_t)v->allocated_bytes));
    return json_line(j);
}

/* A VM as it will be stored; its disks point into what it was made of. */
struct draft {
    struct cat_vm vm;
    struct cat_vm_disk *disks;
    char (*uuids)[UUID_STR_SIZE];
    char **labels;
    char *name, *platform;
    char id[UUID_STR_SIZE];
};

static void
draft_done(struct draft *d)
{
    for (size_t i = 0; i < d->vm.n_disks; i++)
        free(d->labels[i]);
    free(d->labels);
    free(d->uuids);
    free(d->disks);
    free(d->name);
    free(d->platform);
}

static void
draft_disks(struct draft *d, const struct vsphere_vm *v, const struct cat_vm *known)
{
    size_t n = v->n_disks;
    CLEANUP_FREE int *which = xcalloc(n + 1, sizeof *which);

    d->disks = xcalloc(n + 1, sizeof *d->disks);
    d->uuids = xcalloc(n + 1, sizeof *d->uuids);
    d->labels = xcalloc(n + 1, sizeof *d->labels);
    disk_identity_match(known ? known->disks : NULL, known ? known->n_disks : 0, v->disks,
                        n, which);
    for (size_t i = 0; i < n; i++) {
        const struct vsphere_disk *s = &v->disks[i];

        if (which[i] >= 0)
            snprintf(d->uuids[i], UUID_STR_SIZE, "%s", known->disks[which[i]].disk_uuid);
        else
            uuid_make(d->uuids[i]);
        d->labels[i] = clean_text(s->label, "", LABEL_MAX);
        d->disks[i] = (struct cat_vm_disk){
            .disk_uuid = d->uuids[i],
            .device_key = s->key,
            .disk_index = (int64_t)i,
            .label = d->labels[i],
            .source_url = s->base_file[0] ? s->base_file : s->file,
            .size_bytes = s->size_bytes,
            .source_uuid =
                s->uuid[0] && strlen(s->uuid) <= SOURCE_UUID_MAX ? s->uuid : NULL,
            .bus = s->bus,
            .bus_number = s->bus_number,
            .unit_number = s->unit,
            .backing = s->backing,
            .file = s->file,
            .base_file = s->base_file,
            .datastore = s->datastore,
            .not_protected = s->not_protected,
            .not_protected_message = s->not_protected ? s->advice : NULL};
    }
    d->vm.disks = d->disks;
    d->vm.n_disks = n;
}

static void
draft_make(struct draft *d, const struct vsphere_door *door, const struct vsphere_vm *v,
           const struct cat_vm *known)
{
    if (known)
        snprintf(d->id, sizeof d->id, "%s", known->id);
    else
        uuid_make(d->id);
    d->name = clean_text(v->name, v->ref, NAMING_NAME_MAX);
    d->platform = platform_text(v);
    d->vm = (struct cat_vm){.id = d->id,
                            .name = d->name,
                            .source_type = SOURCE_TYPE,
                            .node_id = door->row.node_id,
                            .created_us = known ? known->created_us : time_utc_us(),
                            .credential_id = door->row.id,
                            .moref = v->ref,
                            .instance_uuid = v->instance_uuid,
                            .platform = d->platform,
                            .discovered_us = time_utc_us()};
    draft_disks(d, v, known);
}

/* Ours with this identity, or one of an import that nobody claims: when there are several
 * of those, none is taken for it. */
static int
find_known(struct job_env *env, const char *credential_id, const char *instance_uuid,
           struct cat_vms *ret, struct err *err)
{
    struct cat_vms orphans = {0};

    if (cat_vm_find_by_instance(env->catalog, credential_id, instance_uuid, ret, err) < 0)
        return err->class;
    if (ret->n > 0)
        return 0;
    if (cat_vm_find_by_instance(env->catalog, NULL, instance_uuid, &orphans, err) < 0)
        return err->class;
    if (orphans.n == 1) {
        cat_vms_done(ret);
        *ret = orphans;
    } else {
        cat_vms_done(&orphans);
    }
    return 0;
}

static int
store_in_tx(struct vsphere_door *door, const struct draft *d, bool known,
            const char *actor, struct err *err)
{
    struct job_env *env = door->env;
    struct cat_event e = {.severity = "info",
                          .type = "vm.added",
                          .message = d->vm.name,
                          .vm_id = d->id,
                          .actor = actor};

    if (known)
        return cat_vm_refresh(env->catalog, &d->vm, err);
    if (cat_vm_add(env->catalog, &d->vm, err) < 0)
        return err->class;
    return bus_emit(env, &e, err);
}

static int
store(struct vsphere_door *door, const struct vsphere_vm *v, const char *actor,
      char ret_id[UUID_STR_SIZE], bool *ret_added, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_vms known = {0};
    struct draft d = {0};
    int r;

    if (!v->instance_uuid[0])
        return err_set(err, ERR_UNAVAILABLE, "vm_not_connected",
                       "the server does not tell the instance uuid of '%.200s', as for a "
                       "VM that is not connected",
                       v->name);
    LOCK_SCOPE(&store_lock);
    if (catalog_tx_begin(door->env->catalog, &tx, err) < 0 ||
        find_known(door->env, door->row.id, v->instance_uuid, &known, err) < 0)
        return err->class;
    draft_make(&d, door, v, known.n ? &known.v[0] : NULL);
    r = store_in_tx(door, &d, known.n > 0, actor, err);
    if (r >= 0)
        r = catalog_tx_commit(&tx, err);
    if (r >= 0) {
        bus_wake(door->env->bus);
        snprintf(ret_id, UUID_STR_SIZE, "%s", d.id);
        *ret_added = known.n == 0;
    }
    draft_done(&d);
    cat_vms_done(&known);
    return r < 0 ? err->class : 0;
}

static int
ask_vm(struct vsphere_door *door, const char *ref, const char *instance_uuid,
       struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_FREE char *ref_copy = xstrdup(ref ? ref : "");
    CLEANUP_FREE char *uuid_copy = xstrdup(instance_uuid ? instance_uuid : "");
    struct vsphere_question q = {
        .kind = VSPHERE_VM, .vm_ref = ref_copy, .vm_instance_uuid = uuid_copy};

    return vsphere_ask(door, &q, ret, err);
}

int
discover_vm(struct vsphere_door *door, const struct vsphere_vm *what, const char *actor,
            char ret_id[UUID_STR_SIZE], bool *ret_added, struct err *err)
{
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    bool added = false;

    if (ask_vm(door, what->ref, what->instance_uuid, &a, err) < 0 ||
        store(door, &a.vms[0], actor, ret_id, &added, err) < 0)
        return err->class;
    if (ret_added)
        *ret_added = added;
    return 0;
}

int
discover_refresh(struct vsphere_door *door, const struct cat_vm *vm,
                 struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    char id[UUID_STR_SIZE];
    bool added;

    if (ask_vm(door, vm->moref, vm->instance_uuid, &a, err) < 0)
        return err->class;
    if (vm->instance_uuid && strcmp(a.vms[0].instance_uuid, vm->instance_uuid) != 0)
        return err_set(err, ERR_EXISTS, "vm_changed",
                       "the server shows another VM under '%s': discover it again",
                       vm->moref ? vm->moref : "");
    if (store(door, &a.vms[0], NULL, id, &added, err) < 0)
        return err->class;
    *ret = a;
    a = (struct vsphere_answer){0};
    return 0;
}
