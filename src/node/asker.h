/* node/asker.h - questions that a client answers: one line in, one line out.   Layer 5.
 * What a peer of the client sends is so never parsed in the daemon.  Thread-safe. */
#ifndef SENDENSE_NODE_ASKER_H
#define SENDENSE_NODE_ASKER_H

#include <jansson.h>
#include <stddef.h>

#include "base/err.h"

struct asker;

struct asker_options { /* strings are kept by reference */
    const char *client;
    const char *mode;         /* "--probe" */
    const char *what;         /* "probe": for messages */
    const char *timeout_code; /* "probe_timeout" */
    const char *busy_code;    /* "too_many_probes" */
    unsigned max;             /* questions at the same time */
    size_t answer_max;        /* bytes of an answer */
};

int asker_new(const struct asker_options *opt, struct asker **ret, struct err *err);
void asker_free(struct asker *a); /* NULL ok; nobody may be in asker_run() */
void asker_stop(struct asker *a); /* ends the questions that run; refuses new ones */

/* Blocking, at most @time_s (0 = as long as it takes).  *ret: the answer, caller decrefs.
 * ERR_LIMIT busy_code, ERR_TIMEOUT timeout_code, ERR_PROTOCOL "client_protocol", ERR_IO
 * "client_died", ERR_UNAVAILABLE "client_not_started" or "shutting_down". */
int asker_run(struct asker *a, const json_t *question, unsigned time_s, json_t **ret,
              struct err *err);

#endif
