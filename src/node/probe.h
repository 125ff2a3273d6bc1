/* node/probe.h - can the sources be reached, and how large are they?         Layer 5.
 * Thread-safe. */
#ifndef SENDENSE_NODE_PROBE_H
#define SENDENSE_NODE_PROBE_H

#include <jansson.h>

#include "base/err.h"
#include "model/nodeapi.h"
#include "node/asker.h"

#define PROBES_MAX 8u /* at the same time */
#define PROBE_TIME_MAX_S 60u

/* An asker for probe_run(); @client is kept by reference. */
int probe_asker_new(const char *client, struct asker **ret, struct err *err);

/* Blocking, at most connect_s + io_s + 5 s: asks `CLIENT --probe` the question @body. The
 * answer names the same disks in the same order.  ERR_INVALID (as probe_request_decode),
 * and as asker_run(). */
int probe_run(struct asker *a, const json_t *body, struct probe_answer *ret,
              struct err *err);

#endif
