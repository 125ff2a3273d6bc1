/* tests/unit/job/test_parent_manifest.c - chains of 1 to 30 layers against a naive model:
 * every range, list and sample says what the model says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "parent_world.h"
#include "store/manifest_file.h"

#define LAYERS_MAX 30u

static void
check_list(struct parent_manifest *p, uint64_t *s)
{
    uint64_t blocks[PARENT_LIST_MAX], b = rnd(s) % 50;
    struct manifest_record r;
    struct err err = ERR_INIT;
    size_t n = 0;

    while (n < PARENT_LIST_MAX && b < BLOCKS_MAX) {
        blocks[n++] = b;
        b += 1 + rnd(s) % 60;
    }
    assert_int_equal(parent_manifest_list(p, blocks, n, &err), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(parent_manifest_next(p, &r, &err), 1);
        assert_int_equal(r.block, blocks[i]);
        assert_int_equal(r.count, 1);
        assert_int_equal(r.state == MANIFEST_DATA, model[r.block].data);
        if (model[r.block].data)
            check_data(&r);
    }
    assert_int_equal(parent_manifest_next(p, &r, &err), 0);
}

static void
check_sample(struct parent_manifest *p, size_t n, uint64_t seed)
{
    struct manifest_record r, again;
    struct err err = ERR_INIT;
    uint64_t last = 0, live = 0;
    size_t got = 0;

    for (size_t i = 0; i < BLOCKS_MAX; i++)
        live += model[i].data;
    assert_int_equal(parent_manifest_sample(p, n, seed, &err), 0);
    while (parent_manifest_next(p, &r, &err) > 0) {
        assert_true(got++ == 0 || r.block > last);
        last = r.block;
        check_data(&r);
    }
    if (live >= 2 * n)
        assert_int_equal(got, n);
    else
        assert_true(got <= live && got * 2 >= (live < n ? live : n));
    if (got == 0)
        return;
    assert_int_equal(parent_manifest_sample(p, n, seed, &err), 0);
    while (parent_manifest_next(p, &again, &err) > 0)
        r = again;
    assert_int_equal(r.block, last);
}

static void
chains(void **state)
{
    uint64_t s = 4711;

    /* 1, 2, 3, 5, 7, 9, 16, 23 and 30 layers. */
    for (unsigned n = 1; n <= LAYERS_MAX; n += n < 3 ? 1 : n < 9 ? 2 : 7) {
        struct world w;
        CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
        struct err err = ERR_INIT;
        uint64_t blocks = 1 + rnd(&s) % (BLOCKS_MAX / 2);

        world_init(&w);
        for (unsigned i = 0; i < n; i++) {
            add_layer(&w, blocks, 1 + rnd(&s) % (rnd(&s) % 3 ? 9 : 3000), &s);
            if (rnd(&s) % 4 == 0) /* grown */
                blocks += rnd(&s) % (BLOCKS_MAX - blocks);
        }
        if (n % 3) /* else what it says is read whole first */
            leave_roots(&w);
        if (parent_manifest_open(&w.chain, NULL, &p, &err) < 0)
            fail_msg("%s", err.msg);
        check_range(p, 0, w.blocks);
        check_range(p, 0, BLOCKS_MAX + 7); /* of a disk that grew since */
        for (unsigned i = 0; i < 8; i++) {
            uint64_t at = rnd(&s) % BLOCKS_MAX;

            check_range(p, at, 1 + rnd(&s) % (i % 2 ? 5 : BLOCKS_MAX - at));
        }
        check_list(p, &s);
        check_sample(p, 1, s);
        check_sample(p, 50, s);
        check_sample(p, PARENT_LIST_MAX, s);
        world_done(&w);
    }
}

/* No block is drawn more often than another, whichever layer it is in. */
static void
samples_are_uniform(void **state)
{
    struct world w;
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
    static unsigned hits[BLOCKS_MAX];
    struct manifest_record r;
    struct err err = ERR_INIT;
    uint64_t s = 98, live = 0, total = 0;
    double chi = 0;

    world_init(&w);
    for (unsigned i = 0; i < 4; i++)
        add_layer(&w, 8000, 3, &s);
    assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), 0);
    for (unsigned round = 0; round < 2000; round++) {
        assert_int_equal(parent_manifest_sample(p, 10, round * 7919, &err), 0);
        for (; parent_manifest_next(p, &r, &err) > 0; total++)
            hits[r.block]++;
    }
    for (unsigned i = 0; i < 8000; i++)
        live += model[i].data;
    assert_true(live > 500);
    for (unsigned i = 0; i < 8000; i++) {
        double want = (double)total / (double)live, off = hits[i] - want;

        if (model[i].data)
            chi += off * off / want;
    }
    /* Mean live - 1, variance about twice that (some 40 for 800 blocks): the bound is
     * some ten deviations above; a block drawn twice as often as others would be far
     * beyond. */
    assert_true(chi < 1.5 * (double)live);
    world_done(&w);
}

