/* Unit tests of base/buf.h, base/mem.h and base/cleanup.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

static void
grows_to_the_cap_and_not_past_it(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(10);
    struct err err = ERR_INIT;

    assert_int_equal(buf_append(&b, "12345", 5, &err), 0);
    assert_int_equal(buf_append(&b, "67890", 5, &err), 0);
    assert_string_equal(b.data, "1234567890");
    assert_int_equal(buf_append(&b, "x", 1, &err), ERR_LIMIT);
    assert_int_equal(err.class, ERR_LIMIT);
    assert_string_equal(b.data, "1234567890");
    assert_int_equal(b.len, 10);
    err_clear(&err);
    assert_int_equal(buf_append(&b, "x", SIZE_MAX, &err), ERR_LIMIT);
    err_clear(&err);
    assert_int_equal(buf_printf(&b, &err, "%d", 7), ERR_LIMIT);
    assert_string_equal(b.data, "1234567890");
    assert_int_equal(buf_append(&b, NULL, 0, &err), 0);
}

static void
cap_of_zero_refuses_all(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(0);
    struct err err = ERR_INIT;

    assert_int_equal(buf_append(&b, "x", 1, &err), ERR_LIMIT);
    assert_int_equal(buf_reserve(&b, 1, &err), ERR_LIMIT);
}

static void
many_small_appends_keep_the_bytes(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(100000);
    struct err err = ERR_INIT;

    for (int i = 0; i < 20000; i++)
        assert_int_equal(buf_printf(&b, &err, "%05d", i), 0);
    assert_int_equal(b.len, 100000);
    assert_memory_equal(b.data + 5 * 12345, "12345", 5);
    assert_int_equal(b.data[b.len], '\0');
    assert_int_equal(buf_append(&b, "", 1, &err), ERR_LIMIT);
}

static void
reserve_then_no_move(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(4096);
    struct err err = ERR_INIT;
    char *before;

    assert_int_equal(buf_reserve(&b, 4096, &err), 0);
    before = b.data;
    for (int i = 0; i < 4096; i++)
        assert_int_equal(buf_append(&b, "a", 1, &err), 0);
    assert_ptr_equal(b.data, before);
}

static void
reset_take_done(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(100);
    struct err err = ERR_INIT;
    char *s = buf_take(&b);

    assert_string_equal(s, "");
    free(s);
    assert_int_equal(buf_append(&b, "abc", 3, &err), 0);
    buf_reset(&b);
    assert_int_equal(b.len, 0);
    assert_string_equal(b.data, "");
    assert_int_equal(buf_append(&b, "de", 2, &err), 0);
    s = buf_take(&b);
    assert_string_equal(s, "de");
    free(s);
    assert_null(b.data);
    assert_int_equal(buf_append(&b, "fg", 2, &err), 0);
    buf_done(&b);
    assert_null(b.data);
    assert_int_equal(b.len, 0);
    buf_done(&b);
}

static void
mem_functions(void **state)
{
    CLEANUP_FREE char *a = xcalloc(3, 2);
    CLEANUP_FREE char *d = xstrdup("dup");
    CLEANUP_FREE char *f = xasprintf("%s-%d", "n", 5);
    CLEANUP_FREE int *r = xreallocarray(NULL, 2, sizeof(*r));
    CLEANUP_FREE void *zero = xcalloc(0, 8);

    for (int i = 0; i < 6; i++)
        assert_int_equal(a[i], 0);
    assert_string_equal(d, "dup");
    assert_null(xstrdup(NULL));
    assert_string_equal(f, "n-5");
    r[1] = 4;
    r = xreallocarray(r, 1000, sizeof(*r));
    assert_int_equal(r[1], 4);
    assert_non_null(zero);
}

static void
lock_and_unlock(pthread_mutex_t *m)
{
    LOCK_SCOPE(m);
    assert_int_equal(pthread_mutex_trylock(m), EBUSY);
}

static void
scope_cleanup(void **state)
{
    pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
    int kept, number;

    {
        CLEANUP_FD int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
        CLEANUP_FD int none = -1;
        CLEANUP_FILE FILE *no_file = NULL;
        CLEANUP_FILE FILE *file = fopen("/dev/null", "r");

        number = fd;
        kept = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        assert_int_equal(none, -1);
        assert_null(no_file);
        assert_non_null(file);
    }
    assert_int_equal(fcntl(number, F_GETFD), -1);
    {
        CLEANUP_FD int fd = kept;

        assert_int_equal(take_fd(&fd), kept);
        assert_int_equal(fd, -1);
    }
    assert_int_not_equal(fcntl(kept, F_GETFD), -1);
    close(kept);
    {
        CLEANUP_FREE char *s = xstrdup("s");
        CLEANUP_FREE char *t = take_ptr(&s);

        assert_null(s);
        assert_string_equal(t, "s");
    }
    lock_and_unlock(&m);
    assert_int_equal(pthread_mutex_trylock(&m), 0);
    pthread_mutex_unlock(&m);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows_to_the_cap_and_not_past_it),
        cmocka_unit_test(cap_of_zero_refuses_all),
        cmocka_unit_test(many_small_appends_keep_the_bytes),
        cmocka_unit_test(reserve_then_no_move),
        cmocka_unit_test(reset_take_done),
        cmocka_unit_test(mem_functions),
        cmocka_unit_test(scope_cleanup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
