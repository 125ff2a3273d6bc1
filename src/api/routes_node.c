/* api/routes_node.c */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/json.h"
#include "base/timeutil.h"
#include "catalog/cat_node.h"
#include "job/nodes.h"

static json_t *
to_json(struct api *a, const struct cat_node *n)
{
    CLEANUP_NODE_CLIENT struct node_client *client = NULL;
    CLEANUP_NODE_VERSION struct node_version v = {0};
    struct err err = ERR_INIT, ignored = ERR_INIT;
    json_t *o = json_object();
    bool online = nodes_connect(a->env, n->id, &client, &err) >= 0 &&
                  node_client_version(client, &v, &err) >= 0;

    put_str(o, "id", n->id);
    put_str(o, "name", n->name);
    put_str(o, "url", n->url);
    put_str(o, "status", online ? "online" : "offline");
    put_str(o, "message", online ? NULL : err.msg);
    put_str(o, "version", online ? v.node.version : n->version);
    put_str(o, "client_version", online ? v.client.version : NULL);
    put_time(o, "created", n->created_us);
    if (online)
        cat_node_set_seen(a->env->catalog, n->id, v.node.version, time_utc_us(),
                          &ignored);
    return o;
}

static int
answer_one(struct api *a, const char *id, struct http_reply *reply, struct err *err)
{
    struct cat_node row = {0};

    if (cat_node_get(a->env->catalog, id, &row, err) < 0)
        return err->class;
    reply->json = to_json(a, &row);
    cat_node_done(&row);
    return 0;
}

int
api_nodes_list(struct http_call *call, void *app, struct http_reply *reply,
               struct err *err)
{
    struct api *a = app;
    struct cat_nodes list = {0};
    struct listing l;

    if (listing_begin(call, NULL, &l, err) < 0)
        return err->class;
    if (cat_node_list(a->env->catalog, &l.page, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, to_json(a, &list.v[i]), list.v[i].id, 0);
    reply->json = listing_end(&l, "nodes", list.more);
    cat_nodes_done(&list);
    return 0;
}

int
api_nodes_get(struct http_call *call, void *app, struct http_reply *reply,
              struct err *err)
{
    return answer_one(app, http_call_param(call, "id"), reply, err);
}

int
api_nodes_add(struct http_call *call, void *app, struct http_reply *reply,
              struct err *err)
{
    CLEANUP_SECRET struct secret *token = NULL;
    struct api *a = app;
    struct jreader r;
    char id[CAT_ID_SIZE];
    const char *name, *url, *text;

    jreader_init(&r, http_call_json(call), "request", err);
    name = jget_str(&r, "name");
    url = jget_str(&r, "url");
    text = jget_str(&r, "token");
    if (jreader_end(&r) < 0)
        return err->class;
    token = secret_new(text, strlen(text));
    if (nodes_add(a->env, name, url, token, id, err) < 0)
        return err->class;
    reply->status = 201;
    snprintf(reply->location, sizeof reply->location, "/api/v1/nodes/%s", id);
    return answer_one(a, id, reply, err);
}
