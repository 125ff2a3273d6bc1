/* The HTTP server: streams, stops, slow peers, limits; through raw sockets. */
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

#include "base/mem.h"
#include "base/timeutil.h"
#include "http_assert.h"
#include "http_rig.h"

#define H "Host: x\r\nConnection: close\r\n"

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

static size_t
count_chunked(const char *answer, bool *ret_ended)
{
    const char *p = strstr(answer, "\r\n\r\n");
    size_t total = 0;

    assert_non_null(p);
    assert_has(answer, "Transfer-Encoding: chunked\r\n");
    for (p += 4; *p;) {
        char *end;
        unsigned long n = strtoul(p, &end, 16);

        assert_true(end > p && end[0] == '\r' && end[1] == '\n');
        *ret_ended = n == 0;
        if (n == 0)
            break;
        total += n;
        if (strlen(end + 2) < n)
            break;
        p = end + 2 + n + 2;
    }
    return total;
}

static void
test_stream_reply(void **state)
{
    char *a = raw_talk(&rig, "GET /stream?bytes=5000000&pauses=3 HTTP/1.1\r\n" H "\r\n");
    bool ended = false;

    (void)state;
    assert_int_equal(raw_status(a), 200);
    assert_int_equal(count_chunked(a, &ended), 5000000);
    assert_true(ended);
    free(a);
    /* A broken download must not look complete. */
    a = raw_talk(&rig, "GET /stream?bytes=50000&abort=1 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(count_chunked(a, &ended), 50000);
    assert_false(ended);
    free(a);
    a = raw_talk(&rig, "GET /stream HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(count_chunked(a, &ended), 0);
    assert_true(ended);
    free(a);
}

static void
await_zero_streams(unsigned freed)
{
    uint64_t until = time_mono_ns() + 10 * NS_PER_S;

    while (atomic_load(&rig.streams_freed) < freed && time_left_ms(until) > 0)
        sched_yield();
    assert_int_equal(atomic_load(&rig.streams_freed), freed);
}

static void
test_reader_gone(void **state)
{
    int fd = rig_connect(&rig);
    char headers[4096];

    (void)state;
    raw_send(fd, "GET /stream?silent=1 HTTP/1.1\r\n" H "\r\n");
    rig_await_entered(&rig);
    /* Nothing unread is left: the server sees an end of file and no reset. */
    assert_true(recv(fd, headers, sizeof(headers), 0) > 0);
    close(fd);
    await_zero_streams(1); /* though the stream has nothing to send */
}

static void
test_stop_ends_waiters(void **state)
{
    int poller = rig_connect(&rig), reader = rig_connect(&rig), idle = rig_connect(&rig);
    int half = rig_connect(&rig);
    uint64_t begin;
    bool ended = false;
    char *a;

    (void)state;
    raw_send(half, "PUT /up/1 HTTP/1.1\r\n");
    raw_send(poller, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    rig_await_entered(&rig);
    raw_send(reader, "GET /stream?silent=1 HTTP/1.1\r\nHost: x\r\n\r\n");
    rig_await_entered(&rig);
    assert_false(http_server_stopping(rig.server));
    begin = time_mono_ns();
    rig_stop(&rig);
    assert_true(time_mono_ns() - begin < 4500 * NS_PER_MS);
    a = raw_read_all(poller);
    assert_has(a, "stopped"); /* the answer under way still came */
    free(a);
    a = raw_read_all(reader);
    assert_int_equal(count_chunked(a, &ended), 0);
    assert_false(ended);
    free(a);
    free(raw_read_all(idle));
    free(raw_read_all(half));
    close(poller);
    close(reader);
    close(idle);
    close(half);
    assert_int_equal(atomic_load(&rig.streams_freed), 1);
    rig_start(&rig, 0, 0, 0);
}

struct trickle {
    int fd;
    uint64_t began_ns;
    uint64_t cut_ns; /* 0 = the server never cut it */
};

/* One byte each 100 ms: every byte renews a mere idle time-out. */
static void
trickle_until_cut(struct trickle *t, size_t n_at_most)
{
    struct timeval pause = {.tv_usec = 100000};
    char c;

    assert_int_equal(setsockopt(t->fd, SOL_SOCKET, SO_RCVTIMEO, &pause, sizeof(pause)),
                     0);
    t->began_ns = time_mono_ns();
    for (size_t i = 0; i < n_at_most; i++) {
        if (send(t->fd, "a", 1, MSG_NOSIGNAL) != 1 || recv(t->fd, &c, 1, 0) == 0) {
            t->cut_ns = time_mono_ns();
            return;
        }
    }
}

static void
assert_trickle_cut(const char *head)
{
    struct trickle t = {.fd = rig_connect(&rig)};

    raw_send(t.fd, head);
    trickle_until_cut(&t, 100);
    close(t.fd);
    assert_true(t.cut_ns != 0);
    assert_true(t.cut_ns - t.began_ns < 4 * NS_PER_S);
}

static void
test_slow_sender(void **state)
{
    int fd;
    char *a;

    (void)state;
    rig_stop(&rig);
    rig_start(&rig, 1, 0, 0);
    assert_trickle_cut("GET /open/1 HTTP/1.1\r\nHost: x\r\nX-Slow: ");
    assert_trickle_cut(
        "POST /open HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        "Content-Length: 1000\r\n\r\n");
    /* Silence is cut as well. */
    fd = rig_connect(&rig);
    free(raw_read_all(fd));
    close(fd);
    fd = rig_connect(&rig);
    raw_send(fd, "PUT /small/1 HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nuu");
    free(raw_read_all(fd));
    close(fd);
    /* But not a handler that takes longer than the peer's idle time. */
    a = raw_talk(&rig, "GET /wait?ms=2500 HTTP/1.1\r\n" H "\r\n");
    assert_has(a, "waited");
    free(a);
}

static void
test_limits(void **state)
{
    int held[4];
    char *a;

    (void)state;
    rig_stop(&rig);
    rig_start(&rig, 0, 0, 4);
    for (size_t i = 0; i < 4; i++) {
        held[i] = rig_connect(&rig);
        raw_send(held[i], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
        rig_await_entered(&rig);
    }
    a = raw_talk(&rig, "GET /open/1 HTTP/1.1\r\n" H "\r\n");
    assert_int_equal(raw_status(a), 0); /* closed without a word */
    free(a);
    for (size_t i = 0; i < 4; i++)
        close(held[i]);
}

static void
test_start_failures(void **state)
{
    static const char *const bad[] = {
        "",        "127.0.0.1",    "127.0.0.1:",  ":80", "127.0.0.1:65536", "localhost:0",
        "[::1:80", "127.0.0.1:-1", "127.0.0.1:8 "};
    static const struct http_route none[] = {{0}};
    struct http_server_options opt = {.listen = http_server_address(rig.server),
                                      .routes = none};
    struct http_server *s = NULL;
    struct err err = ERR_INIT;

    (void)state;
    assert_true(http_server_start(&opt, &s, &err) < 0);
    assert_string_equal(err.code, "address_in_use");
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        err_clear(&err);
        opt.listen = bad[i];
        assert_int_equal(http_server_start(&opt, &s, &err), ERR_INVALID);
        assert_string_equal(err.code, "invalid_listen");
    }
    assert_null(s);
    opt.listen = "[::1]:0";
    err_clear(&err);
    if (http_server_start(&opt, &s, &err) == 0) { /* a machine may have no IPv6 */
        assert_int_equal(strncmp(http_server_address(s), "[::1]:", 6), 0);
        http_server_stop(s);
    }
    http_server_stop(NULL);
}
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_stream_reply), T(test_reader_gone), T(test_stop_ends_waiters),
        T(test_slow_sender),  T(test_limits),      T(test_start_failures),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
