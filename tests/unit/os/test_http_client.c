/* The HTTP client, against our server and against peers that misbehave. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "http_rig.h"
#include "os/http_client.h"

static struct rig rig;
static struct http_client *client;
static struct secret *token;

static int
start(void **state)
{
    struct err err = ERR_INIT;

    (void)state;
    rig_start(&rig, 0, 0, 0);
    token = secret_new("operator", 8);
    assert_int_equal(http_client_new(&client, &err), 0);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    http_client_free(client);
    secret_free(token);
    rig_stop(&rig);
    return 0;
}

static void
assert_fails(const struct http_request *q, int class, const char *code)
{
    struct http_response r = {0};
    struct err err = ERR_INIT;
    int got = http_do(client, q, &r, &err);

    if (got != class || err.class != class || (code && strcmp(err.code, code) != 0))
        fail_msg("class %d code '%s': %s", got, err.code, err.msg);
    assert_null(r.body);
}

static void
test_simple(void **state)
{
    struct http_request q = {.method = "GET", .url = rig_url(&rig, "/items/7?count=9")};
    struct http_response r;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 401); /* an answer, whatever it says */
    assert_string_equal(r.content_type, "application/problem+json");
    assert_int_equal(http_response_check(&r, &err), ERR_AUTH);
    http_response_done(&r);
    err_clear(&err);
    q.bearer = token;
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.content_type, "application/json");
    assert_int_equal(r.body_len, strlen(r.body));
    assert_non_null(strstr(r.body, "\"count\":9"));
    assert_int_equal(http_response_check(&r, &err), 0);
    http_response_done(&r);
    assert_null(r.body);
    q.method = "HEAD";
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body_len, 0);
    http_response_done(&r);
    q.method = "DELETE";
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 204);
    http_response_done(&r);
}

static void
test_upload(void **state)
{
    const size_t n = 5000000;
    char *body = malloc(n);
    struct http_request q = {.method = "PUT",
                             .url = rig_url(&rig, "/up/1"),
                             .bearer = token,
                             .body = body,
                             .body_len = n,
                             .content_type = "application/octet-stream"};
    struct http_response r;
    struct err err = ERR_INIT;

    (void)state;
    memset(body, 'u', n);
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 200);
    assert_string_equal(r.body, "{\"bytes\":5000000}");
    http_response_done(&r);
    /* The reason of a refusal arrives although the body goes on for megabytes. */
    q.url = rig_url(&rig, "/up/gap");
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(http_response_check(&r, &err), ERR_EXISTS);
    assert_string_equal(err.code, "gap");
    assert_string_equal(err.msg, "the next record is 12");
    http_response_done(&r);
    q.body_len = 0;
    q.url = rig_url(&rig, "/up/1");
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_string_equal(r.body, "{\"bytes\":0}");
    http_response_done(&r);
    free(body);
}

static void
test_json(void **state)
{
    struct http_request q = {
        .method = "POST", .url = rig_url(&rig, "/items"), .bearer = token};
    json_t *body = json_pack("{s:s}", "name", "quote \" and \xc3\xa9");
    json_t *answer = NULL;
    struct err err = ERR_INIT;
    long status = 0;

    (void)state;
    assert_int_equal(http_json(client, &q, body, &answer, &status, &err), 0);
    assert_int_equal(status, 201);
    assert_true(json_equal(body, answer));
    json_decref(answer);
    json_decref(body);
    assert_int_equal(http_json(client, &q, NULL, NULL, NULL, &err), 0);
    q.method = "DELETE";
    q.url = rig_url(&rig, "/items/1");
    answer = (json_t *)&rig;
    assert_int_equal(http_json(client, &q, NULL, &answer, &status, &err), 0);
    assert_null(answer); /* 204 */
    assert_int_equal(status, 204);
}

