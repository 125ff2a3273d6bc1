/* node/vsphere_ask.h - questions to a vCenter, docs/design/protocol.md 2.1.   Layer 5.
 * Thread-safe. */
#ifndef SENDENSE_NODE_VSPHERE_ASK_H
#define SENDENSE_NODE_VSPHERE_ASK_H

#include <jansson.h>

#include "base/err.h"
#include "model/vsphere.h"
#include "node/asker.h"

#define VSPHERE_ASKS_MAX 8u /* at the same time */
#define VSPHERE_ASK_TIME_MAX_S 300u
#define VSPHERE_ASK_NO_LIMIT 0u

/* An asker for the calls below; @client is kept by reference. */
int vsphere_asker_new(const char *client, struct asker **ret, struct err *err);

/* Blocking, at most @time_s (VSPHERE_ASK_NO_LIMIT: as long as it takes).  0 also when the
 * vCenter refused: ret->ok is false then.  As asker_run(). */
int vsphere_ask(struct asker *a, const struct vsphere_question *q, unsigned time_s,
                struct vsphere_answer *ret, struct err *err);

/* The question @body of the API; some calls may be needed, each with its deadlines, but
 * it takes VSPHERE_ASK_TIME_MAX_S at most.  ERR_INVALID as vsphere_question_decode(). */
int vsphere_ask_body(struct asker *a, const json_t *body, struct vsphere_answer *ret,
                     struct err *err);

#endif
