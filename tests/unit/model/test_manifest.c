/* tests/unit/model/test_manifest.c - the bytes of a manifest, its checks and its reader.
 */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/manifest.h"
#include "model_test.h"

#define UUID_A "0198c0de-0000-7000-8000-00000000000a"
#define DISK_BLOCKS 100u

static struct manifest_header
header(bool full)
{
    struct manifest_header h = {.disk_size = DISK_BLOCKS * 65536ull - 65535};

    assert_int_equal(manifest_id_from_str(UUID_A, h.layer_id), 0);
    if (!full)
        h.parent_layer_id[0] = 7;
    h.disk_uuid[15] = 9;
    return h;
}

static struct manifest_record
data(uint64_t block)
{
    struct manifest_record r = {.block = block, .state = MANIFEST_DATA, .count = 1};

    memset(r.hash, (int)block + 1, sizeof(r.hash));
    return r;
}

static struct manifest_record
zero(uint64_t block, uint64_t count)
{
    return (struct manifest_record){
        .block = block, .state = MANIFEST_ZERO, .count = count};
}

static void
test_sizes(void **state)
{
    assert_int_equal(manifest_blocks(1), 1);
    assert_int_equal(manifest_blocks(65536), 1);
    assert_int_equal(manifest_blocks(65537), 2);
    assert_int_equal(manifest_blocks(MANIFEST_DISK_SIZE_MAX), 1ull << 35);
    assert_int_equal(manifest_file_size(0), 4160);
    assert_int_equal(manifest_file_size(3), 4280);
}

static void
test_hashes(void **state)
{
    static uint8_t block[MANIFEST_BLOCK_SIZE];
    uint8_t a[32], b[32];
    struct err err = ERR_INIT;

    EVP_Digest(block, sizeof(block), a, NULL, EVP_sha256(), NULL);
    assert_memory_equal(a, manifest_zero_hash, 32);
    assert_int_equal(manifest_block_hash(block, 1, b, &err), 0);
    assert_memory_equal(b, manifest_zero_hash, 32);
    block[0] = 1;
    EVP_Digest(block, sizeof(block), a, NULL, EVP_sha256(), NULL);
    assert_int_equal(manifest_block_hash(block, 1, b, &err), 0);
    assert_memory_equal(a, b, 32);
    assert_int_equal(manifest_block_hash(block, 0, b, &err), ERR_INTERNAL);
    err_clear(&err);
    assert_int_equal(manifest_block_hash(block, sizeof(block) + 1, b, &err),
                     ERR_INTERNAL);
}

static void
test_ids(void **state)
{
    uint8_t id[16], none[16] = {0};
    char s[UUID_STR_SIZE];

    assert_int_equal(manifest_id_from_str(UUID_A, id), 0);
    assert_int_equal(id[0], 0x01);
    assert_int_equal(id[15], 0x0a);
    manifest_id_to_str(id, s);
    assert_string_equal(s, UUID_A);
    assert_int_equal(manifest_id_from_str("", id), 0);
    assert_memory_equal(id, none, 16);
    manifest_id_to_str(id, s);
    assert_string_equal(s, "");
    assert_int_equal(manifest_id_from_str("x", id), -1);
}

