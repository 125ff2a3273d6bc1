/* tests/contract/test_worker_restore.c - the worker writes a disk while it compares it.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "model/naming.h"
#include "worker_rig.h"

static struct rig rig;
static struct wdisk disk;
static struct wspec spec;
static struct wrun run;
static struct rig_server target;

#define SIZE (20ull * BLOCK + 777)
#define RANGE(first, n) (uint64_t)(first) * BLOCK, (uint64_t)(n)*BLOCK

static const struct wblock full[] = {
    {.block = 0, .seed = 21}, {.block = 1, .seed = 22},  {.block = 2, .seed = 23},
    {.block = 3, .seed = 24}, {.block = 12, .seed = 25}, {.block = 20, .seed = 26}};
/* Overwrites 1, zeroes 2, adds 5. */
static const struct wblock over[] = {
    {.block = 1, .seed = 31}, {.block = 2, .seed = 0}, {.block = 5, .seed = 32}};

static int
set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    wdisk_init(&disk, &rig, 2000, SIZE);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    wrun_done(&run);
    wdisk_done(&disk);
    rig_stop(&target);
    rig_done(&rig);
    return 0;
}

static void
make_chain(size_t n_layers)
{
    wdisk_layer(&disk, full, ARRAY_LEN(full));
    if (n_layers > 1)
        wdisk_layer(&disk, over, ARRAY_LEN(over));
}

static void
new_target(uint64_t size)
{
    char path[RIG_TEXT];

    rig_write(&rig, "target.raw", "", 0, 0);
    rig_path(&rig, "target.raw", path);
    assert_int_equal(truncate(path, (off_t)size), 0);
    rig_qemu_nbd(&rig, "target.raw", "raw", NULL, &target);
}

/* The tip is served, the spec made, the target @uri. */
static void
prepare(char *uri)
{
    struct wdisk *const disks[] = {&disk};

    wdisk_serve(&disk);
    wspec_init(&spec, WORKER_RESTORE, disks, 1);
    spec.disks[0].target = uri;
}

static void
prepare_raw(void)
{
    new_target(naming_round_up_512(disk.size));
    prepare(target.uri);
}

/* The target holds what @n layers say, nothing else. */
static void
check_target(size_t n_layers)
{
    CLEANUP_FREE unsigned char *want = calloc(1, SIZE), *got = malloc(SIZE);
    struct err err = ERR_INIT;
    char path[RIG_TEXT];
    CLEANUP_FD int fd = -1;

    for (size_t l = 0; l < n_layers; l++) {
        const struct wblock *b = l ? over : full;
        size_t n = l ? ARRAY_LEN(over) : ARRAY_LEN(full);

        for (; n > 0; n--, b++) {
            uint64_t off = b->block * BLOCK, left = SIZE - off;
            size_t len = left < BLOCK ? (size_t)left : BLOCK;

            memset(want + off, 0, len);
            if (b->seed)
                block_fill(want + off, len, b->seed);
        }
    }
    rig_path(&rig, "target.raw", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_pread_full(fd, got, SIZE, 0, &err), 0);
    assert_int_equal(memcmp(got, want, SIZE), 0);
}

static void
test_full(void **state)
{
    const struct job_event *e;

    (void)state;
    make_chain(1);
    prepare_raw();
    wrun_succeeds(&run, &spec);
    check_target(1);
    e = wrun_find(&run, EVENT_DISK_DONE, 2000, 0);
    assert_int_equal(e->bytes.total, SIZE);
    assert_int_equal(e->bytes.done, SIZE);
    assert_int_equal(e->bytes.read, 5 * BLOCK + 1024);
    assert_int_equal(e->bytes.sent, 5 * BLOCK + 1024);
    assert_int_equal(e->bytes.skipped, 15 * BLOCK);
}

static void
test_chain(void **state)
{
    (void)state;
    make_chain(2);
    prepare_raw();
    wrun_succeeds(&run, &spec);
    check_target(2);
    wrun_done(&run);
    /* And the tip alone, by the same programs. */
    spec.spec.task = WORKER_VERIFY;
    spec.disks[0].target = NULL;
    wrun_succeeds(&run, &spec);
    assert_int_equal(wrun_find(&run, EVENT_DISK_DONE, 2000, 0)->bytes.read, 2 * BLOCK);
    assert_int_equal(wrun_find(&run, EVENT_DISK_DONE, 2000, 0)->records, 3);
}

static void
test_odd_sizes(void **state)
{
    static const uint64_t sizes[] = {1, 512, BLOCK, BLOCK + 1, 5 * BLOCK - 513};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        const struct wblock last = {.block = (sizes[i] - 1) / BLOCK, .seed = 5};

        wdisk_init(&disk, &rig, (uint32_t)(100 + i), sizes[i]);
        wdisk_layer(&disk, &last, 1);
        prepare_raw();
        wrun_succeeds(&run, &spec);
        wrun_done(&run);
        wdisk_done(&disk);
        rig_stop(&target);
    }
}

