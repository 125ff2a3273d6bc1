/* tests/contract/test_worker_salvage.c - what is good of a damaged disk, halves that are
 * gone on with, images that are compared. */
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
#include "model/naming.h"
#include "worker_rig.h"

static struct rig rig;
static struct wdisk disk;
static struct wspec spec;
static struct wrun run;
static struct rig_server target;

#define BLOCKS 20u
#define SIZE (20ull * BLOCK + 777)
#define RANGE(first, n) (uint64_t)(first) * BLOCK, (uint64_t)(n)*BLOCK

static const struct wblock full[] = {
    {.block = 0, .seed = 21}, {.block = 1, .seed = 22},  {.block = 2, .seed = 23},
    {.block = 3, .seed = 24}, {.block = 12, .seed = 25}, {.block = 20, .seed = 26}};
/* Overwrites 1, zeroes 2, adds 5. */
static const struct wblock over[] = {
    {.block = 1, .seed = 31}, {.block = 2, .seed = 0}, {.block = 5, .seed = 32}};

static unsigned char want[SIZE];

static int
set_up(void **state)
{
    (void)state;
    rig_init(&rig);
    wdisk_init(&disk, &rig, 2000, SIZE);
    memset(want, 0, sizeof want);
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
add_layer(const struct wblock *b, size_t n)
{
    wdisk_layer(&disk, b, n);
    for (; n > 0; n--, b++) {
        uint64_t off = b->block * BLOCK, left = SIZE - off;
        size_t len = left < BLOCK ? (size_t)left : BLOCK;

        memset(want + off, 0, len);
        if (b->seed)
            block_fill(want + off, len, b->seed);
    }
}

static void
target_path(char path[RIG_TEXT])
{
    rig_path(&rig, "target.raw", path);
}

/* Without @keep a new and empty one. */
static void
serve_target(bool keep)
{
    char path[RIG_TEXT];

    target_path(path);
    if (!keep) {
        rig_write(&rig, "target.raw", "", 0, 0);
        assert_int_equal(truncate(path, 0), 0);
        assert_int_equal(truncate(path, (off_t)naming_round_up_512(SIZE)), 0);
    }
    rig_qemu_nbd(&rig, "target.raw", "raw", NULL, &target);
}

static void
prepare(enum worker_task task)
{
    struct wdisk *const disks[] = {&disk};

    wdisk_serve(&disk);
    wspec_init(&spec, task, disks, 1);
    if (task == WORKER_RESTORE)
        spec.disks[0].target = target.uri;
}

static void
prepare_salvage(void)
{
    serve_target(false);
    prepare(WORKER_RESTORE);
    spec.spec.salvage = true;
}

/* The salvage is a success that tells of damage. */
static void
salvage(void)
{
    const struct job_event *e;

    wrun_start(&run, &spec);
    e = wrun_end(&run);
    if (e->status != RESULT_OK)
        fail_msg("%s: %s", e->code, e->message);
    assert_int_equal(run.exit_status, 0);
    assert_non_null(wrun_find(&run, EVENT_DISK_DONE, 2000, 0));
}

static bool
warned(const char *code)
{
    for (size_t i = 0; i < run.n; i++)
        if (run.ev[i].type == EVENT_WARNING && strcmp(run.ev[i].code, code) == 0)
            return true;
    return false;
}

/* The target holds the disk, but for @n blocks that are zero. */
static void
check_target(const uint64_t *lost, size_t n)
{
    CLEANUP_FREE unsigned char *got = malloc(SIZE);
    CLEANUP_FREE unsigned char *expected = malloc(SIZE);
    struct err err = ERR_INIT;
    char path[RIG_TEXT];
    CLEANUP_FD int fd = -1;

    memcpy(expected, want, SIZE);
    for (size_t i = 0; i < n; i++) {
        uint64_t left = SIZE - lost[i] * BLOCK;

        memset(expected + lost[i] * BLOCK, 0, left < BLOCK ? (size_t)left : BLOCK);
    }
    target_path(path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_pread_full(fd, got, SIZE, 0, &err), 0);
    assert_int_equal(memcmp(got, expected, SIZE), 0);
}

static void
flip_block(size_t layer, uint64_t block)
{
    char path[RIG_TEXT];

    wdisk_image_path(&disk, layer, path);
    flip_bit(path, wdisk_host_offset(&disk, layer, block) + 5);
}

static void
test_nothing_to_salvage(void **state)
{
    (void)state;
    add_layer(full, ARRAY_LEN(full));
    prepare_salvage();
    wrun_succeeds(&run, &spec);
    assert_false(warned("salvaged"));
    check_target(NULL, 0);
}

/* In the base, in the middle of a request, hidden, in the tip, at the short end. */
static void
test_salvage_blocks(void **state)
{
    static const uint64_t lost[] = {0, 5, 20};

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    add_layer(over, ARRAY_LEN(over));
    flip_block(0, 0);
    flip_block(0, 1); /* hidden by the tip */
    flip_block(1, 5);
    flip_block(0, 20);
    prepare_salvage();
    salvage();
    assert_true(warned("salvaged"));
    assert_int_equal(wrun_ranges(&run), 3);
    wrun_has_range(&run, 2000, RANGE(0, 1), BAD_MISMATCH);
    wrun_has_range(&run, 2000, RANGE(5, 1), BAD_MISMATCH);
    wrun_has_range(&run, 2000, 20 * BLOCK, 777, BAD_MISMATCH);
    check_target(lost, ARRAY_LEN(lost));
    wrun_done(&run);
    rig_stop(&target);
    wdisk_done(&disk);
    /* The same is a failure when nobody asked to salvage. */
    prepare_salvage();
    spec.spec.salvage = false;
    wrun_fails(&run, &spec, "verification_failed", "3 damaged ranges");
    assert_non_null(strstr(run.ev[run.n - 1].message, ", in layer 2000-0"));
}

static void
test_salvage_stray_and_missing(void **state)
{
    static const uint64_t lost[] = {3};

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    wdisk_qemu_io(&disk, "write -q -P 7 458752 4096"); /* block 7 */
    wdisk_qemu_io(&disk, "discard -q 196608 65536");   /* block 3 */
    prepare_salvage();
    salvage();
    assert_int_equal(wrun_ranges(&run), 2);
    wrun_has_range(&run, 2000, RANGE(7, 1), BAD_STRAY);
    wrun_has_range(&run, 2000, RANGE(3, 1), BAD_MISSING);
    check_target(lost, ARRAY_LEN(lost));
}

/* What the medium cannot give: block by block. */
static void
test_salvage_read_errors(void **state)
{
    static const uint64_t lost[] = {2};
    char path[RIG_TEXT], opts[3 * RIG_TEXT];
    const char *words[] = {"--read-only", "--image-opts", opts, NULL};
    struct wdisk *const disks[] = {&disk};

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    wdisk_image_path(&disk, 0, path);
    snprintf(opts, sizeof(opts),
             "driver=qcow2,file.driver=blkdebug,file.image.driver=file,"
             "file.image.filename=%s,file.inject-error.0.event=none,"
             "file.inject-error.0.iotype=read,file.inject-error.0.errno=5,"
             "file.inject-error.0.sector=%llu",
             path, (unsigned long long)(wdisk_host_offset(&disk, 0, 2) / 512 + 3));
    rig_qemu_nbd_words(&rig, "sick", words, &disk.server);
    serve_target(false);
    wspec_init(&spec, WORKER_RESTORE, disks, 1);
    spec.disks[0].target = target.uri;
    spec.spec.salvage = true;
    salvage();
    assert_int_equal(wrun_ranges(&run), 1);
    wrun_has_range(&run, 2000, RANGE(2, 1), BAD_READ_ERROR);
    check_target(lost, ARRAY_LEN(lost));
}

/* A record that is wrong costs its block; one that cannot be read, all from there on. */
static void
test_salvage_manifest(void **state)
{
    static const uint64_t one[] = {2}, rest[] = {3, 12, 20};

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    /* The hash of the third record, block 2. */
    flip_bit(disk.manifest[0], MANIFEST_HEADER_SIZE + 2 * MANIFEST_RECORD_SIZE + 20);
    prepare_salvage();
    salvage();
    assert_int_equal(wrun_ranges(&run), 1);
    wrun_has_range(&run, 2000, RANGE(2, 1), BAD_MISMATCH);
    check_target(one, ARRAY_LEN(one));
    wrun_done(&run);
    rig_stop(&target);
    wdisk_done(&disk);
    flip_bit(disk.manifest[0], MANIFEST_HEADER_SIZE + 2 * MANIFEST_RECORD_SIZE + 20);
    /* The state of the fourth: no such state. */
    flip_bit(disk.manifest[0], MANIFEST_HEADER_SIZE + 3 * MANIFEST_RECORD_SIZE + 7);
    prepare_salvage();
    salvage();
    assert_int_equal(wrun_ranges(&run), 1);
    wrun_has_range(&run, 2000, 3 * BLOCK, SIZE - 3 * BLOCK, BAD_MANIFEST);
    check_target(rest, ARRAY_LEN(rest));
    wrun_done(&run);
    rig_stop(&target);
    wdisk_done(&disk);
    /* The header: nothing is proven. */
    flip_bit(disk.manifest[0], 24);
    prepare_salvage();
    wrun_fails(&run, &spec, "verification_failed", "no block can be proven");
}

/* All is as a manifest says that is not the one of the point. */
static void
test_salvage_other_root(void **state)
{
    (void)state;
    add_layer(full, ARRAY_LEN(full));
    prepare_salvage();
    spec.disks[0].has_content_root = true;
    memset(spec.disks[0].content_root, 7, MANIFEST_HASH_SIZE);
    salvage();
    assert_int_equal(wrun_ranges(&run), 1);
    wrun_has_range(&run, 2000, 0, SIZE, BAD_MANIFEST);
}

static void
test_resume(void **state)
{
    static const unsigned char empty[BLOCK];
    const struct job_event *e;
    char path[RIG_TEXT];

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    serve_target(false);
    prepare(WORKER_RESTORE);
    wrun_succeeds(&run, &spec);
    wrun_done(&run);
    rig_stop(&target);
    /* One block is other, one was never written. */
    target_path(path);
    flip_bit(path, 3 * BLOCK + 9);
    rig_write(&rig, "target.raw", empty, BLOCK, 12 * BLOCK);
    serve_target(true);
    spec.disks[0].target = target.uri;
    spec.disks[0].resume = true;
    wrun_succeeds(&run, &spec);
    check_target(NULL, 0);
    e = wrun_find(&run, EVENT_DISK_DONE, 2000, 0);
    assert_int_equal(e->bytes.done, SIZE);
    /* Blocks 0 to 3 are one request; 12 is another; 20 was there. */
    assert_int_equal(e->bytes.sent, 5 * BLOCK);
    wrun_done(&run);
    /* All is there: nothing is read or written. */
    spec.disks[0].target = target.uri;
    wrun_succeeds(&run, &spec);
    e = wrun_find(&run, EVENT_DISK_DONE, 2000, 0);
    assert_int_equal(e->bytes.sent, 0);
    assert_int_equal(e->bytes.read, 0);
    check_target(NULL, 0);
}

/* A half that is not of this disk is not made to look like it. */
static void
test_resume_stray(void **state)
{
    (void)state;
    add_layer(full, ARRAY_LEN(full));
    serve_target(false);
    rig_stop(&target);
    rig_write(&rig, "target.raw", "x", 1, 8 * BLOCK + 4000);
    serve_target(true);
    prepare(WORKER_RESTORE);
    spec.disks[0].resume = true;
    wrun_fails(&run, &spec, "resume_mismatch", "holds data at 524288");
}

static void
serve_image(const char *file)
{
    rig_stop(&disk.server);
    rig_qemu_nbd(&rig, file, "raw", NULL, &disk.server);
    spec.disks[0].source = disk.server.uri;
}

/* An image of the disk in another form, whole, damaged, too short. */
static void
test_compare(void **state)
{
    struct wdisk *const disks[] = {&disk};
    char path[RIG_TEXT];

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    add_layer(over, ARRAY_LEN(over));
    rig_write(&rig, "image", want, SIZE, 0);
    rig_path(&rig, "image", path);
    assert_int_equal(truncate(path, (off_t)naming_round_up_512(SIZE)), 0);
    wspec_init(&spec, WORKER_COMPARE, disks, 1);
    serve_image("image");
    wrun_succeeds(&run, &spec);
    wrun_done(&run);
    flip_bit(path, 12 * BLOCK + 1);
    rig_write(&rig, "image", "x", 1, 2 * BLOCK); /* zero, and so said by the tip */
    serve_image("image");
    wrun_fails(&run, &spec, "verification_failed", "2 damaged ranges");
    wrun_has_range(&run, 2000, RANGE(12, 1), BAD_MISMATCH);
    wrun_has_range(&run, 2000, RANGE(2, 1), BAD_STRAY);
    wrun_done(&run);
    rig_write(&rig, "image", want, SIZE, 0);
    assert_int_equal(truncate(path, 12 * BLOCK), 0);
    serve_image("image");
    wrun_fails(&run, &spec, "verification_failed", "damaged ranges");
    wrun_has_range(&run, 2000, 12 * BLOCK, SIZE - 12 * BLOCK, BAD_MISSING);
}

static void
refused(const char *member, const char *words)
{
    CLEANUP_JSON json_t *j = worker_spec_encode(&spec.spec);
    CLEANUP_WORKER_SPEC struct worker_spec got = {0};
    struct err err = ERR_INIT;

    assert_int_equal(worker_spec_decode(j, &got, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_field");
    if (!strstr(err.msg, member) || !strstr(err.msg, words))
        fail_msg("%s", err.msg);
}

static void
test_members(void **state)
{
    CLEANUP_WORKER_SPEC struct worker_spec got = {0};
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;

    (void)state;
    add_layer(full, ARRAY_LEN(full));
    prepare_salvage();
    spec.disks[0].resume = true;
    j = worker_spec_encode(&spec.spec);
    assert_int_equal(worker_spec_decode(j, &got, &err), 0);
    assert_true(got.salvage && got.disks[0].resume);
    spec.spec.salvage = false;
    spec.spec.task = WORKER_COMPARE;
    refused("target", "null");
    spec.disks[0].target = NULL;
    refused("resume", "'restore' only");
    spec.disks[0].resume = false;
    spec.spec.task = WORKER_VERIFY;
    spec.spec.salvage = true;
    refused("salvage", "not for 'verify'");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        T(test_nothing_to_salvage),
        T(test_salvage_blocks),
        T(test_salvage_stray_and_missing),
        T(test_salvage_read_errors),
        T(test_salvage_manifest),
        T(test_salvage_other_root),
        T(test_resume),
        T(test_resume_stray),
        T(test_compare),
        T(test_members),
    };

    return cmocka_run_group_tests_name("worker_salvage", tests, NULL, NULL);
}