/* Literal bytes, so that encoder and decoder cannot be wrong together. */
static void
test_layout(void **state)
{
    struct manifest_header h = header(false), back;
    struct manifest_record r = zero(0x1234, 0x56), d = data(5);
    struct manifest_trailer t = {.count = 0x0203}, t2;
    uint8_t b[MANIFEST_HEADER_SIZE], sum[32];
    struct err err = ERR_INIT;

    manifest_header_encode(&h, b);
    assert_memory_equal(b, "SDNMANIF\1\0\0\0\0\x10\0\0\0\0\1\0\1\0\0\0\1\0\x63\0\0\0\0\0",
                        32);
    assert_int_equal(b[40], 0x01);
    assert_int_equal(b[55], 0x0a);
    assert_int_equal(b[56], 7);
    assert_int_equal(b[87], 9);
    EVP_Digest(b, 4064, sum, NULL, EVP_sha256(), NULL);
    assert_memory_equal(sum, b + 4064, 32);
    assert_int_equal(manifest_header_decode(b, &back, &err), 0);
    assert_memory_equal(&back, &h, sizeof(h));

    manifest_record_encode(&r, b);
    assert_memory_equal(b, "\x34\x12\0\0\0\0\0\2\x56\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 24);
    assert_int_equal(manifest_record_decode(b, &r, &err), 0);
    assert_int_equal(r.block, 0x1234);
    assert_int_equal(r.count, 0x56);
    manifest_record_encode(&d, b);
    assert_memory_equal(b, "\5\0\0\0\0\0\0\1\6\6\6\6", 12);
    assert_int_equal(manifest_record_decode(b, &r, &err), 0);
    assert_memory_equal(r.hash, d.hash, 32);

    memset(t.layer_root, 0xee, 32);
    manifest_trailer_encode(&t, b);
    assert_memory_equal(b, "SDNMEND.\3\2\0\0\0\0\0\0\xee", 17);
    assert_int_equal(b[47], 0xee);
    assert_int_equal(b[48], 0);
    assert_int_equal(manifest_trailer_decode(b, &t2, &err), 0);
    assert_int_equal(t2.count, 0x0203);
    b[63] = 1;
    assert_int_equal(manifest_trailer_decode(b, &t2, &err), ERR_CORRUPT);
    err_clear(&err);
    b[0] = 'X';
    assert_int_equal(manifest_trailer_decode(b, &t2, &err), ERR_CORRUPT);
    assert_string_equal(err.code, "manifest_corrupt");
}

/* Changes @n bytes at @off and makes the checksum right again. */
static void
expect_header(size_t off, const void *p, size_t n, const char *code)
{
    struct manifest_header h = header(true), back;
    uint8_t b[MANIFEST_HEADER_SIZE];
    struct err err = ERR_INIT;

    manifest_header_encode(&h, b);
    memcpy(b + off, p, n);
    EVP_Digest(b, 4064, b + 4064, NULL, EVP_sha256(), NULL);
    assert_int_equal(manifest_header_decode(b, &back, &err), ERR_CORRUPT);
    assert_string_equal(err.code, code);
}

static void
test_header_refused(void **state)
{
    static const uint8_t zeros[16];
    struct manifest_header h = header(true), back;
    uint8_t b[MANIFEST_HEADER_SIZE];

    expect_header(0, "X", 1, "manifest_corrupt");
    expect_header(8, "\2", 1, "manifest_unsupported");
    expect_header(12, "\1", 1, "manifest_unsupported");
    expect_header(16, "\1", 1, "manifest_unsupported");
    expect_header(20, "\2", 1, "manifest_unsupported");
    expect_header(24, zeros, 8, "manifest_corrupt");
    expect_header(31, "\xff", 1, "manifest_corrupt");
    expect_header(32, "\1", 1, "manifest_unsupported");
    expect_header(40, zeros, 16, "manifest_corrupt");
    expect_header(72, zeros, 16, "manifest_corrupt");
    expect_header(88, "\1", 1, "manifest_corrupt");
    expect_header(4063, "\1", 1, "manifest_corrupt");
    for (size_t i = 0; i < sizeof(b); i++) { /* any flipped bit is seen */
        struct err err = ERR_INIT;

        manifest_header_encode(&h, b);
        b[i] ^= 1 << (i % 8);
        assert_int_equal(manifest_header_decode(b, &back, &err), ERR_CORRUPT);
    }
}

static void
expect_add(bool full, const struct manifest_record *r, size_t n, int expected)
{
    CLEANUP_MANIFEST_CHECK struct manifest_check *c = NULL;
    struct manifest_header h = header(full);
    struct err err = ERR_INIT;
    int got = 0;

    assert_int_equal(manifest_check_new(&h, &c, &err), 0);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(got, 0);
        got = manifest_check_add(c, &r[i], &err);
    }
    assert_int_equal(got, expected);
    if (expected < 0) {
        assert_string_equal(err.code, "manifest_invalid");
        assert_int_equal(manifest_check_count(c), n - 1);
    }
}

