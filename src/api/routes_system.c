/* api/routes_system.c - health, readiness, versions. */
#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/cleanup.h"
#include "base/json.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "catalog/cat_node.h"
#include "catalog/cat_repository.h"
#include "job/node_client.h"
#include "job/nodes.h"
#include "job/repo_set.h"

#define VERSIONS_KEPT_NS (30 * NS_PER_S)
#define NODES_MAX 64u
#define READY_KEPT_NS NS_PER_S
/* Looking at a repository that another hub has locked takes seconds, and the others wait
 * for it: callers without a token get a fifth of the time at most. */
#define READY_KEPT_FACTOR 4
#define READY_PATIENCE_NS (30 * NS_PER_S)

int
api_health(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    reply->json = json_pack("{s:s}", "status", "ok");
    return 0;
}

/* Without names or paths: the answer is open to all. */
static int
check_repositories(struct api *a, struct err *err)
{
    struct cat_repositories list = {0};
    struct cat_page page = {.limit = CATALOG_PAGE_MAX};
    uint64_t total, free_bytes;

    if (cat_repository_list(a->env->catalog, &page, &list, err) < 0) {
        err_clear(err);
        return err_set(err, ERR_UNAVAILABLE, "not_ready", "the catalog does not answer");
    }
    for (size_t i = 0; i < list.n && err->class == 0; i++)
        if (repo_set_space(a->env, list.v[i].id, &total, &free_bytes, err) < 0) {
            err_clear(err);
            err_set(err, ERR_UNAVAILABLE, "not_ready",
                    "a repository is unavailable: `sendense repo ls` says which and why");
        }
    cat_repositories_done(&list);
    return err->class;
}

/* True when *err says how it is; else the caller is the one who looks. */
static bool
ready_is_known(struct api *a, struct err *err)
{
    uint64_t now;
    LOCK_SCOPE(&a->kept_lock);

    now = time_mono_ns();
    if (a->ready_asked_ns == 0 && now >= a->ready_until_ns) {
        a->ready_asked_ns = now;
        return false;
    }
    if (a->ready_until_ns == 0 ||
        (a->ready_asked_ns != 0 && now - a->ready_asked_ns > READY_PATIENCE_NS))
        err_set(err, ERR_UNAVAILABLE, "not_ready",
                "the catalog or a repository has not answered yet");
    else
        *err = a->ready_found;
    return true;
}

int
api_ready(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct api *a = app;
    uint64_t start = time_mono_ns();

    if (!atomic_load(&a->ready))
        return err_set(err, ERR_UNAVAILABLE, "not_ready",
                       "the hub is settling what an earlier run left, or stopping");
    if (!ready_is_known(a, err)) {
        uint64_t end;

        check_repositories(a, err);
        end = time_mono_ns();
        LOCK_SCOPE(&a->kept_lock);
        a->ready_found = *err;
        a->ready_until_ns = end + READY_KEPT_NS + READY_KEPT_FACTOR * (end - start);
        a->ready_asked_ns = 0;
    }
    if (err->class == 0)
        reply->json = json_pack("{s:s}", "status", "ready");
    return err->class;
}

static json_t *
program(const char *version, const char *commit, const char *build_id)
{
    return json_pack("{s:s, s:s, s:s}", "version", version, "commit", commit, "build_id",
                     build_id);
}

/* NULL when the node does not answer. */
static json_t *
ask_node(struct api *a, const char *node_id)
{
    CLEANUP_NODE_CLIENT struct node_client *client = NULL;
    CLEANUP_NODE_VERSION struct node_version v = {0};
    struct err err = ERR_INIT;

    if (nodes_connect(a->env, node_id, &client, &err) < 0 ||
        node_client_version(client, &v, &err) < 0)
        return NULL;
    return json_pack("{s:o, s:o}", "node",
                     program(v.node.version, v.node.commit, v.node.build_id), "client",
                     program(v.client.version, v.client.commit, v.client.build_id));
}

/* Of the first node that answers. */
static json_t *
ask_nodes(struct api *a)
{
    struct cat_nodes list = {0};
    struct cat_page page = {.limit = NODES_MAX};
    struct err err = ERR_INIT;
    json_t *out = NULL;

    if (cat_node_list(a->env->catalog, &page, &list, &err) < 0)
        return NULL;
    for (size_t i = 0; !out && i < list.n; i++)
        out = ask_node(a, list.v[i].id);
    cat_nodes_done(&list);
    return out;
}

/* Open to all, so what a node says is kept a while, and one caller asks for all: nobody
 * can make the hub knock at its nodes, or wait for one that hangs behind others. */
static void
refresh_versions(struct api *a)
{
    json_t *fresh;

    {
        LOCK_SCOPE(&a->kept_lock);
        if (a->versions_asked ||
            (a->node_versions_ns != 0 &&
             time_mono_ns() - a->node_versions_ns < VERSIONS_KEPT_NS))
            return;
        a->versions_asked = true;
    }
    fresh = ask_nodes(a);
    LOCK_SCOPE(&a->kept_lock);
    json_decref(a->node_versions);
    a->node_versions = fresh;
    a->node_versions_ns = time_mono_ns();
    a->versions_asked = false;
}

static void
copy_member(json_t *to, const json_t *from, const char *key)
{
    json_t *v = json_object_get(from, key);

    json_object_set_new(to, key, v ? json_deep_copy(v) : json_null());
}

int
api_version(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct api *a = app;

    refresh_versions(a);
    LOCK_SCOPE(&a->kept_lock);
    reply->json = json_object();
    json_object_set_new(reply->json, "hub",
                        program(version_string, version_commit, version_build_id()));
    copy_member(reply->json, a->node_versions, "node");
    copy_member(reply->json, a->node_versions, "client");
    return 0;
}
