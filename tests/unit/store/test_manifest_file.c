/* tests/unit/store/test_manifest_file.c - receiving, sealing and reading manifests. */
#include "store_test.h"

#include "base/fs.h"
#include "store/manifest_file.h"

#define BLOCKS 5000u

static struct manifest_header
header(bool is_full)
{
    struct manifest_header h = {.disk_size =
                                    (uint64_t)BLOCKS * MANIFEST_BLOCK_SIZE - 100};

    assert_int_equal(
        manifest_id_from_str("018f0000-0000-7000-8000-0000000000f1", h.layer_id), 0);
    assert_int_equal(
        manifest_id_from_str("018f0000-0000-7000-8000-0000000000d1", h.disk_uuid), 0);
    if (!is_full)
        assert_int_equal(manifest_id_from_str("018f0000-0000-7000-8000-0000000000f0",
                                              h.parent_layer_id),
                         0);
    return h;
}

/* @n data records of blocks @from, @from + 1, … */
static uint8_t *
records(uint64_t from, size_t n)
{
    uint8_t *p = xcalloc(n, MANIFEST_RECORD_SIZE);

    for (size_t i = 0; i < n; i++) {
        struct manifest_record r = {
            .block = from + i, .state = MANIFEST_DATA, .count = 1};

        memset(r.hash, (int)(from + i) & 0xff, sizeof(r.hash));
        manifest_record_encode(&r, p + i * MANIFEST_RECORD_SIZE);
    }
    return p;
}

#define BYTES(n) ((n)*MANIFEST_RECORD_SIZE)

static struct manifest_writer *
writer(const char *dir, char **ret_path)
{
    struct err err = ERR_INIT;
    struct manifest_header h = header(true);
    struct manifest_writer *w = NULL;

    *ret_path = xasprintf("%s/000007.manifest", dir);
    assert_ok(manifest_writer_create(*ret_path, &h, &w, &err));
    return w;
}

static void
appends_seals_reads(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = writer(*state, &path);
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
    CLEANUP_FREE uint8_t *all = records(0, BLOCKS);
    uint8_t early[32], root[32], sealed[32];
    struct manifest_record rec;
    uint64_t total = 99, seen = 0;
    int r;

    assert_ok(manifest_writer_append(w, 0, all, 0, &total, &err)); /* nothing at all */
    assert_int_equal(total, 0);
    assert_ok(manifest_writer_append(w, 0, all, BYTES(3), &total, &err));
    assert_int_equal(total, 3);
    assert_ok(manifest_writer_root(w, early, &err));
    assert_ok(
        manifest_writer_append(w, 3, all + BYTES(3), BYTES(BLOCKS - 3), &total, &err));
    assert_int_equal(total, BLOCKS);
    assert_ok(manifest_writer_root(w, root, &err));
    assert_memory_not_equal(early, root, 32);
    assert_int_not_equal(access(path, F_OK), 0);
    assert_ok(manifest_writer_seal(w, sealed, &err));
    assert_memory_equal(root, sealed, 32);
    assert_int_equal(count_entries(*state), 1); /* .part is gone */
    assert_fails(manifest_writer_append(w, BLOCKS, all, BYTES(1), &total, &err),
                 ERR_INTERNAL, NULL);
    assert_fails(manifest_writer_seal(w, sealed, &err), ERR_INTERNAL, NULL);
    assert_int_equal(manifest_writer_count(w), BLOCKS);

    assert_ok(manifest_file_open(path, &f, &err));
    assert_int_equal(manifest_file_count(f), BLOCKS);
    assert_memory_equal(manifest_file_root(f), root, 32);
    assert_int_equal(manifest_file_header(f)->disk_size, header(true).disk_size);
    for (int pass = 0; pass < 2; pass++) {
        seen = 0;
        while ((r = manifest_file_next(f, &rec, &err)) > 0) {
            assert_int_equal(rec.block, seen);
            assert_int_equal(rec.hash[5], seen & 0xff);
            seen++;
        }
        assert_int_equal(r, 0);
        assert_int_equal(seen, BLOCKS);
        assert_ok(manifest_file_rewind(f, &err));
    }
    assert_ok(manifest_file_check(path, sealed, &err));
    assert_memory_equal(root, sealed, 32);
    assert_ok(manifest_file_check(path, NULL, &err));
}

