/* tests/contract/test_worker_overlay.c - a layer that stands on another one: what it
 * wrote is verified, and only that; zeroes that do not hide the parent are found. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "worker_rig.h"

static struct rig rig;
static struct wdisk disk;
static struct wspec spec;
static struct wrun run;

static const struct wblock base[] = {{.block = 1, .seed = 11},
                                     {.block = 2, .seed = 12},
                                     {.block = 3, .seed = 13},
                                     {.block = 4, .seed = 14},
                                     {.block = 1029, .seed = 16}};
/* Overwrites 1, zeroes 2, 3 and the short end, adds 7. */
static const struct wblock tip[] = {{.block = 1, .seed = 21},
                                    {.block = 2},
                                    {.block = 3},
                                    {.block = 7, .seed = 22},
                                    {.block = 1029}};
#define SIZE (1029ull * BLOCK + 777)
#define RANGE(first, n) (uint64_t)(first) * BLOCK, (uint64_t)(n)*BLOCK

static int
set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    wdisk_init(&disk, &rig, 2000, SIZE);
    wdisk_layer(&disk, base, ARRAY_LEN(base));
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
serve(void)
{
    struct wdisk *const disks[] = {&disk};

    wdisk_serve(&disk);
    wspec_init(&spec, WORKER_VERIFY, disks, 1);
}

static void
verify_fails(const char *words)
{
    serve();
    wrun_fails(&run, &spec, "verification_failed", words);
}

static void
test_good(void **state)
{
    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    serve();
    wrun_succeeds(&run, &spec);
    /* Two blocks of data were written; zeroes cost no reading, but the short end does. */
    assert_in_range(wrun_find(&run, EVENT_DISK_DONE, 2000, 0)->bytes.read, 2 * BLOCK,
                    2 * BLOCK + 777);
    assert_int_equal(wrun_find(&run, EVENT_DISK_DONE, 2000, 0)->records, ARRAY_LEN(tip));
}

/* Nothing changed: an empty layer is a good one. */
static void
test_empty(void **state)
{
    (void)state;
    wdisk_layer(&disk, NULL, 0);
    serve();
    wrun_succeeds(&run, &spec);
    assert_int_equal(wrun_find(&run, EVENT_DISK_DONE, 2000, 0)->bytes.read, 0);
}

/* A chain of a full and two layers; the middle one hides, the tip shows again. */
static void
test_three(void **state)
{
    static const struct wblock again[] = {{.block = 2, .seed = 12}, {.block = 7}};

    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    wdisk_layer(&disk, again, ARRAY_LEN(again));
    serve();
    wrun_succeeds(&run, &spec);
}

/* The zeroes were never written: the parent shows through. */
static void
test_zero_not_written(void **state)
{
    struct wblock holes[ARRAY_LEN(tip)];

    (void)state;
    memcpy(holes, tip, sizeof holes);
    holes[1].not_written = holes[2].not_written = holes[4].not_written = true;
    wdisk_layer(&disk, holes, ARRAY_LEN(holes));
    verify_fails("damaged range");
    wrun_has_range(&run, 2000, RANGE(2, 2), BAD_MISSING);
    wrun_has_range(&run, 2000, 1029ull * BLOCK, 777, BAD_MISSING);
}

/* What says zero holds data. */
static void
test_zero_overwritten(void **state)
{
    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    wdisk_qemu_io(&disk, "write -P 0x55 196608 512");
    verify_fails("damaged range");
    wrun_has_range(&run, 2000, RANGE(3, 1), BAD_MISMATCH);
    assert_int_equal(wrun_ranges(&run), 1);
}

/* Allocated as data, and zero all the same: the disk is what it should be. */
static void
test_zero_as_data(void **state)
{
    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    wdisk_qemu_io(&disk, "write -P 0 196608 65536");
    serve();
    wrun_succeeds(&run, &spec);
}

/* A write that no record knows, over the parent's data. */
static void
test_stray(void **state)
{
    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    wdisk_qemu_io(&disk, "write -z 262144 65536");
    verify_fails("damaged range");
    wrun_has_range(&run, 2000, RANGE(4, 1), BAD_STRAY);
}

