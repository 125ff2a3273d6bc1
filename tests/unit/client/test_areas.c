/* Unit tests of client/areas.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/json.h"
#include "client/areas.h"
#include "model/manifest.h"

#define B ((uint64_t)MANIFEST_BLOCK_SIZE)

static void
expect(const struct areas *a, const char *want)
{
    CLEANUP_JSON json_t *j = areas_encode(a);
    CLEANUP_FREE char *got = json_line(j);

    assert_string_equal(got, want);
}

static void
test_widened_and_joined(void **state)
{
    CLEANUP_AREAS struct areas a;

    areas_init(&a, 10 * B + 512, 100);
    expect(&a, "[]");
    areas_add(&a, 1, 1);             /* block 0 */
    areas_add(&a, B - 1, 2);         /* blocks 0 and 1 */
    areas_add(&a, 2 * B, B);         /* touches */
    areas_add(&a, 5 * B + 7, 1);     /* block 5 */
    areas_add(&a, 10 * B + 100, 12); /* ends with the disk, not with its block */
    expect(&a, "[[0,196608],[327680,65536],[655360,512]]");
}

/* Every byte of what was added is inside, however few ranges may be. */
static void
test_coarser(void **state)
{
    const uint64_t blocks = 4096;
    uint64_t seed = 7;

    for (size_t max = 1; max <= 64; max *= 2) {
        CLEANUP_AREAS struct areas a;
        uint64_t added[600], n = 0;

        areas_init(&a, blocks * B, max);
        for (uint64_t at = 0; at < blocks && n < 600; at += 1 + (seed >> 33) % 12) {
            seed = seed * 6364136223846793005ull + 1442695040888963407ull;
            added[n++] = at;
            areas_add(&a, at * B + 5, 1);
        }
        assert_true(a.n <= max);
        for (size_t i = 0; i < a.n; i++) {
            assert_true(a.v[i].begin < a.v[i].end && a.v[i].end <= blocks * B);
            assert_true(i == 0 || a.v[i - 1].end < a.v[i].begin);
        }
        for (uint64_t k = 0, i = 0; k < n; k++) {
            while (a.v[i].end <= added[k] * B)
                assert_true(++i < a.n);
            assert_true(a.v[i].begin <= added[k] * B && a.v[i].end >= (added[k] + 1) * B);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_widened_and_joined),
        cmocka_unit_test(test_coarser),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
