/* tests/unit/model/test_delta.c - widening, pages and records against naive models. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/delta.h"
#include "model_test.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define SEEDS 3000
#define BLOCKS_MAX 400u

static void
test_decide(void **state)
{
    uint8_t a[MANIFEST_HASH_SIZE] = {1}, b[MANIFEST_HASH_SIZE] = {2};
    struct delta_block none = {.data = false}, data = {.data = true, .hash = {1}};

    assert_int_equal(delta_decide(true, NULL, &none), DELTA_SAME);
    assert_int_equal(delta_decide(true, NULL, &data), DELTA_ZERO);
    assert_int_equal(delta_decide(false, a, &none), DELTA_WRITE);
    assert_int_equal(delta_decide(false, a, &data), DELTA_SAME);
    assert_int_equal(delta_decide(false, b, &data), DELTA_WRITE);
    /* A hash that is left from before does not count where the parent is zero. */
    none.hash[0] = 1;
    assert_int_equal(delta_decide(false, a, &none), DELTA_WRITE);
}

static void
test_records(void **state)
{
    static const enum delta_action in[] = {DELTA_ZERO, DELTA_ZERO,  DELTA_SAME,
                                           DELTA_ZERO, DELTA_WRITE, DELTA_WRITE,
                                           DELTA_ZERO, DELTA_ZERO,  DELTA_SAME};
    static const struct {
        uint64_t block, count;
        enum manifest_state state;
    } want[] = {{100, 2, MANIFEST_ZERO},
                {103, 1, MANIFEST_ZERO},
                {104, 1, MANIFEST_DATA},
                {105, 1, MANIFEST_DATA},
                {106, 2, MANIFEST_ZERO}};
    uint8_t raw[ARRAY_LEN(in) * MANIFEST_RECORD_SIZE], hash[MANIFEST_HASH_SIZE];
    struct delta_out o = {.records = raw};
    struct err err = ERR_INIT;

    memset(hash, 7, sizeof(hash));
    for (size_t i = 0; i < ARRAY_LEN(in); i++)
        delta_put(&o, 100 + i, in[i], hash);
    assert_int_equal(o.n, ARRAY_LEN(want));
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct manifest_record r;

        assert_int_equal(manifest_record_decode(raw + i * MANIFEST_RECORD_SIZE, &r, &err),
                         0);
        assert_int_equal(r.block, want[i].block);
        assert_int_equal(r.count, want[i].count);
        assert_int_equal(r.state, want[i].state);
        if (r.state == MANIFEST_DATA)
            assert_memory_equal(r.hash, hash, sizeof(hash));
    }
}

static void
widen_seed(uint64_t seed)
{
    uint64_t s = seed * 31337 + 1, size = 1 + rnd(&s) % (BLOCKS_MAX * BLOCK);
    bool want[BLOCKS_MAX + 1] = {false};
    struct delta_area areas[200];
    CLEANUP_FREE struct delta_run *runs = NULL;
    size_t n = 0, n_runs = 0;
    struct err err = ERR_INIT;
    uint64_t at = rnd(&s) % BLOCK;

    while (n < ARRAY_LEN(areas) && at < size) {
        uint64_t len = 1 + rnd(&s) % (rnd(&s) % 3 ? 3000 : 20 * BLOCK);

        if (len > size - at)
            len = size - at;
        for (uint64_t b = at / BLOCK; b <= (at + len - 1) / BLOCK; b++)
            want[b] = true;
        areas[n++] = (struct delta_area){at, len};
        at += len + (rnd(&s) % 4 ? rnd(&s) % (4 * BLOCK) : 0);
    }
    if (delta_widen(areas, n, size, &runs, &n_runs, &err) < 0)
        fail_msg("seed %llu: %s", (unsigned long long)seed, err.msg);
    for (size_t i = 1; i < n_runs; i++)
        assert_true(runs[i].start > runs[i - 1].end && runs[i].end > runs[i].start);
    for (uint64_t b = 0; b < BLOCKS_MAX; b++)
        if (delta_covers(runs, n_runs, b) != want[b])
            fail_msg("seed %llu: block %llu", (unsigned long long)seed,
                     (unsigned long long)b);
}

static void
test_widen(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++)
        widen_seed(seed);
}

static void
test_widen_refuses(void **state)
{
    static const struct delta_area bad[][2] = {
        {{0, 0}, {1, 1}},        /* empty */
        {{512, 512}, {512, 1}},  /* overlapping */
        {{4096, 512}, {0, 512}}, /* falling */
        {{0, 1}, {70000, 1}},    /* outside */
        {{0, 1}, {69000, 2000}}, /* over the end */
        {{0, 1}, {1, UINT64_MAX}}, {{0, 1}, {UINT64_MAX, 1}},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct delta_run *runs = NULL;
        size_t n;
        struct err err = ERR_INIT;

        assert_int_equal(delta_widen(bad[i], 2, 70000, &runs, &n, &err), ERR_PROTOCOL);
        assert_string_equal(err.code, "changed_areas");
        assert_null(runs);
    }
}

/* The image is rounded up to a sector, and so may be the last area. */
static void
test_widen_end(void **state)
{
    struct delta_area a = {65536, 4608};
    CLEANUP_FREE struct delta_run *runs = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;

    assert_int_equal(delta_widen(&a, 1, 65536 + 4097, &runs, &n, &err), 0);
    assert_int_equal(n, 1);
    assert_int_equal(runs[0].start, 1);
    assert_int_equal(runs[0].end, 2);
    free(take_ptr(&runs));
    assert_int_equal(delta_widen(NULL, 0, 1, &runs, &n, &err), 0);
    assert_int_equal(n, 0);
}

static void
test_pages(void **state)
{
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        uint64_t s = seed * 999983 + 1, b = rnd(&s) % 5000;
        struct delta_run runs[60], page;
        struct delta_at at = {0};
        size_t n = 1 + rnd(&s) % ARRAY_LEN(runs);
        uint64_t from = 0;

        for (size_t i = 0; i < n; i++) {
            uint64_t len = 1 + rnd(&s) % (rnd(&s) % 4 ? 300 : 90000);

            runs[i] = (struct delta_run){b, b + len};
            b += len + 1 + rnd(&s) % (rnd(&s) % 3 ? 50 : 3000);
        }
        while (delta_page(runs, n, &at, &page)) {
            assert_true(page.start >= from && page.end > page.start);
            assert_true(page.end - page.start <= DELTA_PAGE_BLOCKS);
            assert_true(delta_covers(runs, n, page.start));
            assert_true(delta_covers(runs, n, page.end - 1));
            /* Between pages there is nothing to read. */
            if (page.start > from)
                for (size_t i = 0; i < n; i++)
                    assert_true(runs[i].end <= from || runs[i].start >= page.start);
            from = page.end;
        }
        assert_int_equal(from, runs[n - 1].end);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decide),    cmocka_unit_test(test_records),
        cmocka_unit_test(test_widen),     cmocka_unit_test(test_widen_refuses),
        cmocka_unit_test(test_widen_end), cmocka_unit_test(test_pages),
    };

    return cmocka_run_group_tests_name("delta", tests, NULL, NULL);
}
