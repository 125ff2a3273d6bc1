#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "http_rig.h"

#define READ_MAX (16u * 1024 * 1024)

static int
authorize(void *app, const char *token, const char *scope, struct http_call *call,
          struct err *err)
{
    (void)app;
    if (!token)
        return err_set(err, ERR_AUTH, NULL, "a token is needed");
    if (strcmp(token, "reader") == 0 && strcmp(scope, "read") != 0)
        return err_set(err, ERR_AUTH, "forbidden", "this token only reads");
    if (strcmp(token, "reader") != 0 && strcmp(token, "operator") != 0)
        return err_set(err, ERR_AUTH, NULL, "this token is unknown");
    http_call_set_user(call, token);
    return 0;
}

static int
get_item(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    static const char *const known[] = {"count", "text", NULL};
    struct rig *rig = app;
    const char *text = http_call_query(call, "text");
    const char *ua = http_call_header(call, "x-test");
    uint64_t count;

    atomic_fetch_add(&rig->handled, 1);
    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "count", 7, 1000, &count, err) < 0)
        return err->class;
    assert_string_equal(http_call_param(call, "nothing"), "");
    reply->json = json_pack(
        "{s:s, s:I, s:s?, s:s, s:s?, s:s, s:b}", "id", http_call_param(call, "id"),
        "count", (json_int_t)count, "text", text, "user", http_call_user(call), "header",
        ua, "request", http_call_request_id(call), "stopping", http_call_stopping(call));
    return 0;
}

static int
post_item(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct rig *rig = app;
    const json_t *j = http_call_json(call);

    atomic_fetch_add(&rig->handled, 1);
    if (j && json_object_get(j, "refuse"))
        return err_set(err, ERR_INVALID, "unknown_field",
                       "the field 'refuse' is unknown");
    reply->status = 201;
    reply->json = j ? json_deep_copy(j) : json_pack("{s:b}", "empty", 1);
    snprintf(reply->location, sizeof(reply->location), "/items/%s", "a\r\nX-Evil: 1");
    return 0;
}

static int
delete_item(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct rig *rig = app;

    (void)call;
    (void)reply;
    (void)err;
    atomic_fetch_add(&rig->handled, 1);
    return 0;
}

/* GET /fail/{class}?code=&status=: fails in the way it is asked to. */
static int
get_fail(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    const char *code = http_call_query(call, "code");
    uint64_t class, status = 0;

    (void)app;
    if (text_to_u64(http_call_param(call, "class"), &class) < 0 ||
        http_call_query_u64(call, "status", 0, 999, &status, err) < 0)
        return err_set(err, ERR_INVALID, NULL, "no class");
    reply->status = (int)status;
    reply->extra_problem =
        json_pack("{s:i, s:s}", "expected", 42, "code", "not_replaced");
    return err_set(err, -(int)class, code, "the secret detail of \xc3\xa9 %s",
                   code && strcmp(code, "bad_utf8") == 0 ? "\xff" : "it");
}

static void
tell_entered(struct rig *rig)
{
    assert_int_equal(send(rig->entered_w, "x", 1, 0), 1);
}

/* Waits for the stop of the server, as a long poll does. */
static int
get_wait(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct rig *rig = app;
    uint64_t ms, until;

    if (http_call_query_u64(call, "ms", 20000, 20000, &ms, err) < 0)
        return err->class;
    until = time_mono_ns() + ms * NS_PER_MS;
    tell_entered(rig);
    while (!http_call_stopping(call) && time_left_ms(until) > 0)
        (void)poll(NULL, 0, 10);
    if (http_call_stopping(call))
        (void)poll(NULL, 0,
                   500); /* its last work takes a while; the answer must still go out */
    reply->text = xstrdup(http_call_stopping(call) ? "stopped" : "waited");
    return 0;
}

struct source {
    struct rig *rig;
    uint64_t left;
    unsigned pauses;
    int end; /* -1, -2 */
    bool silent, told;
};

static ssize_t
source_pull(void *arg, char *p, size_t n)
{
    struct source *s = arg;

    if (s->silent) {
        if (!s->told)
            tell_entered(s->rig);
        s->told = true;
        (void)poll(NULL, 0, 20);
        return 0;
    }
    if (s->pauses > 0) {
        s->pauses--;
        return 0;
    }
    if (s->left == 0)
        return s->end;
    if (n > s->left)
        n = s->left;
    memset(p, 'd', n);
    s->left -= n;
    return (ssize_t)n;
}

static void
source_free(void *arg)
{
    struct source *s = arg;

    atomic_fetch_add(&s->rig->streams_freed, 1);
    free(s);
}

/* GET /stream?bytes=&pauses=&abort=&silent= */
static int
get_stream(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct source *s = xcalloc(1, sizeof(*s));
    uint64_t pauses = 0, abort_it = 0, silent = 0;

    s->rig = app;
    (void)http_call_query_u64(call, "bytes", 0, UINT32_MAX, &s->left, err);
    (void)http_call_query_u64(call, "pauses", 0, 100, &pauses, err);
    (void)http_call_query_u64(call, "abort", 0, 1, &abort_it, err);
    (void)http_call_query_u64(call, "silent", 0, 1, &silent, err);
    s->pauses = (unsigned)pauses;
    s->end = abort_it ? -2 : -1;
    s->silent = silent;
    reply->stream = source_pull;
    reply->stream_free = source_free;
    reply->stream_arg = s;
    return 0;
}

