/* tests/contract/test_worker_flips.c - one bit of a chain is other, anywhere: in base,
 * middle or tip, in headers, tables, data or manifests.  Whatever the place, nothing
 * wrong is taken for right, and what a salvage gives is right where it says so.
 * SENDENSE_FLIPS: how many places (seeded; 150 by default). */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "model/naming.h"
#include "store/export.h"
#include "worker_rig.h"

#define BLOCKS 24u
#define SIZE ((uint64_t)BLOCKS * BLOCK - 600)
#define FLIPS_DEFAULT 150

static struct rig rig;
static struct wdisk disk;
static struct wspec spec;
static struct wrun run;
static struct rig_server target;
static unsigned char want[SIZE], got[SIZE];
static uint64_t seed = 20260102;

static const struct wblock layers[WDISK_LAYERS][7] = {
    {{.block = 0, .seed = 1},
     {.block = 1, .seed = 2},
     {.block = 2, .seed = 3},
     {.block = 9, .seed = 4},
     {.block = 10, .seed = 5},
     {.block = 20, .seed = 6},
     {.block = 23, .seed = 7}},
    {{.block = 1, .seed = 11},
     {.block = 4, .seed = 12},
     {.block = 9, .seed = 0},
     {.block = 11, .seed = 13},
     {.block = 12, .seed = 14},
     {.block = 21, .seed = 15},
     {.block = 22, .seed = 16}},
    {{.block = 0, .seed = 0},
     {.block = 4, .seed = 21},
     {.block = 5, .seed = 22},
     {.block = 9, .seed = 23},
     {.block = 12, .seed = 0},
     {.block = 13, .seed = 24},
     {.block = 22, .seed = 25}},
};

static uint64_t
next_random(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return seed >> 24;
}

static void
make_chain(void)
{
    rig_init(&rig);
    wdisk_init(&disk, &rig, 2000, SIZE);
    for (size_t l = 0; l < WDISK_LAYERS; l++) {
        wdisk_layer(&disk, layers[l], ARRAY_LEN(layers[l]));
        for (size_t i = 0; i < ARRAY_LEN(layers[l]); i++) {
            uint64_t off = layers[l][i].block * BLOCK, left = SIZE - off;
            size_t n = left < BLOCK ? (size_t)left : BLOCK;

            memset(want + off, 0, n);
            if (layers[l][i].seed)
                block_fill(want + off, n, layers[l][i].seed);
        }
    }
}

struct place {
    char path[RIG_TEXT];
    uint64_t off;
    unsigned bit;
};

static void
flip(const struct place *p)
{
    CLEANUP_FD int fd = open(p->path, O_RDWR | O_CLOEXEC);
    struct err err = ERR_INIT;
    unsigned char byte;

    assert_int_equal(fs_pread_full(fd, &byte, 1, p->off, &err), 0);
    byte ^= (unsigned char)(1u << p->bit);
    assert_int_equal(fs_pwrite_full(fd, &byte, 1, p->off, &err), 0);
}

/* Each file is as likely, and so is its beginning: most bytes of a file are data. */
static void
choose(struct place *p)
{
    size_t file = next_random() % (2 * WDISK_LAYERS);
    struct stat st;
    uint64_t n;

    if (file < WDISK_LAYERS)
        wdisk_image_path(&disk, file, p->path);
    else
        snprintf(p->path, sizeof(p->path), "%s", disk.manifest[file - WDISK_LAYERS]);
    assert_int_equal(stat(p->path, &st), 0);
    n = (uint64_t)st.st_size;
    /* Header, refcounts, L1 and L2 of a small image lie in its first five clusters. */
    if (file < WDISK_LAYERS && next_random() % 2)
        n = next_random() % 2 ? 512 : 5 * BLOCK;
    p->off = next_random() % n;
    /* Tables are sparse: their entries stand at the beginning of a cluster. */
    if (n == 5 * BLOCK && next_random() % 2)
        p->off = p->off / BLOCK * BLOCK + p->off % 192;
    p->bit = (unsigned)(next_random() % 8);
}

