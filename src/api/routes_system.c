/* api/routes_system.c - health, readiness, versions. */
#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "catalog/cat_node.h"
#include "job/node_client.h"
#include "job/nodes.h"

#define VERSIONS_KEPT_NS (30 * NS_PER_S)
#define NODES_MAX 64u

int
api_health(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    reply->json = json_pack("{s:s}", "status", "ok");
    return 0;
}

int
api_ready(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct api *a = app;

    if (!atomic_load(&a->ready))
        return err_set(err, ERR_UNAVAILABLE, "not_ready",
                       "the hub is settling what an earlier run left");
    reply->json = json_pack("{s:s}", "status", "ready");
    return 0;
}

static json_t *
program(const char *version, const char *commit, const char *build_id)
{
    return json_pack("{s:s, s:s, s:s}", "version", version, "commit", commit, "build_id",
                     build_id);
}

static json_t *
ask_node(struct api *a, const struct cat_node *n)
{
    CLEANUP_NODE_CLIENT struct node_client *client = NULL;
    CLEANUP_NODE_VERSION struct node_version v = {0};
    struct err err = ERR_INIT;
    json_t *o = json_pack("{s:s, s:s}", "id", n->id, "name", n->name);

    if (nodes_connect(a->env, n->id, &client, &err) < 0 ||
        node_client_version(client, &v, &err) < 0) {
        put_str(o, "status", "offline");
        return o;
    }
    put_str(o, "status", "online");
    json_object_set_new(o, "node",
                        program(v.node.version, v.node.commit, v.node.build_id));
    json_object_set_new(o, "client",
                        program(v.client.version, v.client.commit, v.client.build_id));
    return o;
}

static json_t *
ask_nodes(struct api *a)
{
    struct cat_nodes list = {0};
    struct cat_page page = {.limit = NODES_MAX};
    struct err err = ERR_INIT;
    json_t *out = json_array();

    if (cat_node_list(a->env->catalog, &page, &list, &err) < 0)
        return out;
    for (size_t i = 0; i < list.n; i++)
        json_array_append_new(out, ask_node(a, &list.v[i]));
    cat_nodes_done(&list);
    return out;
}

static void
copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);

    json_object_set_new(to, key, v ? json_deep_copy(v) : json_null());
}

/* Open to all, so what the nodes say is kept a while: nobody can make the hub knock at
 * them. */
int
api_version(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct api *a = app;
    json_t *first;
    LOCK_SCOPE(&a->versions_lock);

    if (!a->node_versions || time_mono_ns() - a->node_versions_ns > VERSIONS_KEPT_NS) {
        json_decref(a->node_versions);
        a->node_versions = ask_nodes(a);
        a->node_versions_ns = time_mono_ns();
    }
    reply->json = json_object();
    json_object_set_new(reply->json, "hub",
                        program(version_string, version_commit, version_build_id()));
    first = json_array_get(a->node_versions, 0);
    copy_member(reply->json, first, "node");
    copy_member(reply->json, first, "client");
    json_object_set_new(reply->json, "nodes", json_deep_copy(a->node_versions));
    return 0;
}
