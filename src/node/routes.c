/* node/routes.c - see routes.h. */
#include <sodium.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "node/doctor.h"
#include "node/routes.h"

#define SCOPE "node" /* there is one token, for the hub */

void
node_token_hash(const char *token, unsigned char out[NODE_TOKEN_HASH_SIZE])
{
    crypto_generichash(out, NODE_TOKEN_HASH_SIZE, (const unsigned char *)token,
                       strlen(token), NULL, 0);
}

int
node_authorize(void *app, const char *token, const char *scope, struct http_call *call,
               struct err *err)
{
    const struct node_app *a = app;
    unsigned char hash[NODE_TOKEN_HASH_SIZE];

    (void)scope;
    (void)call;
    if (!token)
        return err_set(err, ERR_AUTH, "unauthorized", "a bearer token is needed");
    node_token_hash(token, hash); /* equal lengths to compare */
    if (sodium_memcmp(hash, a->token_hash, sizeof(hash)) != 0)
        return err_set(err, ERR_AUTH, "unauthorized", "the token is not the node's");
    return 0;
}

static int
no_query(struct http_call *call, struct err *err)
{
    static const char *const none[] = {NULL};

    return http_call_query_only(call, none, err);
}

static int
need_body(struct http_call *call, const json_t **ret, struct err *err)
{
    *ret = http_call_json(call);
    if (!*ret)
        return err_set(err, ERR_INVALID, "malformed_json", "the request has no body");
    return no_query(call, err);
}

/* "Too many" is about now, not about the size of the request. */
static int
fail(struct http_reply *reply, const struct err *err)
{
    if (err->class == ERR_LIMIT && strncmp(err->code, "too_many_", 9) == 0)
        reply->status = 429;
    return err->class;
}

static int
get_health(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    (void)app;
    if (no_query(call, err) < 0)
        return err->class;
    reply->json = json_object();
    json_object_set_new(reply->json, "status", json_string("ok"));
    return 0;
}

static int
get_version(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_NODE_VERSION struct node_version v = {0};

    if (no_query(call, err) < 0)
        return err->class;
    v.node.version = xstrdup(version_string);
    v.node.commit = xstrdup(version_commit);
    v.node.build_id = xstrdup(version_build_id());
    client_version_get(a->client_version, &v.client);
    reply->json = node_version_encode(&v);
    return 0;
}

static int
post_probe(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_PROBE_ANSWER struct probe_answer answer = {0};
    const json_t *body;

    if (need_body(call, &body, err) < 0)
        return err->class;
    if (probe_run(a->prober, body, &answer, err) < 0)
        return fail(reply, err);
    reply->json = probe_answer_encode(&answer);
    return 0;
}

static int
post_vsphere(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer answer = {0};
    const json_t *body;

    if (need_body(call, &body, err) < 0)
        return err->class;
    if (vsphere_ask_body(a->vsphere, body, &answer, err) < 0)
        return fail(reply, err);
    reply->json = vsphere_answer_encode(&answer);
    return 0;
}

static int
post_doctor(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings found = {0};
    const json_t *body;
    bool fix = false;

    if (need_body(call, &body, err) < 0 || doctor_request_decode(body, &fix, err) < 0 ||
        node_doctor(a->leases, a->state, fix, &found, err) < 0)
        return err->class;
    reply->json = doctor_answer_encode(&found);
    return 0;
}

static int
get_leases(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_LEASES struct leases leases = {0};

    if (no_query(call, err) < 0)
        return err->class;
    lease_keeper_list(a->leases, &leases);
    reply->json = leases_encode(&leases);
    return 0;
}

static int
put_lease(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    const json_t *body;
    uint32_t lease_s = 0;

    if (need_body(call, &body, err) < 0 || lease_renewal_decode(body, &lease_s, err) < 0)
        return err->class;
    if (lease_keeper_renew(a->leases, http_call_param(call, "id"), lease_s, err) < 0)
        return err->class;
    reply->status = 204;
    return 0;
}

static int
delete_lease(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;

    if (no_query(call, err) < 0)
        return err->class;
    if (lease_keeper_end(a->leases, http_call_param(call, "id"), err) < 0)
        return err->class;
    reply->status = 202;
    return 0;
}

