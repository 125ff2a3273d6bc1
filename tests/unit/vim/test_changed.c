/* Unit tests of changed areas (vim/decode.h): pages joined, traps refused. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "golden.h"
#include "vim/decode.h"

#define ASK "QueryChangedDiskAreas"
#define MIB (1ull << 20)

struct seen {
    char text[512];
    int fail;
};

static int
see(void *arg, uint64_t offset, uint64_t length, struct err *err)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    if (s->fail)
        return err_set(err, s->fail, NULL, "no more");
    snprintf(s->text + n, sizeof(s->text) - n, "%s%llu+%llu", n ? " " : "",
             (unsigned long long)offset, (unsigned long long)length);
    return 0;
}

static void
two_pages(void **state)
{
    CLEANUP_XML struct xml_doc *d1 = NULL, *d2 = NULL;
    struct seen s = {0};
    struct vim_areas a = {.capacity = MIB, .fn = see, .arg = &s};
    struct err err = ERR_INIT;

    assert_int_equal(vim_areas_page(&a, golden("changed-page1", ASK, &d1), &err), 0);
    assert_int_equal(a.next, 524288);
    assert_int_equal(vim_areas_page(&a, golden("changed-page2", ASK, &d2), &err), 0);
    assert_int_equal(a.next, MIB);
    assert_int_equal(vim_areas_end(&a, &err), 0);
    /* Joined over the border of the pages; the last one is cut at the capacity. */
    assert_string_equal(s.text, "0+131072 458752+131072 983040+65536");
}

static void
nothing_changed(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    struct seen s = {0};
    struct vim_areas a = {.capacity = MIB, .fn = see, .arg = &s};
    struct err err = ERR_INIT;

    assert_int_equal(vim_areas_page(&a, golden("changed-none", ASK, &d), &err), 0);
    assert_int_equal(vim_areas_end(&a, &err), 0);
    assert_int_equal(a.next, MIB);
    assert_string_equal(s.text, "");
}

#define PAGE(start, length)                                                              \
    "<startOffset>" start "</startOffset><length>" length "</length>"
#define AREA(start, length)                                                              \
    "<changedArea><start>" start "</start><length>" length "</length></changedArea>"

static void
traps(void **state)
{
    static const struct {
        const char *page, *word;
    } cases[] = {
        {PAGE("0", "0"), "progress"},
        {PAGE("65536", "65536"), "another start"},
        {"<length>5</length>", "page without a place"},
        {"<startOffset>0</startOffset>", "page without a place"},
        {PAGE("-1", "1048576"), "page without a place"},
        {PAGE("0", "1048576") "<changedArea><start>5</start></changedArea>",
         "area without a place"},
        {PAGE("0", "1048576") AREA("65536", "65536") AREA("0", "65536"), "order"},
        {PAGE("0", "1048576") AREA("0", "65536") AREA("32768", "65536"), "order"},
        {PAGE("0", "1048576") AREA("1048576", "65536"), "beyond"},
        {PAGE("0", "524288") AREA("458752", "131072"), "beyond"},
        {PAGE("0", "524288") AREA("524288", "65536"), "beyond"},
        {PAGE("0", "1048576") AREA("1", "18446744073709551615"), "without an end"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_XML struct xml_doc *d = NULL;
        struct seen s = {0};
        struct vim_areas a = {.capacity = MIB, .fn = see, .arg = &s};
        struct err err = ERR_INIT;

        assert_int_equal(vim_areas_page(&a, parse_answer(cases[i].page, ASK, &d), &err),
                         ERR_PROTOCOL);
        assert_string_equal(err.code, "changed_areas");
        if (!strstr(err.msg, cases[i].word))
            fail_msg("%zu: %s", i, err.msg);
    }
}

static void
second_page_stays_in_order(void **state)
{
    CLEANUP_XML struct xml_doc *d1 = NULL, *d2 = NULL;
    struct seen s = {0};
    struct vim_areas a = {.capacity = MIB, .fn = see, .arg = &s};
    struct err err = ERR_INIT;

    assert_int_equal(vim_areas_page(&a, golden("changed-page1", ASK, &d1), &err), 0);
    assert_int_equal(
        vim_areas_page(
            &a, parse_answer(PAGE("524288", "524288") AREA("458752", "65536"), ASK, &d2),
            &err),
        ERR_PROTOCOL);
}

/* The end of the largest disk: sums must not wrap. */
static void
large_numbers(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    struct seen s = {0};
    struct vim_areas a = {.capacity = UINT64_MAX, .fn = see, .arg = &s};
    struct err err = ERR_INIT;

    assert_int_equal(vim_areas_page(&a,
                                    parse_answer(PAGE("0", "18446744073709551615") AREA(
                                                     "18446744073709486080", "65535"),
                                                 ASK, &d),
                                    &err),
                     0);
    assert_int_equal(vim_areas_end(&a, &err), 0);
    assert_string_equal(s.text, "18446744073709486080+65535");
}

static void
receiver_ends_it(void **state)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    struct seen s = {.fail = ERR_CANCELLED};
    struct vim_areas a = {.capacity = MIB, .fn = see, .arg = &s};
    struct err err = ERR_INIT;

    assert_int_equal(vim_areas_page(&a, golden("changed-page1", ASK, &d), &err),
                     ERR_CANCELLED);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_pages),     cmocka_unit_test(nothing_changed),
        cmocka_unit_test(traps),         cmocka_unit_test(second_page_stays_in_order),
        cmocka_unit_test(large_numbers), cmocka_unit_test(receiver_ends_it),
    };

    golden_folder = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests(tests, NULL, NULL);
}
