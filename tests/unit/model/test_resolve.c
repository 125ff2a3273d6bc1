/* tests/unit/model/test_resolve.c - resolve and content_root against a naive model, over
 * many seeds. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/content_root.h"
#include "model/resolve.h"
#include "model_test.h"

#define SEEDS 4000
#define LAYERS_MAX 9
#define BLOCKS_MAX 2600u /* two whole groups and a piece */

struct list {
    struct manifest_record recs[BLOCKS_MAX];
    size_t n, at;
};

struct cell { /* what a chain says about one block, the slow way */
    bool set;
    struct manifest_record rec;
    size_t layer;
};

static struct list lists[LAYERS_MAX];
static struct cell cells[BLOCKS_MAX];

static int
next_record(void *arg, struct manifest_record *ret, struct err *err)
{
    struct list *l = arg;

    if (l->at == l->n)
        return 0;
    *ret = l->recs[l->at++];
    return 1;
}

/* Density and lengths of runs differ from layer to layer; many ends of runs coincide. */
static void
random_layer(struct list *l, size_t layer, uint64_t blocks, uint64_t *seed)
{
    uint64_t gap = 1 + rnd(seed) % (rnd(seed) % 4 == 0 ? 700 : 12);
    uint64_t run = 1 + rnd(seed) % (rnd(seed) % 4 == 0 ? 1500 : 10);
    uint64_t b = rnd(seed) % gap;

    l->n = l->at = 0;
    while (b < blocks) {
        struct manifest_record r = {.block = b, .state = MANIFEST_DATA, .count = 1};

        if (layer > 0 && rnd(seed) % 3 == 0) {
            r.state = MANIFEST_ZERO;
            r.count = 1 + rnd(seed) % run;
            if (r.count > blocks - b)
                r.count = blocks - b;
        } else {
            for (size_t i = 0; i < sizeof(r.hash); i++)
                r.hash[i] = (uint8_t)rnd(seed);
        }
        l->recs[l->n++] = r;
        for (uint64_t i = 0; i < r.count; i++)
            cells[b + i] = (struct cell){.set = true, .rec = r, .layer = layer};
        b += r.count + (rnd(seed) % 2 ? 0 : rnd(seed) % gap);
    }
}

static void
naive_root(uint64_t blocks, uint8_t root[32])
{
    static uint8_t digests[BLOCKS_MAX * 32], hashes[CONTENT_ROOT_GROUP * 32];
    size_t groups = 0;

    for (uint64_t g = 0; g < blocks; g += CONTENT_ROOT_GROUP) {
        size_t n = 0;

        for (uint64_t b = g; b < blocks && b < g + CONTENT_ROOT_GROUP; b++, n++) {
            bool has = cells[b].set && cells[b].rec.state == MANIFEST_DATA;

            memcpy(hashes + 32 * n, has ? cells[b].rec.hash : manifest_zero_hash, 32);
        }
        EVP_Digest(hashes, n * 32, digests + 32 * groups++, NULL, EVP_sha256(), NULL);
    }
    EVP_Digest(digests, groups * 32, root, NULL, EVP_sha256(), NULL);
}

/* @next: the first block not yet given; returns the new one. */
static uint64_t
check_item(const struct resolve_item *it, uint64_t next, uint64_t blocks)
{
    assert_true(it->block >= next && it->count > 0 && it->block + it->count <= blocks);
    for (; next < it->block; next++)
        assert_false(cells[next].set);
    for (; next < it->block + it->count; next++) {
        assert_true(cells[next].set);
        assert_int_equal(cells[next].rec.state, it->state);
        assert_int_equal(cells[next].layer, it->layer);
    }
    if (it->state == MANIFEST_DATA) {
        assert_int_equal(it->count, 1);
        assert_memory_equal(it->hash, cells[it->block].rec.hash, 32);
    } else {
        assert_memory_equal(it->hash, manifest_zero_hash, 32);
    }
    return next;
}

static void
run_seed(uint64_t seed)
{
    CLEANUP_RESOLVE struct resolve *r = NULL;
    CLEANUP_CONTENT_ROOT struct content_root *c = NULL;
    struct resolve_layer layers[LAYERS_MAX];
    uint64_t state = seed * 77777 + 1;
    uint64_t blocks = 1 + rnd(&state) % (rnd(&state) % 3 ? 60 : BLOCKS_MAX);
    size_t n = 1 + rnd(&state) % LAYERS_MAX;
    uint64_t size = blocks * 65536 - rnd(&state) % 65536, next = 0;
    struct resolve_item it;
    struct err err = ERR_INIT;
    uint8_t root[32], expected[32];
    int got;

    memset(cells, 0, sizeof(cells));
    for (size_t i = 0; i < n; i++) {
        random_layer(&lists[i], i, blocks, &state);
        layers[i] = (struct resolve_layer){.next = next_record, .arg = &lists[i]};
    }
    assert_int_equal(resolve_new(layers, n, &r, &err), 0);
    assert_int_equal(content_root_new(size, &c, &err), 0);
    while ((got = resolve_next(r, &it, &err)) == 1) {
        next = check_item(&it, next, blocks);
        if (it.state == MANIFEST_DATA)
            assert_int_equal(content_root_add(c, it.block, it.hash, &err), 0);
    }
    assert_int_equal(got, 0);
    assert_int_equal(resolve_next(r, &it, &err), 0); /* the end stays the end */
    for (; next < blocks; next++)
        assert_false(cells[next].set);
    assert_int_equal(content_root_finish(c, root, &err), 0);
    naive_root(blocks, expected);
    assert_memory_equal(root, expected, 32);
}