static void
test_problems(void **state)
{
    static const struct {
        const char *path;
        int class;
        const char *code;
        long status;
    } want[] = {
        {"/fail/1?code=bad_word", ERR_INVALID, "bad_word", 400},
        {"/fail/2", ERR_NOT_FOUND, "not_found", 404},
        {"/fail/3?code=busy", ERR_EXISTS, "busy", 409},
        {"/fail/4", ERR_IO, NULL, 502},
        {"/fail/5", ERR_UNAVAILABLE, NULL, 503},
        {"/fail/6?code=repo_full", ERR_NO_SPACE, "repo_full", 507},
        {"/fail/7", ERR_AUTH, NULL, 401},
        {"/fail/7?code=forbidden", ERR_AUTH, "forbidden", 403},
        {"/fail/11", ERR_INVALID, NULL, 413},
        {"/fail/12", ERR_UNAVAILABLE, NULL, 503},
        {"/fail/13", ERR_IO, NULL, 500},
        {"/fail/1?code=Not%20A%20Code", ERR_INVALID, "invalid", 400},
        {"/nothing", ERR_NOT_FOUND, "no_such_route", 404},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct http_request q = {.method = "GET", .url = rig_url(&rig, want[i].path)};
        struct err err = ERR_INIT;
        json_t *answer = NULL;
        long status = 0;
        int r = http_json(client, &q, NULL, &answer, &status, &err);

        if (r != want[i].class || status != want[i].status ||
            (want[i].code && strcmp(err.code, want[i].code) != 0))
            fail_msg("%s: class %d status %ld code '%s'", want[i].path, r, status,
                     err.code);
        assert_null(answer);
        if (r == ERR_NO_SPACE)
            assert_string_equal(err.msg, "the secret detail of \xc3\xa9 it");
    }
}

static void
test_check_foreign(void **state)
{
    struct http_response r = {.status = 302};
    struct err err = ERR_INIT;
    char long_detail[1400];

    (void)state;
    assert_int_equal(http_response_check(&r, &err), ERR_IO);
    assert_string_equal(err.msg, "the peer answered HTTP status 302");
    r = (struct http_response){.status = 404, .content_type = "application/problem+json"};
    r.body = (char *)"{\"code\":7,\"detail\":[1]}";
    r.body_len = strlen(r.body);
    err_clear(&err);
    assert_int_equal(http_response_check(&r, &err), ERR_NOT_FOUND);
    assert_string_equal(err.code, "not_found");
    r.body = (char *)"{\"code\":\"ok\",\"detail\":\"a\\nb\\u007fc\"}";
    r.body_len = strlen(r.body);
    err_clear(&err);
    (void)http_response_check(&r, &err);
    assert_string_equal(err.msg, "a b c");
    assert_string_equal(err.code, "ok");
    /* Cut between characters. */
    strcpy(long_detail, "{\"detail\":\"a");
    for (unsigned i = 0; i < 600; i++)
        strcat(long_detail, "\xc3\xa9");
    strcat(long_detail, "\"}");
    r.body = long_detail;
    r.body_len = strlen(r.body);
    err_clear(&err);
    (void)http_response_check(&r, &err);
    assert_int_equal(strlen(err.msg), 511);
    err_clear(&err);
    r.body = (char *)"{";
    r.body_len = 1;
    assert_int_equal(http_response_check(&r, &err), ERR_NOT_FOUND);
}

static int
count_data(void *arg, const char *p, size_t n)
{
    uint64_t *left = arg;

    assert_int_equal(p[0], 'd');
    if (*left < n)
        return 1;
    *left -= n;
    return 0;
}

static void
test_streaming(void **state)
{
    uint64_t left = 3000000;
    struct http_request q = {.method = "GET",
                             .url = rig_url(&rig, "/stream?bytes=3000000&pauses=2"),
                             .on_data = count_data,
                             .on_data_arg = &left};
    struct http_response r;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 200);
    assert_null(r.body);
    assert_int_equal(left, 0);
    http_response_done(&r);
    left = 1000; /* the receiver has had enough */
    assert_fails(&q, ERR_CANCELLED, NULL);
    left = 3000000;
    q.max_response = 2000000;
    assert_fails(&q, ERR_LIMIT, "response_too_large");
    q.max_response = 0;
    q.url = rig_url(&rig, "/stream?bytes=1000&abort=1");
    assert_fails(&q, ERR_IO, NULL); /* broken is not complete */
    /* A problem is no data. */
    left = 0;
    q.url = rig_url(&rig, "/fail/2");
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(http_response_check(&r, &err), ERR_NOT_FOUND);
    http_response_done(&r);
}

static void
test_limits(void **state)
{
    struct http_request q = {.method = "GET",
                             .url = rig_url(&rig, "/stream?bytes=10000"),
                             .max_response = 10000};
    struct http_response r;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.body_len, 10000);
    http_response_done(&r);
    q.max_response = 9999;
    assert_fails(&q, ERR_LIMIT, "response_too_large");
    q.max_response = 0;
    q.url = rig_url(&rig, "/stream?bytes=8388609");
    assert_fails(&q, ERR_LIMIT, "response_too_large");
}

static void
test_timeout(void **state)
{
    struct http_request q = {
        .method = "GET", .url = rig_url(&rig, "/wait?ms=5000"), .timeout_ms = 200};
    uint64_t begin = time_mono_ns();

    (void)state;
    assert_fails(&q, ERR_TIMEOUT, NULL);
    assert_true(time_mono_ns() - begin < 3 * NS_PER_S);
}

