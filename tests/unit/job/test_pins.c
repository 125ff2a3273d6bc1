/* Readers of a backup are many, its deletion is alone. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>

#include "base/cleanup.h"
#include "job/pins.h"

static void
readers_keep_a_deletion_out(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(pins_pin("a", &err), 0);
    assert_int_equal(pins_pin("a", &err), 0);
    assert_int_equal(pins_claim("a", &err), ERR_EXISTS);
    assert_string_equal(err.code, "backup_in_use");
    assert_int_equal(pins_claim("b", &err), 0); /* another one */
    pins_unpin("a");
    assert_int_equal(pins_claim("a", &err), ERR_EXISTS);
    pins_unpin("a");
    err_clear(&err);
    assert_int_equal(pins_claim("a", &err), 0);
    pins_unclaim("a");
    pins_unclaim("b");
}

static void
a_deletion_keeps_all_out(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(pins_claim("a", &err), 0);
    assert_int_equal(pins_pin("a", &err), ERR_EXISTS);
    err_clear(&err);
    assert_int_equal(pins_claim("a", &err), ERR_EXISTS);
    pins_unclaim("a");
    err_clear(&err);
    assert_int_equal(pins_pin("a", &err), 0);
    pins_unpin("a");
}

static void
a_merge_says_that_it_passes(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(pins_claim_merge("a", &err), 0);
    assert_int_equal(pins_pin("a", &err), ERR_EXISTS);
    assert_string_equal(err.code, "merge_running");
    err_clear(&err);
    assert_int_equal(pins_claim("a", &err), ERR_EXISTS);
    assert_string_equal(err.code, "backup_in_use");
    pins_unclaim("a");
    err_clear(&err);
    assert_int_equal(pins_claim("a", &err), 0); /* a deletion again */
    assert_int_equal(pins_pin("a", &err), ERR_EXISTS);
    assert_string_equal(err.code, "backup_in_use");
    pins_unclaim("a");
    err_clear(&err);
    assert_int_equal(pins_pin("a", &err), 0);
    assert_int_equal(pins_claim_merge("a", &err), ERR_EXISTS);
    assert_string_equal(err.code, "backup_in_use");
    pins_unpin("a");
}

static atomic_int inside;

static void *
claim_often(void *arg)
{
    intptr_t alone = 0;

    for (int i = 0; i < 2000; i++) {
        struct err err = ERR_INIT;

        if (pins_claim("a", &err) < 0)
            continue;
        alone += atomic_fetch_add(&inside, 1) == 0;
        atomic_fetch_sub(&inside, 1);
        pins_unclaim("a");
        alone--;
    }
    return (void *)alone;
}

static void
one_claim_at_a_time(void **state)
{
    pthread_t t[4];
    void *broken;

    for (size_t i = 0; i < ARRAY_LEN(t); i++)
        assert_int_equal(pthread_create(&t[i], NULL, claim_often, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(t); i++) {
        pthread_join(t[i], &broken);
        assert_null(broken);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readers_keep_a_deletion_out),
        cmocka_unit_test(a_deletion_keeps_all_out),
        cmocka_unit_test(a_merge_says_that_it_passes),
        cmocka_unit_test(one_claim_at_a_time),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
