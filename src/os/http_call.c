/* os/http_call.c - the steps of one request: match, authorize, body, handler, answer.
 *
 * libmicrohttpd takes an answer before the body (and then drops the connection, whose
 * reset may overtake the answer) or after all of it, never in between.  So a failure is
 * kept, the rest of the body is swallowed up to a limit, and the answer follows; above
 * the limit it is given at once or, in the middle of a body, the connection is cut. */
#include <inttypes.h>
#include <string.h>
#include <strings.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "os/http_priv.h"

#define JSON_BODY_MAX (1024 * 1024)
#define DISCARD_MAX (8ull * 1024 * 1024)
/* An authorized upload that its handler refuses: the client must learn why, not see a
 * reset and try the same again. */
#define DISCARD_STREAM_MAX (256ull * 1024 * 1024)
#define TOKEN_MAX 512

static void
call_fail(struct http_call *c, const struct err *err)
{
    if (c->err.class != 0)
        return;
    c->err = *err;
    if (c->err.class == 0)
        err_set(&c->err, ERR_INTERNAL, NULL, "a handler failed without a reason");
}

static bool
call_failed(const struct http_call *c)
{
    return c->err.class != 0;
}

void
http_call_unref(struct http_call *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) != 1)
        return;
    if (c->state_free)
        c->state_free(c->state);
    for (unsigned i = 0; i < c->n_query; i++) {
        free(c->query[i].name);
        free(c->query[i].value);
    }
    free(c->query);
    http_path_done(&c->path);
    json_decref(c->json);
    /* Bodies carry passwords (a job's spec does). */
    if (c->body.data)
        explicit_bzero(c->body.data, c->body.alloc);
    buf_done(&c->body);
    free(c->raw_path);
    free(c->user);
    free(c);
}

void
http_call_touch(struct http_call *c)
{
    /* From 0 to a value restarts libmicrohttpd's idle clock. */
    MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT,
                              c->server->opt.idle_timeout_s);
}

static struct http_call *
call_new(struct http_server *s, struct MHD_Connection *mhd, const char *url,
         const char *method)
{
    struct http_call *c = xcalloc(1, sizeof(*c));

    atomic_init(&c->refs, 1);
    c->server = s;
    c->mhd = mhd;
    c->conn =
        MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT)->socket_context;
    c->fd = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    c->start_ns = time_mono_ns();
    random_hex(c->request_id, (sizeof(c->request_id) - 1) / 2);
    snprintf(c->method, sizeof(c->method), "%s", method);
    c->raw_path = xstrdup(url);
    http_conns_call_begin(&s->conns);
    return c;
}

/* What the headers say about the body. */
struct body_headers {
    unsigned lengths, encodings;
    uint64_t length;
    bool expect;
};

static enum MHD_Result
see_header(void *arg, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct body_headers *h = arg;

    (void)kind;
    if (strcasecmp(name, "Content-Length") == 0) {
        h->lengths++;
        if (!value || text_to_u64(value, &h->length) < 0)
            h->length = UINT64_MAX;
    } else if (strcasecmp(name, "Transfer-Encoding") == 0) {
        h->encodings++;
    } else if (strcasecmp(name, "Expect") == 0) {
        h->expect = true;
    }
    return MHD_YES;
}

static bool
is_json_type(const char *type)
{
    static const char json[] = "application/json";
    size_t len = sizeof(json) - 1;

    return type && strncasecmp(type, json, len) == 0 && strchr("; \t", type[len]);
}

/* Is a body of this kind and length allowed here?  Chunked: the length is seen as it
 * comes. */
static int
check_body(struct http_call *c, const struct body_headers *h, struct err *err)
{
    const struct http_route *r = c->route;
    uint64_t max = r->body_max;

    if (r->body == HTTP_BODY_JSON && max == 0)
        max = JSON_BODY_MAX;
    c->body.cap = r->body == HTTP_BODY_STREAM ? 0 : max;
    if (!c->has_body)
        return 0;
    if (r->body == HTTP_BODY_NONE)
        return err_set(err, ERR_INVALID, "body_not_allowed",
                       "this request takes no body");
    if (max > 0 && h->length > max)
        return err_set(err, ERR_LIMIT, "body_too_large",
                       "the body is larger than %" PRIu64 " bytes", max);
    if (r->body == HTTP_BODY_JSON && !is_json_type(http_call_header(c, "Content-Type"))) {
        c->err_status = 415;
        return err_set(err, ERR_INVALID, "unsupported_media_type",
                       "the body must be application/json");
    }
    return 0;
}

