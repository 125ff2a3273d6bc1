/* os/http_server.h - an HTTP server over libmicrohttpd, shared by hub and node. Layer 1.
 *
 * One table of routes; path patterns have {name} segments.  One thread per connection, so
 * a handler may block (long poll, event stream, streamed upload) without stalling others;
 * the number of connections is limited, in all and per address.
 *
 * What the server does by itself: matching (most literal segment wins), 404, 405 with
 * Allow, percent-decoding, body limit (413), headers limit, bearer extraction, request
 * ids, idle time-outs, problem+json for every error, security headers.  Handlers only
 * fill struct http_reply or fail with an err: ERR_INVALID 400, AUTH 401 or 403 (code
 * "forbidden"), NOT_FOUND 404, EXISTS 409, LIMIT 413 (429 for code "too_many_requests"),
 * NO_SPACE 507, UNAVAILABLE/TIMEOUT 503 with Retry-After, IO/PROTOCOL 502, others 500
 * (whose message is logged and not sent).  A handler that fails with reply->status >= 400
 * chooses the status itself (412, 422, ...).
 *
 * What libmicrohttpd refuses before a request exists (broken request line, headers over
 * 32 KiB) is answered by it, with 4xx and HTML. */
#ifndef SENDENSE_OS_HTTP_SERVER_H
#define SENDENSE_OS_HTTP_SERVER_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

struct http_server;
struct http_call; /* one request; valid during its handler (and its stream) */

/* A reply body is one of: json (taken), text (copied), a stream, or nothing (204). */
struct http_reply {
    int status;                  /* 0 = 200, or 204 when there is no body */
    json_t *json;                /* owned by the reply once set */
    const json_t *extra_problem; /* members merged into problem+json on error (taken) */
    char *text;                  /* malloc'ed, owned by the reply */
    const char *content_type;    /* of text or stream */
    char location[256];          /* Location header when non-empty */
    /* Pull stream: fills @p with up to @n bytes; 0 = nothing yet (called again; the
     * callback itself waits, at most 1 s), -1 = end of stream, -2 = abort. */
    ssize_t (*stream)(void *arg, char *p, size_t n);
    void (*stream_free)(void *arg);
    void *stream_arg;
};

enum http_body { HTTP_BODY_NONE, HTTP_BODY_JSON, HTTP_BODY_STREAM };

struct http_route {
    const char *method;
    const char *pattern; /* "/api/v1/backups/{id}" */
    const char *scope;   /* passed to the authorizer; NULL = open to all */
    enum http_body body;
    size_t body_max; /* bytes; 0 = 1 MiB for JSON; streams: 0 = no limit */
    int (*handle)(struct http_call *call, void *app, struct http_reply *reply,
                  struct err *err);
    /* HTTP_BODY_STREAM only: each piece of the body, in order, before handle(); a failure
     * ends the request with that error.  State between pieces: http_call_set_state(). */
    int (*on_body)(struct http_call *call, void *app, const void *p, size_t n,
                   struct err *err);
};

struct http_server_options {
    const char *listen; /* "127.0.0.1:8082", "[::1]:0"; port 0 = any free one */
    const struct http_route *routes; /* ends with method NULL; must outlive the server */
    void *app;                       /* given to handlers and the authorizer */
    /* Checks the bearer token (may be NULL) for @scope.  0, or ERR_AUTH. */
    int (*authorize)(void *app, const char *token, const char *scope,
                     struct http_call *call, struct err *err);
    unsigned max_connections; /* 0 = 256 */
    unsigned max_per_address; /* 0 = 128 */
    unsigned idle_timeout_s;  /* 0 = 60 */
};

int http_server_start(const struct http_server_options *opt, struct http_server **ret,
                      struct err *err);
const char *
http_server_address(const struct http_server *s); /* "127.0.0.1:34567", real port */
/* True once http_server_stop began: streams and long polls must end soon. */
bool http_server_stopping(const struct http_server *s);
void http_server_stop(struct http_server *s); /* waits for the handlers; frees */

/* --- for handlers --- */
const char *http_call_param(struct http_call *c,
                            const char *name); /* {name}; never NULL */
const char *http_call_query(struct http_call *c, const char *name); /* NULL = absent */
/* Absent = @def; not a number or over @max = ERR_INVALID "invalid_parameter". */
int http_call_query_u64(struct http_call *c, const char *name, uint64_t def, uint64_t max,
                        uint64_t *ret, struct err *err);
/* Refuses query parameters not in the NULL-terminated list ("unknown_parameter"). */
int http_call_query_only(struct http_call *c, const char *const *names, struct err *err);
const char *http_call_header(struct http_call *c, const char *name);
const char *http_call_request_id(struct http_call *c);
const json_t *http_call_json(struct http_call *c); /* HTTP_BODY_JSON; NULL = empty body */
/* Private state of a streaming route; @free_state runs when the request ends, however it
 * ends. */
void http_call_set_state(struct http_call *c, void *state, void (*free_state)(void *));
void *http_call_state(struct http_call *c);
bool http_call_stopping(struct http_call *c);
/* Free slot for the authorizer to hand something to the handler ("who asks"). */
void http_call_set_user(struct http_call *c, const char *user); /* copied */
const char *http_call_user(struct http_call *c);                /* "" when none */

#endif
