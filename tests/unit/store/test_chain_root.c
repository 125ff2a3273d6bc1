/* tests/unit/store/test_chain_root.c - the content root of a backup from what it touched:
 * always the one that everything gives, at a cost that does not follow what is stored. */
#include "store_test.h"

#include "store/chain_root.h"
#include "store/manifest_file.h"

#define LAYERS_MAX 40u
#define GROUP ((uint64_t)CONTENT_ROOT_GROUP)

struct disk {
    const char *dir;
    uint64_t blocks[LAYERS_MAX]; /* at each layer's time */
    char *manifest[LAYERS_MAX], *roots[LAYERS_MAX];
    uint8_t root[LAYERS_MAX][MANIFEST_HASH_SIZE]; /* as everything gives it */
    size_t n;
    uint32_t *seed; /* of each block now; 0 = zero */
};

static uint64_t rng_state;

static uint64_t
rng(uint64_t below)
{
    uint64_t z = rng_state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return (z ^ (z >> 31)) % below;
}

static void
hash_of(uint32_t seed, uint8_t out[MANIFEST_HASH_SIZE])
{
    for (size_t i = 0; i < MANIFEST_HASH_SIZE; i++)
        out[i] = (uint8_t)(seed >> (8 * (i % 4)) ^ i);
}

static void
disk_init(struct disk *d, const char *dir, uint64_t blocks_max)
{
    *d = (struct disk){.dir = dir};
    d->seed = xcalloc(blocks_max, sizeof *d->seed);
}

static void
disk_done(struct disk *d)
{
    for (size_t i = 0; i < d->n; i++) {
        unlink(d->manifest[i]);
        unlink(d->roots[i]);
        free(d->manifest[i]);
        free(d->roots[i]);
    }
    free(d->seed);
}

/* The content root of the disk as it is now, block by block. */
static void
whole(struct disk *d)
{
    CLEANUP_CONTENT_ROOT struct content_root *root = NULL;
    uint8_t hash[MANIFEST_HASH_SIZE];
    struct err err = ERR_INIT;

    assert_ok(content_root_new(d->blocks[d->n - 1] * MANIFEST_BLOCK_SIZE, &root, &err));
    for (uint64_t b = 0; b < d->blocks[d->n - 1]; b++) {
        if (!d->seed[b])
            continue;
        hash_of(d->seed[b], hash);
        assert_ok(content_root_add(root, b, hash, &err));
    }
    assert_ok(content_root_finish(root, d->root[d->n - 1], &err));
}

static struct manifest_header
header(const struct disk *d, size_t layer)
{
    struct manifest_header h = {.disk_size = d->blocks[layer] * MANIFEST_BLOCK_SIZE,
                                .disk_uuid = {7}};

    h.layer_id[0] = (uint8_t)(layer + 1);
    h.parent_layer_id[0] = (uint8_t)layer;
    return h;
}

static struct manifest_writer *
begin(struct disk *d, uint64_t blocks)
{
    struct manifest_writer *w = NULL;
    struct manifest_header h;
    struct err err = ERR_INIT;
    size_t i = d->n++;

    d->blocks[i] = blocks;
    d->manifest[i] = xasprintf("%s/%06zu.manifest", d->dir, i);
    d->roots[i] = xasprintf("%s/%06zu.roots", d->dir, i);
    h = header(d, i);
    assert_ok(manifest_writer_create(d->manifest[i], &h, &w, &err));
    return w;
}

/* Blocks [@block, @block + @count) become data of their seeds, or zero. */
static void
put(struct disk *d, struct manifest_writer *w, uint64_t block, uint64_t count,
    uint32_t seed)
{
    uint64_t left = seed ? count : 1;

    for (uint64_t b = block; b < block + count; b++)
        d->seed[b] = seed ? seed + (uint32_t)(b - block) : 0;
    for (uint64_t b = block; left > 0; b++, left--) {
        struct manifest_record r = {.block = b,
                                    .state = seed ? MANIFEST_DATA : MANIFEST_ZERO,
                                    .count = seed ? 1 : count};
        uint8_t raw[MANIFEST_RECORD_SIZE];
        struct err err = ERR_INIT;
        uint64_t total;

        if (seed)
            hash_of(d->seed[b], r.hash);
        manifest_record_encode(&r, raw);
        assert_ok(manifest_writer_append(w, manifest_writer_count(w), raw, sizeof raw,
                                         &total, &err));
    }
}

