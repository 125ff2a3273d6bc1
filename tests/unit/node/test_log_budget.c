/* Unit tests of node/log_budget.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timeutil.h"
#include "node/log_budget.h"

#define START (1000 * NS_PER_S)

static void
test_burst_then_rate(void **state)
{
    struct log_budget b = {0};
    unsigned dropped, passed = 0;

    for (unsigned i = 0; i < LOG_BUDGET_BURST; i++)
        assert_true(log_budget_take(&b, START, &dropped));
    for (unsigned i = 0; i < 1000; i++) {
        assert_false(log_budget_take(&b, START, &dropped));
        assert_int_equal(dropped, 0);
    }
    /* In the next two seconds, asked a thousand times: the rate, no more. */
    for (unsigned i = 1; i <= 1000; i++) {
        if (log_budget_take(&b, START + i * 2 * NS_PER_MS, &dropped)) {
            if (passed++ == 0)
                assert_true(dropped >= 1000);
        }
    }
    assert_int_equal(passed, 2 * LOG_BUDGET_PER_S);
}

static void
test_refills(void **state)
{
    struct log_budget b = {0};
    unsigned dropped;

    for (unsigned i = 0; i < LOG_BUDGET_BURST; i++)
        assert_true(log_budget_take(&b, START, &dropped));
    assert_false(log_budget_take(&b, START, &dropped));
    for (unsigned i = 0; i < LOG_BUDGET_BURST; i++) {
        assert_true(log_budget_take(&b, START + 3600 * NS_PER_S, &dropped));
        assert_int_equal(dropped, i == 0 ? 1 : 0);
    }
    assert_false(log_budget_take(&b, START + 3600 * NS_PER_S, &dropped));
    /* A clock that seems to go back must not give anything. */
    assert_false(log_budget_take(&b, START, &dropped));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_burst_then_rate),
        cmocka_unit_test(test_refills),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