static void
test_check(void **state)
{
    struct manifest_record odd = {
        .block = 1, .state = (enum manifest_state)3, .count = 1};
    struct manifest_record two = {.block = 1, .state = MANIFEST_DATA, .count = 2};
    struct manifest_header h = header(true);
    struct manifest_check *c = NULL;
    struct err err = ERR_INIT;

#define R(...) ((const struct manifest_record[]){__VA_ARGS__})
    expect_add(true, R(data(0), data(1), data(99)), 3, 0);
    expect_add(false, R(data(0), zero(1, 98), data(99)), 3, 0);
    expect_add(false, R(zero(0, 100)), 1, 0);
    expect_add(true, R(zero(0, 1)), 1, ERR_INVALID); /* a full has none */
    expect_add(true, R(data(1), data(1)), 2, ERR_INVALID);
    expect_add(true, R(data(2), data(1)), 2, ERR_INVALID);
    expect_add(true, R(data(100)), 1, ERR_INVALID);
    expect_add(true, R(data(1ull << 56)), 1, ERR_INVALID);
    expect_add(false, R(zero(0, 101)), 1, ERR_INVALID);
    expect_add(false, R(zero(99, 2)), 1, ERR_INVALID);
    expect_add(false, R(zero(1, UINT64_MAX)), 1, ERR_INVALID);
    expect_add(false, R(zero(1, 0)), 1, ERR_INVALID);
    expect_add(false, R(zero(1, 5), data(5)), 2, ERR_INVALID);
    expect_add(false, R(odd), 1, ERR_INVALID);
    expect_add(false, R(two), 1, ERR_INVALID);
#undef R
    h.disk_size = 0;
    assert_int_equal(manifest_check_new(&h, &c, &err), ERR_INVALID);
    assert_null(c);
}

/* header, data(3), zero(4,6), data(99), trailer; caller frees. */
static uint8_t *
make_file(size_t *ret_size)
{
    struct manifest_record recs[] = {data(3), zero(4, 6), data(99)};
    struct manifest_header h = header(false);
    struct manifest_trailer t = {.count = 3};
    uint8_t *f = xcalloc(1, manifest_file_size(3));

    manifest_header_encode(&h, f);
    for (size_t i = 0; i < 3; i++)
        manifest_record_encode(&recs[i], f + 4096 + 40 * i);
    EVP_Digest(f, 4096 + 120, t.layer_root, NULL, EVP_sha256(), NULL);
    manifest_trailer_encode(&t, f + 4096 + 120);
    *ret_size = manifest_file_size(3);
    return f;
}

static void
test_check_root(void **state)
{
    CLEANUP_MANIFEST_CHECK struct manifest_check *c = NULL;
    CLEANUP_FREE uint8_t *f = NULL;
    struct manifest_header h = header(false);
    uint8_t root[32], bad[80];
    struct err err = ERR_INIT;
    size_t size;

    f = make_file(&size);
    assert_int_equal(manifest_check_new(&h, &c, &err), 0);
    assert_int_equal(manifest_check_add_raw(c, f + 4096, 1, &err), 0);
    assert_int_equal(manifest_check_root(c, root, &err),
                     0); /* looking does not disturb */
    assert_int_equal(manifest_check_next_block(c), 4);
    memcpy(bad, f + 4096 + 40, 40); /* one good, one bad: neither is taken */
    memcpy(bad + 40, f + 4096, 40);
    assert_int_equal(manifest_check_add_raw(c, bad, 2, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "record 2"));
    assert_int_equal(manifest_check_count(c), 1);
    assert_int_equal(manifest_check_next_block(c), 4);
    err_clear(&err);
    assert_int_equal(manifest_check_add_raw(c, f + 4136, 2, &err), 0);
    assert_int_equal(manifest_check_root(c, root, &err), 0);
    assert_memory_equal(root, f + size - 48, 32);
    assert_int_equal(manifest_check_count(c), 3);
    assert_int_equal(manifest_check_data_blocks(c), 2);
    assert_int_equal(manifest_check_next_block(c), 100);
}

