/* The HTTP server, spoken to through raw sockets. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "http_assert.h"
#include "http_rig.h"

#define H "Host: x\r\nConnection: close\r\n"
#define OPERATOR "Authorization: Bearer operator\r\n"
#define READER "Authorization: bearer  reader\r\n"

static struct rig rig;

static int
start(void **state)
{
    (void)state;
    rig_start(&rig, 0, 0, 0);
    return 0;
}

static int
stop(void **state)
{
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* Sends, checks the status, gives the JSON body (NULL when empty). */
static json_t *
talk(const char *request, int status)
{
    char *answer = raw_talk(&rig, request);
    char *body = strstr(answer, "\r\n\r\n");
    struct err err = ERR_INIT;
    json_t *j = NULL;

    if (raw_status(answer) != status)
        fail_msg("wanted %d for:\n%.300s\ngot:\n%s", status, request, answer);
    assert_has(answer, "X-Content-Type-Options: nosniff\r\n");
    assert_has(answer, "Cache-Control: no-store\r\n");
    assert_lacks(answer, "Server:");
    assert_non_null(body);
    if (body[4] && json_parse(body + 4, strlen(body + 4), &j, &err) < 0)
        fail_msg("%s in:\n%s", err.msg, answer);
    free(answer);
    return j;
}

static void
assert_problem(const char *request, int status, const char *code)
{
    json_t *j = talk(request, status);
    char type[128];

    snprintf(type, sizeof(type), "urn:sendense:problem:%s", code);
    assert_string_equal(json_string_value(json_object_get(j, "code")), code);
    assert_string_equal(json_string_value(json_object_get(j, "type")), type);
    assert_int_equal(json_integer_value(json_object_get(j, "status")), status);
    assert_true(json_string_length(json_object_get(j, "title")) > 0);
    assert_true(json_string_length(json_object_get(j, "detail")) > 0);
    assert_int_equal(json_string_length(json_object_get(j, "request_id")), 24);
    assert_int_equal(json_string_value(json_object_get(j, "instance"))[0], '/');
    json_decref(j);
}

static void
assert_member(const json_t *j, const char *key, const char *want)
{
    const char *got = json_string_value(json_object_get(j, key));

    if (!got || strcmp(got, want) != 0)
        fail_msg("member '%s' is '%s', wanted '%s'", key, got ? got : "(none)", want);
}

static void
test_matching(void **state)
{
    json_t *j = talk("GET /open/a%2Fb%20%C3%A9?text=x+y%2Bz%26&count=1000 HTTP/1.1\r\n" H
                     "X-Test: yes\r\n\r\n",
                     200);

    (void)state;
    assert_member(j, "id", "a/b \xc3\xa9");
    assert_member(j, "text", "x y+z&");
    assert_member(j, "header", "yes");
    assert_member(j, "user", "");
    assert_int_equal(json_integer_value(json_object_get(j, "count")), 1000);
    json_decref(j);
    j = talk("GET /open/x HTTP/1.1\r\n" H "\r\n", 200);
    assert_int_equal(json_integer_value(json_object_get(j, "count")), 7);
    assert_true(json_is_null(json_object_get(j, "text")));
    json_decref(j);
    assert_problem("GET /nothing HTTP/1.1\r\n" H "\r\n", 404, "no_such_route");
    assert_problem("GET /open/ HTTP/1.1\r\n" H "\r\n", 404, "no_such_route");
    assert_problem("GET /open/%00 HTTP/1.1\r\n" H "\r\n", 400, "invalid_encoding");
    assert_problem("GET /open/a%0d%0aX:y HTTP/1.1\r\n" H "\r\n", 400, "invalid_encoding");
    assert_problem("GET /open/%zz HTTP/1.1\r\n" H "\r\n", 400, "invalid_encoding");
    assert_problem("GET /open/%ff HTTP/1.1\r\n" H "\r\n", 400, "invalid_encoding");
    assert_problem("GET /open/x?text=%00 HTTP/1.1\r\n" H "\r\n", 400, "invalid_encoding");
    assert_problem("GET /open/x?%4=1 HTTP/1.1\r\n" H "\r\n", 400, "invalid_encoding");
    assert_problem("GET /open/x?text=1&te%78t=2 HTTP/1.1\r\n" H "\r\n", 400,
                   "invalid_parameter");
    assert_problem("GET /open/x?count=1001 HTTP/1.1\r\n" H "\r\n", 400,
                   "invalid_parameter");
    assert_problem("GET /open/x?count=-1 HTTP/1.1\r\n" H "\r\n", 400,
                   "invalid_parameter");
    assert_problem("GET /open/x?count HTTP/1.1\r\n" H "\r\n", 400, "invalid_parameter");
    assert_problem("GET /open/x?other=1 HTTP/1.1\r\n" H "\r\n", 400, "unknown_parameter");
}

