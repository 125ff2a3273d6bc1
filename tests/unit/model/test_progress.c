/* tests/unit/model/test_progress.c - percent, rate, time left with a clock of our own. */
#include <stdlib.h>

#include "base/timeutil.h"
#include "model/progress.h"
#include "model_test.h"

#define MIB 1048576ull

static struct byte_counters
counters(uint64_t done, uint64_t read)
{
    return (struct byte_counters){.done = done, .read = read, .sent = read / 2};
}

static void
test_percent(void **state)
{
    CLEANUP_PROGRESS struct progress *p = progress_new();
    struct byte_counters c = counters(333, 0);
    struct progress_view v;

    progress_view(p, 0, &v);
    assert_int_equal(v.percent_x10, 0);
    assert_true(v.eta_s == PROGRESS_ETA_UNKNOWN);
    progress_add_disk(p, 2000, 1000);
    progress_add_disk(p, 2000, 5); /* ignored */
    progress_add_disk(p, 2001, 2000);
    assert_true(progress_update(p, 2000, &c, 1));
    assert_false(progress_update(p, 7, &c, 1));
    progress_view(p, 1, &v);
    assert_int_equal(v.percent_x10, 111);
    assert_int_equal(v.bytes.total, 3000);
    assert_true(progress_view_disk(p, 2000, 1, &v));
    assert_int_equal(v.percent_x10, 333);
    assert_false(progress_view_disk(p, 7, 1, &v));
    c = counters(100, 0); /* falls: held */
    progress_update(p, 2000, &c, 2);
    progress_view_disk(p, 2000, 2, &v);
    assert_int_equal(v.bytes.done, 333);
    c = counters(5000, 0); /* more than there is: capped */
    progress_update(p, 2000, &c, 3);
    progress_view_disk(p, 2000, 3, &v);
    assert_int_equal(v.percent_x10, 1000);
    assert_int_equal(v.eta_s, 0);
    c = counters(1999, 0);
    progress_update(p, 2001, &c, 4);
    progress_view(p, 4, &v);
    assert_int_equal(v.percent_x10, 999); /* 99.97 is not 100 */
    progress_add_disk(p, 9, 1u << 30);    /* too late */
    assert_false(progress_view_disk(p, 9, 4, &v));
}

static void
test_largest(void **state)
{
    CLEANUP_PROGRESS struct progress *p = progress_new();
    struct byte_counters c = counters(MANIFEST_DISK_SIZE_MAX / 2, 0);
    struct progress_view v;

    for (uint32_t k = 0; k < 256; k++)
        progress_add_disk(p, k, MANIFEST_DISK_SIZE_MAX);
    for (uint32_t k = 0; k < 256; k++)
        progress_update(p, k, &c, 1);
    progress_view(p, 1, &v);
    assert_int_equal(v.percent_x10, 500);
}

static void
test_rate(void **state)
{
    CLEANUP_PROGRESS struct progress *p = progress_new();
    const uint64_t total = 1000 * MIB;
    struct progress_view v;
    uint64_t last;

    progress_add_disk(p, 1, total);
    for (unsigned s = 0; s <= 20; s++) { /* a steady 10 MiB/s */
        struct byte_counters c = counters(s * 10 * MIB, s * 10 * MIB);

        progress_update(p, 1, &c, s * NS_PER_S);
        progress_update(p, 1, &c,
                        s * NS_PER_S); /* the same moment again: no division by 0 */
    }
    progress_view(p, 20 * NS_PER_S, &v);
    assert_in_range(v.rate_bytes_per_s, 10 * MIB - 1, 10 * MIB + 1);
    assert_in_range(v.eta_s, 80, 81);
    progress_view(p, 22 * NS_PER_S, &v); /* within the grace period */
    assert_in_range(v.rate_bytes_per_s, 10 * MIB - 1, 10 * MIB + 1);
    last = v.rate_bytes_per_s;
    for (unsigned s = 23; s < 60; s++) {
        progress_view(p, s * NS_PER_S, &v);
        assert_true(v.rate_bytes_per_s < last);
        last = v.rate_bytes_per_s;
    }
    for (unsigned s = 60; s < 120; s++) { /* now 1 MiB/s: the rate converges */
        struct byte_counters c = counters((s + 140) * MIB, (s + 140) * MIB);

        progress_update(p, 1, &c, s * NS_PER_S);
    }
    progress_view(p, 119 * NS_PER_S, &v);
    assert_in_range(v.rate_bytes_per_s, MIB * 99 / 100, MIB * 102 / 100);
}

static void
test_random(void **state)
{
    uint64_t seed = 42;

    for (int round = 0; round < 200; round++) {
        CLEANUP_PROGRESS struct progress *p = progress_new();
        struct progress_view v = {0}, before = {0};
        uint64_t now = 0;

        for (uint32_t k = 0; k < 3; k++)
            progress_add_disk(p, k, rnd(&seed) % 100000);
        for (int i = 0; i < 100; i++) {
            struct byte_counters c = counters(rnd(&seed) % 200000, rnd(&seed) % 100000);

            now += rnd(&seed) % NS_PER_S;
            progress_update(p, (uint32_t)(rnd(&seed) % 3), &c, now);
            progress_view(p, now, &v);
            assert_true(v.percent_x10 <= 1000 && v.percent_x10 >= before.percent_x10);
            assert_true(v.bytes.read >= before.bytes.read);
            assert_true(v.bytes.done <= v.bytes.total);
            before = v;
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_percent),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