/* The base is damaged: the tip is as it should be, the disk is not. */
static void
test_flip_below(void **state)
{
    char path[RIG_TEXT];

    (void)state;
    make_chain(2);
    wdisk_image_path(&disk, 0, path);
    flip_bit(path, wdisk_host_offset(&disk, 0, 12) + 5);
    /* Block 1 of the base is hidden by the tip. */
    flip_bit(path, wdisk_host_offset(&disk, 0, 1) + 5);
    prepare_raw();
    wrun_fails(&run, &spec, "verification_failed",
               "disk 2000: 1 damaged range (1 blocks), first: 65536 bytes at 786432 "
               "(mismatch)");
    assert_int_equal(run.ev[run.n - 1].disk, 2000);
    assert_null(wrun_find(&run, EVENT_DISK_DONE, 2000, 0));
    wrun_done(&run);
    spec.spec.task = WORKER_VERIFY;
    spec.disks[0].target = NULL;
    wrun_succeeds(&run, &spec);
}

static void
test_stray(void **state)
{
    (void)state;
    make_chain(1);
    wdisk_qemu_io(&disk, "write -q -P 7 458752 4096"); /* block 7 */
    prepare_raw();
    wrun_fails(&run, &spec, "verification_failed", "65536 bytes at 458752 (stray)");
    assert_int_equal(wrun_ranges(&run), 1);
}

/* Allocated and zero reads as zero: the disk is what it should be. */
static void
test_zeroes_that_are_allocated(void **state)
{
    (void)state;
    make_chain(1);
    wdisk_qemu_io(&disk, "write -q -P 0 458752 131072"); /* blocks 7 and 8 */
    prepare_raw();
    wrun_succeeds(&run, &spec);
    check_target(1);
}

static void
test_missing(void **state)
{
    (void)state;
    make_chain(1);
    wdisk_qemu_io(&disk, "discard -q 65536 65536");
    prepare_raw();
    wrun_fails(&run, &spec, "verification_failed", "65536 bytes at 65536 (missing)");
    assert_int_equal(wrun_ranges(&run), 1);
}

static void
test_manifest_below_damaged(void **state)
{
    (void)state;
    make_chain(2);
    flip_bit(disk.manifest[0], MANIFEST_HEADER_SIZE + 30);
    prepare_raw();
    wrun_fails(&run, &spec, "verification_failed", "(manifest)");
    wrun_has_range(&run, 2000, 0, SIZE, BAD_MANIFEST);
    wrun_done(&run);
    wdisk_done(&disk);
    rig_stop(&target);
    /* The layers in the wrong order. */
    flip_bit(disk.manifest[0], MANIFEST_HEADER_SIZE + 30);
    prepare_raw();
    struct worker_spec_layer base = disk.layers[0];
    disk.layers[0] = disk.layers[1];
    disk.layers[1] = base;
    wrun_fails(&run, &spec, "verification_failed", "(manifest)");
}

static void
test_target_too_small(void **state)
{
    (void)state;
    make_chain(1);
    new_target(SIZE - 777);
    prepare(target.uri);
    wrun_fails(&run, &spec, "target_size_mismatch", "disk 2000");
}

static void
test_target_larger(void **state)
{
    (void)state;
    make_chain(1);
    new_target(SIZE + 5 * BLOCK);
    prepare(target.uri);
    wrun_succeeds(&run, &spec);
    check_target(1);
}

/* A server that takes small requests only gets small ones. */
static void
test_target_takes_small_requests(void **state)
{
    char path[RIG_TEXT];
    const char *args[] = {"--filter=blocksize-policy",
                          "file",
                          path,
                          "blocksize-minimum=1",
                          "blocksize-preferred=4096",
                          "blocksize-maximum=65536",
                          "blocksize-error-policy=error",
                          NULL};

    (void)state;
    make_chain(1);
    rig_write(&rig, "target.raw", "", 0, 0);
    rig_path(&rig, "target.raw", path);
    assert_int_equal(truncate(path, SIZE / 512 * 512 + 512), 0);
    rig_nbdkit(&rig, "small", args, &target);
    prepare(target.uri);
    wrun_succeeds(&run, &spec);
    check_target(1);
}

static void
test_target_fails(void **state)
{
    const char *args[] = {"--filter=error",      "memory", "2M", "error-pwrite=ENOSPC",
                          "error-pwrite-rate=1", NULL};

    (void)state;
    make_chain(1);
    rig_nbdkit(&rig, "full", args, &target);
    prepare(target.uri);
    wrun_fails(&run, &spec, "no_space", "of target");
    assert_int_equal(run.ev[run.n - 1].disk, 2000);
}

static void
test_target_flush_fails(void **state)
{
    char path[RIG_TEXT], opts[3 * RIG_TEXT];
    const char *words[] = {"--image-opts", opts, NULL};

    (void)state;
    make_chain(1);
    rig_write(&rig, "target.raw", "", 0, 0);
    rig_path(&rig, "target.raw", path);
    assert_int_equal(truncate(path, 21 * BLOCK), 0);
    snprintf(opts, sizeof(opts),
             "driver=blkdebug,image.driver=file,image.filename=%s,"
             "inject-error.0.event=none,inject-error.0.iotype=flush,"
             "inject-error.0.errno=5",
             path);
    rig_qemu_nbd_words(&rig, "flushless", words, &target);
    prepare(target.uri);
    wrun_fails(&run, &spec, "nbd_io", "flush");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_full),
        T(test_chain),
        T(test_odd_sizes),
        T(test_flip_below),
        T(test_stray),
        T(test_zeroes_that_are_allocated),
        T(test_missing),
        T(test_manifest_below_damaged),
        T(test_target_too_small),
        T(test_target_larger),
        T(test_target_takes_small_requests),
        T(test_target_fails),
        T(test_target_flush_fails),
    };

    return cmocka_run_group_tests_name("worker_restore", tests, NULL, NULL);
}
