#include "vsphere_rig.h"

#include "base/secret.h"
#include "catalog/cat_node.h"
#include "job/bus.h"
#include "job/nodes.h"
#include "os/http_server.h"
#include "os/seal.h"

static void
fill_disk(const struct fake_disk *from, size_t i, struct vsphere_disk *d)
{
    *d = (struct vsphere_disk){.key = from->key,
                               .label = xasprintf("Hard disk %zu", i + 1),
                               .bus = xstrdup("scsi"),
                               .unit = (uint32_t)i,
                               .size_bytes = from->size_bytes,
                               .uuid = xstrdup(from->uuid ? from->uuid : ""),
                               .backing = xstrdup("FlatVer2"),
                               .file = xstrdup(from->file),
                               .base_file = xstrdup(from->file),
                               .datastore = xstrdup("ds1"),
                               .mode = xstrdup("persistent")};
    if (from->not_protected) {
        d->not_protected = xstrdup(from->not_protected);
        d->advice = xasprintf("it is %s", from->not_protected);
    }
}

static void
fill_vm(const struct fake_vm *from, bool details, struct vsphere_vm *v)
{
    *v = (struct vsphere_vm){
        .ref = xstrdup(from->ref),
        .name = xstrdup(from->name),
        .instance_uuid = xstrdup(from->instance_uuid),
        .power = xstrdup("poweredOn"),
        .connection = xstrdup(from->connection ? from->connection : "connected"),
        .is_template = from->is_template};
    if (!details)
        return;
    v->has_details = true;
    v->datacenter = xstrdup("DC0");
    v->host = xstrdup("esx1");
    v->guest_id = xstrdup("debian12_64Guest");
    v->version = xstrdup("vmx-19");
    v->firmware = xstrdup("efi");
    v->allocated_bytes = from->allocated_bytes;
    v->n_disks = from->n_disks;
    v->disks = xcalloc(from->n_disks + 1, sizeof *v->disks);
    for (size_t i = 0; i < from->n_disks; i++)
        fill_disk(&from->disks[i], i, &v->disks[i]);
}

/* By reference first, then by identity, as the real one. */
static const struct fake_vm *
find(const struct vsphere_rig *rig, const struct vsphere_question *q)
{
    for (size_t i = 0; i < rig->n_vms; i++)
        if (strcmp(rig->vms[i].ref, q->vm_ref) == 0 &&
            (!q->vm_instance_uuid[0] ||
             strcmp(rig->vms[i].instance_uuid, q->vm_instance_uuid) == 0))
            return &rig->vms[i];
    for (size_t i = 0; i < rig->n_vms; i++)
        if (q->vm_instance_uuid[0] &&
            strcmp(rig->vms[i].instance_uuid, q->vm_instance_uuid) == 0)
            return &rig->vms[i];
    return NULL;
}

static void
refuse(struct vsphere_answer *a, const char *code)
{
    a->ok = false;
    a->code = xstrdup(code);
    a->message = xstrdup("the fake server says no");
}

static void
answer(struct vsphere_rig *rig, const struct vsphere_question *q,
       struct vsphere_answer *a)
{
    const struct fake_vm *one = q->kind == VSPHERE_VM ? find(rig, q) : NULL;

    *a = (struct vsphere_answer){
        .ok = true,
        .kind = q->kind,
        .full_name = xstrdup("fake vCenter"),
        .api_version = xstrdup("8.0"),
        .server_uuid = xstrdup(strstr(q->login.url, "stranger") ? "s" : "u")};
    if (rig->refuse) {
        refuse(a, rig->refuse);
    } else if (q->kind == VSPHERE_FINGERPRINT) {
        a->sha256 = xstrdup("AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:"
                            "AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99");
    } else if (q->kind == VSPHERE_LIST) {
        a->vms = xcalloc(rig->n_vms + 1, sizeof *a->vms);
        for (; a->n_vms < rig->n_vms; a->n_vms++)
            fill_vm(&rig->vms[a->n_vms], false, &a->vms[a->n_vms]);
    } else if (one) {
        a->vms = xcalloc(1, sizeof *a->vms);
        a->n_vms = 1;
        fill_vm(one, true, &a->vms[0]);
    } else if (q->kind == VSPHERE_VM) {
        refuse(a, "vcenter_vm_not_found");
    }
}

