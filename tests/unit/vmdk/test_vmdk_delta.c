/* Unit tests of vmdk/vmdk_cowd.h and vmdk/vmdk_sesparse.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <endian.h>
#include <string.h>

#include "vmdk/vmdk_cowd.h"
#include "vmdk/vmdk_sesparse.h"

#define MIB (1024ull * 1024)

static void
put32(uint8_t *p, uint32_t v)
{
    v = htole32(v);
    memcpy(p, &v, 4);
}

static void
put64(uint8_t *p, uint64_t v)
{
    v = htole64(v);
    memcpy(p, &v, 8);
}

/* --- COWD: 10 MiB, so 5 tables; the directory in sector 4 --- */

#define COWD_SECTORS 20480u
#define COWD_FILE (1 * MIB)

static void
cowd_head(uint8_t h[VMDK_COWD_HEADER])
{
    static const uint32_t fields[] = {1, 3, COWD_SECTORS, 1, 4, 5, 2048};

    memset(h, 0, VMDK_COWD_HEADER);
    memcpy(h, "COWD", 4);
    for (int i = 0; i < 7; i++)
        put32(h + 4 + 4 * i, fields[i]);
}

static void
cowd_refused(unsigned at, uint32_t value)
{
    uint8_t h[VMDK_COWD_HEADER];
    struct vmdk_delta d = {0};
    struct err err = ERR_INIT;

    cowd_head(h);
    put32(h + at, value);
    if (vmdk_cowd_decode(h, COWD_FILE, COWD_SECTORS, &d, &err) != ERR_CORRUPT)
        fail_msg("taken: %u at %u", value, at);
    assert_string_equal(err.code, "source_unreadable");
    assert_null(d.ops);
}

static void
test_cowd_header(void **state)
{
    uint8_t h[VMDK_COWD_HEADER];
    struct vmdk_delta d;
    struct err err = ERR_INIT;

    cowd_head(h);
    assert_int_equal(vmdk_cowd_decode(h, COWD_FILE, COWD_SECTORS, &d, &err), 0);
    assert_int_equal(d.capacity, COWD_SECTORS * 512);
    assert_int_equal(d.grain_size, 512);
    assert_int_equal(vmdk_delta_table_span(&d), 2 * MIB);
    assert_int_equal(vmdk_delta_table_size(&d), 16384);
    assert_int_equal(vmdk_delta_dir_entry(&d, 0), 2048);
    assert_int_equal(vmdk_delta_dir_entry(&d, 10 * MIB - 1), 2048 + 16);
    assert_int_equal(vmdk_delta_table_entry(&d, 2 * MIB), 0);
    assert_int_equal(vmdk_delta_table_entry(&d, 2 * MIB - 1), 4095 * 4);
    assert_int_equal(vmdk_cowd_decode(h, COWD_FILE, COWD_SECTORS + 1, &d, &err),
                     ERR_CORRUPT);
    assert_int_equal(vmdk_cowd_decode(h, 2047, COWD_SECTORS, &d, &err), ERR_CORRUPT);
    assert_int_equal(vmdk_cowd_decode(h, 2048 + 19, COWD_SECTORS, &d, &err), ERR_CORRUPT);
    assert_int_equal(vmdk_cowd_decode(h, 2048 + 20, COWD_SECTORS, &d, &err), 0);
    cowd_refused(0, 0x4b444d56);
    cowd_refused(4, 2);
    cowd_refused(8, 0);
    cowd_refused(12, 0);
    cowd_refused(16, 0);
    cowd_refused(16, 3);
    cowd_refused(16, 4096);
    cowd_refused(20, 0);
    cowd_refused(20, 3);
    cowd_refused(20, 0xffffffff);
    cowd_refused(24, 4);
    cowd_refused(24, 0xffffffff);
}

static void
cowd_entry(uint32_t value, int table_class, uint64_t table, int grain_class,
           struct vmdk_grain want)
{
    uint8_t h[VMDK_COWD_HEADER], e[4];
    struct vmdk_grain g = {VMDK_GRAIN_PARENT, 0};
    struct vmdk_delta d;
    struct err err = ERR_INIT;
    uint64_t at = 77;

    cowd_head(h);
    assert_int_equal(vmdk_cowd_decode(h, COWD_FILE, COWD_SECTORS, &d, &err), 0);
    put32(e, value);
    assert_int_equal(d.ops->table_at(&d, e, &at, &err), table_class);
    assert_int_equal(at, table_class ? 77 : table);
    assert_int_equal(d.ops->grain(&d, e, &g, &err), grain_class);
    assert_int_equal(g.state, want.state);
    assert_int_equal(g.offset, want.offset);
}