static void
test_too_many_parameters(void **state)
{
    char request[4096] = "GET /open/x?";

    (void)state;
    for (unsigned i = 0; i < 65; i++)
        snprintf(request + strlen(request), sizeof(request) - strlen(request), "p%u=1&",
                 i);
    snprintf(request + strlen(request), sizeof(request) - strlen(request),
             " HTTP/1.1\r\n" H "\r\n");
    assert_problem(request, 400, "invalid_parameter");
}

static void
test_methods(void **state)
{
    char *a = raw_talk(&rig, "PUT /items/1 HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n");

    (void)state;
    assert_int_equal(raw_status(a), 405);
    assert_has(a, "Allow: DELETE, GET, HEAD\r\n");
    assert_has(a, "\"code\":\"method_not_allowed\"");
    free(a);
    a = raw_talk(&rig, "BREW /items/1 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 405);
    free(a);
    a = raw_talk(&rig, "HEAD /open/1 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 200);
    assert_has(a, "Content-Type: application/json\r\n");
    assert_string_equal(strstr(a, "\r\n\r\n"), "\r\n\r\n");
    free(a);
    a = raw_talk(&rig, "HEAD /stream?bytes=100 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 200);
    assert_string_equal(strstr(a, "\r\n\r\n"), "\r\n\r\n");
    free(a);
    assert_int_equal(atomic_load(&rig.streams_freed), 1);
    a = raw_talk(&rig, "DELETE /items/1 HTTP/1.1\r\n" H OPERATOR "\r\n");
    assert_int_equal(raw_status(a), 204);
    free(a);
}

static void
test_authorization(void **state)
{
    char *a = raw_talk(&rig, "GET /items/1 HTTP/1.1\r\n" H "\r\n");
    json_t *j;

    (void)state;
    assert_int_equal(raw_status(a), 401);
    assert_has(a, "WWW-Authenticate: Bearer\r\n");
    free(a);
    assert_problem("GET /items/1 HTTP/1.1\r\n" H "Authorization: Bearer no\r\n\r\n", 401,
                   "auth");
    assert_problem("GET /items/1 HTTP/1.1\r\n" H "Authorization: Basic reader\r\n\r\n",
                   401, "auth");
    assert_problem("GET /items/1 HTTP/1.1\r\n" H "Authorization: Bearer \r\n\r\n", 401,
                   "auth");
    assert_problem("DELETE /items/1 HTTP/1.1\r\n" H READER "\r\n", 403, "forbidden");
    j = talk("GET /items/1 HTTP/1.1\r\n" H READER "\r\n", 200);
    assert_member(j, "user", "reader");
    json_decref(j);
    /* Before the body is looked at. */
    assert_problem("POST /items HTTP/1.1\r\n" H
                   "Content-Type: application/json\r\nContent-Length: 3\r\n\r\n{{{",
                   401, "auth");
    assert_problem("PUT /up/1 HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nuuu", 401,
                   "auth");
    assert_int_equal(atomic_load(&rig.handled), 1);
    assert_int_equal(atomic_load(&rig.body_bytes), 0);
}

#define JSON_POST                                                                        \
    "POST /items HTTP/1.1\r\n" H OPERATOR "Content-Type: application/json\r\n"

static void
test_json(void **state)
{
    char *a = raw_talk(&rig, JSON_POST "Content-Length: 7\r\n\r\n{\"a\":1}");
    char deep[512];
    json_t *j;

    (void)state;
    assert_int_equal(raw_status(a), 201);
    assert_has(a, "{\"a\":1}");
    assert_has(a, "Location: /items/a%0D%0AX-Evil:%201\r\n");
    free(a);
    j = talk("POST /items HTTP/1.1\r\n" H OPERATOR "Content-Length: 0\r\n\r\n", 201);
    assert_true(json_is_true(json_object_get(j, "empty")));
    json_decref(j);
    j = talk(
        "POST /items HTTP/1.1\r\n" H OPERATOR
        "Content-Type: Application/JSON; charset=utf-8\r\nTransfer-Encoding: chunked\r\n"
        "\r\n3\r\n{\"a\r\n4\r\n\":1}\r\n0\r\n\r\n",
        201);
    assert_int_equal(json_integer_value(json_object_get(j, "a")), 1);
    json_decref(j);
    assert_problem(JSON_POST "Content-Length: 3\r\n\r\n{{{", 400, "malformed_json");
    assert_problem(JSON_POST "Content-Length: 14\r\n\r\n{\"a\":1,\"a\":2} ", 400,
                   "malformed_json");
    assert_problem(JSON_POST "Content-Length: 14\r\n\r\n{\"refuse\":1}  ", 400,
                   "unknown_field");
    snprintf(deep, sizeof(deep), JSON_POST "Content-Length: 100\r\n\r\n%.*s", 100,
             "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["
             "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]");
    assert_problem(deep, 400, "malformed_json");
    assert_problem("POST /items HTTP/1.1\r\n" H OPERATOR
                   "Content-Type: text/plain\r\nContent-Length: 2\r\n\r\n{}",
                   415, "unsupported_media_type");
    assert_problem("POST /items HTTP/1.1\r\n" H OPERATOR "Content-Length: 2\r\n\r\n{}",
                   415, "unsupported_media_type");
    assert_problem("POST /items HTTP/1.1\r\n" H OPERATOR
                   "Content-Type: application/jsonx\r\nContent-Length: 2\r\n\r\n{}",
                   415, "unsupported_media_type");
    assert_problem("DELETE /items/1 HTTP/1.1\r\n" H OPERATOR
                   "Content-Length: 2\r\n\r\n{}",
                   400, "body_not_allowed");
    assert_int_equal(atomic_load(&rig.handled), 4);
}

/* A request whose body is @n times 'u'; @head ends before the blank line. */
static char *
with_body(const char *head, size_t n)
{
    size_t h = strlen(head);
    char *s = xcalloc(1, h + n + 64);

    h = (size_t)snprintf(s, h + 64, "%sContent-Length: %zu\r\n\r\n", head, n);
    memset(s + h, 'u', n);
    return s;
}

static void
test_body_limit(void **state)
{
    static const char *const methods[] = {"POST", "PUT", "PATCH", "DELETE"};
    char *r = with_body(JSON_POST, 1001);
    char *chunks;

    (void)state;
    assert_problem(r, 413, "body_too_large");
    free(r);
    /* Swallowed, so that the answer is read and not a reset. */
    r = with_body(JSON_POST, 4 * 1024 * 1024);
    assert_problem(r, 413, "body_too_large");
    free(r);
    /* Too much to swallow, not sent at all: answered at once. */
    assert_problem(JSON_POST "Content-Length: 999999999999\r\n\r\n", 413,
                   "body_too_large");
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        char head[256];

        snprintf(head, sizeof(head),
                 "%s /open/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999999\r\n\r\n",
                 methods[i]);
        assert_problem(head, 405, "method_not_allowed");
        snprintf(head, sizeof(head),
                 "%s /open/1 HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                 "Content-Length: 5\r\n\r\n",
                 methods[i]);
        assert_problem(head, 405, "method_not_allowed");
    }
    r = with_body("PUT /small/1 HTTP/1.1\r\n" H, 100001);
    assert_problem(r, 413, "body_too_large");
    free(r);
    r = with_body("", 100001);
    chunks = xasprintf("PUT /small/1 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n"
                       "186A1\r\n%s\r\n0\r\n\r\n",
                       strstr(r, "\r\n\r\n") + 4);
    assert_problem(chunks, 413, "body_too_large");
    free(r);
    free(chunks);
}

static void
test_endless_body(void **state)
{
    char *piece = xcalloc(1, 0x10000 + 16);
    int fd = rig_connect(&rig);
    unsigned sent = 0;
    int n = 1;

    (void)state;
    memset(piece + snprintf(piece, 16, "10000\r\n"), ' ', 0x10000);
    raw_send(fd, JSON_POST "Transfer-Encoding: chunked\r\n\r\n");
    /* More than is swallowed: the server must cut the connection. */
    for (; sent < 1024 && n > 0; sent++)
        n = send(fd, piece, 7 + 0x10000, MSG_NOSIGNAL) == 7 + 0x10000 &&
            send(fd, "\r\n", 2, MSG_NOSIGNAL) == 2;
    assert_true(sent < 1024);
    assert_true(sent > 8 * 1024 / 64);
    close(fd);
    free(piece);
}

static void
test_stream_upload(void **state)
{
    char *r = with_body("PUT /up/1 HTTP/1.1\r\n" H OPERATOR, 3000000);
    json_t *j = talk(r, 200);

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(j, "bytes")), 3000000);
    assert_int_equal(atomic_load(&rig.body_bytes), 3000000);
    json_decref(j);
    free(r);
    j = talk("PUT /up/1 HTTP/1.1\r\n" H OPERATOR "Content-Length: 0\r\n\r\n", 200);
    assert_int_equal(json_integer_value(json_object_get(j, "bytes")), 0);
    json_decref(j);
    /* A refusal in mid-body reaches the client, though megabytes follow. */
    r = with_body("PUT /up/gap HTTP/1.1\r\n" H OPERATOR, 12000000);
    assert_problem(r, 409, "gap");
    free(r);
    assert_int_equal(atomic_load(&rig.handled), 2);
}