static void
gap_repeat_conflict(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = writer(*state, &path);
    CLEANUP_FREE uint8_t *all = records(0, 3000);
    uint8_t before[32], after[32];
    uint64_t total = 0;

    assert_ok(manifest_writer_append(w, 0, all, BYTES(2000), &total, &err));
    assert_ok(manifest_writer_root(w, before, &err));
    assert_fails(
        manifest_writer_append(w, 2001, all + BYTES(2001), BYTES(1), &total, &err),
        ERR_EXISTS, "manifest_gap");
    assert_int_equal(total, 2000); /* what is expected */
    assert_ok(manifest_writer_append(w, 0, all, BYTES(2000), &total, &err)); /* repeat */
    assert_ok(manifest_writer_append(w, 500, all + BYTES(500), BYTES(10), &total, &err));
    assert_int_equal(total, 2000);
    assert_ok(manifest_writer_root(w, after, &err));
    assert_memory_equal(before, after, 32);
    all[BYTES(1999) + 20] ^= 1; /* the last one differs */
    assert_fails(
        manifest_writer_append(w, 100, all + BYTES(100), BYTES(2900), &total, &err),
        ERR_EXISTS, "manifest_conflict");
    assert_int_equal(total, 2000);
    all[BYTES(1999) + 20] ^= 1;
    assert_ok(
        manifest_writer_append(w, 1000, all + BYTES(1000), BYTES(2000), &total, &err));
    assert_int_equal(total, 3000); /* a repeat and new ones in one call */
}

static void
bad_records_leave_no_trace(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = writer(*state, &path);
    CLEANUP_FREE uint8_t *good = records(10, 4);
    CLEANUP_FREE uint8_t *bad = records(14, 4);
    uint8_t root[32], sealed[32];
    uint64_t total = 0;

    assert_ok(manifest_writer_append(w, 0, good, BYTES(4), &total, &err));
    assert_ok(manifest_writer_root(w, root, &err));
    assert_fails(manifest_writer_append(w, 4, bad, BYTES(4) - 1, &total, &err),
                 ERR_INVALID, "manifest_invalid");
    bad[BYTES(3) + 7] = 9; /* unknown state */
    assert_fails(manifest_writer_append(w, 4, bad, BYTES(4), &total, &err), ERR_INVALID,
                 "manifest_invalid");
    assert_int_equal(total, 4);
    bad[BYTES(3) + 7] = 1;
    bad[BYTES(3)] = 15; /* out of order */
    assert_fails(manifest_writer_append(w, 4, bad, BYTES(4), &total, &err), ERR_INVALID,
                 "manifest_invalid");
    bad[BYTES(3) + 4] = 1; /* outside of the disk */
    assert_fails(manifest_writer_append(w, 4, bad, BYTES(4), &total, &err), ERR_INVALID,
                 "manifest_invalid");
    assert_ok(manifest_writer_seal(w, sealed, &err));
    assert_memory_equal(root, sealed, 32);
    assert_ok(manifest_file_check(path, NULL, &err));
}

static void
names_are_taken_once(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = writer(*state, &path);
    struct manifest_header h = header(true);
    struct manifest_writer *second = NULL;
    uint8_t root[32];

    assert_fails(manifest_writer_create(path, &h, &second, &err), ERR_EXISTS,
                 "manifest_exists");
    assert_ok(manifest_writer_seal(w, root, &err)); /* no records: an empty disk */
    assert_fails(manifest_writer_create(path, &h, &second, &err), ERR_EXISTS,
                 "manifest_exists");
    assert_int_equal(count_entries(*state), 1);
    assert_ok(manifest_file_check(path, NULL, &err));
    CLEANUP_FREE char *nowhere = xasprintf("%s/none/000001.manifest", (char *)*state);
    assert_fails(manifest_writer_create(nowhere, &h, &second, &err), ERR_NOT_FOUND, NULL);
    assert_fails(manifest_file_check(nowhere, NULL, &err), ERR_NOT_FOUND, NULL);
    manifest_writer_free(NULL);
    manifest_file_free(NULL);
}

/* One flipped bit anywhere, or any other length: seen. */
static void
damage_is_seen(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = writer(*state, &path);
    CLEANUP_FREE uint8_t *all = records(0, 20);
    uint8_t root[32];
    uint64_t total;
    size_t n;

    assert_ok(manifest_writer_append(w, 0, all, BYTES(20), &total, &err));
    assert_ok(manifest_writer_seal(w, root, &err));
    CLEANUP_FREE char *good = get_file(path, &n);
    assert_int_equal(n, manifest_file_size(20));
    for (size_t i = 0; i < n; i += i < 96 || i > 4000 ? 1 : 131) {
        good[i] ^= 1 << (i % 8);
        put_file(path, good, n);
        assert_fails(manifest_file_check(path, NULL, &err), ERR_CORRUPT, NULL);
        good[i] ^= 1 << (i % 8);
    }
    for (size_t cut = 0; cut < n; cut += cut < n - 200 ? 97 : 1) {
        put_file(path, good, cut);
        assert_fails(manifest_file_check(path, NULL, &err), ERR_CORRUPT,
                     "manifest_corrupt");
    }
    CLEANUP_FREE char *longer = xcalloc(1, n + 40);
    memcpy(longer, good, n);
    put_file(path, longer, n + 40);
    assert_fails(manifest_file_check(path, NULL, &err), ERR_CORRUPT, NULL);
    put_file(path, good, n);
    assert_ok(manifest_file_check(path, NULL, &err));
}