static void
seal(struct disk *d, struct manifest_writer *w)
{
    uint8_t root[MANIFEST_ROOT_SIZE];
    struct err err = ERR_INIT;

    assert_ok(manifest_writer_seal(w, root, &err));
    manifest_writer_free(w);
    whole(d);
}

/* As a full leaves its groups: from every block. */
static void
leave_whole(struct disk *d)
{
    CLEANUP_CONTENT_ROOT struct content_root *root = NULL;
    struct chain_root_keep *keep = NULL;
    struct manifest_header h = header(d, d->n - 1);
    uint8_t hash[MANIFEST_HASH_SIZE];
    struct err err = ERR_INIT;

    assert_ok(content_root_new(h.disk_size, &root, &err));
    assert_ok(chain_root_keep(d->roots[d->n - 1], &h, root, &keep, &err));
    for (uint64_t b = 0; b < d->blocks[d->n - 1]; b++)
        if (d->seed[b]) {
            hash_of(d->seed[b], hash);
            assert_ok(content_root_add(root, b, hash, &err));
        }
    assert_ok(content_root_finish(root, hash, &err));
    assert_memory_equal(hash, d->root[d->n - 1], sizeof hash);
    assert_ok(chain_root_keep_end(keep, hash, &err));
}

static int
update(struct disk *d, uint8_t ret[MANIFEST_HASH_SIZE], struct err *err)
{
    const struct chain_root c = {.manifests = (const char *const *)d->manifest,
                                 .n = d->n,
                                 .parent_roots = d->roots[d->n - 2],
                                 .parent_content_root = d->root[d->n - 2],
                                 .roots = d->roots[d->n - 1]};

    err_clear(err);
    return chain_root_update(&c, ret, err);
}

static void
updates_to(struct disk *d)
{
    uint8_t root[MANIFEST_HASH_SIZE];
    struct err err = ERR_INIT;

    assert_ok(update(d, root, &err));
    assert_memory_equal(root, d->root[d->n - 1], sizeof root);
}

static void
flip(const char *path, long off)
{
    FILE *f = fopen(path, "r+b");
    int c;

    assert_non_null(f);
    assert_int_equal(fseek(f, off, off < 0 ? SEEK_END : SEEK_SET), 0);
    c = fgetc(f);
    assert_int_equal(fseek(f, -1, SEEK_CUR), 0);
    assert_int_not_equal(fputc(c ^ 1, f), EOF);
    assert_int_equal(fclose(f), 0);
}

/* A layer of random runs, some of them of whole groups and more. */
static void
random_layer(struct disk *d, uint64_t blocks)
{
    struct manifest_writer *w = begin(d, blocks);
    uint64_t at = rng(blocks);

    while (at < blocks && rng(12) > 0) {
        bool zero = d->n > 1 && rng(2);
        uint64_t n = 1 + rng(rng(4) ? 40 : 3 * GROUP);

        if (d->n > 1 && rng(5) == 0)
            at = (at + GROUP - 1) / GROUP * GROUP;
        if (at >= blocks)
            break;
        if (n > blocks - at)
            n = blocks - at;
        put(d, w, at, n, zero ? 0 : 1 + (uint32_t)rng(1u << 30));
        at += n + rng(rng(2) ? 10 : 2 * GROUP);
    }
    seal(d, w);
}

static void
always_the_same(void **state)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uint64_t blocks = 1 + (rng_state = seed, rng(6 * GROUP));
        struct disk d;

        disk_init(&d, *state, 20 * GROUP);
        random_layer(&d, blocks);
        leave_whole(&d);
        for (unsigned i = 0; i < 8; i++) {
            if (rng(4) == 0)
                blocks += rng(2 * GROUP);
            random_layer(&d, blocks);
            updates_to(&d);
        }
        disk_done(&d);
    }
}

static void
two_layers(struct disk *d, const char *dir)
{
    struct manifest_writer *w;

    disk_init(d, dir, 8 * GROUP);
    w = begin(d, 8 * GROUP - 5);
    put(d, w, 0, 2000, 77);
    put(d, w, 4 * GROUP, 100, 99);
    seal(d, w);
    leave_whole(d);
    w = begin(d, 8 * GROUP - 5);
    put(d, w, 7, 1, 1234);
    seal(d, w);
}

