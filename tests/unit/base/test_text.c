/* Unit tests of base/text.h and base/timeutil.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "base/timeutil.h"

static void
numbers_are_parsed_strictly(void **state)
{
    static const char *const bad[] = {"",
                                      " 1",
                                      "1 ",
                                      "+1",
                                      "-1",
                                      "0x",
                                      "1e3",
                                      "1.0",
                                      "18446744073709551616",
                                      "99999999999999999999999"};
    uint64_t v = 77;

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(text_to_u64(bad[i], &v), -1);
    assert_int_equal(text_to_u64(NULL, &v), -1);
    assert_int_equal(v, 77);
    assert_int_equal(text_to_u64("18446744073709551615", &v), 0);
    assert_true(v == UINT64_MAX);
    assert_int_equal(text_to_u64("007", &v), 0);
    assert_int_equal(v, 7);
}

static void
hex_both_ways(void **state)
{
    const unsigned char b[3] = {0x00, 0xab, 0xff};
    unsigned char back[3] = {1, 2, 3};
    char s[7];

    text_hex(b, 3, s);
    assert_string_equal(s, "00abff");
    assert_int_equal(text_unhex("00abF0", back, 3), -1);
    assert_int_equal(text_unhex("00abf", back, 3), -1);
    assert_int_equal(text_unhex("00abff0", back, 3), -1);
    assert_int_equal(back[0], 1); /* untouched by refusals */
    assert_int_equal(text_unhex(s, back, 3), 0);
    assert_memory_equal(b, back, 3);
}

static void
uuids_are_valid_ordered_and_new(void **state)
{
    char a[UUID_STR_SIZE], b[UUID_STR_SIZE];
    int64_t before = time_utc_us() / 1000, ms;
    unsigned hi, lo;

    uuid_make(a);
    assert_true(uuid_is_valid(a));
    assert_int_equal(a[14], '7');
    assert_non_null(strchr("89ab", a[19]));
    assert_int_equal(sscanf(a, "%8x-%4x", &hi, &lo), 2);
    ms = (int64_t)((uint64_t)hi << 16 | lo);
    assert_true(ms >= before && ms <= time_utc_us() / 1000);
    for (int i = 0; i < 1000; i++) {
        uuid_make(b);
        assert_true(strncmp(a, b, 18) <= 0);
        assert_string_not_equal(a, b);
        memcpy(a, b, sizeof(a));
    }
    assert_false(uuid_is_valid(NULL));
    assert_false(uuid_is_valid(""));
    assert_false(uuid_is_valid("../../../../../../../../etc/passwd00"));
    assert_false(uuid_is_valid("0190a5e4-0000-7000-8000-00000000000A"));
    assert_false(uuid_is_valid("0190a5e4-0000-7000-8000-0000000000000"));
    assert_false(uuid_is_valid("0190a5e4-0000-7000-8000-00000000000"));
    assert_false(uuid_is_valid("0190a5e400000-7000-8000-000000000000"));
    assert_true(uuid_is_valid("0190a5e4-0000-7000-8000-00000000000a"));
}

static void
random_hex_has_the_length_asked_for(void **state)
{
    char a[401], b[401];

    random_hex(a, 200);
    random_hex(b, 200);
    assert_int_equal(strlen(a), 400);
    assert_string_not_equal(a, b);
    assert_int_equal(strspn(a, "0123456789abcdef"), 400);
    random_hex(a, 0);
    assert_string_equal(a, "");
}

static void
utf8_is_checked(void **state)
{
    static const char *const good[] = {"",
                                       "abc",
                                       "\xc3\xa9",
                                       "\xe2\x82\xac",
                                       "\xf0\x9f\x92\xbe",
                                       "\xed\x9f\xbf",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xe0\x80\x80",
                                      "\xed\xa0\x80",
                                      "\xf0\x80\x80\x80",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xc3",
                                      "\xe2\x82",
                                      "a\xff",
                                      "\xe2\x28\xa1"};

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(text_is_utf8(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
    assert_false(text_is_utf8("a\0b", 3));
    assert_int_equal(text_utf8_len("\xe2\x82\xac", 3), 3);
    assert_int_equal(text_utf8_len("\xe2\x82\xac", 2), 0);
    assert_int_equal(text_utf8_len("a", 0), 0);
    assert_int_equal(text_utf8_len("", 1), 1);
}

static void
sizes_for_humans(void **state)
{
    static const struct {
        uint64_t v;
        const char *s;
    } cases[] = {
        {0, "0 B"},
        {1023, "1023 B"},
        {1024, "1 KiB"},
        {12 * 1024, "12 KiB"},
        {3ull << 29, "1.5 GiB"},
        {(1ull << 20) - 1, "1 MiB"},
        {1000ull << 30, "1000 GiB"},
        {8ull << 40, "8 TiB"},
        {UINT64_MAX, "16 EiB"},
    };
    char out[TEXT_SIZE_STR];

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        text_size(cases[i].v, out);
        assert_string_equal(out, cases[i].s);
    }
}

static void
times_both_ways(void **state)
{
    static const char *const bad[] = {
        "",
        "2026-01-02T03:04:05Z",
        "2026-01-02 03:04:05.678901Z",
        "2026-01-02T03:04:05.678901",
        "2026-01-02T03:04:05.678901Z ",
        "2026-02-30T03:04:05.678901Z",
        "2026-13-02T03:04:05.678901Z",
        "2026-00-02T03:04:05.678901Z",
        "2026-01-02T24:00:00.000000Z",
        "2026-01-02T03:04:60.000000Z",
        "+026-01-02T03:04:05.678901Z",
    };
    static const int64_t times[] = {
        0, 1, -1, 1767323045678901, 951782400000000, 253402300799999999};
    char s[TIME_STR_SIZE];
    int64_t v = 5;

    time_utc_to_str(1767323045678901, s);
    assert_string_equal(s, "2026-01-02T03:04:05.678901Z");
    time_utc_to_str(-1, s);
    assert_string_equal(s, "1969-12-31T23:59:59.999999Z");
    time_utc_to_str(INT64_MAX, s);
    assert_int_equal(strlen(s), 27);
    time_utc_to_str(INT64_MIN, s);
    assert_int_equal(strlen(s), 27);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(time_utc_from_str(bad[i], &v), -1);
    assert_int_equal(time_utc_from_str(NULL, &v), -1);
    assert_int_equal(v, 5);
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        time_utc_to_str(times[i], s);
        assert_int_equal(time_utc_from_str(s, &v), 0);
        assert_true(v == times[i]);
    }
    assert_true(time_utc_us() > 1700000000000000);
}

static void
deadlines(void **state)
{
    uint64_t now = time_mono_ns();

    assert_true(time_mono_ns() >= now);
    assert_int_equal(time_left_ms(0), 0);
    assert_int_equal(time_left_ms(now), 0);
    assert_int_equal(time_left_ms(UINT64_MAX), INT_MAX);
    now = time_mono_ns();
    assert_in_range(time_left_ms(now + 3600 * NS_PER_S), 3590000, 3600000);
    /* Rounded up: a poll for the rest never returns before the deadline. */
    now = time_mono_ns();
    while (time_left_ms(now + NS_PER_MS / 2) > 0)
        ;
    assert_true(time_mono_ns() >= now + NS_PER_MS / 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_parsed_strictly),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(uuids_are_valid_ordered_and_new),
        cmocka_unit_test(random_hex_has_the_length_asked_for),
        cmocka_unit_test(utf8_is_checked),
        cmocka_unit_test(sizes_for_humans),
        cmocka_unit_test(times_both_ways),
        cmocka_unit_test(deadlines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