static void *
cancel_when_entered(void *arg)
{
    rig_await_entered(&rig);
    assert_int_equal(eventfd_write(*(int *)arg, 1), 0);
    return NULL;
}

static void
test_cancel(void **state)
{
    int fd = eventfd(0, EFD_CLOEXEC);
    struct http_request q = {
        .method = "GET", .url = rig_url(&rig, "/wait"), .cancel_fd = fd};
    uint64_t begin = time_mono_ns();
    pthread_t t;

    (void)state;
    assert_int_equal(pthread_create(&t, NULL, cancel_when_entered, &fd), 0);
    assert_fails(&q, ERR_CANCELLED, NULL);
    assert_int_equal(pthread_join(t, NULL), 0);
    assert_fails(&q, ERR_CANCELLED, NULL); /* was readable from the start */
    assert_true(time_mono_ns() - begin < 5 * NS_PER_S);
    close(fd);
}

static void
test_refused_requests(void **state)
{
    struct secret *split = secret_new("a\r\nX-Evil: 1", 12);
    struct http_request q = {.method = "GET", .url = "file:///etc/passwd"};

    (void)state;
    assert_fails(&q, ERR_INVALID, "invalid_url");
    q.url = "ftp://127.0.0.1/";
    assert_fails(&q, ERR_INVALID, "invalid_url");
    q.url = NULL;
    assert_fails(&q, ERR_INVALID, "invalid_url");
    q.url = "http://127.0.0.1/a\r\nb";
    assert_fails(&q, ERR_INVALID, "invalid_url");
    q.url = "http://user:word@127.0.0.1:1/";
    assert_fails(&q, ERR_INVALID, "invalid_url");
    q.url = "http://[::1/";
    assert_fails(&q, ERR_INVALID, "invalid_url");
    q.url = rig_url(&rig, "/open/1");
    q.method = "GET / HTTP/1.1\r\nX";
    assert_fails(&q, ERR_INVALID, NULL);
    q.method = NULL;
    assert_fails(&q, ERR_INVALID, NULL);
    q.method = "GET";
    q.bearer = split;
    assert_fails(&q, ERR_INVALID, NULL);
    q.bearer = NULL;
    q.accept = "a\nb";
    assert_fails(&q, ERR_INVALID, NULL);
    q.accept = NULL;
    q.headers = (const char *const[]){"X: 1\r\nY: 2", NULL};
    assert_fails(&q, ERR_INVALID, NULL);
    assert_int_equal(atomic_load(&rig.handled), 0);
    secret_free(split);
}

/* A peer that accepts one connection, sends @text and closes. */
struct peer {
    int fd;
    char url[64];
    const char *text;
    char request[4096];
    pthread_t thread;
};

static void *
peer_main(void *arg)
{
    struct peer *p = arg;
    int fd = accept(p->fd, NULL, NULL);

    p->request[0] = '\0';
    if (fd >= 0) {
        ssize_t n = recv(fd, p->request, sizeof(p->request) - 1, 0);

        p->request[n > 0 ? n : 0] = '\0';
        raw_send(fd, p->text);
        close(fd);
    }
    return NULL;
}

static void
peer_listen(struct peer *p, const char *text)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);

    p->text = text;
    p->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(p->fd, (struct sockaddr *)&a, len), 0);
    assert_int_equal(getsockname(p->fd, (struct sockaddr *)&a, &len), 0);
    snprintf(p->url, sizeof(p->url), "http://127.0.0.1:%u/x?key=hidden",
             ntohs(a.sin_port));
}

static void
assert_peer(const char *text, int class, const char *code)
{
    struct peer p;
    struct http_request q = {.method = "GET", .url = p.url};
    struct err err = ERR_INIT;
    json_t *j = NULL;
    int r;

    peer_listen(&p, text);
    assert_int_equal(listen(p.fd, 1), 0);
    assert_int_equal(pthread_create(&p.thread, NULL, peer_main, &p), 0);
    r = http_json(client, &q, NULL, &j, NULL, &err);
    if (r != class || (code && strcmp(err.code, code) != 0))
        fail_msg("'%s': class %d code '%s': %s", text, r, err.code, err.msg);
    assert_null(strstr(err.msg, "hidden"));
    assert_null(j);
    assert_int_equal(pthread_join(p.thread, NULL), 0);
    close(p.fd);
}