static void
test_seeds(void **state)
{
    const char *only = getenv("SEED"); /* to repeat one that failed */

    for (uint64_t s = only ? strtoull(only, NULL, 10) : 0; s < SEEDS; s++) {
        run_seed(s);
        if (only)
            break;
    }
}

/* A stream that breaks the order of a manifest. */
static void
expect_corrupt(const struct manifest_record *recs, size_t n)
{
    CLEANUP_RESOLVE struct resolve *r = NULL;
    struct resolve_layer layer = {.next = next_record, .arg = &lists[0]};
    struct resolve_item it;
    struct err err = ERR_INIT;
    int got;

    memcpy(lists[0].recs, recs, n * sizeof(*recs));
    lists[0].n = n;
    lists[0].at = 0;
    assert_int_equal(resolve_new(&layer, 1, &r, &err), 0);
    while ((got = resolve_next(r, &it, &err)) == 1)
        ;
    assert_int_equal(got, ERR_CORRUPT);
    assert_string_equal(err.code, "manifest_corrupt");
}

static int
broken(void *arg, struct manifest_record *ret, struct err *err)
{
    return err_set(err, ERR_IO, "repo_io", "read");
}

static void
test_refused(void **state)
{
    const struct manifest_record twice[] = {{5, MANIFEST_DATA, 1, {0}},
                                            {5, MANIFEST_DATA, 1, {0}}};
    const struct manifest_record overlap[] = {{5, MANIFEST_ZERO, 4, {0}},
                                              {8, MANIFEST_DATA, 1, {0}}};
    const struct manifest_record empty[] = {{5, MANIFEST_ZERO, 0, {0}}};
    const struct manifest_record wide[] = {{5, MANIFEST_DATA, 2, {0}}};
    const struct manifest_record wraps[] = {{5, MANIFEST_ZERO, UINT64_MAX, {0}}};
    struct resolve_layer layer = {.next = broken};
    CLEANUP_RESOLVE struct resolve *r = NULL;
    struct resolve_item it;
    struct err err = ERR_INIT;

    expect_corrupt(twice, 2);
    expect_corrupt(overlap, 2);
    expect_corrupt(empty, 1);
    expect_corrupt(wide, 1);
    expect_corrupt(wraps, 1);
    assert_int_equal(resolve_new(&layer, 0, &r, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(resolve_new(&layer, RESOLVE_LAYERS_MAX + 1, &r, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(resolve_new(&layer, 1, &r, &err), 0);
    assert_int_equal(resolve_next(r, &it, &err), ERR_IO);
}

static void
test_content_root_refused(void **state)
{
    CLEANUP_CONTENT_ROOT struct content_root *c = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(content_root_new(0, &c, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(content_root_new(MANIFEST_DISK_SIZE_MAX + 1, &c, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(content_root_new(10 * 65536, &c, &err), 0);
    assert_int_equal(content_root_add(c, 10, manifest_zero_hash, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(content_root_add(c, 4, manifest_zero_hash, &err), 0);
    assert_int_equal(content_root_add(c, 4, manifest_zero_hash, &err), ERR_INVALID);
    assert_string_equal(err.code, "manifest_invalid");
}

/* 8 TiB of zeroes: gaps must be cheap.  The answer is computed here from its definition.
 */
static void
test_content_root_sparse(void **state)
{
    const uint64_t groups = (8ull << 40) / 65536 / CONTENT_ROOT_GROUP;
    static uint8_t hashes[CONTENT_ROOT_GROUP * 32];
    CLEANUP_CONTENT_ROOT struct content_root *c = NULL;
    EVP_MD_CTX *top = EVP_MD_CTX_new();
    uint8_t digest[32], expected[32], root[32];
    struct err err = ERR_INIT;

    for (size_t i = 0; i < CONTENT_ROOT_GROUP; i++)
        memcpy(hashes + 32 * i, manifest_zero_hash, 32);
    EVP_Digest(hashes, sizeof(hashes), digest, NULL, EVP_sha256(), NULL);
    EVP_DigestInit_ex(top, EVP_sha256(), NULL);
    for (uint64_t i = 0; i < groups; i++)
        EVP_DigestUpdate(top, digest, 32);
    EVP_DigestFinal_ex(top, expected, NULL);
    EVP_MD_CTX_free(top);
    assert_int_equal(content_root_new(8ull << 40, &c, &err), 0);
    assert_int_equal(content_root_finish(c, root, &err), 0);
    assert_memory_equal(root, expected, 32);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_seeds),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_content_root_refused),
        cmocka_unit_test(test_content_root_sparse),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
