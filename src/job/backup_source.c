/* The source of a backup before anything is made: which disks it has now, which of them
 * can be saved, how much data they may hold. */
#include "job/backup_priv.h"

#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "job/credentials.h"
#include "job/discover.h"
#include "job/nodes.h"

void
backup_source_done(struct backup_source *s)
{
    cat_vm_done(&s->vm);
    free(s->disks);
    free(s->not_protected);
    *s = (struct backup_source){0};
}

static bool
is_vsphere(const struct cat_vm *vm)
{
    return strcmp(vm->source_type, "vsphere") == 0;
}

/* A size that changed is taken up. */
static int
ask_nbd(struct job_env *env, struct node_client *node, struct backup_source *s,
        struct err *err)
{
    uint64_t allocated = 0;

    if (s->vm.n_disks == 0)
        return err_set(err, ERR_INVALID, "vm_without_disks", "VM '%.300s' has no disks",
                       s->vm.name);
    if (nodes_probe_vm(env, node, &s->vm, &allocated, err) < 0)
        return err->class;
    for (size_t i = 0; i < s->vm.n_disks; i++)
        if (cat_vm_set_disk_size(env->catalog, s->vm.disks[i].disk_uuid,
                                 s->vm.disks[i].size_bytes, err) < 0)
            return err->class;
    s->allocated = allocated;
    return 0;
}

static int
check_state(const struct cat_vm *vm, const struct vsphere_vm *now, struct err *err)
{
    if (now->is_template)
        return err_set(
            err, ERR_INVALID, "vm_is_template",
            "'%.300s' is a template: no snapshot can be made of it; convert it "
            "to a VM, or back up a VM made from it",
            vm->name);
    if (strcmp(now->connection, "connected") != 0)
        return err_set(err, ERR_UNAVAILABLE, "vm_not_connected",
                       "the server says that '%.300s' is %.40s: its host or its storage "
                       "is away",
                       vm->name, now->connection);
    return 0;
}

static int
ask_vsphere(struct job_env *env, struct backup_source *s, uint64_t *ret_allocated,
            struct err *err)
{
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct cat_vm fresh = {0};

    if (!s->vm.credential_id)
        return err_set(
            err, ERR_INVALID, "vm_without_credential",
            "VM '%.300s' came with a repository and no credential is known for "
            "it: find it again with `sendense vm discover`",
            s->vm.name);
    if (vsphere_door_open(env, s->vm.credential_id, &door, err) < 0)
        return err->class;
    door.limit_s = BACKUP_REFRESH_TIMEOUT_S;
    if (discover_refresh(&door, &s->vm, &a, err) < 0 ||
        check_state(&s->vm, &a.vms[0], err) < 0 ||
        cat_vm_get(env->catalog, s->vm.id, &fresh, err) < 0)
        return err->class;
    cat_vm_done(&s->vm);
    s->vm = fresh;
    *ret_allocated = a.vms[0].allocated_bytes;
    return 0;
}

/* Text of {key, label, reason, message}; what the catalog, the job and the point say. */
static char *
list_not_protected(const struct cat_vm *vm)
{
    CLEANUP_JSON json_t *list = json_array();

    for (size_t i = 0; i < vm->n_disks; i++) {
        const struct cat_vm_disk *d = &vm->disks[i];

        if (d->not_protected)
            json_array_append_new(
                list,
                json_pack("{s:I, s:s, s:s, s:s}", "key", (json_int_t)d->device_key,
                          "label", d->label, "reason", d->not_protected, "message",
                          d->not_protected_message ? d->not_protected_message : ""));
    }
    return json_line(list);
}

static int
pick_disks(struct backup_source *s, struct err *err)
{
    s->disks = xcalloc(s->vm.n_disks + 1, sizeof *s->disks);
    for (size_t i = 0; i < s->vm.n_disks; i++)
        if (!s->vm.disks[i].not_protected)
            s->disks[s->n_disks++] = s->vm.disks[i];
    if (s->n_disks == 0)
        return err_set(
            err, ERR_INVALID, "vm_without_disks",
            "VM '%.300s' has no disk that can be backed up; `sendense vm show` "
            "says why",
            s->vm.name);
    if (s->n_disks > SPEC_DISKS_MAX)
        return err_set(err, ERR_LIMIT, "too_many_disks",
                       "VM '%.300s' has %zu disks, %u are possible", s->vm.name,
                       s->n_disks, SPEC_DISKS_MAX);
    return 0;
}

/* What a server says of used space may be old, or more than the disks hold; 0 = unknown.
 */
static uint64_t
at_most_capacity(const struct backup_source *s, uint64_t allocated)
{
    uint64_t capacity = 0;

    for (size_t i = 0; i < s->n_disks; i++)
        capacity += s->disks[i].size_bytes;
    return allocated == 0 || allocated > capacity ? capacity : allocated;
}

int
backup_source_ask(struct job_env *env, struct cat_vm *vm, struct node_client **node,
                  struct backup_source *ret, struct err *err)
{
    uint64_t allocated = 0;

    ret->vm = *vm;
    *vm = (struct cat_vm){0};
    if (!is_vsphere(&ret->vm)) {
        if (nodes_connect(env, ret->vm.node_id, node, err) < 0 ||
            ask_nbd(env, *node, ret, err) < 0)
            return err->class;
        return pick_disks(ret, err);
    }
    if (ask_vsphere(env, ret, &allocated, err) < 0 || pick_disks(ret, err) < 0)
        return err->class;
    ret->not_protected = list_not_protected(&ret->vm);
    ret->allocated = at_most_capacity(ret, allocated);
    return nodes_connect(env, ret->vm.node_id, node, err);
}

/* The same name at two servers is two hosts. */
static char *
host_of(const struct cat_vm *vm)
{
    CLEANUP_JSON json_t *platform = NULL;
    struct err ignored = ERR_INIT;
    const char *host;

    if (!vm->platform ||
        json_parse(vm->platform, strlen(vm->platform), &platform, &ignored) < 0)
        return NULL;
    host = json_string_value(json_object_get(platform, "host"));
    return host && *host ? xasprintf("%s:%s", vm->credential_id, host) : NULL;
}

struct backup_vsphere *
backup_vsphere_new(const struct cat_vm *vm, enum quiesce quiesce,
                   const char *not_protected)
{
    struct err err = ERR_INIT;
    struct backup_vsphere *v;

    if (!is_vsphere(vm))
        return NULL;
    v = xcalloc(1, sizeof *v);
    v->credential_id = xstrdup(vm->credential_id);
    v->vm_ref = xstrdup(vm->moref ? vm->moref : "");
    v->instance_uuid = xstrdup(vm->instance_uuid ? vm->instance_uuid : "");
    v->quiesce = quiesce;
    v->host = host_of(vm);
    if (!not_protected ||
        json_parse(not_protected, strlen(not_protected), &v->not_protected, &err) < 0)
        v->not_protected = json_array();
    return v;
}

void
backup_vsphere_free(struct backup_vsphere *v)
{
    if (!v)
        return;
    free(v->credential_id);
    free(v->vm_ref);
    free(v->host);
    host_queue_leave(v->place);
    free(v->instance_uuid);
    free(v->nvram);
    free(v->snapshot_ref);
    free(v->snapshot_chain);
    json_decref(v->not_protected);
    json_decref(v->configuration);
    free(v);
}