static int
on_vsphere(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    CLEANUP_VSPHERE_QUESTION struct vsphere_question q = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct vsphere_rig *rig = app;

    if (vsphere_question_decode(http_call_json(call), &q, err) < 0)
        return err->class;
    rig->kind = q.kind;
    free(rig->password);
    rig->password = q.login.password ? xstrdup(secret_reveal(q.login.password)) : NULL;
    snprintf(rig->user, sizeof rig->user, "%s", q.login.user ? q.login.user : "");
    snprintf(rig->url, sizeof rig->url, "%s", q.login.url);
    answer(rig, &q, &a);
    reply->json = vsphere_answer_encode(&a);
    return 0;
}

static int
on_leases(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct vsphere_rig *rig = app;
    struct lease one = {.snapshot_name = xstrdup("sendense-x"),
                        .vm_ref = xstrdup("vm-1"),
                        .vm_name = xstrdup("web"),
                        .state = LEASE_REMOVING,
                        .expires_us = 1,
                        .attempts = 2,
                        .last_error = xstrdup("the server is away")};
    struct leases list = {.v = &one, .n = rig->lease != NULL};

    if (rig->lease)
        snprintf(one.job_id, sizeof one.job_id, "%s", rig->lease);
    reply->json = leases_encode(&list);
    free(one.snapshot_name);
    free(one.vm_ref);
    free(one.vm_name);
    free(one.last_error);
    return 0;
}

static int
on_lease_end(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct vsphere_rig *rig = app;

    rig->n_ended++;
    if (!rig->lease)
        return err_set(err, ERR_NOT_FOUND, "lease_not_found", "no such lease");
    reply->status = 202;
    return 0;
}

static int
on_lease_renew(struct http_call *call, void *app, struct http_reply *reply,
               struct err *err)
{
    struct vsphere_rig *rig = app;

    if (!rig->lease)
        return err_set(err, ERR_NOT_FOUND, "lease_not_found", "no such lease");
    return lease_renewal_decode(http_call_json(call), &rig->renewed_s, err);
}

static const struct http_route routes[] = {
    {"POST", "/api/v1/vsphere", NULL, HTTP_BODY_JSON, 0, on_vsphere, NULL},
    {"GET", "/api/v1/leases", NULL, HTTP_BODY_NONE, 0, on_leases, NULL},
    {"DELETE", "/api/v1/leases/{id}", NULL, HTTP_BODY_NONE, 0, on_lease_end, NULL},
    {"PUT", "/api/v1/leases/{id}", NULL, HTTP_BODY_JSON, 0, on_lease_renew, NULL},
    {NULL, NULL, NULL, HTTP_BODY_NONE, 0, NULL, NULL},
};

int
rig_setup(void **state)
{
    struct vsphere_rig *rig = xcalloc(1, sizeof *rig);
    struct http_server_options opt = {
        .listen = "127.0.0.1:0", .routes = routes, .app = rig};
    CLEANUP_SECRET struct secret *token = secret_new("token", 5);
    char url[96], id[CAT_ID_SIZE];

    snprintf(rig->dir, sizeof rig->dir, "/tmp/sendense-vsphere-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    snprintf(rig->catalog, sizeof rig->catalog, "%s/catalog.db", rig->dir);
    snprintf(rig->key, sizeof rig->key, "%s/seal.key", rig->dir);
    rig->env.deadlines = spec_deadlines_default;
    rig->env.bus = bus_new();
    T_OK(catalog_open(rig->catalog, true, &rig->env.catalog, &err));
    T_OK(seal_key_create(rig->key, &err));
    T_OK(seal_key_load(rig->key, &rig->env.key, &err));
    T_OK(http_server_start(&opt, &rig->server, &err));
    snprintf(url, sizeof url, "http://%s", http_server_address(rig->server));
    T_OK(nodes_add(&rig->env, "near", url, token, id, &err));
    *state = rig;
    return 0;
}

int
rig_teardown(void **state)
{
    static const char *const names[] = {"catalog.db", "catalog.db-wal", "catalog.db-shm",
                                        "seal.key"};
    struct vsphere_rig *rig = *state;
    char path[160];

    http_server_stop(rig->server);
    catalog_close(rig->env.catalog);
    seal_key_free(rig->env.key);
    bus_free(rig->env.bus);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(path, sizeof path, "%s/%s", rig->dir, names[i]);
        unlink(path);
    }
    rmdir(rig->dir);
    free(rig->password);
    free(rig);
    return 0;
}
