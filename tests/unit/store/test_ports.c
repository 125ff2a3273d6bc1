/* tests/unit/store/test_ports.c - the port pool. */
#include "store_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include "store/ports.h"

/* A listener on a port that the kernel chose. */
static int
listen_any(uint16_t *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(a);
    int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void
range_is_checked(void **state)
{
    struct err err = ERR_INIT;
    struct port_pool *p = NULL;
    uint16_t first = 0, last = 0;

    assert_fails(port_pool_new(0, 10, &p, &err), ERR_INVALID, "port_range");
    assert_fails(port_pool_new(20, 19, &p, &err), ERR_INVALID, "port_range");
    assert_ok(port_pool_new(PORT_FIRST_DEFAULT, PORT_LAST_DEFAULT, &p, &err));
    assert_int_equal(port_pool_size(p), 101);
    port_pool_range(p, &first, &last);
    assert_int_equal(first, PORT_FIRST_DEFAULT);
    assert_int_equal(last, PORT_LAST_DEFAULT);
    assert_int_equal(port_pool_used(p), 0);
    port_pool_free(p);
    assert_ok(port_pool_new(65535, 65535, &p, &err));
    assert_int_equal(port_pool_size(p), 1);
    port_pool_range(p, &first, &last);
    assert_int_equal(first, 65535);
    assert_int_equal(last, 65535);
    port_pool_free(p);
    port_pool_free(NULL);
}

static void
busy_port_is_skipped_and_exhaustion_is_named(void **state)
{
    struct err err = ERR_INIT;
    struct port_pool *p = NULL;
    uint16_t port, got = 0;
    int fd = listen_any(&port);

    assert_false(port_is_free(port));
    assert_ok(port_pool_new(port, port, &p, &err));
    assert_fails(port_take(p, "job-1", &got, &err), ERR_LIMIT, "no_free_port");
    assert_int_equal(got, 0);
    close(fd);
    assert_true(port_is_free(port));
    assert_ok(port_take(p, "job-1", &got, &err));
    assert_int_equal(got, port);
    assert_int_equal(port_take(p, "job-2", &got, &err), ERR_LIMIT);
    assert_non_null(strstr(err.msg, "1 are used by running jobs"));
    assert_non_null(strstr(err.msg, "widen the range"));
    port_pool_free(p);
}

static void
only_the_owner_releases(void **state)
{
    struct err err = ERR_INIT;
    struct port_pool *p = NULL;
    char longest[PORT_OWNER_MAX + 2];
    uint16_t a, b;

    memset(longest, 'x', sizeof(longest) - 1);
    longest[sizeof(longest) - 1] = '\0';
    assert_ok(port_pool_new(21100, 21140, &p, &err));
    assert_fails(port_take(p, "", &a, &err), ERR_INVALID, NULL);
    assert_fails(port_take(p, longest, &a, &err), ERR_INVALID, NULL);
    assert_ok(port_take(p, "one", &a, &err));
    assert_ok(port_take(p, "two", &b, &err));
    assert_int_not_equal(a, b);
    assert_false(port_release(p, a, "two"));
    assert_false(port_release(p, a, ""));
    assert_false(port_release(p, 1, "one"));
    assert_false(port_release(p, 65535, "one"));
    assert_true(port_release(p, a, "one"));
    assert_false(port_release(p, a, "one"));
    assert_int_equal(port_pool_used(p), 1);
    assert_int_equal(port_release_all(p, "two"), 1);
    assert_int_equal(port_release_all(p, "two"), 0);
    assert_int_equal(port_pool_used(p), 0);
    port_pool_free(p);
}

/* A port that was just given back is the last one to be handed out again. */
static void
ports_go_round(void **state)
{
    struct err err = ERR_INIT;
    struct port_pool *p = NULL;
    uint16_t a, b;

    assert_ok(port_pool_new(21150, 21190, &p, &err));
    assert_ok(port_take(p, "one", &a, &err));
    assert_true(port_release(p, a, "one"));
    assert_ok(port_take(p, "one", &b, &err));
    assert_int_not_equal(a, b);
    port_pool_free(p);
}

#define THREADS 8
#define EACH 10
struct taker {
    struct port_pool *pool;
    char owner[16];
    uint16_t got[EACH];
    unsigned n;
};

static void *
take_many(void *arg)
{
    struct taker *t = arg;
    struct err err = ERR_INIT;

    while (t->n < EACH && port_take(t->pool, t->owner, &t->got[t->n], &err) == 0)
        t->n++;
    return NULL;
}

static void
threads_never_share_a_port(void **state)
{
    struct err err = ERR_INIT;
    struct port_pool *p = NULL;
    struct taker t[THREADS] = {0};
    pthread_t id[THREADS];
    bool seen[200] = {false};
    unsigned total = 0;

    assert_ok(port_pool_new(21200, 21399, &p, &err));
    for (unsigned i = 0; i < THREADS; i++) {
        t[i].pool = p;
        snprintf(t[i].owner, sizeof(t[i].owner), "job-%u", i);
        assert_int_equal(pthread_create(&id[i], NULL, take_many, &t[i]), 0);
    }
    for (unsigned i = 0; i < THREADS; i++)
        pthread_join(id[i], NULL);
    for (unsigned i = 0; i < THREADS; i++) {
        for (unsigned k = 0; k < t[i].n; k++) {
            assert_false(seen[t[i].got[k] - 21200]);
            seen[t[i].got[k] - 21200] = true;
        }
        assert_int_equal(t[i].n, EACH);
        total += t[i].n;
    }
    assert_int_equal(port_pool_used(p), total);
    port_pool_free(p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(range_is_checked),
        cmocka_unit_test(busy_port_is_skipped_and_exhaustion_is_named),
        cmocka_unit_test(only_the_owner_releases),
        cmocka_unit_test(ports_go_round),
        cmocka_unit_test(threads_never_share_a_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