static int
count_records(void *arg, const struct manifest_record *r, struct err *err)
{
    uint64_t *sum = arg;

    *sum += r->block * 1000 + r->count;
    return 0;
}

static int
stop(void *arg, const struct manifest_record *r, struct err *err)
{
    return err_set(err, ERR_CANCELLED, NULL, "stop");
}

/* Feeds pieces of @step bytes; the first failure or 0. */
static int
read_all(const uint8_t *f, size_t size, size_t step, manifest_record_fn fn, void *arg,
         struct err *err)
{
    CLEANUP_MANIFEST_READER struct manifest_reader *r = NULL;
    struct manifest_trailer t;

    if (manifest_reader_new(size, fn, arg, &r, err) < 0)
        return err->class;
    assert_null(manifest_reader_header(r));
    for (size_t at = 0; at < size; at += step)
        if (manifest_reader_feed(r, f + at, size - at < step ? size - at : step, err) < 0)
            return err->class;
    assert_int_equal(manifest_reader_header(r)->disk_size,
                     DISK_BLOCKS * 65536ull - 65535);
    if (manifest_reader_end(r, &t, err) < 0)
        return err->class;
    assert_int_equal(t.count, (size - 4160) / 40);
    return 0;
}

static void
test_reader(void **state)
{
    static const size_t steps[] = {1, 7, 39, 40, 41, 64, 4096, 4100, 4136, 4200, 100000};
    CLEANUP_FREE uint8_t *f = NULL;
    struct err err = ERR_INIT;
    size_t size;

    f = make_file(&size);
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        uint64_t sum = 0;

        assert_int_equal(read_all(f, size, steps[i], count_records, &sum, &err), 0);
        assert_int_equal(sum, 3001 + 4006 + 99001);
    }
    assert_int_equal(read_all(f, size, 64, NULL, NULL, &err), 0);
    assert_int_equal(read_all(f, size, 64, stop, NULL, &err), ERR_CANCELLED);
}

static void
test_reader_damage(void **state)
{
    CLEANUP_MANIFEST_READER struct manifest_reader *r = NULL;
    CLEANUP_FREE uint8_t *f = NULL;
    struct manifest_trailer t;
    struct err err = ERR_INIT;
    size_t size;

    f = make_file(&size);
    for (size_t i = 0; i < size; i++) { /* any flipped bit of any byte */
        f[i] ^= 1 << (i % 8);
        err_clear(&err);
        assert_int_equal(read_all(f, size, 512, NULL, NULL, &err), ERR_CORRUPT);
        assert_true(strncmp(err.code, "manifest_", 9) == 0);
        f[i] ^= 1 << (i % 8);
    }
    for (size_t n = 0; n < size; n++) { /* cut anywhere */
        err_clear(&err);
        assert_int_equal(read_all(f, n, 4096, NULL, NULL, &err), ERR_CORRUPT);
    }
    err_clear(&err);
    assert_int_equal(manifest_reader_new(size, NULL, NULL, &r, &err), 0);
    assert_int_equal(manifest_reader_feed(r, f, size - 1, &err), 0);
    assert_int_equal(manifest_reader_end(r, &t, &err), ERR_CORRUPT);
    err_clear(&err);
    assert_int_equal(manifest_reader_feed(r, f, 2, &err), ERR_CORRUPT); /* too many */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_layout),
        cmocka_unit_test(test_header_refused),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_root),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_reader_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
