/* Paths of a guest: text, archive entries, links. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/guestpath.h"

static void
test_text(void **state)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"plain", "plain"},
        {"with space", "with space"},
        {"\xc3\xbc\xe5\x90\x8d", "\xc3\xbc\xe5\x90\x8d"},
        {"back\\slash", "back\\\\slash"},
        {"new\nline", "new\\x0aline"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"esc\x1b[", "esc\\x1b["},
        {"c1\xc2\x9b", "c1\\xc2\\x9b"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"cut\xc3", "cut\\xc3"},
        {"", ""},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *text = guestpath_to_text(cases[i].bytes);
        CLEANUP_FREE char *back = NULL;
        struct err err = ERR_INIT;

        assert_string_equal(text, cases[i].text);
        assert_int_equal(guestpath_unescape(text, &back, &err), 0);
        assert_string_equal(back, cases[i].bytes);
    }
}

/* Every name of one and of two bytes comes back as it was. */
static void
test_every_byte(void **state)
{
    for (int a = 1; a < 256; a++)
        for (int b = 0; b < 256; b++) {
            char name[] = {(char)a, (char)b, '\0'};
            CLEANUP_FREE char *text = guestpath_to_text(name);
            CLEANUP_FREE char *back = NULL;
            struct err err = ERR_INIT;

            assert_int_equal(guestpath_unescape(text, &back, &err), 0);
            assert_string_equal(back, name);
            for (const char *p = text; *p; p++)
                assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
        }
}

static void
test_from_text(void **state)
{
    static const struct {
        const char *text, *path;
    } cases[] = {
        {"/", "/"},
        {"//a///b/", "/a/b"},
        {"/./a/.", "/a"},
        {"/a\\x0ab", "/a\nb"},
        {"/..a/b..", "/..a/b.."},
        {"/...", "/..."},
        {"", NULL},
        {"a", NULL},
        {"/..", NULL},
        {"/a/../b", NULL},
        {"/a/..", NULL},
        {"/\\x2e\\x2e/a", NULL},
        {"/\\x00", NULL},
        {"/\\q", NULL},
        {"/\\x", NULL},
        {"/\\x4", NULL},
        {"/\\", NULL},
    };
    CLEANUP_FREE char *longer = xcalloc(5 * GUESTPATH_MAX, 1);
    struct err err = ERR_INIT;
    char *path = NULL;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *got = NULL;

        err_clear(&err);
        if (cases[i].path) {
            assert_int_equal(guestpath_from_text(cases[i].text, &got, &err), 0);
            assert_string_equal(got, cases[i].path);
        } else {
            assert_int_equal(guestpath_from_text(cases[i].text, &got, &err), ERR_INVALID);
            assert_string_equal(err.code, "invalid_path");
        }
    }
    memset(longer, 'a', 5 * GUESTPATH_MAX - 1);
    longer[0] = '/';
    assert_int_equal(guestpath_from_text(longer, &path, &err), ERR_INVALID);
    longer[GUESTPATH_MAX + 1] = '\0';
    assert_int_equal(guestpath_from_text(longer, &path, &err), ERR_INVALID);
    longer[GUESTPATH_MAX] = '\0';
    assert_int_equal(guestpath_from_text(longer, &path, &err), 0);
    free(path);
}

static void
test_entry(void **state)
{
    static const struct {
        const char *prefix, *name, *entry;
    } cases[] = {
        {"", "./", ""},
        {"", "./etc/passwd", "etc/passwd"},
        {"etc", "./", "etc"},
        {"etc", "./passwd", "etc/passwd"},
        {"a/b", "c//d/", "a/b/c/d"},
        {"", "/etc/shadow", "etc/shadow"},
        {"", "../x", NULL},
        {"a", "b/../../x", NULL},
        {"a", "..", NULL},
        {"a", "./..", NULL},
        {"a", "..b", "a/..b"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *got = guestpath_entry(cases[i].prefix, cases[i].name);

        if (cases[i].entry)
            assert_string_equal(got, cases[i].entry);
        else
            assert_null(got);
    }
}

static void
test_link(void **state)
{
    static const struct {
        const char *entry, *target, *safe;
    } cases[] = {
        /* unchanged */
        {"a", "b", "b"},
        {"a/l", "../b", "../b"},
        {"a/b/l", "../../c/d", "../../c/d"},
        {"a/l", "./b", "./b"},
        {"a/l", ".", "."},
        {"l", "nowhere", "nowhere"},
        /* absolute */
        {"l", "/etc/passwd", "etc/passwd"},
        {"x/abs", "/usr/bin/vim", "../usr/bin/vim"},
        {"usr/bin/l", "/usr/bin/vim", "vim"},
        {"usr/bin/l", "/usr/lib/x", "../lib/x"},
        {"a/b/l", "/", "../.."},
        {"l", "/", "."},
        /* climbing out: the top is its own parent, as in the guest */
        {"l", "..", "."},
        {"l", "../../etc/passwd", "etc/passwd"},
        {"a/l", "../../../etc", "../etc"},
        {"a/l", "/../../etc", "../etc"},
        /* climbing after a name, which may be a link itself */
        {"a/b/l", "l1/../..", ".."},
        {"a/b/l", "x/../y", "y"},
        {"a/b/l", "x/../../../../y", "../../y"},
        {"l", "", "."},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *got = guestpath_link(cases[i].entry, cases[i].target);

        if (strcmp(got, cases[i].safe) != 0)
            fail_msg("%s -> %s became %s, not %s", cases[i].entry, cases[i].target, got,
                     cases[i].safe);
    }
}

/* Whatever the target: as many ".." as the link is deep at most, and none after a name.
 */
static void
test_link_never_leaves(void **state)
{
    static const char *const parts[] = {"..", "a", ".", "", "/", "b"};
    static const char *const entries[] = {"l", "a/l", "a/b/l"};

    for (unsigned n = 0; n < 6 * 6 * 6 * 6 * 6; n++)
        for (size_t e = 0; e < ARRAY_LEN(entries); e++) {
            CLEANUP_FREE char *target =
                xasprintf("%s/%s/%s/%s%s", parts[n % 6], parts[n / 6 % 6],
                          parts[n / 36 % 6], parts[n / 216 % 6], parts[n / 1296]);
            const char *at = target + (n % 7 == 0); /* relative ones too */
            CLEANUP_FREE char *safe = guestpath_link(entries[e], at);
            size_t climbs = 0;
            bool named = false;

            assert_true(safe[0] && safe[0] != '/');
            for (char *p = safe; *p;) {
                size_t len = strcspn(p, "/");

                if (len == 2 && strncmp(p, "..", 2) == 0) {
                    assert_false(named);
                    climbs++;
                } else if (len > 0 && !(len == 1 && *p == '.')) {
                    named = true;
                }
                p += len + (p[len] == '/');
            }
            assert_true(climbs <= e);
        }
}

static void
test_windows(void **state)
{
    assert_true(guestpath_is_windows_trap("..\\..\\x"));
    assert_true(guestpath_is_windows_trap("C:x"));
    assert_false(guestpath_is_windows_trap("a/b:c"));
    assert_false(guestpath_is_windows_trap(""));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),      cmocka_unit_test(test_every_byte),
        cmocka_unit_test(test_from_text), cmocka_unit_test(test_entry),
        cmocka_unit_test(test_link),      cmocka_unit_test(test_link_never_leaves),
        cmocka_unit_test(test_windows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
