#include "job/nodes.h"

#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "job/bus.h"
#include "model/naming.h"
#include "model/targets.h"
#include "os/seal.h"

#define NODE_URL_MAX 512u
#define DEFAULT_NODE "1"

/* What a sealed token is bound to: it is worthless in another row. */
static char *
seal_context(const char *name)
{
    return xasprintf("nodes.token:%s", name);
}

static int
check_url(const char *url, struct err *err)
{
    if ((strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) ||
        strlen(url) > NODE_URL_MAX || strpbrk(url, " \t\r\n@?#"))
        return err_set(err, ERR_INVALID, "invalid_url",
                       "a node's url is like http://127.0.0.1:8081; got '%.200s'", url);
    return 0;
}

int
nodes_add(struct job_env *env, const char *name, const char *url,
          const struct secret *token, char ret_id[CAT_ID_SIZE], struct err *err)
{
    CLEANUP_FREE char *context = NULL, *sealed = NULL;
    struct cat_node row;

    if (naming_name_check(name, "node name", err) < 0 || check_url(url, err) < 0)
        return err->class;
    if (!env->key)
        return err_set(
            err, ERR_UNAVAILABLE, "no_sealing_key",
            "the hub has no sealing key, so it stores no token; run sendense-hub init");
    context = seal_context(name);
    if (seal_text(env->key, context, token, &sealed, err) < 0)
        return err->class;
    row = (struct cat_node){
        .name = name, .url = url, .sealed_token = sealed, .created_us = time_utc_us()};
    return cat_node_add(env->catalog, &row, ret_id, err);
}

int
nodes_connect(struct job_env *env, const char *id, struct node_client **ret,
              struct err *err)
{
    CLEANUP_FREE char *context = NULL;
    struct secret *token = NULL;
    struct cat_node row = {0};
    int r;

    if (!id)
        return err_set(err, ERR_NOT_FOUND, "node_not_found", "no node is set");
    if (cat_node_get(env->catalog, id, &row, err) < 0)
        return err->class;
    context = seal_context(row.name);
    if (!env->key)
        r = err_set(
            err, ERR_UNAVAILABLE, "no_sealing_key",
            "the hub has no sealing key, so it cannot read the token of node '%s'",
            row.name);
    else
        r = unseal_text(env->key, context, row.sealed_token, &token, err);
    if (r >= 0)
        r = node_client_new(row.name, row.url, token, ret, err);
    cat_node_done(&row);
    return r < 0 ? err->class : 0;
}

static int
take_result(struct cat_vm_disk *d, const struct probe_answer *a, uint64_t *allocated,
            struct err *err)
{
    for (size_t i = 0; i < a->n_disks; i++) {
        const struct probe_result *r = &a->disks[i];

        if (r->key != (uint32_t)d->device_key)
            continue;
        if (!r->ok)
            return err_set(err, ERR_IO, "source_unreachable",
                           "disk %u: the node cannot read its source: %s", r->key,
                           r->message);
        if (r->size_bytes == 0)
            return err_set(err, ERR_INVALID, "invalid_source", "disk %u has no size",
                           r->key);
        d->size_bytes = r->size_bytes;
        *allocated += r->allocated_bytes;
        return 0;
    }
    return err_set(err, ERR_PROTOCOL, "node_protocol",
                   "the node said nothing of disk %lld", (long long)d->device_key);
}

int
nodes_probe_vm(struct job_env *env, struct node_client *node, struct cat_vm *vm,
               uint64_t *ret_allocated, struct err *err)
{
    CLEANUP_PROBE_REQUEST struct probe_request req = {
        .source_type = xstrdup(vm->source_type), .deadlines = env->deadlines};
    CLEANUP_PROBE_ANSWER struct probe_answer answer = {0};

    *ret_allocated = 0;
    req.disks = xcalloc(vm->n_disks, sizeof *req.disks);
    req.n_disks = vm->n_disks;
    for (size_t i = 0; i < vm->n_disks; i++) {
        req.disks[i].key = (uint32_t)vm->disks[i].device_key;
        req.disks[i].source_url = xstrdup(vm->disks[i].source_url);
    }
    if (node_client_probe(node, &req, &answer, err) < 0)
        return err->class;
    for (size_t i = 0; i < vm->n_disks; i++)
        if (take_result(&vm->disks[i], &answer, ret_allocated, err) < 0)
            return err->class;
    return 0;
}

static int
check_disks(const struct vm_request *req, struct err *err)
{
    if (req->n_disks == 0)
        return err_set(err, ERR_INVALID, "vm_without_disks",
                       "a VM needs at least one disk");
    if (req->n_disks > SPEC_DISKS_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "at most %u disks",
                       SPEC_DISKS_MAX);
    for (size_t i = 0; i < req->n_disks; i++) {
        if (targets_uri_check(req->disks[i].source, "source", err) < 0) {
            err_recode(err, "invalid_source");
            return err_prefix(err, "disk %u", req->disks[i].key);
        }
        for (size_t k = 0; k < i; k++)
            if (req->disks[k].key == req->disks[i].key)
                return err_set(err, ERR_INVALID, "duplicate_key",
                               "two disks have the key %u: each disk needs its own",
                               req->disks[i].key);
    }
    return 0;
}

static int
check_request(const struct vm_request *req, struct err *err)
{
    if (naming_name_check(req->name, "VM name", err) < 0)
        return err->class;
    return check_disks(req, err);
}