static void
test_cowd_entries(void **state)
{
    struct vmdk_grain none = {VMDK_GRAIN_PARENT, 0}, zero = {VMDK_GRAIN_ZERO, 0};

    cowd_entry(0, 0, 0, 0, none);
    cowd_entry(1, ERR_CORRUPT, 0, 0, zero);
    cowd_entry(3, ERR_CORRUPT, 0, ERR_CORRUPT, none); /* the header */
    cowd_entry(4, ERR_CORRUPT, 0, ERR_CORRUPT, none); /* the directory */
    cowd_entry(5, 0, 5 * 512, 0, (struct vmdk_grain){VMDK_GRAIN_DATA, 5 * 512});
    cowd_entry(2016, 0, 2016 * 512, 0, (struct vmdk_grain){VMDK_GRAIN_DATA, 2016 * 512});
    /* The table would end behind the file. */
    cowd_entry(2017, ERR_CORRUPT, 0, 0, (struct vmdk_grain){VMDK_GRAIN_DATA, 2017 * 512});
    cowd_entry(2047, ERR_CORRUPT, 0, 0, (struct vmdk_grain){VMDK_GRAIN_DATA, 2047 * 512});
    cowd_entry(2048, ERR_CORRUPT, 0, ERR_CORRUPT, none);
    cowd_entry(0xffffffff, ERR_CORRUPT, 0, ERR_CORRUPT, none);
}

/* --- SESparse: 40 MiB, so 3 tables --- */

#define SE_SECTORS 81920u
#define SE_FILE (2 * MIB)

static void
se_head(uint8_t h[VMDK_SESPARSE_HEADER])
{
    static const uint64_t fields[] = {
        0xcafebabe, 0x200000001, SE_SECTORS, 8,   64, 0, 0, 0, 0, 0, /* constants */
        1,          1,           2,          1,   3,  1, /* volatile, journal */
        8,          1,           64,         192, /* directory, tables: 3 of 64 sectors */
        4,          1,           5,          1,   /* free bitmap, back map */
        256,        4096,                         /* grains: at 128 KiB */
    };

    memset(h, 0, VMDK_SESPARSE_HEADER);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put64(h + 8 * i, fields[i]);
}

static void
se_refused(unsigned at, uint64_t value)
{
    uint8_t h[VMDK_SESPARSE_HEADER];
    struct vmdk_delta d = {0};
    struct err err = ERR_INIT;

    se_head(h);
    put64(h + at, value);
    if (vmdk_sesparse_decode(h, SE_FILE, SE_SECTORS, &d, &err) != ERR_CORRUPT)
        fail_msg("taken: %llx at %u", (unsigned long long)value, at);
    assert_string_equal(err.code, "source_unreadable");
    assert_null(d.ops);
}

static void
test_se_header(void **state)
{
    uint8_t h[VMDK_SESPARSE_HEADER];
    struct vmdk_delta d;
    struct err err = ERR_INIT;

    se_head(h);
    assert_int_equal(vmdk_sesparse_decode(h, SE_FILE, SE_SECTORS, &d, &err), 0);
    assert_int_equal(d.capacity, 40 * MIB);
    assert_int_equal(vmdk_delta_table_span(&d), 16 * MIB);
    assert_int_equal(vmdk_delta_table_size(&d), 32768);
    assert_int_equal(d.volatile_offset, 512);
    assert_int_equal(vmdk_delta_dir_entry(&d, 40 * MIB - 1), 8 * 512 + 16);
    assert_int_equal(vmdk_delta_table_entry(&d, 16 * MIB + 4096), 8);
    assert_int_equal(vmdk_sesparse_decode(h, SE_FILE, SE_SECTORS - 1, &d, &err),
                     ERR_CORRUPT);
    assert_int_equal(vmdk_sesparse_decode(h, 511, SE_SECTORS, &d, &err), ERR_CORRUPT);
    assert_int_equal(vmdk_sesparse_decode(h, 131071, SE_SECTORS, &d, &err), ERR_CORRUPT);
    assert_int_equal(vmdk_sesparse_decode(h, 131072, SE_SECTORS, &d, &err), 0);
    se_refused(0, 0xcafecafe);
    se_refused(8, 0x200000002);
    se_refused(16, 0);
    se_refused(24, 16);
    se_refused(32, 32);
    se_refused(40, 1);
    se_refused(72, 1);
    se_refused(504, 1);
    se_refused(80, 0);
    se_refused(80, UINT64_MAX);
    se_refused(80, 4096);
    se_refused(88, UINT64_MAX);
    se_refused(128, 0);
    se_refused(128, 1);  /* on the volatile header */
    se_refused(128, 64); /* on the tables */
    se_refused(128, 1ull << 55);
    se_refused(136, 0);
    se_refused(144, 1ull << 54);
    se_refused(152, 4096);
    se_refused(152, 193); /* into the grains */
    se_refused(192, 0);
    se_refused(192, 255);
    se_refused(192, UINT64_MAX);
}

