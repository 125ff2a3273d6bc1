/* api/routes_restore.c */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/reply.h"
#include "base/json.h"
#include "catalog/cat_restore.h"
#include "job/restore.h"
#include "model/naming.h"

static json_t *
to_json(struct api *a, const struct cat_restore *r)
{
    json_t *o = json_object();
    struct job_view view = {.state = r->state,
                            .phase = r->current_phase,
                            .total = r->bytes_total,
                            .done = r->bytes_done};

    put_str(o, "restore_id", r->id);
    put_str(o, "backup_id", r->backup_id);
    json_object_set_new(o, "device_key", json_integer(r->device_key));
    put_str(o, "target_path", r->target_path);
    put_str(o, "format", r->format);
    put_job_view(o, a, r->id, &view);
    json_object_set_new(o, "salvaged", json_boolean(r->salvaged_us != 0));
    put_json_text(o, "bad_ranges", r->bad_ranges ? r->bad_ranges : "[]");
    put_error(o, r->error_code, r->error_phase, r->error_message);
    put_str(o, "requested_by", r->requested_by);
    put_time(o, "created", r->created_us);
    put_time(o, "started", r->started_us);
    put_time(o, "completed", r->completed_us);
    return o;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_restore row = {0};

    if (cat_restore_get(a->env->catalog, id, &row, err) < 0)
        return err->class;
    reply->json = to_json(a, &row);
    cat_restore_done(&row);
    return 0;
}

int
api_restores_start(struct http_call *call, void *app, struct http_reply *reply,
                   struct err *err)
{
    struct api *a = app;
    struct restore_request req = {.requested_by = http_call_user(call)};
    struct jreader r;
    char id[UUID_STR_SIZE];
    uint64_t key;

    jreader_init(&r, http_call_json(call), "request", err);
    req.backup_id = jget_str(&r, "backup_id");
    key = jget_u64(&r, "device_key");
    req.target_path = jget_str(&r, "target_path");
    req.format = jopt_str(&r, "format", "raw");
    req.force = jopt_bool(&r, "force", false);
    req.resume = jopt_bool(&r, "resume", false);
    req.salvage = jopt_bool(&r, "salvage", false);
    if (jreader_end(&r) < 0)
        return err->class;
    if (key > NAMING_KEY_MAX)
        return err_set(err, ERR_INVALID, "invalid_key", "a device key is 0 to %u",
                       NAMING_KEY_MAX);
    req.device_key = (uint32_t)key;
    if (restore_start(a->env, &req, id, err) < 0)
        return err->class;
    reply->status = 202;
    snprintf(reply->location, sizeof reply->location, "/api/v1/restores/%s", id);
    return answer_one(a, id, reply, err);
}

int
api_restores_list(struct http_call *call, void *app, struct http_reply *reply,
                  struct err *err)
{
    static const char *const known[] = {"backup_id", NULL};
    struct api *a = app;
    struct cat_restores list = {0};
    struct listing l;

    if (listing_begin(call, known, &l, err) < 0)
        return err->class;
    if (cat_restore_list(a->env->catalog, http_call_query(call, "backup_id"), &l.page,
                         &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, to_json(a, &list.v[i]), list.v[i].id, list.v[i].created_us);
    reply->json = listing_end(&l, "restores", list.more);
    cat_restores_done(&list);
    return 0;
}

int
api_restores_get(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

int
api_restores_cancel(struct http_call *call, void *app, struct http_reply *reply,
                    struct err *err)
{
    struct api *a = app;
    const char *id = http_call_param(call, "id");

    if (restore_cancel(a->env, id, err) < 0)
        return err->class;
    reply->status = 202;
    return answer_one(a, id, reply, err);
}
