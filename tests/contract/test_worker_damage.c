/* tests/contract/test_worker_damage.c - what the worker says of good and of damaged
 * layers; every reason of bad_range, and the exact place. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/content_root.h"
#include "worker_rig.h"

static struct rig rig;
static struct wdisk disk;
static struct wspec spec;
static struct wrun run;

/* A full of 20 blocks and 777 bytes with data in two places and at the short end. */
static const struct wblock full[] = {
    {.block = 1, .seed = 11},  {.block = 2, .seed = 12},  {.block = 3, .seed = 13},
    {.block = 10, .seed = 14}, {.block = 19, .seed = 15}, {.block = 20, .seed = 16}};
#define FULL_SIZE (20ull * BLOCK + 777)
#define RANGE(first, n) (uint64_t)(first) * BLOCK, (uint64_t)(n)*BLOCK

static int
set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    wrun_done(&run);
    wdisk_done(&disk);
    rig_done(&rig);
    return 0;
}

static void
make_full(void)
{
    wdisk_init(&disk, &rig, 2000, FULL_SIZE);
    wdisk_layer(&disk, full, ARRAY_LEN(full));
}

static void
serve(enum worker_task task)
{
    struct wdisk *const disks[] = {&disk};

    wdisk_serve(&disk);
    wspec_init(&spec, task, disks, 1);
}

static void
verify_fails(const char *words)
{
    serve(WORKER_VERIFY);
    wrun_fails(&run, &spec, "verification_failed", words);
    assert_null(wrun_find(&run, EVENT_DISK_DONE, disk.key, 0));
}

static void
root_of(const struct wblock *blocks, size_t n, uint64_t size, uint8_t ret[32])
{
    CLEANUP_CONTENT_ROOT struct content_root *c = NULL;
    CLEANUP_FREE unsigned char *p = malloc(BLOCK);
    struct err err = ERR_INIT;

    assert_int_equal(content_root_new(size, &c, &err), 0);
    for (size_t i = 0; i < n; i++) {
        uint64_t left = size - blocks[i].block * BLOCK;
        size_t len = left < BLOCK ? (size_t)left : BLOCK;
        uint8_t hash[32];

        block_fill(p, len, blocks[i].seed);
        assert_int_equal(manifest_block_hash(p, len, hash, &err), 0);
        assert_int_equal(content_root_add(c, blocks[i].block, hash, &err), 0);
    }
    assert_int_equal(content_root_finish(c, ret, &err), 0);
}

static void
test_good(void **state)
{
    const struct job_event *e;
    uint8_t root[32];

    (void)state;
    make_full();
    serve(WORKER_VERIFY);
    root_of(full, ARRAY_LEN(full), FULL_SIZE, root);
    memcpy(spec.disks[0].content_root, root, 32);
    spec.disks[0].has_content_root = true;
    wrun_succeeds(&run, &spec);
    e = wrun_find(&run, EVENT_DISK_DONE, 2000, 0);
    assert_memory_equal(e->layer_root, disk.layers[0].layer_root, 32);
    assert_memory_equal(e->content_root, root, 32);
    assert_int_equal(e->records, ARRAY_LEN(full));
    assert_int_equal(e->bytes.total, FULL_SIZE);
    assert_int_equal(e->bytes.done, FULL_SIZE);
    /* The export ends at the next sector. */
    assert_int_equal(e->bytes.read, 5 * BLOCK + 1024);
    assert_int_equal(e->bytes.skipped, 15 * BLOCK);
    assert_int_equal(e->bytes.sent, 0);
}

static void
test_odd_sizes(void **state)
{
    static const uint64_t sizes[] = {1,         511,           512,           BLOCK,
                                     BLOCK + 1, 2 * BLOCK - 1, 7 * BLOCK + 5, 16 * BLOCK};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct wblock last = {.block = (sizes[i] - 1) / BLOCK, .seed = 5};

        wdisk_init(&disk, &rig, (uint32_t)(100 + i), sizes[i]);
        wdisk_layer(&disk, &last, i % 2); /* every other one is empty */
        serve(WORKER_VERIFY);
        wrun_succeeds(&run, &spec);
        assert_int_equal(wrun_find(&run, EVENT_DISK_DONE, disk.key, 0)->bytes.done,
                         sizes[i]);
        wrun_done(&run);
        wdisk_done(&disk);
    }
}