static void
unusable_groups(void **state)
{
    uint8_t root[MANIFEST_HASH_SIZE];
    struct err err = ERR_INIT;
    struct disk d;

    two_layers(&d, *state);
    updates_to(&d);
    flip(d.roots[0], 70); /* header */
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    flip(d.roots[0], 70);
    flip(d.roots[0], 128 + 20); /* a digest */
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    flip(d.roots[0], 128 + 20);
    flip(d.roots[0], 128 + 40); /* the number of a group */
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    flip(d.roots[0], 128 + 40);
    updates_to(&d);
    flip((char *)d.roots[0], -1);
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    assert_int_equal(truncate(d.roots[0], 150), 0);
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    assert_int_equal(unlink(d.roots[0]), 0);
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    disk_done(&d);
}

/* Sealed, whole, and of another moment of the same disk: not of this parent. */
static void
groups_of_another_layer(void **state)
{
    uint8_t root[MANIFEST_HASH_SIZE];
    struct err err = ERR_INIT;
    struct manifest_writer *w;
    struct disk d;

    two_layers(&d, *state);
    updates_to(&d);
    w = begin(&d, 8 * GROUP - 5);
    put(&d, w, 9, 1, 5);
    seal(&d, w);
    assert_int_equal(rename(d.roots[0], d.roots[1]), 0);
    assert_fails(update(&d, root, &err), ERR_EXISTS, "roots_unusable");
    assert_int_not_equal(access(d.roots[2], F_OK), 0); /* and nothing is left */
    disk_done(&d);
}

static void
damage_below(void **state)
{
    uint8_t root[MANIFEST_HASH_SIZE];
    struct err err = ERR_INIT;
    struct disk d;

    two_layers(&d, *state);
    /* Not touched: found by what reads it. */
    flip(d.manifest[0], MANIFEST_HEADER_SIZE + 2050 * (long)MANIFEST_RECORD_SIZE + 20);
    updates_to(&d);
    /* Touched, though another block of the group. */
    flip(d.manifest[0], MANIFEST_HEADER_SIZE + 900 * (long)MANIFEST_RECORD_SIZE + 20);
    assert_fails(update(&d, root, &err), ERR_CORRUPT, "manifest_corrupt");
    assert_int_not_equal(access(d.roots[1], F_OK), 0);
    disk_done(&d);
}

/* 200,000 recorded blocks far apart on a disk of 1 TiB, and one block changes. */
static void
costs_what_was_touched(void **state)
{
    enum { RECORDS = 200000, STRIDE = 83 };
    struct manifest_writer *w;
    uint64_t before, read;
    struct disk d;

    disk_init(&d, *state, 1u << 24);
    w = begin(&d, 1u << 24);
    for (uint64_t i = 0; i < RECORDS; i++)
        put(&d, w, i * STRIDE, 1, 1 + (uint32_t)i);
    seal(&d, w);
    leave_whole(&d);
    for (uint64_t i = 0; i < 5; i++) {
        w = begin(&d, 1u << 24);
        put(&d, w, rng(1u << 24), 1, 9);
        seal(&d, w);
        before = manifest_file_bytes_read();
        updates_to(&d);
        read = manifest_file_bytes_read() - before;
        /* Of each layer the ends, one search and few records; whole it would be 8 MB. */
        print_message("layer %zu: %llu bytes of manifests\n", d.n,
                      (unsigned long long)read);
        assert_true(read <= d.n * (MANIFEST_HEADER_SIZE + 1024) + 8192);
    }
    disk_done(&d);
}

/* A walk of many seeks upwards meets every record, from wherever it stood. */
static void
seeks(void **state)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
    struct manifest_record r;
    struct err err = ERR_INIT;
    struct disk d;

    disk_init(&d, *state, 40000);
    struct manifest_writer *w = begin(&d, 40000);
    for (uint64_t i = 0; i < 10000; i++)
        put(&d, w, 3 * i, 1, 1 + (uint32_t)i);
    seal(&d, w);
    assert_ok(manifest_file_open(d.manifest[0], &f, &err));
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t block = rng(30100), steps = rng(200), at = (block + 2) / 3;

        assert_ok(manifest_file_seek(f, block, &err));
        for (; steps > 0 && at < 10000; steps--, at++) {
            assert_int_equal(manifest_file_next(f, &r, &err), 1);
            assert_int_equal(r.block, 3 * at);
        }
        if (at == 10000)
            assert_int_equal(manifest_file_next(f, &r, &err), 0);
    }
    disk_done(&d);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TMP_TEST(always_the_same),         TMP_TEST(unusable_groups),
        TMP_TEST(groups_of_another_layer), TMP_TEST(damage_below),
        TMP_TEST(costs_what_was_touched),  TMP_TEST(seeks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
