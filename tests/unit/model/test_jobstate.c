/* tests/unit/model/test_jobstate.c - words of every enum, and which state may follow
 * which. */
#include <string.h>

#include "model/jobevent.h"
#include "model/jobspec.h"
#include "model/jobstate.h"
#include "model_test.h"

/* Word by word there and back; unknown words and values are refused. */
#define CHECK_WORDS(name, count, first, last)                                            \
    do {                                                                                 \
        enum name v;                                                                     \
        for (int i = 0; i < (int)(count); i++) {                                         \
            assert_int_equal(name##_from_str(name##_to_str((enum name)i), &v), 0);       \
            assert_int_equal(v, i);                                                      \
        }                                                                                \
        assert_string_equal(name##_to_str((enum name)0), first);                         \
        assert_string_equal(name##_to_str((enum name)((count)-1)), last);                \
        assert_string_equal(name##_to_str((enum name)(count)), "?");                     \
        assert_int_equal(name##_from_str("?", &v), -1);                                  \
        assert_int_equal(name##_from_str("", &v), -1);                                   \
        assert_int_equal(name##_from_str(NULL, &v), -1);                                 \
    } while (0)

static void
test_words(void **state)
{
    CHECK_WORDS(job_state, JOB_STATE_COUNT, "pending", "cancelled");
    CHECK_WORDS(verification, VERIFICATION_COUNT, "none", "failed");
    CHECK_WORDS(readback, READBACK_COUNT, "none", "page_cache");
    CHECK_WORDS(backup_type, BACKUP_TYPE_COUNT, "full", "incremental");
    CHECK_WORDS(read_mode, READ_MODE_COUNT, "all", "compare");
    CHECK_WORDS(reason, REASON_COUNT, "none", "user_request");
    CHECK_WORDS(event_type, EVENT_TYPE_COUNT, "hello", "result");
    CHECK_WORDS(job_phase, JOB_PHASE_COUNT, "none", "restoring");
    CHECK_WORDS(bad_range, BAD_RANGE_COUNT, "mismatch", "manifest");
    CHECK_WORDS(job_result, RESULT_COUNT, "ok", "cancelled");
    CHECK_WORDS(worker_task, WORKER_TASK_COUNT, "verify", "compare");
}

static void
test_may(void **state)
{
    static const char legal[JOB_STATE_COUNT][JOB_STATE_COUNT + 1] = {
        /* to: pending running completed failed cancelled */
        ".R.FC", "..DFC", ".....", ".....", ".....",
    };

    for (int f = 0; f < JOB_STATE_COUNT; f++)
        for (int t = 0; t < JOB_STATE_COUNT; t++)
            assert_int_equal(job_state_may((enum job_state)f, (enum job_state)t),
                             legal[f][t] != '.');
    assert_false(job_state_may((enum job_state)99, JOB_FAILED));
    assert_false(job_state_may(JOB_PENDING, (enum job_state)99));
    assert_false(job_state_is_terminal(JOB_PENDING));
    assert_false(job_state_is_terminal(JOB_RUNNING));
    assert_true(job_state_is_terminal(JOB_COMPLETED));
    assert_true(job_state_is_terminal(JOB_FAILED));
    assert_true(job_state_is_terminal(JOB_CANCELLED));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
