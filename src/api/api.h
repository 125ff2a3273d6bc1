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
    atomic_bool settled;       /* recovery is done: what needs a token is answered */
    atomic_bool ready;         /* readyz: settled, and not stopping */
    pthread_mutex_t kept_lock; /* for all below: what is answered without a token */
    /* what GET /version last heard of a node, and when */
    json_t *node_versions; /* NULL = no node answered */
    uint64_t node_versions_ns;
    bool versions_asked; /* somebody asks the nodes now */
    /* what readyz last found, and until when that holds */
    struct err ready_found;
    uint64_t ready_until_ns;
    uint64_t ready_asked_ns; /* since when somebody looks; 0 = nobody does */
};

extern const struct http_route api_routes[];

void api_init(struct api *a, struct job_env *env);
void api_done(struct api *a);

/* Bearer token against the catalog; scopes: read < operate < restore < admin, and "job",
 * which the handler checks itself.  ERR_AUTH "unauthenticated" or "forbidden". */
int api_authorize(void *app, const char *token, const char *scope, struct http_call *call,
                  struct err *err);

#endif
