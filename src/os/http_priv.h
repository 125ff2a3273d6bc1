/* os/http_priv.h - what the files of the HTTP server share.      Layer 1, private to
 * http_*.c.
 *
 * http_server.c  start and stop          http_conn.c   connections and their deadlines
 * http_call.c    one request, its steps  http_route.c  decoding and matching (pure)
 * http_reply.c   answers, problem+json   http_query.c  what handlers ask about a call */
#ifndef SENDENSE_OS_HTTP_PRIV_H
#define SENDENSE_OS_HTTP_PRIV_H

#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/buf.h"
#include "os/http_server.h"

#define HTTP_SEGMENTS_MAX 16
#define HTTP_QUERY_MAX 64  /* parameters of one request */
#define HTTP_ALLOW_SIZE 64 /* "DELETE, GET, HEAD, PATCH, POST, PUT" */

/* --- http_route.c: no I/O, no state --- */

struct http_path {
    char *segments[HTTP_SEGMENTS_MAX]; /* decoded; "a%2Fb" is one segment */
    unsigned n;
};

/* Decodes %XX.  ERR_INVALID "invalid_encoding": bad digits, control characters, bad
 * UTF-8. */
int http_decode(const char *raw, size_t n, char **ret, struct err *err);
/* On failure nothing is kept.  ERR_NOT_FOUND "no_such_route" for too many segments. */
int http_path_parse(const char *raw, struct http_path *ret, struct err *err);
void http_path_done(struct http_path *p);
/* ERR_NOT_FOUND "no_such_route", or ERR_INVALID "method_not_allowed" with @allow filled.
 */
int http_route_find(const struct http_route *routes, const struct http_path *path,
                    const char *method, const struct http_route **ret,
                    char allow[HTTP_ALLOW_SIZE], struct err *err);
/* The segment at {name}; NULL when the pattern has no such name. */
const char *http_route_param(const struct http_route *r, const struct http_path *path,
                             const char *name);
/* ERR_INTERNAL "bad_route_table": checked once, at start. */
int http_routes_check(const struct http_route *routes, bool can_authorize,
                      struct err *err);

/* --- http_conn.c: the list of connections, each with the time by which its peer must
 * have delivered what we wait for.  libmicrohttpd's own time-out is renewed by every
 * byte, so a peer that sends one byte now and then would hold a connection for ever. ---
 */

struct http_conn; /* lives from accept to close */

struct http_conns {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* under lock */
    struct http_conn *head;
    bool quit;
    unsigned calls; /* requests between their headers and the end of their answer */
    /* fixed after init */
    pthread_t reaper;
    bool reaper_runs;
    unsigned first_ms; /* time for the headers of a new connection */
};

int http_conns_init(struct http_conns *c, unsigned first_ms, struct err *err);
void http_conns_done(struct http_conns *c);
struct http_conn *http_conn_add(struct http_conns *c, int fd);
void http_conn_remove(struct http_conns *c, struct http_conn *conn);
/* 0 = no deadline (it is our turn, not the peer's). */
void http_conn_due(struct http_conns *c, struct http_conn *conn, unsigned in_ms);
void http_conns_call_begin(struct http_conns *c);
void http_conns_call_end(struct http_conns *c);
/* Blocking: until no request is being served, or the deadline. */
void http_conns_drain(struct http_conns *c, uint64_t deadline_ns);

/* --- http_server.c --- */

struct http_server {
    /* fixed after start */
    struct http_server_options opt;
    struct MHD_Daemon *daemon;
    char address[64];
    struct http_conns conns;
    /* atomic */
    atomic_bool stopping;
    atomic_ullong stop_ns; /* when http_server_stop() was called */
};

/* --- http_call.c --- */

struct http_query_param {
    char *name;
    char *value;
};

struct http_call {
    /* Only the thread of the connection touches these; @refs alone is shared, because the
     * last reference of a stream may be dropped by the thread that stops the server. */
    atomic_uint refs;
    struct http_server *server;
    struct MHD_Connection *mhd;
    struct http_conn *conn;
    int fd;
    uint64_t start_ns;
    char request_id[25];
    char method[16];
    char *raw_path; /* as sent, without the query */
    struct http_path path;
    const struct http_route *route; /* NULL when nothing matched */
    struct http_query_param *query;
    unsigned n_query;
    char *user;
    struct buf body;
    json_t *json;
    void *state;
    void (*state_free)(void *);
    /* The first failure; the answer waits for the end of the body (see call_begin). */
    struct err err;
    int err_status; /* 0 = by the class */
    char allow[HTTP_ALLOW_SIZE];
    uint64_t
        discard_left; /* bytes of the body that are still swallowed after a failure */
    bool has_body;
    bool close; /* the connection cannot be used again */
    int status; /* as answered; 0 = not yet */
    /* the pull stream of the reply */
    ssize_t (*stream)(void *arg, char *p, size_t n);
    void (*stream_free)(void *arg);
    void *stream_arg;
};

enum MHD_Result http_call_access(void *server, struct MHD_Connection *mhd,
                                 const char *url, const char *method, const char *version,
                                 const char *data, size_t *data_size, void **ctx);
void http_call_completed(void *server, struct MHD_Connection *mhd, void **ctx,
                         enum MHD_RequestTerminationCode why);
void http_call_unref(struct http_call *c);
/* Our own work took time: the peer's idle time starts again. */
void http_call_touch(struct http_call *c);

/* --- http_reply.c: both consume @reply --- */
enum MHD_Result http_reply_send(struct http_call *c, struct http_reply *reply);
enum MHD_Result http_reply_problem(struct http_call *c, struct http_reply *reply);
int http_status_of(const struct err *err);

#endif