static void
flip_guest(uint64_t block, uint64_t at)
{
    char path[RIG_TEXT];

    wdisk_image_path(&disk, 0, path);
    flip_bit(path, wdisk_host_offset(&disk, 0, block) + at);
}

static void
test_flip_in_data(void **state)
{
    (void)state;
    make_full();
    flip_guest(2, 65535);
    flip_guest(3, 0);
    flip_guest(20, 776);
    verify_fails("disk 2000: 2 damaged ranges (3 blocks), first: 131072 bytes at 131072 "
                 "(mismatch)");
    wrun_has_range(&run, 2000, RANGE(2, 2), BAD_MISMATCH);
    wrun_has_range(&run, 2000, 20 * BLOCK, 777, BAD_MISMATCH);
    assert_int_equal(wrun_ranges(&run), 2);
}

static void
test_image_cut_off(void **state)
{
    char path[RIG_TEXT];

    (void)state;
    make_full();
    wdisk_image_path(&disk, 0, path);
    assert_int_equal(truncate(path, (off_t)wdisk_host_offset(&disk, 0, 20)), 0);
    verify_fails("disk 2000: 1 damaged range");
    wrun_has_range(&run, 2000, 20 * BLOCK, 777, BAD_MISMATCH);
}

/* An export shorter than the disk: the end is missing, the rest is compared. */
static void
test_export_too_short(void **state)
{
    (void)state;
    make_full();
    flip_guest(1, 7);
    wdisk_qemu_io(&disk, "truncate 1245184"); /* 19 blocks */
    verify_fails("disk 2000: 2 damaged ranges");
    wrun_has_range(&run, 2000, RANGE(1, 1), BAD_MISMATCH);
    wrun_has_range(&run, 2000, 19 * BLOCK, BLOCK + 777, BAD_MISSING);
}

static void
test_stray_write(void **state)
{
    (void)state;
    make_full();
    wdisk_qemu_io(&disk, "write -q -P 7 720896 512"); /* in block 11 */
    verify_fails("1 damaged range (1 blocks), first: 65536 bytes at 720896 (stray)");
    assert_int_equal(wrun_ranges(&run), 1);
}

/* A merge leaves zero clusters in a full, which records none; data beside them is as
 * wrong as ever. */
static void
test_zero_clusters(void **state)
{
    (void)state;
    make_full();
    wdisk_qemu_io(&disk, "write -q -z 720896 196608"); /* blocks 11 to 13 */
    serve(WORKER_VERIFY);
    wrun_succeeds(&run, &spec);
    wrun_done(&run);
    rig_stop(&disk.server);
    wdisk_qemu_io(&disk, "write -q -P 7 786432 512"); /* in block 12 */
    verify_fails("1 damaged range (1 blocks), first: 65536 bytes at 786432 (stray)");
}

/* Of the data only what the delta records is read. */
static void
test_delta(void **state)
{
    static const struct wblock part[] = {{.block = 3, .seed = 13},
                                         {.block = 20, .seed = 16}};
    struct wdisk other;

    (void)state;
    make_full();
    wdisk_init(&other, &rig, 2001, FULL_SIZE);
    wdisk_layer(&other, part, ARRAY_LEN(part));
    flip_guest(2, 9);
    serve(WORKER_VERIFY);
    spec.disks[0].delta = other.manifest[0];
    wrun_succeeds(&run, &spec);
    wrun_done(&run);
    rig_stop(&disk.server);
    flip_guest(20, 700);
    serve(WORKER_VERIFY);
    spec.disks[0].delta = other.manifest[0];
    wrun_fails(&run, &spec, "verification_failed", "1 damaged range");
    wrun_has_range(&run, 2000, 20 * BLOCK, 777, BAD_MISMATCH);
    wdisk_done(&other);
}

static void
test_missing(void **state)
{
    static const struct wblock blocks[] = {{.block = 0, .seed = 1},
                                           {.block = 5, .seed = 2, .not_written = true},
                                           {.block = 6, .seed = 3, .not_written = true}};

    (void)state;
    wdisk_init(&disk, &rig, 2000, FULL_SIZE);
    wdisk_layer(&disk, blocks, ARRAY_LEN(blocks));
    verify_fails("1 damaged range");
    wrun_has_range(&run, 2000, RANGE(5, 2), BAD_MISSING);
    assert_int_equal(wrun_ranges(&run), 1);
}

