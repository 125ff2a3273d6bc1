#include "job/node_client.h"

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "os/http_client.h"

/* The node ends a client within 10 s; a delete may have to wait for that. */
#define DELETE_TIMEOUT_MS 40000u
#define CALL_TIMEOUT_MS 15000u
/* Ending a process takes TERM, 5 s, KILL; there are few. */
#define DOCTOR_TIMEOUT_MS 60000u
#define CANCEL_TIMEOUT_MS 2000u
#define PROBE_MARGIN_S 10u
/* A question is several calls of the node's client, each with its own deadlines; the node
 * ends it before we give up. */
#define QUESTION_CALLS 4u
#define QUESTION_MAX_S 300u
#define QUESTION_MARGIN_S 15u

struct node_client {
    char *name;
    char *url;
    struct secret *token;
    struct http_client *http;
};

void
cleanup_node_client(struct node_client **c)
{
    node_client_free(*c);
}

int
node_client_new(const char *name, const char *url, struct secret *token,
                struct node_client **ret, struct err *err)
{
    struct node_client *c = xcalloc(1, sizeof *c);

    c->token = token;
    c->name = xstrdup(name);
    c->url = xstrdup(url);
    if (http_client_new(&c->http, err) < 0) {
        node_client_free(c);
        return err->class;
    }
    *ret = c;
    return 0;
}

void
node_client_free(struct node_client *c)
{
    if (!c)
        return;
    http_client_free(c->http);
    secret_free(c->token);
    free(c->name);
    free(c->url);
    free(c);
}

/* One call; what it says on failure is told in terms of the node. */
static int
call(struct node_client *c, const char *method, const char *path, unsigned timeout_ms,
     int cancel_fd, const json_t *body, json_t **ret, struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s/api/v1%s", c->url, path);
    struct http_request req = {.method = method,
                               .url = url,
                               .bearer = c->token,
                               .timeout_ms = timeout_ms,
                               .connect_timeout_ms = 5000,
                               .max_response = 64u << 20,
                               .cancel_fd = cancel_fd};

    if (http_json(c->http, &req, body, ret, NULL, err) >= 0)
        return 0;
    if (err->class == ERR_PROTOCOL)
        err_recode(err, "node_protocol");
    else if (err->class == ERR_AUTH)
        err_recode(err, "node_refused");
    else if (err->class == ERR_UNAVAILABLE && strcmp(err->code, "unavailable") == 0)
        err_recode(err, "node_unreachable");
    else if (err->class == ERR_TIMEOUT || strcmp(err->code, "io") == 0) {
        err->class = ERR_UNAVAILABLE;
        err_recode(err, "node_unreachable");
    }
    return err_prefix(err, "node '%s' at %s", c->name, c->url);
}

/* A decoder's complaint about an answer is the node's fault, not that of our caller. */
static int
broken(struct node_client *c, struct err *err)
{
    err->class = ERR_PROTOCOL;
    err_recode(err, "node_protocol");
    return err_prefix(err, "answer of node '%s'", c->name);
}

int
node_client_version(struct node_client *c, struct node_version *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "GET", "/version", 5000, 0, NULL, &j, err) < 0)
        return err->class;
    return node_version_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_probe(struct node_client *c, const struct probe_request *req,
                  struct probe_answer *ret, struct err *err)
{
    CLEANUP_JSON json_t *body = probe_request_encode(req);
    CLEANUP_JSON json_t *j = NULL;
    unsigned timeout_ms =
        (req->deadlines.connect_s + req->deadlines.io_s + PROBE_MARGIN_S) * 1000u;

    if (call(c, "POST", "/probe", timeout_ms, 0, body, &j, err) < 0)
        return err->class;
    return probe_answer_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_vsphere(struct node_client *c, const struct vsphere_question *q,
                    unsigned limit_s, struct vsphere_answer *ret, struct err *err)
{
    CLEANUP_JSON json_t *body = vsphere_question_encode(q);
    CLEANUP_JSON json_t *j = NULL;
    unsigned s = QUESTION_CALLS * (q->deadlines.connect_s + q->deadlines.io_s);
    unsigned timeout_ms =
        ((s < QUESTION_MAX_S ? s : QUESTION_MAX_S) + QUESTION_MARGIN_S) * 1000u;
    uint64_t began_ns = time_mono_ns();

    if (limit_s && limit_s * 1000u < timeout_ms)
        timeout_ms = limit_s * 1000u;
    if (call(c, "POST", "/vsphere", timeout_ms, 0, body, &j, err) < 0) {
        if (limit_s && time_mono_ns() - began_ns >= timeout_ms * NS_PER_MS)
            return err_set(err, ERR_UNAVAILABLE, "vcenter_timeout",
                           "%s: no answer within %u s, asked through node '%s'",
                           q->login.url, limit_s, c->name);
        return err->class;
    }
    return vsphere_answer_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_leases(struct node_client *c, struct leases *ret, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "GET", "/leases", CALL_TIMEOUT_MS, 0, NULL, &j, err) < 0)
        return err->class;
    return leases_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_doctor(struct node_client *c, bool fix, struct doctor_findings *ret,
                   struct err *err)
{
    CLEANUP_JSON json_t *body = doctor_request_encode(fix);
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "POST", "/doctor", DOCTOR_TIMEOUT_MS, 0, body, &j, err) < 0)
        return err->class;
    return doctor_answer_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_lease_renew(struct node_client *c, const char *job_id, uint32_t lease_s,
                        struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/leases/%s", job_id);
    CLEANUP_JSON json_t *body = lease_renewal_encode(lease_s);
    CLEANUP_JSON json_t *j = NULL;

    return call(c, "PUT", path, CALL_TIMEOUT_MS, 0, body, &j, err);
}

int
node_client_lease_end(struct node_client *c, const char *job_id, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/leases/%s", job_id);
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "DELETE", path, CALL_TIMEOUT_MS, 0, NULL, &j, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
    }
    return 0;
}

int
node_client_start(struct node_client *c, const struct job_spec *spec, int cancel_fd,
                  struct node_job *ret, struct err *err)
{
    unsigned timeout_ms = spec->attempt > 1 ? DELETE_TIMEOUT_MS : CALL_TIMEOUT_MS;
    CLEANUP_JSON json_t *body = job_spec_encode(spec);
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "POST", "/jobs", timeout_ms, cancel_fd, body, &j, err) < 0)
        return err->class;
    return node_job_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_events(struct node_client *c, const char *job_id, uint64_t after,
                   unsigned wait_s, int cancel_fd, struct events_page *ret,
                   struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/jobs/%s/events?after=%llu&wait=%u", job_id,
                                        (unsigned long long)after, wait_s);
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "GET", path, wait_s * 1000u + CALL_TIMEOUT_MS, cancel_fd, NULL, &j, err) <
        0)
        return err->class;
    return events_page_decode(j, ret, err) < 0 ? broken(c, err) : 0;
}

int
node_client_cancel(struct node_client *c, const char *job_id, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/jobs/%s/cancel", job_id);
    CLEANUP_JSON json_t *j = NULL;

    return call(c, "POST", path, CANCEL_TIMEOUT_MS, 0, NULL, &j, err);
}

int
node_client_delete(struct node_client *c, const char *job_id, int cancel_fd,
                   struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/jobs/%s", job_id);
    CLEANUP_JSON json_t *j = NULL;

    if (call(c, "DELETE", path, DELETE_TIMEOUT_MS, cancel_fd, NULL, &j, err) < 0) {
        if (err->class != ERR_NOT_FOUND)
            return err->class;
        err_clear(err);
    }
    return 0;
}