static void
test_cut_upload(void **state)
{
    int fd = rig_connect(&rig);
    char *a;

    (void)state;
    raw_send(fd, "PUT /up/1 HTTP/1.1\r\n" H OPERATOR "Content-Length: 10\r\n\r\nuuuuu");
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    a = raw_read_all(fd);
    close(fd);
    assert_int_not_equal(raw_status(a), 200);
    free(a);
    rig_stop(&rig); /* ends the request for sure */
    assert_int_equal(atomic_load(&rig.handled), 0);
    assert_int_equal(atomic_load(&rig.states_freed), 1);
    rig_start(&rig, 0, 0, 0);
}

static void
test_expect_continue(void **state)
{
    int fd = rig_connect(&rig);
    char got[26] = "";
    char *a;

    (void)state;
    raw_send(fd, JSON_POST "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    assert_int_equal(recv(fd, got, 25, MSG_WAITALL), 25);
    assert_string_equal(got, "HTTP/1.1 100 Continue\r\n\r\n");
    raw_send(fd, "{}");
    a = raw_read_all(fd);
    close(fd);
    assert_int_equal(raw_status(a), 201);
    free(a);
}

static void
test_errors(void **state)
{
    json_t *j = talk("GET /fail/3?code=busy HTTP/1.1\r\n" H "\r\n", 409);
    char *a;

    (void)state;
    assert_int_equal(json_integer_value(json_object_get(j, "expected")), 42);
    assert_member(j, "code", "busy");
    assert_member(j, "instance", "/fail/3");
    assert_member(j, "detail", "the secret detail of \xc3\xa9 it");
    json_decref(j);
    assert_problem("GET /fail/1?status=422 HTTP/1.1\r\n" H "\r\n", 422, "invalid");
    assert_problem("GET /fail/1?status=200 HTTP/1.1\r\n" H "\r\n", 400, "invalid");
    assert_problem("GET /fail/4?code=bad_utf8 HTTP/1.1\r\n" H "\r\n", 502, "bad_utf8");
    a = raw_talk(&rig, "GET /fail/12 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 503);
    assert_has(a, "Retry-After: 5\r\n");
    free(a);
    a = raw_talk(&rig, "GET /fail/11?code=too_many_requests HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 429);
    assert_has(a, "Retry-After: 5\r\n");
    free(a);
    a = raw_talk(&rig, "GET /fail/13 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 500);
    assert_lacks(a, "secret detail");
    free(a);
    a = raw_talk(&rig, "GET /bad-reply HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 500);
    assert_lacks(a, "X-Evil");
    free(a);
}

static void
test_malformed(void **state)
{
    static const char *const bad[] = {
        "nonsense\r\n\r\n",
        "GET\r\n\r\n",
        "GET /open/1 HTTP/1.1\r\n\r\n", /* no Host */
        "GET http:/// HTTP/9.9\r\n" H "\r\n",
        "GET open/1 HTTP/1.1\r\n" H "\r\n",
        "POST /open HTTP/1.1\r\n" H "Content-Length: x\r\n\r\n",
        "POST /open HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n",
        "POST /open HTTP/1.1\r\n" H
        "Content-Type: application/json\r\nTransfer-Encoding: "
        "chunked\r\n\r\nzz\r\n{}\r\n0\r\n",
        "POST /open HTTP/1.1\r\n" H
        "Content-Type: application/json\r\nContent-Length: 2\r\n"
        "Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "POST /open HTTP/1.1\r\n" H
        "Content-Type: application/json\r\nContent-Length: 2\r\n"
        "Content-Length: 40\r\n\r\n{}",
    };
    static const char with_nul[] = "GET /open/1\0 HTTP/1.1\r\n" H "\r\n";
    char *big = xasprintf("GET /open/1 HTTP/1.1\r\n" H "X-Big: %0100000d\r\n\r\n", 0);
    char *line = xasprintf("GET /open/%0100000d HTTP/1.1\r\n" H "\r\n", 0);
    int fd = rig_connect(&rig);
    char *a;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int status;

        a = raw_talk(&rig, bad[i]);
        status = raw_status(a);
        if (!(status == 0 || (status >= 400 && status < 600 && status != 500)))
            fail_msg("'%s' was answered with:\n%s", bad[i], a);
        free(a);
    }
    assert_int_equal(atomic_load(&rig.handled), 0);
    a = raw_talk(&rig, big);
    assert_true(raw_status(a) == 431 || raw_status(a) == 0);
    free(a);
    a = raw_talk(&rig, line);
    assert_true(raw_status(a) == 414 || raw_status(a) == 431 || raw_status(a) == 0);
    free(a);
    free(big);
    free(line);
    assert_int_equal(send(fd, with_nul, sizeof(with_nul) - 1, MSG_NOSIGNAL),
                     sizeof(with_nul) - 1);
    close(fd);
    /* And it is still there. */
    json_decref(talk("GET /open/1 HTTP/1.1\r\n" H "\r\n", 200));
}

static void
test_keep_alive(void **state)
{
    char *a = raw_talk(&rig, "GET /open/1 HTTP/1.1\r\nHost: x\r\n\r\n"
                             "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
                             "GET /open/2 HTTP/1.1\r\n" H "\r\n");

    (void)state;
    assert_has(a, "\"id\":\"1\"");
    assert_has(a, "404");
    assert_has(a, "\"id\":\"2\"");
    free(a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_matching),     T(test_too_many_parameters),
        T(test_methods),      T(test_authorization),
        T(test_json),         T(test_body_limit),
        T(test_endless_body), T(test_stream_upload),
        T(test_cut_upload),   T(test_expect_continue),
        T(test_errors),       T(test_malformed),
        T(test_keep_alive),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