static void
links_and_fifos_are_refused(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *link_path = xasprintf("%s/l.manifest", (char *)*state);
    CLEANUP_FREE char *fifo = xasprintf("%s/f.manifest", (char *)*state);

    assert_int_equal(symlink("/etc/passwd", link_path), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    err = (struct err)ERR_INIT;
    assert_true(manifest_file_check(link_path, NULL, &err) < 0);
    assert_fails(manifest_file_check(fifo, NULL, &err), ERR_CORRUPT, "manifest_corrupt");
}

/* Reading from the middle, and single records, against all of them. */
static void
seeks_and_finds(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = xasprintf("%s/000008.manifest", (char *)*state);
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = NULL;
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
    struct manifest_header h = header(false);
    struct manifest_record all[1000], r;
    uint8_t root[32];
    uint64_t total, b = 3;
    size_t n = 0, k = 0;

    assert_ok(manifest_writer_create(path, &h, &w, &err));
    for (; n < ARRAY_LEN(all) && b + 4 < BLOCKS; n++) {
        uint8_t raw[MANIFEST_RECORD_SIZE];

        all[n] = (struct manifest_record){.block = b,
                                          .state = n % 3 ? MANIFEST_DATA : MANIFEST_ZERO,
                                          .count = n % 3 ? 1 : 1 + n % 4};
        manifest_record_encode(&all[n], raw);
        assert_ok(manifest_writer_append(w, n, raw, sizeof(raw), &total, &err));
        b += all[n].count + n % 5;
    }
    assert_ok(manifest_writer_seal(w, root, &err));
    assert_ok(manifest_file_open(path, &f, &err));
    for (uint64_t at = 0; at < BLOCKS; at++) {
        bool in;

        while (k < n && all[k].block + all[k].count <= at)
            k++;
        in = k < n && all[k].block <= at;
        assert_int_equal(manifest_file_find(f, at, &r, &err), in);
        if (in)
            assert_int_equal(r.block, all[k].block);
        if (at % 37)
            continue;
        assert_ok(manifest_file_seek(f, at, &err));
        for (size_t i = k; i < n; i++) {
            assert_int_equal(manifest_file_next(f, &r, &err), 1);
            assert_int_equal(r.block, all[i].block);
        }
        assert_int_equal(manifest_file_next(f, &r, &err), 0);
    }
    assert_ok(manifest_file_at(f, n - 1, &r, &err));
    assert_int_equal(r.block, all[n - 1].block);
    assert_fails(manifest_file_at(f, n, &r, &err), ERR_INTERNAL, NULL);
    /* A whole reading after that is held against the root again. */
    assert_ok(manifest_file_rewind(f, &err));
    for (size_t i = 0; i < n; i++)
        assert_int_equal(manifest_file_next(f, &r, &err), 1);
    assert_int_equal(manifest_file_next(f, &r, &err), 0);
}

/* What PATH.part holds: the header, then whatever a crash left of @n records and @extra
 * bytes. */
static void
leave_part(const char *path, const uint8_t *p, size_t n, size_t extra)
{
    CLEANUP_FREE char *part = xasprintf("%s.part", path);
    CLEANUP_FD int fd = open(part, O_WRONLY | O_CLOEXEC);
    struct err err = ERR_INIT;

    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, MANIFEST_HEADER_SIZE), 0);
    assert_ok(fs_pwrite_full(fd, p, BYTES(n) + extra, MANIFEST_HEADER_SIZE, &err));
}

