/* tests/func/resume_engine.c - qemu-nbd is killed in the middle of a copy, which loses
 * all that was not flushed; another attempt goes on from the last checkpoint, and what
 * comes out is the source byte by byte.  SEED=N repeats one; SEEDS=N sets how many. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "incr_rig.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define MIB (1ull << 20)

static struct incr w;

static int
set_up(void **state)
{
    (void)state;
    incr_init(&w);
    w.limits.requests = 1;
    w.checkpoint_ms = 100;
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    incr_done(&w);
    return 0;
}

static uint64_t
rnd(uint64_t *s)
{
    *s ^= *s << 13;
    *s ^= *s >> 7;
    *s ^= *s << 17;
    return *s;
}

/* What the tracking reports: exactly the dirty blocks. */
static void
track(struct incr_disk *d)
{
    size_t n = 0;

    free(d->areas);
    d->areas = xcalloc(d->blocks + 1, sizeof(*d->areas));
    for (uint64_t b = 0; b < d->blocks; b++) {
        uint64_t end = (b + 1) * BLOCK < d->size ? (b + 1) * BLOCK : d->size;

        if (!d->dirty[b])
            continue;
        if (n > 0 && d->areas[n - 1].off + d->areas[n - 1].len == b * BLOCK)
            d->areas[n - 1].len += end - b * BLOCK;
        else
            d->areas[n++] = (struct delta_area){b * BLOCK, end - b * BLOCK};
    }
    d->n_areas = n;
    d->read = READ_CHANGED;
    d->reason = REASON_NONE;
}

static void
compare_next(struct incr_disk *d)
{
    d->read = READ_COMPARE;
    d->reason = REASON_CBT_OFF;
}

static void
backup_cut(unsigned percent, uint64_t rate, bool in_process)
{
    w.cut_percent = percent;
    w.limits.rate_bytes_per_s = rate;
    incr_backup_ok(&w, in_process);
    w.cut_percent = 0;
    w.limits.rate_bytes_per_s = 0;
}

static void
check_all(void)
{
    for (uint32_t seq = 1; seq <= w.seq; seq++)
        for (size_t i = 0; i < w.n; i++)
            incr_check_restore(&w, seq, i);
    incr_check_chains(&w);
}

static void
assert_cut(void)
{
    assert_int_equal(w.cut.attempts, 2);
    if (strcmp(w.cut.why.code, "nbd_disconnected") != 0 &&
        strcmp(w.cut.why.code, "nbd_io") != 0)
        fail_msg("cut by %s (%s)", w.cut.why.msg, w.cut.why.code);
}

/* A full of one disk, all data: at half of it the power goes. */
static void
full_at_half(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 16 * MIB + 512);

    (void)state;
    incr_write(&w, d, 0, d->size, 5, false);
    backup_cut(50, 8 * MIB, true);
    assert_cut();
    assert_true(w.cut.from[0].block * BLOCK * 100 >= d->size * 50);
    assert_int_equal(w.cut.from[0].records, w.cut.from[0].block);
    assert_true(w.cut.read[0] * 100 <= d->size * 55);
    assert_int_equal(w.cut.read[0] + w.cut.from[0].block * BLOCK, d->size);
    check_all();
}

/* The real client, with its own 5 s between checkpoints. */
static void
full_by_the_client(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 24 * MIB);

    (void)state;
    incr_write(&w, d, 0, d->size, 5, false);
    backup_cut(30, 3 * MIB, false);
    assert_cut();
    assert_true(w.cut.from[0].block * BLOCK * 100 >= d->size * 30);
    assert_int_equal(w.cut.read[0] + w.cut.from[0].block * BLOCK, d->size);
    check_all();
}

/* Everything is read, little is recorded: what was read for nothing is not read again. */
static void
compare_at_half(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 16 * MIB);

    (void)state;
    w.audit_samples = 16;
    incr_write(&w, d, 0, d->size, 5, false);
    incr_backup_ok(&w, true);
    incr_write(&w, d, 3 * BLOCK, BLOCK, 0, false);
    incr_write(&w, d, d->size - 5 * BLOCK, 2 * BLOCK, 7, false);
    compare_next(d);
    backup_cut(50, 8 * MIB, true);
    assert_cut();
    assert_true(w.cut.from[0].block * BLOCK * 100 >= d->size * 50);
    assert_int_equal(w.cut.from[0].records, 1);
    assert_true(w.cut.read[0] * 100 <= d->size * 55);
    check_all();
}

