/* api/routes_export.c - disks of a backup as NBD addresses.  Also reading needs the scope
 * `restore`: who knows an address can read the disk. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/json.h"
#include "catalog/cat_export.h"
#include "job/access.h"
#include "model/naming.h"

static json_t *
to_json(const struct cat_export *e)
{
    json_t *o = json_object();

    put_str(o, "export_id", e->id);
    put_str(o, "backup_id", e->backup_id);
    put_str(o, "status", e->state);
    put_str(o, "access", e->access);
    put_str(o, "listen", e->listen);
    put_json_text(o, "disks", e->disks);
    put_error(o, e->error_code, NULL, e->error_message);
    put_str(o, "requested_by", e->requested_by);
    put_time(o, "created", e->created_us);
    put_time(o, "expires", e->expires_us);
    put_time(o, "closed", e->closed_us);
    put_str(o, "close_reason", e->close_reason);
    return o;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_export row = {0};

    if (cat_export_get(a->env->catalog, id, &row, err) < 0)
        return err->class;
    reply->json = to_json(&row);
    cat_export_done(&row);
    return 0;
}

static int
read_request(struct http_call *call, struct access_request *req, struct err *err)
{
    struct jreader r;
    uint64_t key;

    jreader_init(&r, http_call_json(call), "request", err);
    req->requested_by = http_call_user(call);
    req->backup_id = jget_str(&r, "backup_id");
    key = jopt_u64(&r, "device_key", UINT64_MAX);
    req->has_key = key != UINT64_MAX;
    req->scratch = jopt_bool(&r, "writable_scratch", false);
    req->tls = jopt_bool(&r, "tls", false);
    req->ttl_s = jopt_u64(&r, "ttl_s", 0);
    req->listen = jopt_str(&r, "listen", NULL);
    if (jreader_end(&r) < 0)
        return err->class;
    if (req->has_key && key > NAMING_KEY_MAX)
        return err_set(err, ERR_INVALID, "invalid_key", "a device key is 0 to %u",
                       NAMING_KEY_MAX);
    req->device_key = (uint32_t)key;
    return 0;
}

int
api_exports_open(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    CLEANUP_SECRET struct secret *psk = NULL;
    struct access_request req = {0};
    struct api *a = app;
    char id[UUID_STR_SIZE];

    if (read_request(call, &req, err) < 0 ||
        access_open(a->env, &req, id, &psk, err) < 0 || answer_one(a, id, reply, err) < 0)
        return err->class;
    if (psk) /* shown this once, and stored nowhere that is kept */
        json_object_set_new(
            reply->json, "tls",
            json_pack("{s:s, s:s}", "user", ACCESS_TLS_USER, "psk", secret_reveal(psk)));
    reply->status = 201;
    snprintf(reply->location, sizeof reply->location, "/api/v1/restore/exports/%s", id);
    return 0;
}

int
api_exports_list(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    static const char *const known[] = {"status", NULL};
    struct api *a = app;
    struct cat_exports list = {0};
    struct listing l;

    if (listing_begin(call, known, &l, err) < 0)
        return err->class;
    if (cat_export_list(a->env->catalog, http_call_query(call, "status"), &l.page, &list,
                        err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, to_json(&list.v[i]), list.v[i].id, list.v[i].created_us);
    reply->json = listing_end(&l, "exports", list.more);
    cat_exports_done(&list);
    return 0;
}

int
api_exports_get(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

int
api_exports_close(struct http_call *call, void *app, struct http_reply *reply,
                  struct err *err)
{
    struct api *a = app;
    const char *id = http_call_param(call, "id");

    if (access_close(a->env, id, http_call_user(call), err) < 0)
        return err->class;
    return answer_one(a, id, reply, err);
}