static void
goes_on_after_a_crash(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    struct manifest_writer *first = writer(*state, &path);
    CLEANUP_FREE uint8_t *all = records(0, BLOCKS);
    struct manifest_header h = header(true);
    uint8_t root[32], sealed[32];
    uint64_t total;

    assert_ok(manifest_writer_append(first, 0, all, BYTES(BLOCKS), &total, &err));
    assert_ok(manifest_writer_sync(first, &err));
    assert_int_equal(manifest_writer_next_block(first), BLOCKS);
    assert_ok(manifest_writer_root(first, root, &err));
    manifest_writer_free(first);
    for (size_t n = 0; n <= BLOCKS; n += 1250) {
        /* A torn record, then one of zeroes, then one that comes too early. */
        for (int tail = 0; tail < 4; tail++) {
            CLEANUP_MANIFEST_WRITER struct manifest_writer *w = NULL;
            CLEANUP_FREE uint8_t *p = xcalloc(n + 2, MANIFEST_RECORD_SIZE);
            size_t extra = tail == 1 ? 39 : tail == 2 ? 80 : tail == 3 && n ? 40 : 0;

            memcpy(p, all, BYTES(n));
            if (tail == 1 && n < BLOCKS)
                memcpy(p + BYTES(n), all + BYTES(n), 39);
            if (tail == 3)
                memcpy(p + BYTES(n), all, 40);
            leave_part(path, p, n, extra);
            assert_ok(manifest_writer_reopen(path, &h, n, &w, &err));
            assert_int_equal(manifest_writer_count(w), n);
            assert_int_equal(manifest_writer_next_block(w), n);
            assert_fails(manifest_writer_append(w, n + 1, all, BYTES(1), &total, &err),
                         ERR_EXISTS, "manifest_gap");
            assert_ok(manifest_writer_append(w, n, all + BYTES(n), BYTES(BLOCKS - n),
                                             &total, &err));
            assert_ok(manifest_writer_root(w, sealed, &err));
            assert_memory_equal(root, sealed, 32);
        }
    }
    CLEANUP_MANIFEST_WRITER struct manifest_writer *last = NULL;

    assert_ok(manifest_writer_reopen(path, &h, BLOCKS, &last, &err));
    assert_ok(manifest_writer_seal(last, sealed, &err));
    assert_memory_equal(root, sealed, 32);
    assert_ok(manifest_file_check(path, NULL, &err));
    assert_fails(manifest_writer_sync(last, &err), ERR_INTERNAL, NULL);
    assert_fails(manifest_writer_read_fd(last, &err), ERR_INTERNAL, NULL);
}

static void
goes_on_with_its_own_only(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = NULL;
    struct manifest_writer *first = writer(*state, &path), *w = NULL;
    CLEANUP_FREE uint8_t *all = records(0, 10);
    CLEANUP_FREE char *part = xasprintf("%s.part", path);
    struct manifest_header h = header(true), other = header(false);
    uint8_t raw[BYTES(4)];
    uint64_t total;

    assert_ok(manifest_writer_append(first, 0, all, BYTES(10), &total, &err));
    {
        CLEANUP_FD int fd = manifest_writer_read_fd(first, &err);

        assert_true(fd >= 0);
        assert_ok(
            fs_pread_full(fd, raw, sizeof(raw), MANIFEST_HEADER_SIZE + BYTES(6), &err));
        assert_memory_equal(raw, all + BYTES(6), sizeof(raw));
    }
    manifest_writer_free(first);
    assert_fails(manifest_writer_reopen(path, &other, 0, &w, &err), ERR_CORRUPT,
                 "manifest_corrupt");
    /* More were durable than there are: no crash does that. */
    assert_fails(manifest_writer_reopen(path, &h, 11, &w, &err), ERR_CORRUPT,
                 "manifest_corrupt");
    /* What nobody told of is cut off, though it is whole. */
    assert_ok(manifest_writer_reopen(path, &h, 7, &w, &err));
    assert_int_equal(manifest_writer_count(w), 7);
    manifest_writer_free(w);
    w = NULL;
    assert_int_equal(truncate(part, 100), 0);
    assert_fails(manifest_writer_reopen(path, &h, 0, &w, &err), ERR_CORRUPT,
                 "manifest_corrupt");
    assert_int_equal(unlink(part), 0);
    assert_fails(manifest_writer_reopen(path, &h, 0, &w, &err), ERR_NOT_FOUND, NULL);
    assert_int_equal(symlink("/etc/passwd", part), 0);
    assert_true(manifest_writer_reopen(path, &h, 0, &w, &err) < 0);
    assert_int_equal(unlink(part), 0);
    assert_ok(manifest_writer_create(path, &h, &w, &err));
    assert_ok(manifest_writer_seal(w, raw, &err));
    manifest_writer_free(w);
    assert_fails(manifest_writer_reopen(path, &h, 0, &w, &err), ERR_EXISTS,
                 "manifest_exists");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TMP_TEST(appends_seals_reads),
        TMP_TEST(gap_repeat_conflict),
        TMP_TEST(bad_records_leave_no_trace),
        TMP_TEST(names_are_taken_once),
        TMP_TEST(damage_is_seen),
        TMP_TEST(links_and_fifos_are_refused),
        TMP_TEST(seeks_and_finds),
        TMP_TEST(goes_on_after_a_crash),
        TMP_TEST(goes_on_with_its_own_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