static void
changed_at_half(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 32 * MIB);
    uint64_t changed = 0;

    (void)state;
    w.audit_samples = 16;
    incr_write(&w, d, 0, d->size, 5, false);
    incr_backup_ok(&w, true);
    for (uint64_t off = 0; off < d->size; off += 2 * MIB)
        incr_write(&w, d, off, MIB, off % (4 * MIB) ? 7 : 0, false);
    changed = d->size / 2;
    track(d);
    backup_cut(50, 8 * MIB, true);
    assert_cut();
    assert_true(w.cut.from[0].block * BLOCK * 100 >= d->size * 50);
    assert_true(w.cut.read[0] * 100 <= changed * 55);
    check_all();
}

/* The tracking lied, and was caught before the cut: the second attempt does not believe
 * it again, and does not audit what it knows. */
static void
caught_lying(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 16 * MIB);

    (void)state;
    incr_write(&w, d, 0, d->size, 5, false);
    incr_backup_ok(&w, true);
    incr_write(&w, d, 0, d->size / 2, 7, false);
    memset(d->dirty, 0, d->blocks / 4 * sizeof(*d->dirty)); /* never reported */
    track(d);
    backup_cut(50, 8 * MIB, true);
    assert_cut();
    assert_int_equal(d->told_mode, READ_COMPARE);
    assert_int_equal(d->told_reason, REASON_AUDIT_MISMATCH);
    assert_true(w.cut.from[0].block > 0);
    assert_true(d->bad > 0);
    assert_int_equal(d->bytes.audit, 0); /* of the second attempt */
    check_all();
}

/* Cut before the first checkpoint: from the start again, audit and all. */
static void
nothing_to_go_on_with(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 8 * MIB);

    (void)state;
    w.checkpoint_ms = 60000;
    w.cut_early = true;
    incr_write(&w, d, 0, d->size, 5, false);
    backup_cut(20, 4 * MIB, true);
    assert_cut();
    assert_int_equal(w.cut.from[0].block, 0);
    assert_int_equal(w.cut.read[0], d->size);
    check_all();
}

static void
guest(struct incr_disk *d, unsigned n, uint64_t *s)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t off = rnd(s) % d->size, len = 1 + rnd(s) % (20 * BLOCK);
        unsigned kind = (unsigned)(rnd(s) % 5);

        if (len > d->size - off)
            len = d->size - off;
        incr_write(&w, d, off, len, kind < 2 ? 0 : kind, kind == 1);
    }
}

/* Three disks at once in three modes, cut anywhere. */
static void
seed_run(uint64_t seed)
{
    uint64_t s = seed * 0x9e3779b97f4a7c15ull + 1;
    static const uint64_t sizes[] = {16 * MIB, 9 * MIB + 512, 5 * MIB + 65536};

    w.audit_samples = 64;
    for (uint32_t i = 0; i < INCR_DISKS; i++)
        guest(incr_add_disk(&w, 2000 + i, sizes[i]), 60, &s);
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < w.n && round > 0; i++) {
            guest(&w.disks[i], 25, &s);
            if ((i + round) % 2)
                track(&w.disks[i]);
            else
                compare_next(&w.disks[i]);
        }
        w.cut_early = rnd(&s) % 2;
        backup_cut(1 + (unsigned)(rnd(&s) % 99), 24 * MIB, true);
    }
    check_all();
}

static void
seeds(void **state)
{
    const char *one = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t first = one ? strtoull(one, NULL, 10) : 1;
    uint64_t n = one ? 1 : many ? strtoull(many, NULL, 10) : 2;

    (void)state;
    for (uint64_t seed = first; seed < first + n; seed++) {
        print_message("# SEED=%llu\n", (unsigned long long)seed);
        if (seed > first) {
            tear_down(NULL);
            set_up(NULL);
        }
        seed_run(seed);
    }
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(full_at_half), T(full_by_the_client),    T(compare_at_half), T(changed_at_half),
        T(caught_lying), T(nothing_to_go_on_with), T(seeds),
    };

    return cmocka_run_group_tests_name("resume_engine", tests, NULL, NULL);
}
