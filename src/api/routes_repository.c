/* api/routes_repository.c */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/json.h"
#include "catalog/cat_repository.h"
#include "job/bus.h"
#include "job/import.h"
#include "job/repo_set.h"

static json_t *
to_json(struct api *a, const struct cat_repository *r)
{
    json_t *o = json_object();
    struct err err = ERR_INIT;
    uint64_t total = 0, free_bytes = 0;
    bool ready = repo_set_space(a->env, r->id, &total, &free_bytes, &err) >= 0;

    put_str(o, "id", r->id);
    put_str(o, "name", r->name);
    put_str(o, "kind", r->kind);
    put_str(o, "path", r->path);
    put_str(o, "repository_uuid", r->repository_uuid);
    put_str(o, "status", ready ? "ready" : "unavailable");
    put_str(o, "message", ready ? NULL : err.msg);
    json_object_set_new(o, "total_bytes",
                        ready ? json_integer((json_int_t)total) : json_null());
    json_object_set_new(o, "free_bytes",
                        ready ? json_integer((json_int_t)free_bytes) : json_null());
    put_json_text(o, "probe", r->probe);
    put_time(o, "created", r->created_us);
    return o;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_repository row = {0};

    if (cat_repository_get(a->env->catalog, id, &row, err) < 0)
        return err->class;
    reply->json = to_json(a, &row);
    cat_repository_done(&row);
    return 0;
}

int
api_repositories_list(struct http_call *call, void *app, struct http_reply *reply,
                      struct err *err)
{
    struct api *a = app;
    struct cat_repositories list = {0};
    struct listing l;

    if (listing_begin(call, NULL, &l, err) < 0)
        return err->class;
    if (cat_repository_list(a->env->catalog, &l.page, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, to_json(a, &list.v[i]), list.v[i].id, 0);
    reply->json = listing_end(&l, "repositories", list.more);
    cat_repositories_done(&list);
    return 0;
}

int
api_repositories_get(struct http_call *call, void *app, struct http_reply *reply,
                     struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

int
api_repositories_add(struct http_call *call, void *app, struct http_reply *reply,
                     struct err *err)
{
    struct api *a = app;
    struct jreader r;
    char id[CAT_ID_SIZE];
    const char *name, *path;
    struct cat_event e = {.severity = "info", .type = "repository.added"};

    jreader_init(&r, http_call_json(call), "request", err);
    name = jget_str(&r, "name");
    path = jget_str(&r, "path");
    if (jreader_end(&r) < 0 || repo_set_add(a->env, name, path, id, err) < 0)
        return err->class;
    e.message = name;
    e.actor = http_call_user(call);
    if (bus_emit(a->env, &e, err) < 0)
        return err->class;
    reply->status = 201;
    snprintf(reply->location, sizeof reply->location, "/api/v1/repositories/%s", id);
    return answer_one(a, id, reply, err);
}

int
api_repositories_import(struct http_call *call, void *app, struct http_reply *reply,
                        struct err *err)
{
    struct api *a = app;
    struct import_report rep = {0};
    json_t *refused;

    if (import_repository(a->env, http_call_param(call, "id"), http_call_user(call), &rep,
                          err) < 0)
        return err->class;
    refused = json_array();
    for (size_t i = 0; i < rep.n_refused; i++)
        json_array_append_new(refused,
                              json_pack("{s:s, s:s}", "file", rep.refused[i].file,
                                        "message", rep.refused[i].message));
    reply->json = json_pack("{s:I, s:I, s:I, s:o}", "points_found", (json_int_t)rep.found,
                            "imported", (json_int_t)rep.imported, "already_known",
                            (json_int_t)rep.known, "refused", refused);
    import_report_done(&rep);
    return 0;
}
