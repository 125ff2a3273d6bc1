/* api/routes_backup.c */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/backup_json.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/vm_json.h"
#include "base/json.h"
#include "catalog/cat_backup.h"
#include "job/backup.h"
#include "job/merge.h"

#define DEFAULT_REPOSITORY "1"

static int
read_limits(const json_t *j, struct spec_limits *l, struct err *err)
{
    struct jreader r;
    uint64_t disks, connections, requests, bytes;

    if (!j)
        return 0;
    jreader_init(&r, j, "limits", err);
    l->rate_bytes_per_s = jopt_u64(&r, "rate_bytes_per_s", l->rate_bytes_per_s);
    disks = jopt_u64(&r, "disks_parallel", l->disks_parallel);
    connections = jopt_u64(&r, "connections", l->connections);
    requests = jopt_u64(&r, "requests", l->requests);
    bytes = jopt_u64(&r, "request_bytes", l->request_bytes);
    if (jreader_end(&r) < 0)
        return err->class;
    if (disks < 1 || disks > 64 || connections < 1 || connections > 8 || requests < 1 ||
        requests > 64 || bytes < MANIFEST_BLOCK_SIZE || bytes > SPEC_REQUEST_BYTES_MAX ||
        bytes % MANIFEST_BLOCK_SIZE != 0)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "limits: disks_parallel 1-64, connections 1-8, requests 1-64, "
                       "request_bytes 65536-33554432 and a multiple of 65536");
    l->disks_parallel = (uint32_t)disks;
    l->connections = (uint32_t)connections;
    l->requests = (uint32_t)requests;
    l->request_bytes = (uint32_t)bytes;
    return 0;
}

static int
read_request(struct http_call *call, struct backup_request *req, struct err *err)
{
    const char *type, *quiesce;
    const json_t *limits;
    uint64_t retries, delay_s;
    struct jreader r;

    jreader_init(&r, http_call_json(call), "request", err);
    req->vm_name = jopt_str(&r, "vm_name", NULL);
    req->vm_id = jopt_str(&r, "vm_id", NULL);
    req->repository_id = jopt_str(&r, "repository_id", DEFAULT_REPOSITORY);
    type = jopt_str(&r, "backup_type", backup_wish_to_str(WISH_AUTO));
    quiesce = jopt_str(&r, "quiesce", quiesce_to_str(QUIESCE_TRY));
    retries = jopt_u64(&r, "retries", BACKUP_RETRIES_DEFAULT);
    delay_s = jopt_u64(&r, "retry_delay_s", BACKUP_RETRY_DELAY_DEFAULT_S);
    limits = jopt_obj(&r, "limits");
    if (jreader_end(&r) < 0)
        return err->class;
    if (retries > BACKUP_RETRIES_MAX || delay_s > BACKUP_RETRY_DELAY_MAX_S)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "retries: 0-%u, retry_delay_s: 0-%u", BACKUP_RETRIES_MAX,
                       BACKUP_RETRY_DELAY_MAX_S);
    req->retries = (uint32_t)retries;
    req->retry_delay_s = (uint32_t)delay_s;
    if (!req->vm_name && !req->vm_id)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "say which VM: vm_name or vm_id is missing");
    if (backup_wish_from_str(type, &req->wish) < 0)
        return err_set(err, ERR_INVALID, "unsupported_backup_type",
                       "backup_type must be 'auto', 'full' or 'incremental'");
    if (quiesce_from_str(quiesce, &req->quiesce) < 0)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "quiesce must be 'try', 'require' or 'off'");
    return read_limits(limits, &req->limits, err);
}

/* What a refusal has to say beyond its message. */
static void
explain(const struct backup_refusal *refusal, struct http_reply *reply)
{
    json_t *extra = json_object();

    if (refusal->backup_id[0])
        put_str(extra, "backup_id", refusal->backup_id);
    if (refusal->candidates.n > 1)
        json_object_set_new(extra, "candidates", vms_to_candidates(&refusal->candidates));
    reply->extra_problem = extra;
}