static void
test_discarded(void **state)
{
    (void)state;
    make_full();
    wdisk_qemu_io(&disk, "discard -q 131072 65536");
    verify_fails("1 damaged range (1 blocks), first: 65536 bytes at 131072");
}

static void
test_read_error(void **state)
{
    char path[RIG_TEXT], opts[3 * RIG_TEXT];
    const char *words[] = {"--image-opts", "--read-only", "--allocation-depth", opts,
                           NULL};
    struct wdisk *const disks[] = {&disk};

    (void)state;
    make_full();
    wdisk_image_path(&disk, 0, path);
    snprintf(opts, sizeof(opts),
             "driver=qcow2,file.driver=blkdebug,file.image.driver=file,"
             "file.image.filename=%s,file.inject-error.0.event=read_aio,"
             "file.inject-error.0.errno=5,file.inject-error.0.sector=%llu",
             path, (unsigned long long)wdisk_host_offset(&disk, 0, 2) / 512);
    rig_qemu_nbd_words(&rig, "export", words, &disk.server);
    wspec_init(&spec, WORKER_VERIFY, disks, 1);
    wrun_fails(&run, &spec, "verification_failed", "(read_error)");
    /* Only the block that cannot be read, not its neighbours in the same request. */
    wrun_has_range(&run, 2000, RANGE(2, 1), BAD_READ_ERROR);
    assert_int_equal(wrun_ranges(&run), 1);
}

static void
flip_manifest(uint64_t off)
{
    flip_bit(disk.manifest[0], off);
    verify_fails("(manifest)");
    wrun_has_range(&run, 2000, 0, FULL_SIZE, BAD_MANIFEST);
    assert_non_null(wrun_find(&run, EVENT_WARNING, 2000, 0));
    assert_non_null(strstr(wrun_find(&run, EVENT_WARNING, 2000, 0)->message, "manifest"));
    wrun_done(&run);
    wdisk_done(&disk);
    flip_bit(disk.manifest[0], off);
}

static void
test_manifest_flips(void **state)
{
    uint64_t end = MANIFEST_HEADER_SIZE + ARRAY_LEN(full) * MANIFEST_RECORD_SIZE;

    (void)state;
    make_full();
    flip_manifest(0);                              /* magic */
    flip_manifest(26);                             /* disk size */
    flip_manifest(2000);                           /* padding */
    flip_manifest(MANIFEST_HEADER_SIZE);           /* a block number */
    flip_manifest(MANIFEST_HEADER_SIZE + 80 + 20); /* a hash */
    flip_manifest(MANIFEST_HEADER_SIZE + 7);       /* a state */
    flip_manifest(end + 8);                        /* the count */
    flip_manifest(end + 20);                       /* the root */
    flip_manifest(end + 50);                       /* padding of the trailer */
    serve(WORKER_VERIFY);
    wrun_succeeds(&run, &spec);
}

static void
test_manifest_gone(void **state)
{
    (void)state;
    make_full();
    assert_int_equal(unlink(disk.manifest[0]), 0);
    verify_fails("(manifest)");
}

/* A sound manifest that is not the one the spec means; a damaged block is named too. */
static void
expect_other(void)
{
    wrun_fails(&run, &spec, "verification_failed", "(manifest)");
    wrun_has_range(&run, 2000, 0, FULL_SIZE, BAD_MANIFEST);
    wrun_has_range(&run, 2000, RANGE(3, 1), BAD_MISMATCH);
    assert_int_equal(wrun_ranges(&run), 2);
    wrun_done(&run);
}

static void
test_other_manifest(void **state)
{
    struct wdisk *const disks[] = {&disk};

    (void)state;
    make_full();
    flip_guest(3, 9);
    serve(WORKER_VERIFY);
    spec.disks[0].layers[0].layer_root[4] ^= 1;
    expect_other();
    spec.disks[0].layers[0].layer_root[4] ^= 1;
    spec.disks[0].has_content_root = true;
    expect_other();
    wspec_init(&spec, WORKER_VERIFY, disks, 1);
    uuid_make(spec.disks[0].disk_uuid);
    expect_other();
    wspec_init(&spec, WORKER_VERIFY, disks, 1);
    uuid_make(spec.disks[0].layers[0].layer_id);
    expect_other();
}

