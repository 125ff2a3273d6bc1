/* api/routes_files.c - file sessions: open, browse, close.  What they stream is in
 * routes_files_stream.c. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/files_call.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/json.h"
#include "base/mem.h"
#include "job/files_io.h"
#include "model/jobspec.h"
#include "model/naming.h"

#define READY_WAIT_MS 60000u

int
files_call_session(struct http_call *call, void *app, struct files_session **ret,
                   struct err *err)
{
    struct api *a = app;

    return files_find(a->env, http_call_param(call, "id"), ret, err);
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    CLEANUP_FILES struct files_session *s = NULL;

    if (files_find(a->env, id, &s, err) < 0)
        return err->class;
    reply->json = files_describe(s);
    return 0;
}

static int
read_keys(const json_t *list, uint32_t **ret, size_t *ret_n, struct err *err)
{
    CLEANUP_FREE uint32_t *keys = NULL;
    size_t n = json_array_size(list);

    if (n > SPEC_DISKS_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "too many disks");
    keys = xcalloc(n + 1, sizeof *keys);
    for (size_t i = 0; i < n; i++) {
        const json_t *item = json_array_get(list, i);
        json_int_t v = json_integer_value(item);

        if (!json_is_integer(item) || v < 0 || v > NAMING_KEY_MAX)
            return err_set(err, ERR_INVALID, "invalid_key", "a device key is 0 to %u",
                           NAMING_KEY_MAX);
        keys[i] = (uint32_t)v;
    }
    *ret = take_ptr(&keys);
    *ret_n = n;
    return 0;
}

int
api_mounts_open(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    struct api *a = app;
    struct files_request req = {.requested_by = http_call_user(call)};
    CLEANUP_FREE uint32_t *keys = NULL;
    char id[UUID_STR_SIZE];
    const json_t *disks;
    struct jreader r;
    uint64_t idle;

    jreader_init(&r, http_call_json(call), "request", err);
    req.backup_id = jget_str(&r, "backup_id");
    disks = jopt_arr(&r, "disks");
    idle = jopt_u64(&r, "idle_s", FILES_IDLE_DEFAULT_S);
    if (jreader_end(&r) < 0 || read_keys(disks, &keys, &req.n_keys, err) < 0)
        return err->class;
    if (idle < 1 || idle > FILES_IDLE_MAX_S)
        return err_set(err, ERR_INVALID, "invalid_field", "idle_s is 1 to %u",
                       FILES_IDLE_MAX_S);
    req.keys = keys;
    req.idle_s = (unsigned)idle;
    if (files_open(a->env, &req, id, err) < 0) {
        if (strcmp(err->code, "too_many_mounts") == 0)
            reply->status = 429;
        return err->class;
    }
    reply->status = 202;
    snprintf(reply->location, sizeof reply->location, "/api/v1/restore/mounts/%s", id);
    return answer_one(a, id, reply, err);
}

int
api_mounts_list(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    struct api *a = app;

    reply->json = page_reply("mounts", files_list(a->env), NULL);
    return 0;
}

int
api_mounts_get(struct http_call *call, void *app, struct http_reply *reply,
               struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

int
api_mounts_close(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    struct api *a = app;
    const char *id = http_call_param(call, "id");

    if (files_close(a->env, id, http_call_user(call), err) < 0)
        return err->class;
    reply->status = 202;
    return answer_one(a, id, reply, err);
}

int
api_mounts_filesystems(struct http_call *call, void *app, struct http_reply *reply,
                       struct err *err)
{
    CLEANUP_FILES struct files_session *s = NULL;

    if (files_call_session(call, app, &s, err) < 0)
        return err->class;
    return files_filesystems(s, READY_WAIT_MS, &reply->json, err);
}

static int
ask(struct http_call *call, void *app, json_t *request, struct http_reply *reply,
    struct err *err)
{
    CLEANUP_JSON json_t *owned = request;
    CLEANUP_FILES struct files_session *s = NULL;

    if (files_call_session(call, app, &s, err) < 0)
        return err->class;
    return files_ask(s, owned, &reply->json, err);
}

/* The last name of the page, which is where the next one begins. */
static void
add_next(json_t *page)
{
    json_t *entries = json_object_get(page, "entries");
    size_t n = json_array_size(entries);
    json_t *name = n > 0 && json_is_true(json_object_get(page, "more"))
                       ? json_object_get(json_array_get(entries, n - 1), "name")
                       : NULL;

    json_object_set_new(page, "next", name ? json_incref(name) : json_null());
    json_object_del(page, "more");
}

int
api_mounts_files(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    static const char *const known[] = {"fs", "path", "limit", "after", NULL};
    const char *path = http_call_query(call, "path");
    uint64_t limit;

    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "limit", PAGE_DEFAULT, PAGE_MAX, &limit, err) < 0)
        return err->class;
    if (limit == 0)
        return err_set(err, ERR_INVALID, "invalid_parameter", "limit is 1 to %u",
                       PAGE_MAX);
    if (ask(call, app,
            json_pack("{s:s, s:s?, s:s, s:s?, s:I}", "op", "ls", "fs",
                      http_call_query(call, "fs"), "path", path ? path : "/", "after",
                      http_call_query(call, "after"), "limit", (json_int_t)limit),
            reply, err) < 0)
        return err->class;
    add_next(reply->json);
    return 0;
}

int
api_mounts_file_info(struct http_call *call, void *app, struct http_reply *reply,
                     struct err *err)
{
    static const char *const known[] = {"fs", "path", NULL};
    const char *path = http_call_query(call, "path");

    if (http_call_query_only(call, known, err) < 0)
        return err->class;
    if (!path)
        return err_set(err, ERR_INVALID, "invalid_parameter", "path is missing");
    return ask(call, app,
               json_pack("{s:s, s:s?, s:s}", "op", "stat", "fs",
                         http_call_query(call, "fs"), "path", path),
               reply, err);
}
