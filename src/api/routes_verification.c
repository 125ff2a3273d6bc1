/* api/routes_verification.c */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/job_json.h"
#include "api/reply.h"
#include "base/json.h"
#include "catalog/cat_verify.h"
#include "job/verify.h"

static json_t *
to_json(struct api *a, const struct cat_verify *v)
{
    json_t *o = json_object();
    struct job_view view = {.state = v->state,
                            .phase = v->current_phase,
                            .total = v->bytes_total,
                            .done = v->bytes_done};

    put_str(o, "verification_id", v->id);
    put_str(o, "backup_id", v->backup_id);
    put_job_view(o, a, v->id, &view);
    put_json_text(o, "bad_ranges", v->bad_ranges ? v->bad_ranges : "[]");
    put_error(o, v->error_code, v->error_phase, v->error_message);
    put_str(o, "requested_by", v->requested_by);
    put_time(o, "created", v->created_us);
    put_time(o, "started", v->started_us);
    put_time(o, "completed", v->completed_us);
    return o;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_verify row = {0};

    if (cat_verify_get(a->env->catalog, id, &row, err) < 0)
        return err->class == ERR_NOT_FOUND ? err_recode(err, "verification_not_found")
                                           : err->class;
    reply->json = to_json(a, &row);
    cat_verify_done(&row);
    return 0;
}

/* The body may be missing. */
static int
read_request(struct http_call *call, bool *ret_chain, struct err *err)
{
    const json_t *body = http_call_json(call);
    struct jreader r;

    *ret_chain = false;
    if (!body)
        return 0;
    jreader_init(&r, body, "request", err);
    if (json_object_get(body, "chain"))
        *ret_chain = jget_bool(&r, "chain");
    return jreader_end(&r);
}

int
api_backups_verify(struct http_call *call, void *app, struct http_reply *reply,
                   struct err *err)
{
    struct api *a = app;
    char id[UUID_STR_SIZE];
    bool chain;

    if (read_request(call, &chain, err) < 0 ||
        verify_start(a->env, http_call_param(call, "id"), chain, http_call_user(call), id,
                     err) < 0)
        return err->class;
    reply->status = 202;
    snprintf(reply->location, sizeof reply->location, "/api/v1/verifications/%s", id);
    return answer_one(a, id, reply, err);
}

int
api_verifications_get(struct http_call *call, void *app, struct http_reply *reply,
                      struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}