static void
test_bad_peers(void **state)
{
    struct peer p;
    struct http_request q = {.method = "GET", .url = p.url};

    (void)state;
    assert_peer("", ERR_IO, NULL);
    assert_peer("SSH-2.0-OpenSSH_9.2\r\n", ERR_PROTOCOL, NULL);
    assert_peer("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}", ERR_IO, NULL);
    assert_peer("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<htm>", ERR_PROTOCOL,
                "malformed_answer");
    assert_peer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", ERR_IO,
                NULL);
    assert_peer("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\n"
                "Content-Length: 0\r\n\r\n",
                ERR_IO, NULL);
    assert_peer(
        "HTTP/1.1 500 No\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<a/>",
        ERR_IO, NULL);
    /* Bound and not listening: nobody else gets the port, and nobody answers. */
    peer_listen(&p, "");
    assert_fails(&q, ERR_UNAVAILABLE, NULL);
    close(p.fd);
}

/* Headers of the caller's go out; a cookie comes back as it was written. */
static void
test_headers_and_cookie(void **state)
{
    static const struct {
        const char *text, *cookie;
    } cases[] = {
        {"Set-Cookie: sid=\"a b\"; Path=/\r\n", "\"a"},
        {"Set-Cookie: sid=\"a-1\"; Path=/; HttpOnly\r\n", "\"a-1\""},
        {"set-cookie:sid=x\r\nSet-Cookie: sid=y;Secure\r\n", "y"},
        {"Set-Cookie: sid2=x\r\nSet-Cookie: other=sid=z\r\n", NULL},
        {"Set-Cookie: sid=\r\nSet-Cookie: sid\r\nSet-Cookie:\r\n", NULL},
        {"X-Set-Cookie: sid=x\r\n", NULL},
    };
    static const char *const headers[] = {"SOAPAction: \"urn:x\"", "Cookie: k=\"v\"",
                                          NULL};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *text =
            xasprintf("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n%s\r\n", cases[i].text);
        struct peer p;
        struct http_request q = {
            .method = "GET", .url = p.url, .headers = headers, .want_cookie = "sid"};
        struct http_response r;
        struct err err = ERR_INIT;

        peer_listen(&p, text);
        assert_int_equal(listen(p.fd, 1), 0);
        assert_int_equal(pthread_create(&p.thread, NULL, peer_main, &p), 0);
        assert_int_equal(http_do(client, &q, &r, &err), 0);
        assert_int_equal(pthread_join(p.thread, NULL), 0);
        assert_non_null(strstr(p.request, "\r\nSOAPAction: \"urn:x\"\r\n"));
        assert_non_null(strstr(p.request, "\r\nCookie: k=\"v\"\r\n"));
        if (cases[i].cookie)
            assert_string_equal(r.cookie, cases[i].cookie);
        else
            assert_null(r.cookie);
        http_response_done(&r);
        close(p.fd);
        free(text);
    }
}

static void
test_no_proxy(void **state)
{
    struct http_request q = {.method = "GET", .url = rig_url(&rig, "/open/1")};
    struct http_response r;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
    assert_int_equal(http_do(client, &q, &r, &err), 0);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
    assert_int_equal(unsetenv("http_proxy"), 0);
}

static void
test_reconnect(void **state)
{
    struct http_request q = {.method = "GET"};
    struct http_response r;
    struct err err = ERR_INIT;

    (void)state;
    for (unsigned i = 0; i < 3;
         i++) { /* the kept connection is dead each time but the first */
        q.url = rig_url(&rig, "/open/1");
        assert_int_equal(http_do(client, &q, &r, &err), 0);
        assert_int_equal(r.status, 200);
        http_response_done(&r);
        rig_stop(&rig);
        rig_start(&rig, 0, 0, 0);
    }
    http_client_free(NULL);
}

static void *
talk_much(void *arg)
{
    struct http_request q = {.method = "GET", .url = arg};
    struct http_client *c = NULL;
    struct http_response r;
    struct err err = ERR_INIT;
    size_t good = 0;

    if (http_client_new(&c, &err) < 0)
        return NULL;
    for (unsigned i = 0; i < 50 && http_do(c, &q, &r, &err) == 0; i++) {
        good += r.status == 200;
        http_response_done(&r);
    }
    http_client_free(c);
    return (void *)good;
}

static void
test_many_threads(void **state)
{
    char *url = xstrdup(rig_url(&rig, "/open/1"));
    pthread_t t[16];
    void *good;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, talk_much, url), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        assert_int_equal(pthread_join(t[i], &good), 0);
        assert_int_equal((size_t)good, 50);
    }
    free(url);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_simple),           T(test_upload),        T(test_json),
        T(test_problems),         T(test_check_foreign), T(test_streaming),
        T(test_limits),           T(test_timeout),       T(test_cancel),
        T(test_refused_requests), T(test_bad_peers),     T(test_no_proxy),
        T(test_reconnect),        T(test_many_threads),  T(test_headers_and_cookie),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
