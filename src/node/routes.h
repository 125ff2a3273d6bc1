/* node/routes.h - the node's REST API, docs/design/protocol.md section 2.     Layer 5. */
#ifndef SENDENSE_NODE_ROUTES_H
#define SENDENSE_NODE_ROUTES_H

#include "base/err.h"
#include "base/secret.h"
#include "node/client_version.h"
#include "node/job_table.h"
#include "node/lease_keeper.h"
#include "node/probe.h"
#include "node/vsphere_ask.h"
#include "os/http_server.h"

#define NODE_TOKEN_HASH_SIZE 32

struct node_app {
    struct job_table *jobs;
    struct asker *prober;
    struct asker *vsphere;
    struct asker *remover; /* of the leases: never kept waiting by the hub's questions */
    struct lease_keeper *leases;
    struct client_version *client_version;
    const char *state; /* folder */
    unsigned char token_hash[NODE_TOKEN_HASH_SIZE];
};

extern const struct http_route node_routes[];

void node_token_hash(const char *token, unsigned char out[NODE_TOKEN_HASH_SIZE]);
/* The authorizer of http_server_options: time does not depend on where the tokens differ.
 */
int node_authorize(void *app, const char *token, const char *scope,
                   struct http_call *call, struct err *err);

#endif
