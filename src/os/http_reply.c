/* os/http_reply.c - answers: JSON, text, streams, problem+json (RFC 9457). */
#include <poll.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "os/http_priv.h"

#define STREAM_BLOCK (32 * 1024)
#define STREAM_GRACE_NS (2 * NS_PER_S) /* how long a stream may go on after a stop */
#define RETRY_AFTER_S "5"

int
http_status_of(const struct err *err)
{
    switch (err->class) {
    case ERR_INVALID:
        return 400;
    case ERR_AUTH:
        return strcmp(err->code, "forbidden") == 0 ? 403 : 401;
    case ERR_NOT_FOUND:
        return 404;
    case ERR_EXISTS:
        return 409;
    case ERR_LIMIT:
        return strcmp(err->code, "too_many_requests") == 0 ? 429 : 413;
    case ERR_NO_SPACE:
        return 507;
    case ERR_UNAVAILABLE:
    case ERR_TIMEOUT:
        return 503;
    case ERR_IO:
    case ERR_PROTOCOL:
        return 502;
    default:
        return 500;
    }
}

static const char *
status_title(int status)
{
    const char *t = MHD_get_reason_phrase_for((unsigned)status);

    return t ? t : "Error";
}

static void
reply_done(struct http_reply *r)
{
    json_decref(r->json);
    json_decref((json_t *)r->extra_problem);
    free(r->text);
    if (r->stream_free)
        r->stream_free(r->stream_arg);
    *r = (struct http_reply){0};
}

/* --- streams --- */

/* A peer that is gone would otherwise be noticed only at the next byte, which may be far
 * off. */
static bool
peer_gone(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLRDHUP};

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL));
}

static ssize_t
stream_pull(void *arg, uint64_t pos, char *p, size_t n)
{
    struct http_call *c = arg;
    struct http_server *s = c->server;
    ssize_t got;

    (void)pos;
    /* An abort, not an end: a download that a stop cuts must not look complete. */
    if (http_server_stopping(s) &&
        time_mono_ns() > atomic_load(&s->stop_ns) + STREAM_GRACE_NS)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (peer_gone(c->fd))
        return MHD_CONTENT_READER_END_WITH_ERROR;
    got = c->stream(c->stream_arg, p, n);
    if (got == -1)
        return MHD_CONTENT_READER_END_OF_STREAM;
    if (got < 0 || (size_t)got > n)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    http_call_touch(c);
    return got;
}

static void
stream_end(void *arg)
{
    struct http_call *c = arg;

    if (c->stream_free)
        c->stream_free(c->stream_arg);
    http_call_unref(c);
}

static struct MHD_Response *
stream_response(struct http_call *c, struct http_reply *r)
{
    struct MHD_Response *resp = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_pull, c, stream_end);

    if (!resp)
        return NULL;
    atomic_fetch_add(&c->refs,
                     1); /* the stream may outlive the request; see stream_end() */
    c->stream = r->stream;
    c->stream_free = r->stream_free;
    c->stream_arg = r->stream_arg;
    r->stream = NULL;
    r->stream_free = NULL;
    return resp;
}

/* --- headers --- */

/* Percent-encodes what may not stand in a header: CR and LF would begin another one. */
static char *
escape_location(const char *s)
{
    static const char digits[] = "0123456789ABCDEF";
    char *out = xcalloc(strlen(s) + 1, 3);
    char *o = out;

    for (; *s; s++) {
        unsigned char ch = (unsigned char)*s;

        if (ch > ' ' && ch < 0x7f && !strchr("\"<>\\^`{|}", ch)) {
            *o++ = (char)ch;
        } else {
            *o++ = '%';
            *o++ = digits[ch >> 4];
            *o++ = digits[ch & 15];
        }
    }
    return out;
}

static bool
add_headers(struct http_call *c, struct MHD_Response *resp, const char *type,
            const char *location)
{
    CLEANUP_FREE char *where = location[0] ? escape_location(location) : NULL;
    bool ok =
        MHD_add_response_header(resp, "X-Content-Type-Options", "nosniff") == MHD_YES;

    ok = ok && MHD_add_response_header(resp, "Cache-Control", "no-store") == MHD_YES;
    ok = ok && MHD_add_response_header(resp, "X-Request-Id", c->request_id) == MHD_YES;
    /* The library refuses values with CR, LF or TAB. */
    if (type)
        ok = ok && MHD_add_response_header(resp, "Content-Type", type) == MHD_YES;
    if (where)
        ok = ok && MHD_add_response_header(resp, "Location", where) == MHD_YES;
    if (c->close || http_server_stopping(c->server))
        ok = ok && MHD_add_response_header(resp, "Connection", "close") == MHD_YES;
    return ok;
}