static void
test_se_volatile(void **state)
{
    uint8_t h[VMDK_SESPARSE_HEADER] = {0};
    struct err err = ERR_INIT;

    put64(h, 0xcafecafe);
    put64(h + 8, 17);
    put64(h + 16, 9);
    assert_int_equal(vmdk_sesparse_volatile(h, &err), 0);
    put64(h + 24, 1);
    assert_int_equal(vmdk_sesparse_volatile(h, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.msg, "journal"));
    put64(h + 24, 0);
    h[511] = 1;
    assert_int_equal(vmdk_sesparse_volatile(h, &err), ERR_CORRUPT);
    h[511] = 0;
    h[0] = 0;
    assert_int_equal(vmdk_sesparse_volatile(h, &err), ERR_CORRUPT);
}

static void
se_grain(uint64_t value, int class, enum vmdk_grain_state want, uint64_t offset)
{
    uint8_t h[VMDK_SESPARSE_HEADER], e[8];
    struct vmdk_grain g = {VMDK_GRAIN_PARENT, 0};
    struct vmdk_delta d;
    struct err err = ERR_INIT;

    se_head(h);
    assert_int_equal(vmdk_sesparse_decode(h, SE_FILE, SE_SECTORS, &d, &err), 0);
    put64(e, value);
    assert_int_equal(d.ops->grain(&d, e, &g, &err), class);
    assert_int_equal(g.state, want);
    assert_int_equal(g.offset, offset);
}

static void
se_table(uint64_t value, int class, uint64_t want)
{
    uint8_t h[VMDK_SESPARSE_HEADER], e[8];
    struct vmdk_delta d;
    struct err err = ERR_INIT;
    uint64_t at = 77;

    se_head(h);
    assert_int_equal(vmdk_sesparse_decode(h, SE_FILE, SE_SECTORS, &d, &err), 0);
    put64(e, value);
    assert_int_equal(d.ops->table_at(&d, e, &at, &err), class);
    assert_int_equal(at, want);
}

static void
test_se_entries(void **state)
{
    const uint64_t grains = 128 * 1024;

    se_table(0, 0, 0);
    se_table(0x1000000000000000, 0, 64 * 512);
    se_table(0x1000000000000002, 0, 64 * 512 + 2 * 32768);
    se_table(0x1000000000000003, ERR_CORRUPT, 77);
    se_table(0x10000000ffffffff, ERR_CORRUPT, 77);
    se_table(1, ERR_CORRUPT, 77);
    se_table(0x2000000000000000, ERR_CORRUPT, 77);
    se_table(0x1000000100000000, ERR_CORRUPT, 77);

    se_grain(0, 0, VMDK_GRAIN_PARENT, 0);
    se_grain(0x1000000000000000, 0, VMDK_GRAIN_ZERO, 0);
    se_grain(0x2000000000000000, 0, VMDK_GRAIN_ZERO, 0);
    se_grain(0x3000000000000000, 0, VMDK_GRAIN_DATA, grains);
    /* The low 12 bits of the number are in bits 48 to 59. */
    se_grain(0x3005000000000000, 0, VMDK_GRAIN_DATA, grains + 5 * 4096);
    se_grain(0x31df000000000000, 0, VMDK_GRAIN_DATA, grains + 479 * 4096);
    se_grain(0x31e0000000000000, ERR_CORRUPT, VMDK_GRAIN_PARENT, 0); /* behind the file */
    se_grain(0x3000000000000001, ERR_CORRUPT, VMDK_GRAIN_PARENT, 0);
    se_grain(0x3fffffffffffffff, ERR_CORRUPT, VMDK_GRAIN_PARENT, 0);
    se_grain(1, ERR_CORRUPT, VMDK_GRAIN_PARENT, 0);
    se_grain(0x4000000000000000, ERR_CORRUPT, VMDK_GRAIN_PARENT, 0);
    se_grain(UINT64_MAX, ERR_CORRUPT, VMDK_GRAIN_PARENT, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cowd_header), cmocka_unit_test(test_cowd_entries),
        cmocka_unit_test(test_se_header),   cmocka_unit_test(test_se_volatile),
        cmocka_unit_test(test_se_entries),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