/* NULL: qemu does not open it, which is a way to be found. */
static struct export *
serve(void)
{
    char path[RIG_TEXT], socket[RIG_TEXT];
    struct export_spec s = {.path = path,
                            .format = "qcow2",
                            .name = "tip",
                            .socket = socket,
                            .read_only = true,
                            .size_bytes = naming_round_up_512(SIZE),
                            .cache = EXPORT_CACHE_BUFFERED};
    struct export *e = NULL;
    struct err err = ERR_INIT;

    wdisk_image_path(&disk, WDISK_LAYERS - 1, path);
    rig_path(&rig, "tip.sock", socket);
    return export_start(&s, &e, &err) < 0 ? NULL : e;
}

static void
new_target(void)
{
    char path[RIG_TEXT];

    rig_path(&rig, "target.raw", path);
    rig_write(&rig, "target.raw", "", 0, 0);
    assert_int_equal(truncate(path, 0), 0);
    assert_int_equal(truncate(path, (off_t)naming_round_up_512(SIZE)), 0);
    rig_qemu_nbd(&rig, "target.raw", "raw", NULL, &target);
}

static bool
is_told(uint64_t off)
{
    const struct job_event *e;

    for (size_t i = 0; (e = wrun_find(&run, EVENT_BAD_RANGE, 2000, i)); i++)
        if (off >= e->offset && off < e->offset + e->length)
            return true;
    return false;
}

/* Every block is the disk's, or it is zero and told. */
static void
check_target(const struct place *p)
{
    char path[RIG_TEXT];
    struct err err = ERR_INIT;
    CLEANUP_FD int fd = -1;

    rig_path(&rig, "target.raw", path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(fs_pread_full(fd, got, SIZE, 0, &err), 0);
    for (uint64_t off = 0; off < SIZE; off += BLOCK) {
        size_t n = SIZE - off < BLOCK ? (size_t)(SIZE - off) : BLOCK;

        if (memcmp(got + off, want + off, n) != 0 && !is_told(off))
            fail_msg("bit %u of byte %llu of '%s': block at %llu is wrong, and not told",
                     p->bit, (unsigned long long)p->off, p->path,
                     (unsigned long long)off);
    }
}

/* 1 = found, 0 = it does no harm. */
static int
try_place(const struct place *p)
{
    struct wdisk *const disks[] = {&disk};
    const struct job_event *e;
    struct export *tip = serve();
    int found = 1;

    if (!tip)
        return 1;
    new_target();
    wspec_init(&spec, WORKER_RESTORE, disks, 1);
    spec.disks[0].source = (char *)(uintptr_t)export_uri(tip);
    spec.disks[0].target = target.uri;
    spec.spec.salvage = true;
    wrun_start(&run, &spec);
    e = wrun_end(&run);
    if (e->status == RESULT_OK) {
        check_target(p);
        found = wrun_ranges(&run) > 0;
    } else if (strcmp(e->code, "verification_failed") != 0 &&
               strcmp(e->code, "manifest_corrupt") != 0 &&
               strcmp(e->code, "nbd_disconnected") != 0) {
        fail_msg("bit %u of byte %llu of '%s': %s (%s)", p->bit,
                 (unsigned long long)p->off, p->path, e->message, e->code);
    }
    wrun_done(&run);
    rig_stop(&target);
    export_free(tip);
    return found;
}

static void
test_flips(void **state)
{
    const char *text = getenv("SENDENSE_FLIPS");
    uint64_t n = FLIPS_DEFAULT, found = 0;

    (void)state;
    if (text)
        assert_int_equal(text_to_u64(text, &n), 0);
    make_chain();
    for (uint64_t i = 0; i < n; i++) {
        struct place p;

        choose(&p);
        flip(&p);
        found += (uint64_t)try_place(&p);
        flip(&p);
    }
    print_message("# %llu places, %llu found, %llu of no harm\n", (unsigned long long)n,
                  (unsigned long long)found, (unsigned long long)(n - found));
    /* Many bytes of an image are of no use to anybody; all of them are not. */
    assert_true(found > n / 3);
    rig_done(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flips)};

    return cmocka_run_group_tests_name("worker_flips", tests, NULL, NULL);
}
