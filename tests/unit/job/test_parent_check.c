/* tests/unit/job/test_parent_check.c - rot in the manifests below: no answer about a
 * range says what the parent's restore point was not made of. */
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

#include "base/mem.h"
#include "job/parent_check.h"
#include "parent_world.h"
#include "store/manifest_file.h"

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
        cmocka_unit_test(rotten_number),
        cmocka_unit_test(rots_later),
        cmocka_unit_test(reads_whole_once),
    };

    return cmocka_run_group_tests_name("parent_check", tests, NULL, NULL);
}
