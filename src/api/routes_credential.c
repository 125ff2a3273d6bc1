/* api/routes_credential.c - logins of vCenters and ESXi hosts.  A password comes in one
 * body and is in no answer. */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/vsphere_json.h"
#include "base/json.h"
#include "base/mem.h"
#include "job/credentials.h"

static json_t *
to_json(const struct cat_credential *c)
{
    json_t *o = json_object(), *tls = json_object();

    put_str(tls, "sha256", c->tls_sha256);
    put_str(tls, "ca_pem", c->tls_ca_pem);
    put_str(o, "id", c->id);
    put_str(o, "name", c->name);
    put_str(o, "url", c->url);
    put_str(o, "username", c->username);
    json_object_set_new(o, "tls", tls);
    put_str(o, "node_id", c->node_id);
    put_time(o, "created", c->created_us);
    return o;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_credential row = {0};

    if (cat_credential_get(a->env->catalog, id, &row, err) < 0)
        return err->class;
    reply->json = to_json(&row);
    cat_credential_done(&row);
    return 0;
}

int
api_credentials_list(struct http_call *call, void *app, struct http_reply *reply,
                     struct err *err)
{
    struct api *a = app;
    struct cat_credentials list = {0};
    struct listing l;

    if (listing_begin(call, NULL, &l, err) < 0)
        return err->class;
    if (cat_credential_list(a->env->catalog, &l.page, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, to_json(&list.v[i]), list.v[i].id, 0);
    reply->json = listing_end(&l, "credentials", list.more);
    cat_credentials_done(&list);
    return 0;
}

int
api_credentials_get(struct http_call *call, void *app, struct http_reply *reply,
                    struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

/* "url", or "host" for short: HOST or HOST:PORT. */
static int
make_url(const char *url, const char *host, char **ret, struct err *err)
{
    if (!url == !host)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "say which server: either url (https://HOST:PORT) or host");
    *ret = url ? xstrdup(url) : xasprintf("https://%s", host);
    return 0;
}

int
api_credentials_add(struct http_call *call, void *app, struct http_reply *reply,
                    struct err *err)
{
    CLEANUP_SECRET struct secret *password = NULL;
    CLEANUP_FREE char *url = NULL;
    struct api *a = app;
    struct credential_request req = {.actor = http_call_user(call)};
    const char *given_url, *host, *text;
    char id[CAT_ID_SIZE];
    struct jreader r;

    jreader_init(&r, http_call_json(call), "request", err);
    req.name = jget_str(&r, "name");
    given_url = jopt_str(&r, "url", NULL);
    host = jopt_str(&r, "host", NULL);
    req.username = jget_str(&r, "username");
    text = jget_str(&r, "password");
    req.sha256 = jopt_str(&r, "sha256", NULL);
    req.ca_pem = jopt_str(&r, "ca_pem", NULL);
    req.node_id = jopt_str(&r, "node_id", NULL);
    if (jreader_end(&r) < 0 || make_url(given_url, host, &url, err) < 0)
        return err->class;
    password = secret_new(text, strlen(text));
    req.password = password;
    req.url = url;
    if (credentials_add(a->env, &req, id, err) < 0)
        return err->class;
    reply->status = 201;
    snprintf(reply->location, sizeof reply->location, "/api/v1/credentials/%s", id);
    return answer_one(a, id, reply, err);
}

/* A merge patch: what is not named stays. */
int
api_credentials_change(struct http_call *call, void *app, struct http_reply *reply,
                       struct err *err)
{
    CLEANUP_SECRET struct secret *password = NULL;
    CLEANUP_FREE char *url = NULL;
    struct api *a = app;
    struct credential_change change = {.id = http_call_param(call, "id"),
                                       .actor = http_call_user(call)};
    const char *given_url, *host, *text;
    struct jreader r;

    jreader_init(&r, http_call_json(call), "request", err);
    given_url = jopt_str(&r, "url", NULL);
    host = jopt_str(&r, "host", NULL);
    change.username = jopt_str(&r, "username", NULL);
    text = jopt_str(&r, "password", NULL);
    change.sha256 = jopt_str(&r, "sha256", NULL);
    change.ca_pem = jopt_str(&r, "ca_pem", NULL);
    if (jreader_end(&r) < 0 ||
        ((given_url || host) && make_url(given_url, host, &url, err) < 0))
        return err->class;
    password = text ? secret_new(text, strlen(text)) : NULL;
    change.password = password;
    change.url = url;
    if (credentials_change(a->env, &change, err) < 0)
        return err->class;
    return answer_one(a, change.id, reply, err);
}

int
api_credentials_remove(struct http_call *call, void *app, struct http_reply *reply,
                       struct err *err)
{
    struct api *a = app;

    return credentials_remove(a->env, http_call_param(call, "id"), http_call_user(call),
                              err);
}

int
api_credentials_test(struct http_call *call, void *app, struct http_reply *reply,
                     struct err *err)
{
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer answer = {0};
    struct api *a = app;

    if (credentials_test(a->env, http_call_param(call, "id"), &answer, err) < 0)
        return err->class;
    reply->json = json_object();
    json_object_set_new(reply->json, "ok", json_true());
    json_object_set_new(reply->json, "server", server_to_json(&answer));
    return 0;
}

int
api_credentials_probe(struct http_call *call, void *app, struct http_reply *reply,
                      struct err *err)
{
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer answer = {0};
    CLEANUP_FREE char *url = NULL;
    struct api *a = app;
    const char *given_url, *host, *node;
    struct jreader r;

    jreader_init(&r, http_call_json(call), "request", err);
    given_url = jopt_str(&r, "url", NULL);
    host = jopt_str(&r, "host", NULL);
    node = jopt_str(&r, "node_id", NULL);
    if (jreader_end(&r) < 0 || make_url(given_url, host, &url, err) < 0 ||
        credentials_fingerprint(a->env, node, url, &answer, err) < 0)
        return err->class;
    reply->json = json_object();
    put_str(reply->json, "url", url);
    put_str(reply->json, "sha256", answer.sha256);
    return 0;
}