struct upload {
    struct rig *rig;
    uint64_t bytes;
};

static void
upload_free(void *arg)
{
    struct upload *u = arg;

    atomic_fetch_add(&u->rig->states_freed, 1);
    free(u);
}

static int
put_body(struct http_call *call, void *app, const void *p, size_t n, struct err *err)
{
    struct rig *rig = app;
    struct upload *u = http_call_state(call);

    if (!u) {
        u = xcalloc(1, sizeof(*u));
        u->rig = rig;
        http_call_set_state(call, u, upload_free);
    }
    if (strcmp(http_call_param(call, "key"), "gap") == 0)
        return err_set(err, ERR_EXISTS, "gap", "the next record is 12");
    for (size_t i = 0; i < n; i++)
        if (((const char *)p)[i] != 'u')
            return err_set(err, ERR_INVALID, "wrong_byte", "byte %zu of a piece", i);
    u->bytes += n;
    atomic_fetch_add(&rig->body_bytes, n);
    return 0;
}

static int
put_upload(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct rig *rig = app;
    struct upload *u = http_call_state(call);

    (void)err;
    atomic_fetch_add(&rig->handled, 1);
    reply->json = json_pack("{s:I}", "bytes", (json_int_t)(u ? u->bytes : 0));
    return 0;
}

static int
get_bad_reply(struct http_call *call, void *app, struct http_reply *reply,
              struct err *err)
{
    (void)call;
    (void)app;
    (void)err;
    reply->text = xstrdup("x");
    reply->content_type = "text/plain\r\nX-Evil: 1";
    return 0;
}

static const struct http_route routes[] = {
    {"GET", "/open/{id}", NULL, HTTP_BODY_NONE, 0, get_item, NULL},
    {"GET", "/items/{id}", "read", HTTP_BODY_NONE, 0, get_item, NULL},
    {"DELETE", "/items/{id}", "operate", HTTP_BODY_NONE, 0, delete_item, NULL},
    {"POST", "/items", "operate", HTTP_BODY_JSON, 1000, post_item, NULL},
    {"POST", "/open", NULL, HTTP_BODY_JSON, 0, post_item, NULL},
    {"PUT", "/up/{key}", "operate", HTTP_BODY_STREAM, 0, put_upload, put_body},
    {"PUT", "/small/{key}", NULL, HTTP_BODY_STREAM, 100000, put_upload, put_body},
    {"GET", "/fail/{class}", NULL, HTTP_BODY_NONE, 0, get_fail, NULL},
    {"GET", "/wait", NULL, HTTP_BODY_NONE, 0, get_wait, NULL},
    {"GET", "/stream", NULL, HTTP_BODY_NONE, 0, get_stream, NULL},
    {"GET", "/bad-reply", NULL, HTTP_BODY_NONE, 0, get_bad_reply, NULL},
    {0},
};

void
rig_start(struct rig *rig, unsigned idle_s, unsigned max_connections,
          unsigned max_per_address)
{
    struct http_server_options opt = {.listen = "127.0.0.1:0",
                                      .routes = routes,
                                      .app = rig,
                                      .authorize = authorize,
                                      .max_connections = max_connections,
                                      .max_per_address = max_per_address,
                                      .idle_timeout_s = idle_s};
    struct err err = ERR_INIT;
    int sv[2];

    memset(rig, 0, sizeof(*rig));
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    rig->entered_w = sv[0];
    rig->entered_r = sv[1];
    if (http_server_start(&opt, &rig->server, &err) < 0)
        fail_msg("%s", err.msg);
}

void
rig_stop(struct rig *rig)
{
    http_server_stop(rig->server);
    close(rig->entered_w);
    close(rig->entered_r);
}

const char *
rig_url(const struct rig *rig, const char *path)
{
    static char url[512];

    snprintf(url, sizeof(url), "http://%s%s", http_server_address(rig->server), path);
    return url;
}

void
rig_await_entered(struct rig *rig)
{
    struct pollfd p = {.fd = rig->entered_r, .events = POLLIN};
    char c;

    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(recv(rig->entered_r, &c, 1, 0), 1);
}

int
rig_connect(const struct rig *rig)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 20};
    uint64_t port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(
        text_to_u64(strrchr(http_server_address(rig->server), ':') + 1, &port), 0);
    a.sin_port = htons((uint16_t)port);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

void
raw_send(int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t w = send(fd, text, n, MSG_NOSIGNAL);

        if (w < 0)
            return; /* the server closed: its answer tells why */
        text += w;
        n -= (size_t)w;
    }
}

char *
raw_read_all(int fd)
{
    struct buf b = BUF_INIT(READ_MAX);
    struct err err = ERR_INIT;
    char piece[65536];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
        assert_int_equal(buf_append(&b, piece, (size_t)n, &err), 0);
    if (n < 0 && errno != ECONNRESET)
        fail_msg("the server did not close the connection: %s", strerror(errno));
    return buf_take(&b);
}

char *
raw_talk(const struct rig *rig, const char *request)
{
    int fd = rig_connect(rig);
    char *answer;

    raw_send(fd, request);
    answer = raw_read_all(fd);
    close(fd);
    return answer;
}

int
raw_status(const char *answer)
{
    int status = 0;

    return sscanf(answer, "HTTP/1.1 %d ", &status) == 1 ? status : 0;
}
