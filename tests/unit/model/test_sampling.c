/* tests/unit/model/test_sampling.c - the probability against small cases counted out, and
 * at sizes where the arithmetic could break. */
#include <math.h>

#include "model/sampling.h"
#include "model_test.h"

static void
near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance * (want > 0 ? want : 1)))
        fail_msg("got %.12g, want %.12g", got, want);
}

/* Every choice of @samples of @n, as bit masks; the first @bad blocks are bad. */
static double
counted(unsigned n, unsigned samples, unsigned bad)
{
    unsigned all = 0, missed = 0;

    for (unsigned mask = 0; mask < 1u << n; mask++) {
        if ((unsigned)__builtin_popcount(mask) != samples)
            continue;
        all++;
        missed += (mask & ((1u << bad) - 1)) == 0;
    }
    return (double)missed / all;
}

static void
test_counted(void **state)
{
    for (unsigned n = 1; n <= 10; n++)
        for (unsigned s = 0; s <= n; s++)
            for (unsigned k = 0; k <= n; k++)
                near(sampling_miss_probability(n, s, k), counted(n, s, k), 1e-12);
}

static void
test_edges(void **state)
{
    near(sampling_miss_probability(0, 0, 0), 1, 0);
    near(sampling_miss_probability(100, 200, 0), 1, 0);
    near(sampling_miss_probability(100, 200, 1), 0, 0);
    near(sampling_miss_probability(100, 50, 51), 0, 0);
    near(sampling_miss_probability(100, 1, 1), 0.99, 1e-12);
    near(sampling_miss_probability(UINT64_MAX, 1, UINT64_MAX), 0, 0);
}

static void
test_large(void **state)
{
    uint64_t blocks = 1ull << 27; /* 8 TiB */

    near(sampling_miss_probability(blocks, 1024, 1), 1 - 1024.0 / (double)blocks, 1e-12);
    near(sampling_miss_probability(blocks, 1024, blocks / 100), pow(0.99, 1024), 1e-4);
    /* Both ways of computing meet where one gives way to the other. */
    near(sampling_miss_probability(blocks, 100001, 100001),
         sampling_miss_probability(blocks, 100000, 100001) *
             (1 - 100001.0 / (double)(blocks - 100000)),
         1e-6);
    for (uint64_t s = 1; s < 5000; s *= 3) /* more samples never miss more */
        assert_true(sampling_miss_probability(blocks, 3 * s, 5000) <
                    sampling_miss_probability(blocks, s, 5000));
}

static void
test_uniform(void **state)
{
    assert_int_equal(sampling_uniform(READ_CHANGED, 1024), 256);
    assert_int_equal(sampling_uniform(READ_CHANGED, 3), 0);
    assert_int_equal(sampling_uniform(READ_ALL, 1024), 768);
    assert_int_equal(sampling_uniform(READ_COMPARE, 7), 5);
    assert_int_equal(sampling_uniform(READ_ALL, 1), 0);
    assert_int_equal(sampling_uniform(READ_ALL, UINT64_MAX),
                     UINT64_MAX / 4 * 3 + 2); /* no overflow */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counted),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_uniform),
    };

    return cmocka_run_group_tests_name("sampling", tests, NULL, NULL);
}
