/* The set of running jobs: references, cancel and interruption, the wait of a shutdown.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <string.h>

#include "base/timeutil.h"
#include "job/live.h"

#define ID "01a20b09-0000-7000-8000-000000000001"
#define LONG_NS (20 * NS_PER_S) /* no test waits so long unless it fails */

static const struct live_disk two_disks[] = {{.key = 2000, .size_bytes = 1 << 20},
                                             {.key = 2001, .size_bytes = 3 << 20}};

static struct live_job *
start(struct live_set *s, const char *id)
{
    struct live_job *j = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(live_start(s, LIVE_BACKUP, id, two_disks, 2, &j, &err), 0);
    return j;
}

static bool
is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static void
found_until_it_ends(void **state)
{
    struct live_set *s = live_set_new();
    struct live_job *j = start(s, ID), *watcher;
    uint64_t version;

    watcher = live_find(s, ID);
    assert_ptr_equal(watcher, j);
    assert_null(live_find(s, "01a20b09-0000-7000-8000-000000000002"));
    assert_string_equal(live_job_id(watcher), ID);
    assert_int_equal(live_count(s), 1);
    live_end(j);
    assert_null(live_find(s, ID));
    /* Whoever watches still may. */
    version = 0;
    assert_false(live_wait_change(watcher, 0, &version));
    assert_true(live_wait_prepared(watcher, 0));
    assert_int_equal(live_count(s), 1);
    live_unref(watcher);
    assert_int_equal(live_count(s), 0);
    live_end(NULL);
    live_unref(NULL);
    live_set_free(s);
}

static void
progress_of_each_disk(void **state)
{
    struct live_set *s = live_set_new();
    struct live_job *j = start(s, ID);
    struct progress_view all, one;
    struct byte_counters c = {.total = 3 << 20, .done = 1 << 20};
    uint64_t version = 0;

    live_view(j, &all);
    assert_int_equal(all.bytes.total, 4 << 20);
    assert_true(live_wait_change(j, time_mono_ns(), &version));
    live_update(j, 2001, &c);
    assert_true(live_wait_change(j, time_mono_ns() + LONG_NS, &version));
    assert_true(live_view_disk(j, 2001, &one));
    assert_int_equal(one.bytes.done, 1 << 20);
    assert_false(live_view_disk(j, 1999, &one));
    /* There is more to do of a disk than its size: a total rises, and never falls. */
    live_raise_total(j, 2001, 9 << 20);
    live_raise_total(j, 2001, 1 << 20);
    live_raise_total(j, 1999, 9 << 20);
    c.done = 7 << 20;
    live_update(j, 2001, &c);
    assert_true(live_view_disk(j, 2001, &one));
    assert_int_equal(one.bytes.total, 9 << 20);
    assert_int_equal(one.bytes.done, 7 << 20);
    live_end(j);
    live_set_free(s);
}

static void
cancel_is_a_users(void **state)
{
    struct live_set *s = live_set_new();
    struct live_job *j = start(s, ID);

    assert_false(is_readable(live_cancel_fd(j)));
    live_cancel(j);
    live_cancel(j);
    assert_true(live_cancelled(j));
    assert_false(live_interrupted(j));
    assert_true(is_readable(live_cancel_fd(j)));
    assert_true(live_pause(j, 1)); /* a cancel does not end it */
    live_end(j);
    live_set_free(s);
}

static void *
pause_long(void *arg)
{
    struct live_job *j = arg;
    bool went_on = live_pause(j, 3600 * 1000);

    live_end(j);
    return went_on ? j : NULL;
}

static void
stop_interrupts_and_waits(void **state)
{
    struct live_set *s = live_set_new();
    struct live_job *j = start(s, ID), *late = NULL;
    struct live_job *watcher = live_find(s, ID);
    struct err err = ERR_INIT;
    pthread_t thread;
    void *went_on;

    assert_int_equal(pthread_create(&thread, NULL, pause_long, j), 0);
    /* Not empty while somebody watches: what the set's owner frees next is still used. */
    assert_false(live_set_stop(s, time_mono_ns() + 50 * NS_PER_MS));
    assert_true(live_interrupted(watcher));
    assert_false(live_cancelled(watcher));
    live_unref(watcher);
    assert_true(live_set_stop(s, time_mono_ns() + LONG_NS));
    assert_int_equal(live_start(s, LIVE_VERIFY, ID, two_disks, 2, &late, &err),
                     ERR_UNAVAILABLE);
    assert_string_equal(err.code, "shutting_down");
    assert_int_equal(live_count(s), 0);
    live_set_free(s); /* while the thread may still return */
    assert_int_equal(pthread_join(thread, &went_on), 0);
    assert_null(went_on);
}

static void *
one_job(void *arg)
{
    struct live_job *j = arg;
    struct byte_counters c = {.total = 1 << 20};

    for (c.done = 0; c.done < 50; c.done++)
        live_update(j, 2000, &c);
    live_set_prepared(j);
    live_end(j);
    return NULL;
}

static void *
watch(void *arg)
{
    struct live_job *j = arg;
    uint64_t version = 0;
    struct progress_view v;

    while (live_wait_change(j, time_mono_ns() + LONG_NS, &version))
        live_view(j, &v);
    live_unref(j);
    return NULL;
}

/* The set is freed as soon as it is empty, whatever its users still do: run under the
 * thread and address sanitizers. */
static void
freed_as_soon_as_empty(void **state)
{
    static const char *const ids[] = {"a", "b", "c", "d"};

    for (int round = 0; round < 50; round++) {
        struct live_set *s = live_set_new();
        pthread_t jobs[4], watchers[4];

        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            struct live_job *j = start(s, ids[i]);

            assert_int_equal(
                pthread_create(&watchers[i], NULL, watch, live_find(s, ids[i])), 0);
            assert_int_equal(pthread_create(&jobs[i], NULL, one_job, j), 0);
        }
        assert_true(live_set_stop(s, time_mono_ns() + LONG_NS));
        live_set_free(s);
        for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
            pthread_join(watchers[i], NULL);
            pthread_join(jobs[i], NULL);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(found_until_it_ends),
        cmocka_unit_test(progress_of_each_disk),
        cmocka_unit_test(cancel_is_a_users),
        cmocka_unit_test(stop_interrupts_and_waits),
        cmocka_unit_test(freed_as_soon_as_empty),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