/* NULL when there is no well-formed bearer token. */
static const char *
bearer_token(struct http_call *c)
{
    const char *v = http_call_header(c, "Authorization");
    size_t n;

    if (!v || strncasecmp(v, "Bearer ", 7) != 0)
        return NULL;
    v += 7;
    v += strspn(v, " ");
    n = strlen(v);
    if (n == 0 || n > TOKEN_MAX)
        return NULL;
    for (size_t i = 0; i < n; i++)
        if (v[i] <= ' ' || v[i] > '~')
            return NULL;
    return v;
}

struct query_reader {
    struct http_call *call;
    struct err err;
};

static enum MHD_Result
see_query(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len,
          const char *value, size_t value_len)
{
    struct query_reader *q = arg;
    struct http_call *c = q->call;
    struct http_query_param p = {0};

    (void)kind;
    if (c->n_query == HTTP_QUERY_MAX) {
        err_set(&q->err, ERR_INVALID, "invalid_parameter", "too many query parameters");
        return MHD_NO;
    }
    if (http_decode(name, name_len, &p.name, &q->err) < 0)
        return MHD_NO;
    if (http_decode(value ? value : "", value ? value_len : 0, &p.value, &q->err) < 0) {
        free(p.name);
        return MHD_NO;
    }
    if (http_call_query(c, p.name)) {
        err_set(&q->err, ERR_INVALID, "invalid_parameter",
                "a query parameter is given more than once");
        free(p.name);
        free(p.value);
        return MHD_NO;
    }
    c->query[c->n_query++] = p;
    return MHD_YES;
}

static int
read_query(struct http_call *c, struct err *err)
{
    struct query_reader q = {.call = c};

    if (MHD_get_connection_values_n(c->mhd, MHD_GET_ARGUMENT_KIND, NULL, NULL) <= 0)
        return 0;
    c->query = xcalloc(HTTP_QUERY_MAX, sizeof(*c->query));
    (void)MHD_get_connection_values_n(c->mhd, MHD_GET_ARGUMENT_KIND, see_query, &q);
    if (q.err.class != 0)
        *err = q.err;
    return q.err.class;
}

/* Everything that can be decided before the body. */
static int
check_request(struct http_call *c, const struct body_headers *h, struct err *err)
{
    const struct http_server_options *o = &c->server->opt;
    int r;

    if (http_server_stopping(c->server)) {
        c->close = true;
        return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the server is stopping");
    }
    /* Two opinions on where a request ends are how one is smuggled past a proxy. */
    if (h->lengths > 1 || h->encodings > 1 || (h->lengths && h->encodings)) {
        c->close = true;
        return err_set(err, ERR_INVALID, "ambiguous_length",
                       "the length of the body is given more than once");
    }
    if ((r = http_path_parse(c->raw_path, &c->path, err)) < 0)
        return r;
    r = http_route_find(o->routes, &c->path, c->method, &c->route, c->allow, err);
    if (r < 0) {
        c->err_status = r == ERR_INVALID ? 405 : 0;
        return r;
    }
    if ((r = read_query(c, err)) < 0)
        return r;
    if (c->route->scope &&
        (r = o->authorize(o->app, bearer_token(c), c->route->scope, c, err)) < 0)
        return r;
    return check_body(c, h, err);
}

/* Called once, when the headers are complete. */
static enum MHD_Result
call_begin(struct http_call *c)
{
    struct body_headers h = {0};
    struct err err = ERR_INIT;
    unsigned idle_ms = c->server->opt.idle_timeout_s * 1000;

    MHD_get_connection_values(c->mhd, MHD_HEADER_KIND, see_header, &h);
    c->has_body = h.length > 0 || h.encodings > 0;
    c->discard_left = DISCARD_MAX;
    http_conn_due(&c->server->conns, c->conn, 0);
    if (check_request(c, &h, &err) < 0)
        call_fail(c, &err);
    http_call_touch(c);
    if (!c->has_body)
        return MHD_YES;
    if (call_failed(c) && (h.expect || h.length > DISCARD_MAX)) {
        struct http_reply reply = {0};

        c->close = true;
        return http_reply_problem(c, &reply);
    }
    if (call_failed(c) || c->route->body != HTTP_BODY_STREAM)
        http_conn_due(&c->server->conns, c->conn, idle_ms);
    return MHD_YES;
}

