/* node/probe.h - can the sources be reached, and how large are they?         Layer 5.
 * Thread-safe. */
#ifndef SENDENSE_NODE_PROBE_H
#define SENDENSE_NODE_PROBE_H

#include <jansson.h>

#include "base/err.h"
#include "model/nodeapi.h"

#define PROBES_MAX 8u /* at the same time */
#define PROBE_TIME_MAX_S 60u

struct prober;

int prober_new(const char *client, struct prober **ret,
               struct err *err);    /* kept by reference */
void prober_free(struct prober *p); /* NULL ok; nobody may be in prober_run() */
void prober_stop(struct prober *p); /* ends the probes that run; refuses new ones */

/* Blocking, at most connect_s + io_s + 5 s: asks `CLIENT --probe` the question @body. The
 * answer names the same disks in the same order.  ERR_INVALID (as probe_request_decode),
 * ERR_LIMIT "too_many_probes", ERR_TIMEOUT "probe_timeout", ERR_PROTOCOL
 * "client_protocol", ERR_IO "client_died", ERR_UNAVAILABLE "client_not_started" or
 * "shutting_down". */
int prober_run(struct prober *p, const json_t *body, struct probe_answer *ret,
               struct err *err);

#endif