static int
store_vm(struct job_env *env, const struct cat_vm *vm, const char *actor, struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "vm.added",
                          .message = vm->name,
                          .vm_id = vm->id,
                          .actor = actor};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_vm_add(env->catalog, vm, err) < 0 || bus_emit(env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

int
nodes_add_vm(struct job_env *env, const struct vm_request *req,
             char ret_id[UUID_STR_SIZE], struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_FREE struct cat_vm_disk *disks = NULL;
    char(*uuids)[UUID_STR_SIZE];
    struct cat_vm vm;
    uint64_t allocated;
    int r;

    if (check_request(req, err) < 0)
        return err->class;
    disks = xcalloc(req->n_disks, sizeof *disks);
    uuids = xcalloc(req->n_disks, sizeof *uuids);
    uuid_make(ret_id);
    vm = (struct cat_vm){.id = ret_id,
                         .name = req->name,
                         .source_type = "nbd",
                         .node_id = req->node_id ? req->node_id : DEFAULT_NODE,
                         .created_us = time_utc_us(),
                         .disks = disks,
                         .n_disks = req->n_disks};
    for (size_t i = 0; i < req->n_disks; i++) {
        uuid_make(uuids[i]);
        disks[i] =
            (struct cat_vm_disk){.disk_uuid = uuids[i],
                                 .device_key = req->disks[i].key,
                                 .disk_index = (int64_t)i,
                                 .label = req->disks[i].label ? req->disks[i].label : "",
                                 .source_url = req->disks[i].source};
    }
    r = nodes_connect(env, vm.node_id, &node, err);
    if (r >= 0)
        r = nodes_probe_vm(env, node, &vm, &allocated, err);
    if (r >= 0)
        r = store_vm(env, &vm, req->actor, err);
    free(uuids);
    return r < 0 ? err->class : 0;
}

static const char *
known_uuid(const struct cat_vm *vm, const char *source)
{
    for (size_t i = 0; i < vm->n_disks; i++)
        if (strcmp(vm->disks[i].source_url, source) == 0)
            return vm->disks[i].disk_uuid;
    return NULL;
}

/* Two disks of one source would be one disk in two places. */
static int
check_sources(const struct vm_request *req, struct err *err)
{
    for (size_t i = 0; i < req->n_disks; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(req->disks[k].source, req->disks[i].source) == 0)
                return err_set(err, ERR_INVALID, "invalid_source",
                               "disks %u and %u have the same source", req->disks[k].key,
                               req->disks[i].key);
    return 0;
}

static int
store_disks(struct job_env *env, const struct cat_vm *vm, const char *actor,
            struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "vm.changed",
                          .message = "its disks were set",
                          .vm_id = vm->id,
                          .actor = actor};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_vm_refresh(env->catalog, vm, err) < 0 || bus_emit(env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}

static int
set_disks(struct job_env *env, const struct cat_vm *old, const struct vm_request *req,
          struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_FREE struct cat_vm_disk *disks = xcalloc(req->n_disks, sizeof *disks);
    char(*uuids)[UUID_STR_SIZE] = xcalloc(req->n_disks, sizeof *uuids);
    struct cat_vm vm = *old;
    uint64_t allocated;
    int r;

    vm.disks = disks;
    vm.n_disks = req->n_disks;
    for (size_t i = 0; i < req->n_disks; i++) {
        const char *known = known_uuid(old, req->disks[i].source);

        uuid_make(uuids[i]);
        disks[i] =
            (struct cat_vm_disk){.disk_uuid = known ? known : uuids[i],
                                 .device_key = req->disks[i].key,
                                 .disk_index = (int64_t)i,
                                 .label = req->disks[i].label ? req->disks[i].label : "",
                                 .source_url = req->disks[i].source};
    }
    r = nodes_connect(env, vm.node_id, &node, err);
    if (r >= 0)
        r = nodes_probe_vm(env, node, &vm, &allocated, err);
    if (r >= 0)
        r = store_disks(env, &vm, req->actor, err);
    free(uuids);
    return r < 0 ? err->class : 0;
}

int
nodes_set_disks(struct job_env *env, const char *vm_id, const struct vm_request *req,
                struct err *err)
{
    struct cat_vm old = {0};
    int r;

    if (check_disks(req, err) < 0 || check_sources(req, err) < 0 ||
        cat_vm_get(env->catalog, vm_id, &old, err) < 0)
        return err->class;
    r = strcmp(old.source_type, "nbd") == 0
            ? set_disks(env, &old, req, err)
            : err_set(err, ERR_INVALID, "not_by_hand",
                      "which disks '%.300s' has is for its server to say: discover it "
                      "again",
                      old.name);
    cat_vm_done(&old);
    return r < 0 ? err->class : 0;
}

int
nodes_remove_vm(struct job_env *env, const char *vm_id, const char *actor,
                struct err *err)
{
    CLEANUP_TX struct catalog_tx tx = {0};
    struct cat_event e = {.severity = "info",
                          .type = "vm.deleted",
                          .message = "VM removed from the inventory",
                          .vm_id = vm_id,
                          .actor = actor};

    if (catalog_tx_begin(env->catalog, &tx, err) < 0 ||
        cat_vm_remove(env->catalog, vm_id, err) < 0 || bus_emit(env, &e, err) < 0)
        return err->class;
    return catalog_tx_commit(&tx, err);
}
