/* Disks per host: order, limit, and the job that is larger than the limit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "job/host_queue.h"

static void
test_limit_and_order(void **state)
{
    struct host_place *a = host_queue_join("h", 3), *b = host_queue_join("h", 4),
                      *c = host_queue_join("h", 1), *other = host_queue_join("i", 5);

    assert_false(host_queue_try(b, 5)); /* a is before it, although there is room */
    assert_true(host_queue_try(a, 5));
    assert_true(host_queue_try(a, 5));
    assert_false(host_queue_try(b, 5));
    assert_false(host_queue_try(c, 5)); /* would fit, but b came first */
    assert_true(host_queue_try(other, 5));
    host_queue_leave(a);
    assert_false(host_queue_try(c, 5));
    assert_true(host_queue_try(b, 5));
    assert_true(host_queue_try(c, 5));
    host_queue_leave(b);
    host_queue_leave(c);
    host_queue_leave(other);
}

static void
test_larger_than_the_limit(void **state)
{
    struct host_place *a = host_queue_join("h", 1), *big = host_queue_join("h", 9),
                      *c = host_queue_join("h", 1);

    assert_true(host_queue_try(a, 2));
    assert_false(host_queue_try(big, 2));
    host_queue_leave(a);
    assert_true(host_queue_try(big, 2));
    assert_false(host_queue_try(c, 2));
    host_queue_leave(big);
    assert_true(host_queue_try(c, 2));
    host_queue_leave(c);
}

/* One that gives up lets the next one in; no limit lets everybody in. */
static void
test_leaving_and_no_limit(void **state)
{
    struct host_place *a = host_queue_join("h", 2), *b = host_queue_join("h", 2),
                      *c = host_queue_join("h", 2);

    assert_true(host_queue_try(a, 2));
    assert_false(host_queue_try(c, 4));
    host_queue_leave(b);
    assert_true(host_queue_try(c, 4));
    host_queue_leave(a);
    host_queue_leave(c);
    host_queue_leave(NULL);
    a = host_queue_join("h", 200);
    b = host_queue_join("h", 200);
    assert_true(host_queue_try(b, 0));
    assert_true(host_queue_try(a, 0));
    host_queue_leave(a);
    host_queue_leave(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limit_and_order),
                                       cmocka_unit_test(test_larger_than_the_limit),
                                       cmocka_unit_test(test_leaving_and_no_limit)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