static int
get_one(struct api *a, const char *backup_id, struct cat_backup *ret, struct err *err)
{
    if (cat_backup_get(a->env->catalog, backup_id, ret, err) >= 0)
        return 0;
    if (err->class == ERR_NOT_FOUND)
        err_set(err, ERR_NOT_FOUND, "backup_not_found",
                "no backup has the id '%.200s'; `sendense backup ls` lists them",
                backup_id);
    return err->class;
}

static int
answer_one(struct api *a, const char *backup_id, struct http_reply *reply,
           struct err *err)
{
    struct cat_backup row = {0};

    if (get_one(a, backup_id, &row, err) < 0)
        return err->class;
    reply->json = backup_to_json(a, &row);
    cat_backup_done(&row);
    return 0;
}

int
api_backups_start(struct http_call *call, void *app, struct http_reply *reply,
                  struct err *err)
{
    struct api *a = app;
    struct backup_request req = {.limits = a->env->limits,
                                 .requested_by = http_call_user(call)};
    struct backup_refusal refusal = {0};
    char backup_id[NAMING_BACKUP_ID_SIZE];
    int r;

    if (read_request(call, &req, err) < 0)
        return err->class;
    r = backup_start(a->env, &req, backup_id, &refusal, err);
    if (r < 0) {
        explain(&refusal, reply);
    } else {
        reply->status = 202;
        snprintf(reply->location, sizeof reply->location, "/api/v1/backups/%s",
                 backup_id);
        r = answer_one(a, backup_id, reply, err);
    }
    cat_vms_done(&refusal.candidates);
    return r;
}

int
api_backups_list(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    static const char *const known[] = {"vm_name", "vm_id", "repository_id", "status",
                                        NULL};
    struct api *a = app;
    struct cat_backup_filter f = {.vm_id = http_call_query(call, "vm_id"),
                                  .vm_name = http_call_query(call, "vm_name"),
                                  .repository_id = http_call_query(call, "repository_id"),
                                  .state = http_call_query(call, "status")};
    struct cat_backups list = {0};
    struct listing l;

    if (listing_begin(call, known, &l, err) < 0)
        return err->class;
    if (cat_backup_list(a->env->catalog, &f, &l.page, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, backup_to_json(a, &list.v[i]), list.v[i].job_id,
                    list.v[i].created_us);
    reply->json = listing_end(&l, "backups", list.more);
    cat_backups_done(&list);
    return 0;
}

int
api_backups_get(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

int
api_backups_explain(struct http_call *call, void *app, struct http_reply *reply,
                    struct err *err)
{
    struct cat_backup row = {0};

    if (get_one(app, http_call_param(call, "id"), &row, err) < 0)
        return err->class;
    reply->json = backup_explain_to_json(&row);
    cat_backup_done(&row);
    return 0;
}

int
api_backups_cancel(struct http_call *call, void *app, struct http_reply *reply,
                   struct err *err)
{
    struct api *a = app;
    const char *id = http_call_param(call, "id");

    if (backup_cancel(a->env, id, err) < 0)
        return err->class;
    reply->status = 202;
    return answer_one(a, id, reply, err);
}

int
api_backups_remove(struct http_call *call, void *app, struct http_reply *reply,
                   struct err *err)
{
    static const char *const known[] = {"merge", NULL};
    struct api *a = app;
    const char *id = http_call_param(call, "id"), *user = http_call_user(call);
    const char *merge = http_call_query(call, "merge");
    bool running;

    if (http_call_query_only(call, known, err) < 0)
        return err->class;
    if (!merge || strcmp(merge, "false") == 0)
        return backup_delete(a->env, id, user, err);
    if (strcmp(merge, "true") != 0)
        return err_set(err, ERR_INVALID, "invalid_parameter",
                       "merge must be 'true' or 'false'");
    if (merge_delete(a->env, id, user, &running, err) < 0 || !running)
        return err->class;
    reply->status = 202;
    snprintf(reply->location, sizeof reply->location, "/api/v1/backups/%s", id);
    if (answer_one(a, id, reply, err) >= 0 || err->class != ERR_NOT_FOUND)
        return err->class;
    /* It is done already. */
    err_clear(err);
    reply->status = 0;
    reply->location[0] = '\0';
    return 0;
}
