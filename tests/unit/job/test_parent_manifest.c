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

#include "base/fs.h"
#include "base/mem.h"
#include "job/parent_manifest.h"
#include "store/manifest_file.h"

#define BLOCKS_MAX 9000u
#define LAYERS_MAX 30u
#define DISK "018f0000-0000-7000-8000-0000000000d1"

static struct {
    bool data;
    uint32_t tag; /* in the hash */
} model[BLOCKS_MAX];

static uint64_t
rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

static void
hash_of(uint32_t tag, uint8_t out[MANIFEST_HASH_SIZE])
{
    memset(out, 0x5a, MANIFEST_HASH_SIZE);
    memcpy(out, &tag, sizeof(tag));
}

struct world {
    char dir[64];
    struct chain chain;
    uint64_t blocks; /* of the newest layer */
};

/* A layer of a disk of @blocks blocks on top; the model follows. */
static void
add_layer(struct world *w, uint64_t blocks, uint64_t gap, uint64_t *s)
{
    static uint32_t tag;
    struct chain_layer *l;
    struct manifest_header h = {.disk_size =
                                    blocks * MANIFEST_BLOCK_SIZE - rnd(s) % 65536};
    CLEANUP_MANIFEST_WRITER struct manifest_writer *m = NULL;
    struct err err = ERR_INIT;
    static uint8_t raw[BLOCKS_MAX * MANIFEST_RECORD_SIZE];
    uint64_t b = rnd(s) % gap, total;
    size_t n = 0;

    w->chain.v = xreallocarray(w->chain.v, w->chain.n + 1, sizeof(*l));
    l = &w->chain.v[w->chain.n];
    *l = (struct chain_layer){.manifest = xasprintf("%s/%zu", w->dir, w->chain.n),
                              .size_bytes = h.disk_size};
    uuid_make(l->layer_id);
    manifest_id_from_str(l->layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    manifest_id_from_str(w->chain.n ? l[-1].layer_id : "", h.parent_layer_id);
    assert_int_equal(manifest_writer_create(l->manifest, &h, &m, &err), 0);
    while (b < blocks) {
        struct manifest_record r = {.block = b, .state = MANIFEST_DATA, .count = 1};

        if (w->chain.n > 0 && rnd(s) % 3 == 0) {
            r.state = MANIFEST_ZERO;
            r.count = 1 + rnd(s) % 40;
            if (r.count > blocks - b)
                r.count = blocks - b;
            for (uint64_t i = 0; i < r.count; i++)
                model[b + i].data = false;
        } else {
            model[b].data = true;
            model[b].tag = ++tag;
            hash_of(tag, r.hash);
        }
        manifest_record_encode(&r, raw + n++ * MANIFEST_RECORD_SIZE);
        b += r.count + (rnd(s) % 2 ? 0 : rnd(s) % gap);
    }
    assert_int_equal(
        manifest_writer_append(m, 0, raw, n * MANIFEST_RECORD_SIZE, &total, &err), 0);
    assert_int_equal(manifest_writer_seal(m, l->layer_root, &err), 0);
    w->chain.n++;
    w->blocks = blocks;
}

static void
world_init(struct world *w)
{
    *w = (struct world){.blocks = 0};
    snprintf(w->dir, sizeof(w->dir), "/tmp/parent-manifest-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->chain.disk_uuid, UUID_STR_SIZE, "%s", DISK);
    memset(model, 0, sizeof(model));
}

static void
world_done(struct world *w)
{
    for (size_t i = 0; i < w->chain.n; i++)
        unlink(w->chain.v[i].manifest);
    rmdir(w->dir);
    chain_done(&w->chain);
}

static void
check_data(const struct manifest_record *r)
{
    uint8_t want[MANIFEST_HASH_SIZE];

    assert_true(r->block < BLOCKS_MAX && model[r->block].data);
    hash_of(model[r->block].tag, want);
    assert_memory_equal(r->hash, want, sizeof(want));
    assert_int_equal(r->count, 1);
}

/* The answer has no gap, no overlap and no block too many. */
static void
check_range(struct parent_manifest *p, uint64_t block, uint64_t count)
{
    struct manifest_record r;
    struct err err = ERR_INIT;
    uint64_t at = block;
    bool was_zero = false;
    int got;

    assert_int_equal(parent_manifest_range(p, block, count, &err), 0);
    while ((got = parent_manifest_next(p, &r, &err)) > 0) {
        assert_int_equal(r.block, at);
        if (r.state == MANIFEST_DATA) {
            check_data(&r);
        } else {
            assert_false(was_zero); /* runs are joined */
            for (uint64_t i = 0; i < r.count; i++)
                assert_true(at + i >= BLOCKS_MAX || !model[at + i].data);
        }
        was_zero = r.state == MANIFEST_ZERO;
        at += r.count;
    }
    if (got < 0)
        fail_msg("%s", err.msg);
    assert_int_equal(at, block + count);
}

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
        if (parent_manifest_open(&w.chain, &p, &err) < 0)
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
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), 0);
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
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), ERR_INVALID);
    err_clear(&err);
    add_layer(&w, 100, 9, &s);
    add_layer(&w, 100, 9, &s);
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), 0);
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
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), ERR_CORRUPT);
    err_clear(&err);
    w.chain.v[1].layer_root[0] ^= 1;
    w.chain.n = 1;
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), 0);
    parent_manifest_free(take_ptr(&p));
    w.chain.v[0].size_bytes++;
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), ERR_CORRUPT);
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
    struct manifest_record r;
    struct err err = ERR_INIT;
    uint64_t before, total;
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
    for (uint64_t i = 0; i < RECORDS; i++) {
        r = (struct manifest_record){
            .block = i * STRIDE, .state = MANIFEST_DATA, .count = 1};
        hash_of((uint32_t)i, r.hash);
        manifest_record_encode(&r, raw + i * MANIFEST_RECORD_SIZE);
    }
    assert_int_equal(manifest_writer_append(
                         m, 0, raw, (size_t)RECORDS * MANIFEST_RECORD_SIZE, &total, &err),
                     0);
    assert_int_equal(manifest_writer_seal(m, w.chain.v[0].layer_root, &err), 0);

    before = manifest_file_bytes_read();
    assert_int_equal(parent_manifest_open(&w.chain, &p, &err), 0);
    assert_int_equal(parent_manifest_list(p, one, 1, &err), 0);
    assert_int_equal(parent_manifest_next(p, &r, &err), 1);
    assert_true(r.state == MANIFEST_DATA && r.block == one[0]);
    assert_int_equal(parent_manifest_range(p, one[0], 1, &err), 0);
    assert_int_equal(parent_manifest_next(p, &r, &err), 1);
    assert_true(r.state == MANIFEST_DATA && r.block == one[0]);
    assert_true(manifest_file_bytes_read() - before < 16384);
    before = manifest_file_bytes_read();
    assert_int_equal(parent_manifest_sample(p, 512, 9, &err), 0);
    assert_true(manifest_file_bytes_read() - before < 2048 * MANIFEST_RECORD_SIZE);
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