static void
refuses(void **state)
{
    struct world w;
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
    static const uint64_t falling[] = {5, 5};
    struct err err = ERR_INIT;
    uint64_t s = 5;

    world_init(&w);
    assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), ERR_INVALID);
    err_clear(&err);
    add_layer(&w, 100, 9, &s);
    add_layer(&w, 100, 9, &s);
    assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), 0);
    assert_int_equal(parent_manifest_range(p, 0, 0, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(parent_manifest_range(p, 1, UINT64_MAX, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(parent_manifest_list(p, falling, 2, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(parent_manifest_sample(p, PARENT_LIST_MAX + 1, 1, &err),
                     ERR_INVALID);
    err_clear(&err);
    parent_manifest_free(take_ptr(&p));
    /* Another root than the point's, another order of layers. */
    w.chain.v[1].layer_root[0] ^= 1;
    assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), ERR_CORRUPT);
    err_clear(&err);
    w.chain.v[1].layer_root[0] ^= 1;
    w.chain.n = 1;
    assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), 0);
    parent_manifest_free(take_ptr(&p));
    w.chain.v[0].size_bytes++;
    assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), ERR_CORRUPT);
    w.chain.n = 2;
    world_done(&w);
}

/* What an answer costs follows the question, not what the parent holds. */
static void
costs_what_is_asked(void **state)
{
    enum { RECORDS = 200000, STRIDE = 80 };
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *m = NULL;
    CLEANUP_FREE uint8_t *raw = xcalloc(RECORDS, MANIFEST_RECORD_SIZE);
    struct manifest_header h = {.disk_size = 1ull << 40};
    static const uint64_t one[] = {80 * 77777};
    struct parent_check *check;
    struct manifest_record r;
    struct err err = ERR_INIT;
    uint64_t before, total;
    struct roots roots;
    struct world w;

    world_init(&w);
    w.chain.v = xcalloc(1, sizeof(*w.chain.v));
    w.chain.n = 1;
    w.chain.v[0] = (struct chain_layer){.manifest = xasprintf("%s/0", w.dir),
                                        .size_bytes = h.disk_size};
    uuid_make(w.chain.v[0].layer_id);
    manifest_id_from_str(w.chain.v[0].layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    assert_int_equal(manifest_writer_create(w.chain.v[0].manifest, &h, &m, &err), 0);
    roots_begin(&w, &roots);
    for (uint64_t i = 0; i < RECORDS; i++) {
        r = (struct manifest_record){
            .block = i * STRIDE, .state = MANIFEST_DATA, .count = 1};
        hash_of((uint32_t)i, r.hash);
        manifest_record_encode(&r, raw + i * MANIFEST_RECORD_SIZE);
        assert_int_equal(content_root_add(roots.root, r.block, r.hash, &err), 0);
    }
    roots_end(&w, &roots);
    assert_int_equal(manifest_writer_append(
                         m, 0, raw, (size_t)RECORDS * MANIFEST_RECORD_SIZE, &total, &err),
                     0);
    assert_int_equal(manifest_writer_seal(m, w.chain.v[0].layer_root, &err), 0);

    check = parent_check_new(&w.chain);
    before = manifest_file_bytes_read();
    assert_int_equal(parent_manifest_open(&w.chain, check, &p, &err), 0);
    assert_int_equal(parent_manifest_list(p, one, 1, &err), 0);
    assert_int_equal(parent_manifest_next(p, &r, &err), 1);
    assert_true(r.state == MANIFEST_DATA && r.block == one[0]);
    assert_int_equal(parent_manifest_range(p, one[0], 1, &err), 0);
    assert_int_equal(parent_manifest_next(p, &r, &err), 1);
    assert_true(r.state == MANIFEST_DATA && r.block == one[0]);
    /* The group of 1,024 blocks has 12 or 13 records. */
    assert_true(manifest_file_bytes_read() - before < 16384);
    /* Its neighbours are known, to whoever asks on. */
    parent_manifest_free(take_ptr(&p));
    assert_int_equal(parent_manifest_open(&w.chain, check, &p, &err), 0);
    before = manifest_file_bytes_read();
    assert_int_equal(parent_manifest_range(p, one[0] / 1024 * 1024, 1024, &err), 0);
    while (parent_manifest_next(p, &r, &err) > 0)
        ;
    assert_int_equal(err.class, 0);
    assert_int_equal(manifest_file_bytes_read(), before);
    /* Ten groups: their records, and a search. */
    assert_int_equal(parent_manifest_range(p, 1024 * 1000, 1024 * 10, &err), 0);
    while (parent_manifest_next(p, &r, &err) > 0)
        ;
    assert_int_equal(err.class, 0);
    assert_true(manifest_file_bytes_read() - before < 32768);
    before = manifest_file_bytes_read();
    assert_int_equal(parent_manifest_sample(p, 512, 9, &err), 0);
    assert_true(manifest_file_bytes_read() - before < 2048 * MANIFEST_RECORD_SIZE);
    parent_check_unref(check);
    world_done(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),
        cmocka_unit_test(samples_are_uniform),
        cmocka_unit_test(refuses),
        cmocka_unit_test(costs_what_is_asked),
    };

    return cmocka_run_group_tests_name("parent_manifest", tests, NULL, NULL);
}