/* One piece of the body.  MHD_NO cuts the connection. */
static enum MHD_Result
call_body(struct http_call *c, const char *p, size_t n)
{
    struct err err = ERR_INIT;
    int r;

    if (!call_failed(c) && c->route->body == HTTP_BODY_STREAM) {
        uint64_t max = c->route->body_max;

        c->body.len += n; /* nothing is stored: a mere count */
        if (max > 0 && c->body.len > max)
            r = err_set(&err, ERR_LIMIT, "body_too_large",
                        "the body is larger than %" PRIu64 " bytes", max);
        else
            r = c->route->on_body(c, c->server->opt.app, p, n, &err);
        http_call_touch(c);
        if (r >= 0)
            return MHD_YES;
        c->discard_left = DISCARD_STREAM_MAX;
        http_conn_due(&c->server->conns, c->conn, c->server->opt.idle_timeout_s * 1000);
    } else if (!call_failed(c)) {
        r = buf_append(&c->body, p, n, &err);
        if (r == 0)
            return MHD_YES;
        if (r == ERR_LIMIT)
            err_set(&err, ERR_LIMIT, "body_too_large",
                    "the body is larger than %zu bytes", c->body.cap);
    }
    call_fail(c, &err);
    if (n > c->discard_left) {
        log_debug("http: request %s: the refused body does not end, connection cut",
                  c->request_id);
        return MHD_NO;
    }
    c->discard_left -= n;
    return MHD_YES;
}

/* The request is complete: handler and answer. */
static enum MHD_Result
call_finish(struct http_call *c)
{
    struct http_reply reply = {0};
    struct err err = ERR_INIT;
    enum MHD_Result r;

    http_conn_due(&c->server->conns, c->conn, 0);
    /* A long poll is no idle peer. */
    MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT, 0u);
    if (!call_failed(c) && c->route->body == HTTP_BODY_JSON && c->body.len > 0 &&
        json_parse(c->body.data, c->body.len, &c->json, &err) < 0)
        call_fail(c, &err);
    if (!call_failed(c) && c->route->handle(c, c->server->opt.app, &reply, &err) < 0) {
        call_fail(c, &err);
        if (reply.status >= 400 && reply.status <= 599)
            c->err_status = reply.status;
    }
    if (call_failed(c))
        r = http_reply_problem(c, &reply);
    else
        r = http_reply_send(c, &reply);
    MHD_set_connection_option(c->mhd, MHD_CONNECTION_OPTION_TIMEOUT,
                              c->server->opt.idle_timeout_s);
    return r;
}

enum MHD_Result
http_call_access(void *server, struct MHD_Connection *mhd, const char *url,
                 const char *method, const char *version, const char *data,
                 size_t *data_size, void **ctx)
{
    struct http_call *c = *ctx;
    enum MHD_Result r;

    (void)version;
    if (!c) {
        *ctx = c = call_new(server, mhd, url, method);
        return call_begin(c);
    }
    if (*data_size == 0)
        return call_finish(c);
    r = call_body(c, data, *data_size);
    *data_size = 0;
    return r;
}

void
http_call_completed(void *server, struct MHD_Connection *mhd, void **ctx,
                    enum MHD_RequestTerminationCode why)
{
    struct http_server *s = server;
    struct http_call *c = *ctx;

    (void)mhd;
    if (!c)
        return;
    *ctx = NULL;
    /* The path only: a query may hold what nobody should read in a log. */
    log_debug("http: %s %s: %d in %" PRIu64 " ms%s request_id=%s user=%s", c->method,
              c->raw_path, c->status,
              (uint64_t)((time_mono_ns() - c->start_ns) / NS_PER_MS),
              why == MHD_REQUEST_TERMINATED_COMPLETED_OK ? "" : " (cut)", c->request_id,
              http_call_user(c));
    /* What comes next on this connection is the head of another request. */
    http_conn_due(&s->conns, c->conn, s->opt.idle_timeout_s * 1000);
    http_call_unref(c);
    http_conns_call_end(&s->conns);
}
