/* Every mode and reason has its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "model/explain.h"

static void
check_sentence(const char *s)
{
    size_t n = strlen(s);

    assert_true(n > 10);
    assert_int_equal(s[n - 1], '.');
    assert_null(strchr(s, '\n'));
}

static void
test_all_have_words(void **state)
{
    for (int i = 0; i < READ_MODE_COUNT; i++)
        check_sentence(explain_mode((enum read_mode)i));
    for (int i = 0; i < REASON_COUNT; i++) {
        const char *next = explain_advice((enum reason)i);

        check_sentence(explain_reason((enum reason)i));
        if (*next)
            check_sentence(next);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(explain_reason((enum reason)i),
                                    explain_reason((enum reason)k));
    }
    assert_string_not_equal(explain_mode(READ_ALL), explain_mode(READ_COMPARE));
}

static void
test_unknown_has_none(void **state)
{
    assert_string_equal(explain_mode(READ_MODE_COUNT), "");
    assert_string_equal(explain_reason(REASON_COUNT), "");
    assert_string_equal(explain_advice(REASON_COUNT), "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_all_have_words),
                                       cmocka_unit_test(test_unknown_has_none)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