static bool
add_error_headers(struct http_call *c, struct MHD_Response *resp, int status)
{
    bool ok = true;

    if (status == 401)
        ok = MHD_add_response_header(resp, "WWW-Authenticate", "Bearer") == MHD_YES;
    else if (status == 405 && c->allow[0])
        ok = MHD_add_response_header(resp, "Allow", c->allow) == MHD_YES;
    else if (status == 429 || status == 503)
        ok = MHD_add_response_header(resp, "Retry-After", RETRY_AFTER_S) == MHD_YES;
    return ok;
}

static enum MHD_Result
queue(struct http_call *c, struct MHD_Response *resp, int status)
{
    enum MHD_Result r = MHD_queue_response(c->mhd, (unsigned)status, resp);

    MHD_destroy_response(resp);
    if (r == MHD_YES)
        c->status = status;
    return r;
}

/* --- the two ways to answer --- */

/* The text is malloc'ed and becomes the response's. */
static struct MHD_Response *
text_response(char *text)
{
    struct MHD_Response *resp =
        MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);

    if (!resp)
        free(text);
    return resp;
}

static enum MHD_Result
internal_failure(struct http_call *c, const char *what)
{
    struct http_reply empty = {0};

    err_set(&c->err, ERR_INTERNAL, NULL, "%s", what);
    c->err_status = 0;
    return http_reply_problem(c, &empty);
}

enum MHD_Result
http_reply_send(struct http_call *c, struct http_reply *reply)
{
    const char *type = reply->content_type;
    int status = reply->status ? reply->status : 200;
    struct MHD_Response *resp;

    if (reply->stream) {
        /* HEAD: libmicrohttpd 0.9.75 would send the last, empty chunk all the same. */
        if (strcmp(c->method, "HEAD") == 0)
            resp = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
        else
            resp = stream_response(c, reply);
        type = type ? type : "application/octet-stream";
    } else if (reply->json) {
        char *text = json_line(reply->json);

        resp = text ? text_response(text) : NULL;
        type = "application/json";
    } else if (reply->text) {
        resp = text_response(take_ptr(&reply->text));
        type = type ? type : "text/plain; charset=utf-8";
    } else {
        status = reply->status ? reply->status : 204;
        type = NULL;
        resp = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    }
    if (!resp || status < 200 || status > 599 ||
        !add_headers(c, resp, type, reply->location)) {
        if (resp)
            MHD_destroy_response(resp);
        reply_done(reply);
        return internal_failure(c, "the handler's answer cannot be sent");
    }
    reply_done(reply);
    return queue(c, resp, status);
}

/* JSON takes UTF-8 only, and a message may have been cut within a character or quote a
 * peer. */
static json_t *
lossy_string(const char *s)
{
    CLEANUP_FREE char *copy = NULL;

    if (text_is_utf8(s, strlen(s)))
        return json_string(s);
    copy = xstrdup(s);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    return json_string(copy);
}

static char *
problem_text(struct http_call *c, int status, const json_t *extra)
{
    CLEANUP_JSON json_t *j = json_object();
    char type[ERR_CODE_SIZE + 32];
    bool hide = status == 500;

    snprintf(type, sizeof(type), "urn:sendense:problem:%s", c->err.code);
    json_object_set_new(j, "type", lossy_string(type));
    json_object_set_new(j, "title", json_string(status_title(status)));
    json_object_set_new(j, "status", json_integer(status));
    json_object_set_new(
        j, "detail",
        lossy_string(
            hide ? "internal error; the log of the server has it under this request id"
                 : c->err.msg));
    json_object_set_new(j, "instance", lossy_string(c->raw_path));
    json_object_set_new(j, "code", lossy_string(c->err.code));
    json_object_set_new(j, "request_id", json_string(c->request_id));
    if (json_is_object(extra))
        json_object_update_missing(j, (json_t *)extra);
    return json_line(j);
}

enum MHD_Result
http_reply_problem(struct http_call *c, struct http_reply *reply)
{
    int status = c->err_status ? c->err_status : http_status_of(&c->err);
    char *text = problem_text(c, status, reply->extra_problem);
    struct MHD_Response *resp = text ? text_response(text) : NULL;

    if (status >= 500)
        log_error("http: %s %s: %d: %s: %s request_id=%s", c->method, c->raw_path, status,
                  c->err.code, c->err.msg, c->request_id);
    reply_done(reply);
    if (!resp || !add_headers(c, resp, "application/problem+json", "") ||
        !add_error_headers(c, resp, status)) {
        if (resp)
            MHD_destroy_response(resp);
        return MHD_NO;
    }
    return queue(c, resp, status);
}