/* The spec says 10 blocks, manifest and image have 20: what lies beyond is not read. */
static void
test_other_size(void **state)
{
    (void)state;
    make_full();
    serve(WORKER_VERIFY);
    spec.disks[0].size_bytes = 10 * BLOCK;
    wrun_fails(&run, &spec, "verification_failed", "(manifest)");
    wrun_has_range(&run, 2000, 0, 10 * BLOCK, BAD_MANIFEST);
    wrun_done(&run);
    spec.disks[0].size_bytes = 40 * BLOCK;
    wrun_fails(&run, &spec, "verification_failed", "(manifest)");
    wrun_has_range(&run, 2000, 0, 40 * BLOCK, BAD_MANIFEST);
}

/* Many damaged blocks: joined, at most 100 told, all counted. */
static void
test_many_ranges(void **state)
{
    struct wblock blocks[300];
    char path[RIG_TEXT];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(blocks); i++)
        blocks[i] = (struct wblock){.block = i, .seed = (unsigned)i + 1};
    wdisk_init(&disk, &rig, 2000, ARRAY_LEN(blocks) * BLOCK);
    wdisk_layer(&disk, blocks, ARRAY_LEN(blocks));
    wdisk_image_path(&disk, 0, path);
    for (uint64_t i = 0; i < ARRAY_LEN(blocks); i += 2)
        flip_bit(path, wdisk_host_offset(&disk, 0, 0) + i * BLOCK);
    verify_fails("150 damaged ranges (150 blocks), first: 65536 bytes at 0 (mismatch)");
    assert_int_equal(wrun_ranges(&run), 100);
}

/* Damage in one disk does not end the other; disks are told apart. */
static void
test_two_disks(void **state)
{
    struct wdisk other;
    struct wdisk *const disks[] = {&disk, &other};

    (void)state;
    make_full();
    wdisk_qemu_io(&disk, "truncate 1245184");
    wdisk_serve(&disk);
    wdisk_init(&other, &rig, 2001, FULL_SIZE);
    wdisk_layer(&other, full, ARRAY_LEN(full));
    wdisk_serve(&other);
    wspec_init(&spec, WORKER_VERIFY, disks, 2);
    spec.spec.limits.disks_parallel = 1;
    wrun_fails(&run, &spec, "verification_failed", "disk 2000: 1 damaged range");
    assert_int_equal(run.ev[run.n - 1].disk, 2000);
    assert_null(wrun_find(&run, EVENT_DISK_DONE, 2000, 0));
    assert_non_null(wrun_find(&run, EVENT_DISK_DONE, 2001, 0));
    wdisk_done(&other);
}

/* 8 TiB virtual, three blocks: what is not there costs nothing. */
static void
test_huge_disk(void **state)
{
    static const struct wblock blocks[] = {{.block = 0, .seed = 1},
                                           {.block = 70000000, .seed = 2},
                                           {.block = 134217727, .seed = 3}};

    (void)state;
    wdisk_init(&disk, &rig, 2000, 8ull << 40);
    wdisk_layer(&disk, blocks, ARRAY_LEN(blocks));
    serve(WORKER_VERIFY);
    wrun_succeeds(&run, &spec);
    assert_int_equal(wrun_find(&run, EVENT_DISK_DONE, 2000, 0)->bytes.read, 3 * BLOCK);
    assert_true(run.ev[run.n - 1].time_us - run.ev[0].time_us < 20000000);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_good),           T(test_odd_sizes),        T(test_flip_in_data),
        T(test_image_cut_off),  T(test_export_too_short), T(test_stray_write),
        T(test_missing),        T(test_discarded),        T(test_read_error),
        T(test_manifest_flips), T(test_manifest_gone),    T(test_other_manifest),
        T(test_other_size),     T(test_many_ranges),      T(test_two_disks),
        T(test_huge_disk),      T(test_zero_clusters),    T(test_delta),
    };

    return cmocka_run_group_tests_name("worker_damage", tests, NULL, NULL);
}
