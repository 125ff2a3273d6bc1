/* os/http_client.h - one HTTP request with deadlines and limits (libcurl).   Layer 1.
 * Blocking. Only http and https; redirects are not followed; proxies from the environment
 * are ignored. */
#ifndef SENDENSE_OS_HTTP_CLIENT_H
#define SENDENSE_OS_HTTP_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/secret.h"

struct tls_trust;   /* os/tls_trust.h */
struct http_client; /* keeps the connection alive between calls; one thread at a time */

struct http_request {
    const char *method; /* "GET", "POST", "PUT", "DELETE" */
    const char *url;
    const struct secret *bearer; /* NULL = no Authorization header */
    const void *body;            /* NULL = none */
    size_t body_len;
    const char *content_type; /* NULL = application/json */
    const char *accept;       /* NULL = application/json */
    /* "Name: value" each, ended by NULL; NULL = none.  They may be secret. */
    const char *const *headers;
    /* Whom https trusts; NULL = the system's store.  All requests of one client must have
     * the same: a connection that is kept is not looked at again. */
    const struct tls_trust *trust;
    const char *want_cookie; /* name of a cookie that the answer may set; NULL = none */
    unsigned connect_timeout_ms; /* 0 = 10 s */
    unsigned timeout_ms;         /* whole request; 0 = 30 s */
    /* Not over a connection that was kept: over such a one libcurl repeats the request by
     * itself when the connection ends before an answer.  For what may not be done twice.
     */
    bool fresh_connection;
    size_t max_response; /* bytes; 0 = 8 MiB (streaming: no limit); more = ERR_LIMIT */
    int cancel_fd;       /* <= 0 = none; readable = ERR_CANCELLED */
    /* Streaming: called for each piece of a 2xx answer instead of collecting; non-zero
     * return ends the request with ERR_CANCELLED.  Other answers (problems) are
     * collected, up to 64 KiB. */
    int (*on_data)(void *arg, const char *p, size_t n);
    void *on_data_arg;
};

struct http_response {
    long status;
    char *body; /* NUL-terminated; NULL when streamed */
    size_t body_len;
    char content_type[96];
    char *cookie; /* value of want_cookie, as the server wrote it; NULL = not set */
};

int http_client_new(struct http_client **ret, struct err *err);
void http_client_free(struct http_client *c);

/* 0 whenever an HTTP answer came, whatever its status.  ERR_UNAVAILABLE "…" when no
 * connection could be made, ERR_TIMEOUT, ERR_IO; with a trust also what
 * tls_trust_explain() gives. */
int http_do(struct http_client *c, const struct http_request *req,
            struct http_response *ret, struct err *err);
void http_response_done(struct http_response *r);

/* 0 for a 2xx answer; else the err that http_json() describes. */
int http_response_check(const struct http_response *r, struct err *err);

/* JSON in, JSON out: any 2xx answer gives *ret (may be NULL for an empty body); a
 * problem+json answer becomes err with its code and detail: 404 ERR_NOT_FOUND, 409
 * ERR_EXISTS, 401/403 ERR_AUTH, other 4xx ERR_INVALID, 503 ERR_UNAVAILABLE, 507
 * ERR_NO_SPACE, else ERR_IO.
 * @body may be NULL.  @ret_status may be NULL. */
int http_json(struct http_client *c, const struct http_request *req, const json_t *body,
              json_t **ret, long *ret_status, struct err *err);

#endif
