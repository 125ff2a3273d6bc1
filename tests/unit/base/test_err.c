/* Unit tests of base/err.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "base/err.h"
#include "base/text.h"

static void
sets_class_code_and_message(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(err_set(&err, ERR_IO, "repo_io", "read '%s'", "x"), ERR_IO);
    assert_int_equal(err.class, ERR_IO);
    assert_string_equal(err.code, "repo_io");
    assert_string_equal(err.msg, "read 'x'");
    assert_int_equal(err_recode(&err, "other"), ERR_IO);
    assert_string_equal(err.code, "other");
    err_clear(&err);
    assert_int_equal(err.class, 0);
    assert_string_equal(err.code, "");
    assert_string_equal(err.msg, "");
}

static void
each_class_has_its_word(void **state)
{
    static const char *const words[] = {
        "none", "invalid",  "not_found", "exists",    "io",    "timeout",     "no_space",
        "auth", "protocol", "corrupt",   "cancelled", "limit", "unavailable", "internal",
    };

    for (int i = 0; i <= -ERR_INTERNAL; i++) {
        struct err err = ERR_INIT;

        assert_string_equal(err_class_word(-i), words[i]);
        if (i == 0)
            continue;
        assert_int_equal(err_set(&err, -i, NULL, "m"), -i);
        assert_string_equal(err.code, words[i]);
        assert_int_equal(err_is_transient(-i),
                         -i == ERR_IO || -i == ERR_TIMEOUT || -i == ERR_UNAVAILABLE);
    }
    assert_string_equal(err_class_word(-99), "internal");
}

static void
success_class_becomes_internal(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(err_set(&err, 0, NULL, "m"), ERR_INTERNAL);
}

static void
errno_chooses_the_class(void **state)
{
    static const struct {
        int e, class;
    } cases[] = {
        {ENOENT, ERR_NOT_FOUND},
        {EEXIST, ERR_EXISTS},
        {EBUSY, ERR_EXISTS},
        {ENOSPC, ERR_NO_SPACE},
        {EDQUOT, ERR_NO_SPACE},
        {EACCES, ERR_AUTH},
        {ETIMEDOUT, ERR_TIMEOUT},
        {ENAMETOOLONG, ERR_INVALID},
        {EMFILE, ERR_LIMIT},
        {ECANCELED, ERR_CANCELLED},
        {ECONNREFUSED, ERR_UNAVAILABLE},
        {EPROTO, ERR_PROTOCOL},
        {EIO, ERR_IO},
        {ECONNRESET, ERR_IO},
        {99999, ERR_IO},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct err err = ERR_INIT;

        assert_int_equal(err_errno(&err, cases[i].e, NULL, "open '%s'", "f"),
                         cases[i].class);
        assert_string_equal(err.code, err_class_word(cases[i].class));
    }
    struct err err = ERR_INIT;
    err_errno(&err, ENOENT, "c", "open '%s'", "f");
    assert_string_equal(err.msg, "open 'f': No such file or directory");
    assert_string_equal(err.code, "c");
}

static void
long_name_keeps_the_reason(void **state)
{
    struct err err = ERR_INIT;
    char name[2 * ERR_MSG_SIZE];

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    err_errno(&err, ENOSPC, NULL, "write '%s'", name);
    assert_non_null(strstr(err.msg, ": No space left on device"));
}

static void
prefix_keeps_class_and_code(void **state)
{
    struct err err = ERR_INIT;
    char name[2 * ERR_MSG_SIZE];

    err_set(&err, ERR_LIMIT, "too_big", "inner");
    assert_int_equal(err_prefix(&err, "disk %d", 7), ERR_LIMIT);
    assert_string_equal(err.msg, "disk 7: inner");
    assert_string_equal(err.code, "too_big");

    memset(name, 'n', sizeof(name));
    name[sizeof(name) - 1] = '\0';
    for (int cut = 0; cut < 8; cut++) {
        err_set(&err, ERR_LIMIT, NULL, "inner");
        err_prefix(&err, "%.*s", ERR_MSG_SIZE - 4 + cut, name);
        assert_true(strlen(err.msg) < ERR_MSG_SIZE);
    }
}

static void
message_is_one_line_of_utf8(void **state)
{
    struct err err = ERR_INIT;
    char name[ERR_MSG_SIZE + 16] = "";

    err_set(&err, ERR_IO, NULL, "a\nb\x7f\xff\xc3\xa9\xc3");
    assert_string_equal(err.msg, "a b ?\xc3\xa9?");
    /* Cut in the middle of a sequence, wherever the buffer ends. */
    for (int shift = 0; shift < 3; shift++) {
        name[0] = '\0';
        memset(name, 'x', (size_t)shift);
        for (size_t i = (size_t)shift; i + 3 < sizeof(name); i += 3)
            memcpy(name + i, "\xe2\x82\xac", 4);
        err_set(&err, ERR_IO, NULL, "%s", name);
        assert_int_equal(strlen(err.msg), ERR_MSG_SIZE - 1);
        assert_true(text_is_utf8(err.msg, strlen(err.msg)));
    }
}

static void
arguments_may_come_from_the_error_itself(void **state)
{
    struct err err = ERR_INIT;

    err_set(&err, ERR_IO, NULL, "inner");
    err_set(&err, ERR_CORRUPT, NULL, "outer (%s)", err.msg);
    assert_string_equal(err.msg, "outer (inner)");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets_class_code_and_message),
        cmocka_unit_test(each_class_has_its_word),
        cmocka_unit_test(success_class_becomes_internal),
        cmocka_unit_test(errno_chooses_the_class),
        cmocka_unit_test(long_name_keeps_the_reason),
        cmocka_unit_test(prefix_keeps_class_and_code),
        cmocka_unit_test(message_is_one_line_of_utf8),
        cmocka_unit_test(arguments_may_come_from_the_error_itself),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
