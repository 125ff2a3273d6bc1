/* tests/unit/job/test_parent_manifest.c - chains of 1 to 30 layers against a naive model:
 * every range, list and sample says what the model says. */
#include <fcntl.h>
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
#include "store/chain_root.h"
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
    for (size_t i = 0; i < w->chain.n; i++) {
        CLEANUP_FREE char *roots = xasprintf("%s.roots", w->chain.v[i].manifest);

        unlink(w->chain.v[i].manifest);
        unlink(roots);
    }
    assert_int_equal(rmdir(w->dir), 0);
    chain_done(&w->chain);
}

/* The digests of groups beside the newest layer, as a verification leaves them. */
struct roots {
    char *path;
    struct content_root *root;
    struct chain_root_keep *keep;
};

static void
roots_begin(struct world *w, struct roots *r)
{
    struct chain_layer *tip = &w->chain.v[w->chain.n - 1];
    struct manifest_header h = {.disk_size = tip->size_bytes};
    struct err err = ERR_INIT;

    r->path = xasprintf("%s.roots", tip->manifest);
    manifest_id_from_str(tip->layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    assert_int_equal(content_root_new(h.disk_size, &r->root, &err), 0);
    assert_int_equal(chain_root_keep(r->path, &h, r->root, &r->keep, &err), 0);
}

static void
roots_end(struct world *w, struct roots *r)
{
    struct chain_layer *tip = &w->chain.v[w->chain.n - 1];
    struct err err = ERR_INIT;

    assert_int_equal(content_root_finish(r->root, tip->content_root, &err), 0);
    assert_int_equal(chain_root_keep_end(r->keep, tip->content_root, &err), 0);
    content_root_free(r->root);
    free(r->path);
}

static void
leave_roots(struct world *w)
{
    struct roots r;
    struct err err = ERR_INIT;
    uint8_t hash[MANIFEST_HASH_SIZE];

    roots_begin(w, &r);
    for (uint64_t b = 0; b < w->blocks; b++) {
        hash_of(model[b].tag, hash);
        if (model[b].data)
            assert_int_equal(content_root_add(r.root, b, hash, &err), 0);
    }
    roots_end(w, &r);
}

/* Record @i of the manifest calls itself one of block @block: what a flipped bit does. */
static void
rot(const char *manifest, uint64_t i, uint64_t block)
{
    int fd = open(manifest, O_WRONLY | O_CLOEXEC);

    assert_true(fd >= 0 && block < 256);
    assert_int_equal(pwrite(fd, &(uint8_t){(uint8_t)block}, 1,
                            (off_t)(MANIFEST_HEADER_SIZE + i * MANIFEST_RECORD_SIZE)),
                     1);
    close(fd);
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

/* A full of 5000 blocks: 10, 20, 30, …; the model follows. */
static void
add_tens(struct world *w)
{
    enum { N = 499 };
    CLEANUP_MANIFEST_WRITER struct manifest_writer *m = NULL;
    struct manifest_header h = {.disk_size = 5000ull * MANIFEST_BLOCK_SIZE};
    uint8_t raw[N * MANIFEST_RECORD_SIZE];
    struct err err = ERR_INIT;
    struct chain_layer *l;
    uint64_t total;

    l = w->chain.v = xcalloc(1, sizeof(*l));
    w->chain.n = 1;
    *l = (struct chain_layer){.manifest = xasprintf("%s/0", w->dir),
                              .size_bytes = h.disk_size};
    uuid_make(l->layer_id);
    manifest_id_from_str(l->layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    assert_int_equal(manifest_writer_create(l->manifest, &h, &m, &err), 0);
    for (uint32_t i = 0; i < N; i++) {
        struct manifest_record r = {
            .block = 10 * (i + 1), .state = MANIFEST_DATA, .count = 1};

        model[r.block].data = true;
        model[r.block].tag = i + 1;
        hash_of(i + 1, r.hash);
        manifest_record_encode(&r, raw + i * MANIFEST_RECORD_SIZE);
    }
    assert_int_equal(manifest_writer_append(m, 0, raw, sizeof(raw), &total, &err), 0);
    assert_int_equal(manifest_writer_seal(m, l->layer_root, &err), 0);
    w->blocks = 5000;
}

static void
is_damaged(const struct chain *chain, struct parent_check *check, uint64_t block,
           uint64_t count)
{
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
    struct manifest_record r;
    struct err err = ERR_INIT;
    int got;

    assert_int_equal(parent_manifest_open(chain, check, &p, &err), 0);
    got = parent_manifest_range(p, block, count, &err);
    while (got >= 0 && (got = parent_manifest_next(p, &r, &err)) > 0)
        if (r.state == MANIFEST_ZERO)
            assert_true(r.block > 100 || r.block + r.count <= 100);
    assert_int_equal(got, ERR_CORRUPT);
    assert_string_equal(err.code, "manifest_corrupt");
}

/* The number of the record of block 100 rots to 102, where none is: order and range are
 * right, and block 100 resolves as zero.  The guest wrote zeroes there, so "the parent
 * holds that already" would leave the parent's data in the backup. */
static void
rotten_number(void **state)
{
    static const uint64_t list[] = {100};

    for (unsigned with_roots = 0; with_roots < 3; with_roots++) {
        CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
        struct parent_check *check;
        struct manifest_record r;
        struct err err = ERR_INIT;
        struct world w;

        world_init(&w);
        add_tens(&w);
        if (with_roots > 0)
            leave_roots(&w);
        if (with_roots == 2) /* they are of another content: not usable */
            w.chain.v[0].content_root[5] ^= 1;
        rot(w.chain.v[0].manifest, 9, 102);
        is_damaged(&w.chain, NULL, 100, 1);
        is_damaged(&w.chain, NULL, 102, 1);
        is_damaged(&w.chain, NULL, 0, 5000);
        /* From a group that is whole into the one that is not. */
        check = parent_check_new(&w.chain);
        is_damaged(&w.chain, check, 100, 1);
        is_damaged(&w.chain, check, 4000, 1); /* once found, all are told */
        parent_check_unref(check);
        /* What was not asked about is not met; it is in another group. */
        assert_int_equal(parent_manifest_open(&w.chain, NULL, &p, &err), 0);
        if (with_roots == 1)
            check_range(p, 1024, 3000);
        /* An audit looks at what the disk has, and takes no answer for granted. */
        assert_int_equal(parent_manifest_list(p, list, 1, &err), 0);
        assert_int_equal(parent_manifest_next(p, &r, &err), 1);
        assert_int_equal(parent_manifest_sample(p, 5, 1, &err), 0);
        world_done(&w);
    }
}

/* Rot that comes while the job asks: what was checked before is no excuse. */
static void
rots_later(void **state)
{
    struct parent_check *check;
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;
    struct err err = ERR_INIT;
    struct world w;

    world_init(&w);
    add_tens(&w);
    leave_roots(&w);
    check = parent_check_new(&w.chain);
    assert_int_equal(parent_manifest_open(&w.chain, check, &p, &err), 0);
    check_range(p, 100, 1);
    rot(w.chain.v[0].manifest, 9, 102);
    check_range(p, 90, 30); /* as it was when it was checked */
    check_range(p, 2000, 1);
    is_damaged(&w.chain, check, 100, 1);
    parent_check_unref(check);
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

/* Without usable digests all is read, by the first question about a range and no other.
 */
static void
reads_whole_once(void **state)
{
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL, *q = NULL;
    struct parent_check *check;
    struct err err = ERR_INIT;
    uint64_t before, first;
    struct world w;

    world_init(&w);
    add_tens(&w);
    check = parent_check_new(&w.chain);
    assert_int_equal(parent_manifest_open(&w.chain, check, &p, &err), 0);
    before = manifest_file_bytes_read();
    check_range(p, 100, 1);
    first = manifest_file_bytes_read() - before;
    assert_true(first >= 499 * MANIFEST_RECORD_SIZE);
    assert_int_equal(parent_manifest_open(&w.chain, check, &q, &err), 0);
    before = manifest_file_bytes_read();
    check_range(q, 101, 5);
    assert_int_equal(manifest_file_bytes_read(), before);
    check_range(q, 4990, 1);
    assert_true(manifest_file_bytes_read() - before < first);
    parent_check_unref(check);
    world_done(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chains),           cmocka_unit_test(samples_are_uniform),
        cmocka_unit_test(refuses),          cmocka_unit_test(rotten_number),
        cmocka_unit_test(rots_later),       cmocka_unit_test(costs_what_is_asked),
        cmocka_unit_test(reads_whole_once),
    };

    return cmocka_run_group_tests_name("parent_manifest", tests, NULL, NULL);
}
