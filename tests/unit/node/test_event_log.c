/* Unit tests of node/event_log.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "node/event_log.h"

static struct event_log *log_;

static int
setup(void **state)
{
    log_ = event_log_new();
    return 0;
}

static int
teardown(void **state)
{
    event_log_free(log_);
    event_log_free(NULL);
    return 0;
}

static void
add(uint64_t seq, enum event_type type, uint32_t disk)
{
    struct err err = ERR_INIT;
    struct job_event e = {.type = type, .seq = seq, .phase = PHASE_TRANSFERRING};
    char none[] = "";

    if (type == EVENT_PROGRESS) {
        e.has_disk = true;
        e.disk = disk;
        e.bytes.total = 1000000;
        e.bytes.done = e.bytes.read = seq;
    }
    if (type == EVENT_RESULT)
        e.message = none;
    if (event_log_add(log_, &e, &err) < 0)
        fail_msg("%s", err.msg);
}

/* The seqs after @after are @want, which ends with 0. */
static void
expect(uint64_t after, const uint64_t *want, bool ended)
{
    CLEANUP_EVENTS_PAGE struct events_page page = {0};
    struct err err = ERR_INIT;

    assert_int_equal(event_log_page(log_, after, &page, &err), 0);
    for (size_t i = 0; i < page.n; i++)
        assert_int_equal(page.events[i].seq, want[i]);
    assert_int_equal(want[page.n], 0);
    assert_int_equal(page.ended, ended);
}

static void
test_empty(void **state)
{
    expect(0, (uint64_t[]){0}, false);
    assert_int_equal(event_log_last_seq(log_), 0);
    assert_int_equal(event_log_bytes(log_), 0);
}

static void
test_progress_collapses(void **state)
{
    size_t bytes;

    add(1, EVENT_PHASE, 0);
    add(2, EVENT_PROGRESS, 2000);
    add(3, EVENT_PROGRESS, 2001);
    add(4, EVENT_PHASE, 0);
    bytes = event_log_bytes(log_);
    add(5, EVENT_PROGRESS, 2000);
    assert_int_equal(event_log_bytes(log_), bytes);
    assert_int_equal(event_log_last_seq(log_), 5);
    expect(0, (uint64_t[]){1, 3, 4, 5, 0}, false);
    expect(3, (uint64_t[]){4, 5, 0}, false);
    expect(5, (uint64_t[]){0}, false);
    add(6, EVENT_RESULT, 0);
    expect(0, (uint64_t[]){1, 3, 4, 5, 6, 0}, true);
    expect(6, (uint64_t[]){0}, true);
    expect(99, (uint64_t[]){0}, true);
}

/* A page may be full before the result: then it is not the end. */
static void
test_pages(void **state)
{
    CLEANUP_EVENTS_PAGE struct events_page page = {0};
    CLEANUP_EVENTS_PAGE struct events_page rest = {0};
    struct err err = ERR_INIT;

    add(1, EVENT_PROGRESS, 7);
    for (uint64_t seq = 2; seq <= NODEAPI_EVENTS_MAX; seq++)
        add(seq, EVENT_PHASE, 0);
    add(NODEAPI_EVENTS_MAX + 1, EVENT_RESULT, 0);
    assert_int_equal(event_log_page(log_, 0, &page, &err), 0);
    assert_int_equal(page.n, NODEAPI_EVENTS_MAX);
    assert_int_equal(page.events[0].type, EVENT_PROGRESS);
    assert_int_equal(page.events[page.n - 1].seq, NODEAPI_EVENTS_MAX);
    assert_false(page.ended);
    assert_int_equal(event_log_page(log_, NODEAPI_EVENTS_MAX, &rest, &err), 0);
    assert_int_equal(rest.n, 1);
    assert_true(rest.ended);
}

static void
test_order_is_kept(void **state)
{
    struct err err = ERR_INIT;
    struct job_event e = {.type = EVENT_PHASE, .seq = 3, .phase = PHASE_CONNECTING};

    add(3, EVENT_PHASE, 0);
    assert_int_equal(event_log_add(log_, &e, &err), ERR_INTERNAL);
}

static void
test_limits(void **state)
{
    CLEANUP_FREE char *text = xcalloc(1, EVENT_MESSAGE_MAX + 1);
    char code[] = "told";
    struct job_event e = {.type = EVENT_WARNING, .code = code, .message = text};
    struct err err = ERR_INIT;
    int r;

    memset(text, 'x', EVENT_MESSAGE_MAX);
    do {
        e.seq++;
        r = event_log_add(log_, &e, &err);
    } while (r == 0);
    assert_int_equal(r, ERR_LIMIT);
    assert_string_equal(err.code, "too_many_events");
    assert_true(event_log_bytes(log_) <= EVENT_LOG_BYTES_MAX);
    assert_true(event_log_bytes(log_) > EVENT_LOG_BYTES_MAX - 2 * EVENT_MESSAGE_MAX);
    add(e.seq, EVENT_RESULT, 0); /* a job always gets its result */
}

static void
test_progress_of_too_many_disks(void **state)
{
    struct job_event e = {
        .type = EVENT_PROGRESS, .has_disk = true, .bytes = {.total = 1}};
    struct err err = ERR_INIT;

    for (uint32_t i = 0; i < SPEC_DISKS_MAX; i++)
        add(i + 1, EVENT_PROGRESS, i);
    e.seq = SPEC_DISKS_MAX + 1;
    e.disk = SPEC_DISKS_MAX;
    assert_int_equal(event_log_add(log_, &e, &err), ERR_LIMIT);
    e.disk = 5;
    assert_int_equal(event_log_add(log_, &e, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_empty, setup, teardown),
        cmocka_unit_test_setup_teardown(test_progress_collapses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_is_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_progress_of_too_many_disks, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
