/* api/api.h - the REST API of the hub (docs/API_REFERENCE.md).               Layer 4.
 * One file per resource; routes.c is the one table of routes. */
#ifndef SENDENSE_API_API_H
#define SENDENSE_API_API_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/err.h"
#include "job/env.h"
#include "os/http_server.h"

struct api {
    struct job_env *env;
    atomic_bool settled; /* recovery is done: what needs a token is answered */
    atomic_bool ready;   /* readyz: settled, and not stopping */
    /* under versions_lock: what GET /version last heard of a node, and when */
    pthread_mutex_t versions_lock;
    json_t *node_versions; /* NULL = no node answered */
    uint64_t node_versions_ns;
    bool versions_asked; /* somebody asks the nodes now */
};

extern const struct http_route api_routes[];

void api_init(struct api *a, struct job_env *env);
void api_done(struct api *a);

/* Bearer token against the catalog; scopes: read < operate < restore < admin, and "job",
 * which the handler checks itself.  ERR_AUTH "unauthenticated" or "forbidden". */
int api_authorize(void *app, const char *token, const char *scope, struct http_call *call,
                  struct err *err);

#endif