/* Damage below is not this layer's: its own verification finds it. */
static void
test_damage_below(void **state)
{
    char path[RIG_TEXT];

    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    wdisk_image_path(&disk, 0, path);
    flip_bit(path, wdisk_host_offset(&disk, 0, 4) + 100);
    serve();
    wrun_succeeds(&run, &spec);
    wrun_done(&run);
    rig_stop(&disk.server);
    disk.n_layers = 1;
    verify_fails("damaged range");
    wrun_has_range(&run, 2000, RANGE(4, 1), BAD_MISMATCH);
}

/* A manifest below that was exchanged: the chain is no chain. */
static void
test_other_parent(void **state)
{
    (void)state;
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    serve();
    spec.disks[0].layers[0].layer_root[5] ^= 1;
    wrun_fails(&run, &spec, "verification_failed", "damaged range");
    wrun_has_range(&run, 2000, 0, SIZE, BAD_MANIFEST);
}

static void
root_of_run(uint8_t out[MANIFEST_HASH_SIZE])
{
    const struct job_event *done = wrun_find(&run, EVENT_DISK_DONE, 2000, 0);

    assert_non_null(done);
    assert_true(done->has_content_root);
    memcpy(out, done->content_root, MANIFEST_HASH_SIZE);
    wrun_done(&run);
    rig_stop(&disk.server);
}

/* Verifies the tip; its groups are left in @roots, those of the parent are in @parent. */
static void
verify_with(const char *parent, char *roots, uint8_t root[MANIFEST_HASH_SIZE])
{
    uint8_t below[MANIFEST_HASH_SIZE];

    memcpy(below, root, sizeof below);
    serve();
    spec.disks[0].roots = roots;
    spec.disks[0].parent_roots = (char *)parent;
    memcpy(spec.disks[0].parent_content_root, below, sizeof below);
    wrun_succeeds(&run, &spec);
    root_of_run(root);
}

static bool
was_warned(const char *code)
{
    const struct job_event *w = wrun_find(&run, EVENT_WARNING, 2000, 0);

    return w && strcmp(w->code, code) == 0;
}

/* From the parent's groups or from everything, the root is the same; groups that are not
 * the parent's are not used; records below that they do not fit are damage. */
static void
test_groups(void **state)
{
    char base_roots[RIG_TEXT], tip_roots[RIG_TEXT];
    uint8_t root[MANIFEST_HASH_SIZE] = {0}, whole[MANIFEST_HASH_SIZE] = {0};
    uint8_t base_root[MANIFEST_HASH_SIZE];

    (void)state;
    rig_path(&rig, "base.roots", base_roots);
    rig_path(&rig, "tip.roots", tip_roots);
    verify_with(NULL, base_roots, root);
    memcpy(base_root, root, sizeof root);
    wdisk_layer(&disk, tip, ARRAY_LEN(tip));
    verify_with(base_roots, tip_roots, root);
    verify_with(NULL, NULL, whole);
    assert_memory_equal(root, whole, sizeof root);
    /* Those of the tip are not those of its parent. */
    serve();
    spec.disks[0].parent_roots = tip_roots;
    memcpy(spec.disks[0].parent_content_root, base_root, sizeof base_root);
    wrun_succeeds(&run, &spec);
    assert_true(was_warned("roots_unusable"));
    root_of_run(root);
    assert_memory_equal(root, whole, sizeof root);
    /* Record of block 4, which the tip did not write, in a group that it touched. */
    flip_bit(disk.manifest[0],
             MANIFEST_HEADER_SIZE + 3 * (uint64_t)MANIFEST_RECORD_SIZE + 9);
    serve();
    spec.disks[0].parent_roots = base_roots;
    memcpy(spec.disks[0].parent_content_root, base_root, sizeof base_root);
    wrun_fails(&run, &spec, "verification_failed", "damaged range");
    wrun_has_range(&run, 2000, 0, SIZE, BAD_MANIFEST);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(test_good),
        T(test_empty),
        T(test_three),
        T(test_zero_not_written),
        T(test_zero_overwritten),
        T(test_zero_as_data),
        T(test_stray),
        T(test_damage_below),
        T(test_other_parent),
        T(test_groups),
    };

    return cmocka_run_group_tests_name("worker_overlay", tests, NULL, NULL);
}
