/* Unit tests of plugins/https/tables.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "https/tables.h"

struct file {
    atomic_uint loads;
    atomic_bool failing;
    int wait_ms;
    uint8_t seed;
};

static int
load(void *arg, uint64_t offset, uint32_t size, uint8_t *buf, struct err *err)
{
    struct file *f = arg;

    atomic_fetch_add(&f->loads, 1);
    if (f->wait_ms)
        poll(NULL, 0, f->wait_ms);
    if (atomic_load(&f->failing))
        return err_set(err, ERR_IO, NULL, "no");
    memset(buf, (int)(f->seed + offset), size);
    return 0;
}

static void
get(struct tables *t, struct file *f, uint64_t offset, unsigned loads)
{
    uint8_t out[64], want[64];
    struct err err = ERR_INIT;

    memset(want, (int)(f->seed + offset), sizeof(want));
    assert_int_equal(tables_get(t, f, offset, sizeof(out), load, out, &err), 0);
    assert_memory_equal(out, want, sizeof(out));
    assert_int_equal(atomic_load(&f->loads), loads);
}

static void
test_keeps(void **state)
{
    struct tables *t = tables_new();
    struct file a = {.seed = 1}, b = {.seed = 100};

    get(t, &a, 5, 1);
    get(t, &a, 5, 1);
    get(t, &a, 6, 2);
    get(t, &b, 5, 1); /* the same place in another file */
    get(t, &a, 5, 2);
    tables_free(t);
    tables_free(NULL);
}

static void
test_failures_are_not_kept(void **state)
{
    struct tables *t = tables_new();
    struct file a = {.failing = true};
    uint8_t out[64] = {7};
    struct err err = ERR_INIT;

    assert_int_equal(tables_get(t, &a, 0, sizeof(out), load, out, &err), ERR_IO);
    assert_int_equal(out[0], 7);
    atomic_store(&a.failing, false);
    get(t, &a, 0, 2);
    get(t, &a, 0, 2);
    tables_free(t);
}

/* The piece used longest ago goes, not the one that came first. */
static void
test_bound(void **state)
{
    struct tables *t = tables_new();
    struct file a = {0};

    for (unsigned i = 0; i < TABLES_SLOTS; i++)
        get(t, &a, i, i + 1);
    get(t, &a, 0, TABLES_SLOTS);
    get(t, &a, TABLES_SLOTS, TABLES_SLOTS + 1); /* in the place of 1 */
    get(t, &a, 0, TABLES_SLOTS + 1);
    get(t, &a, 2, TABLES_SLOTS + 1);
    get(t, &a, 1, TABLES_SLOTS + 2);
    tables_free(t);
}

struct job {
    struct tables *t;
    struct file *f;
    int r;
};

static void *
get_one(void *arg)
{
    struct job *j = arg;
    uint8_t out[64];
    struct err err = ERR_INIT;

    j->r = tables_get(j->t, j->f, 3, sizeof(out), load, out, &err);
    if (j->r == 0 && out[63] != 3)
        j->r = 1;
    return NULL;
}

/* Many threads that miss the same piece load it once; when it fails, each of them tries.
 */
static void
test_together(void **state)
{
    struct tables *t = tables_new();
    struct file f = {.wait_ms = 100, .failing = true};
    struct job jobs[8];
    pthread_t threads[8];

    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 8; i++) {
            jobs[i] = (struct job){.t = t, .f = &f};
            assert_int_equal(pthread_create(&threads[i], NULL, get_one, &jobs[i]), 0);
        }
        for (int i = 0; i < 8; i++) {
            pthread_join(threads[i], NULL);
            assert_int_equal(jobs[i].r, round == 0 ? ERR_IO : 0);
        }
        assert_int_equal(atomic_load(&f.loads), round == 0 ? 8 : 9);
        atomic_store(&f.failing, false);
    }
    tables_free(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keeps),
        cmocka_unit_test(test_failures_are_not_kept),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
