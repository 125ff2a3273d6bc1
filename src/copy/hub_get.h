/* copy/hub_get.h - manifest records that the hub gives.                   Layer 2.
 * Blocking.  Internal to src/copy. */
#ifndef SENDENSE_COPY_HUB_GET_H
#define SENDENSE_COPY_HUB_GET_H

#include <stddef.h>

#include "copy/stop.h"
#include "model/jobspec.h"
#include "os/http_client.h"

struct hub_get {
    const struct job_spec *spec; /* hub_url is not NULL */
    struct copy_stop *stop;
    struct http_client *http;
    char *base;       /* URL without the query */
    const char *what; /* literal: "to tell what the parent holds" */
};

/* @route: last part of the URL.  Keeps @spec, @stop and @what. */
int hub_get_init(struct hub_get *g, const struct job_spec *spec, uint32_t key,
                 const char *route, const char *what, struct copy_stop *stop,
                 struct err *err);
void hub_get_done(struct hub_get *g); /* zeroed is fine */

/* GET with bounded retries: the body is whole records, at most @max.  Errors: those of
 * the hub, "hub_unavailable" (ERR_UNAVAILABLE), "hub_protocol" (ERR_PROTOCOL).  Caller:
 * http_response_done(). */
int hub_get(struct hub_get *g, const char *query, size_t max, struct http_response *ret,
            struct err *err);

#endif