static int
post_job(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_NODE_JOB struct node_job job = {0};
    const json_t *body;
    bool created = false;

    if (need_body(call, &body, err) < 0)
        return err->class;
    if (job_table_post(a->jobs, body, &job, &created, err) < 0)
        return fail(reply, err);
    reply->status = created ? 202 : 200;
    reply->json = node_job_encode(&job);
    return 0;
}

static int
get_jobs(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;
    CLEANUP_NODE_JOBS struct node_jobs jobs = {0};

    if (no_query(call, err) < 0)
        return err->class;
    job_table_list(a->jobs, &jobs);
    reply->json = node_jobs_encode(&jobs);
    return 0;
}

static int
find_job(struct http_call *call, struct node_app *a, struct client_job **ret,
         struct err *err)
{
    return job_table_get(a->jobs, http_call_param(call, "id"), ret, err);
}

static int
get_job(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    CLEANUP_CLIENT_JOB struct client_job *job = NULL;
    CLEANUP_NODE_JOB struct node_job view = {0};

    if (no_query(call, err) < 0 || find_job(call, app, &job, err) < 0)
        return err->class;
    client_job_describe(job, &view);
    reply->json = node_job_encode(&view);
    return 0;
}

static int
get_events(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    static const char *const names[] = {"after", "wait", NULL};
    CLEANUP_CLIENT_JOB struct client_job *job = NULL;
    CLEANUP_EVENTS_PAGE struct events_page page = {0};
    uint64_t after, wait_s;

    if (http_call_query_only(call, names, err) < 0 ||
        http_call_query_u64(call, "after", 0, INT64_MAX, &after, err) < 0 ||
        http_call_query_u64(call, "wait", 0, NODEAPI_WAIT_MAX_S, &wait_s, err) < 0 ||
        find_job(call, app, &job, err) < 0)
        return err->class;
    if (client_job_events(job, after, time_mono_ns() + wait_s * NS_PER_S, &page, err) < 0)
        return err->class;
    reply->json = events_page_encode(&page);
    return 0;
}

static int
post_cancel(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    CLEANUP_CLIENT_JOB struct client_job *job = NULL;
    CLEANUP_NODE_JOB struct node_job view = {0};

    if (no_query(call, err) < 0 || find_job(call, app, &job, err) < 0)
        return err->class;
    client_job_cancel(job);
    client_job_describe(job, &view);
    reply->status = 202;
    reply->json = node_job_encode(&view);
    return 0;
}

static int
delete_job(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct node_app *a = app;

    const char *id = http_call_param(call, "id");
    struct err none = ERR_INIT;
    int r;

    if (no_query(call, err) < 0)
        return err->class;
    r = job_table_delete(a->jobs, id, err);
    /* Also of a job that is known no more, because the node was started anew. */
    if (r == 0 || r == ERR_NOT_FOUND)
        (void)lease_keeper_end(a->leases, id, &none);
    if (r < 0)
        return r;
    reply->status = 204;
    return 0;
}

#define API "/api/v1"
const struct http_route node_routes[] = {
    {"GET", API "/health", NULL, HTTP_BODY_NONE, 0, get_health},
    {"GET", API "/version", NULL, HTTP_BODY_NONE, 0, get_version},
    {"POST", API "/probe", SCOPE, HTTP_BODY_JSON, 0, post_probe},
    {"POST", API "/vsphere", SCOPE, HTTP_BODY_JSON, 0, post_vsphere},
    {"POST", API "/doctor", SCOPE, HTTP_BODY_JSON, 0, post_doctor},
    {"GET", API "/leases", SCOPE, HTTP_BODY_NONE, 0, get_leases},
    {"PUT", API "/leases/{id}", SCOPE, HTTP_BODY_JSON, 0, put_lease},
    {"DELETE", API "/leases/{id}", SCOPE, HTTP_BODY_NONE, 0, delete_lease},
    {"POST", API "/jobs", SCOPE, HTTP_BODY_JSON, SPEC_LINE_MAX, post_job},
    {"GET", API "/jobs", SCOPE, HTTP_BODY_NONE, 0, get_jobs},
    {"GET", API "/jobs/{id}", SCOPE, HTTP_BODY_NONE, 0, get_job},
    {"GET", API "/jobs/{id}/events", SCOPE, HTTP_BODY_NONE, 0, get_events},
    {"POST", API "/jobs/{id}/cancel", SCOPE, HTTP_BODY_NONE, 0, post_cancel},
    {"DELETE", API "/jobs/{id}", SCOPE, HTTP_BODY_NONE, 0, delete_job},
    {0},
};
