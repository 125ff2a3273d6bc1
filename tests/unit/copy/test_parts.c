/* The parts of the engine by themselves: blocks, records in order, stop slot, rate,
 * samples. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/timeutil.h"
#include "base/mem.h"
#include "copy/audit.h"
#include "copy/block.h"
#include "copy/cursor.h"
#include "copy/rate.h"
#include "copy/records.h"
#include "copy/reservoir.h"
#include "copy/result.h"
#include "copy/stop.h"

static void
zero_test(void **state)
{
    static unsigned char p[MANIFEST_BLOCK_SIZE];
    static const size_t sizes[] = {1, 15, 16, 17, 512, 65535, 65536};

    (void)state;
    for (size_t s = 0; s < ARRAY_LEN(sizes); s++) {
        assert_true(block_is_zero(p, sizes[s]));
        for (size_t at = 0; at < sizes[s];
             at += at < 40 || at + 40 > sizes[s] ? 1 : 997) {
            p[at] = 0x80;
            assert_false(block_is_zero(p, sizes[s]));
            p[at] = 0;
        }
    }
}

static void
hash(void **state)
{
    static unsigned char p[MANIFEST_BLOCK_SIZE];
    uint8_t out[MANIFEST_HASH_SIZE], want[MANIFEST_HASH_SIZE];
    struct block_hasher h = {0};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(block_hasher_init(&h, &err), 0);
    for (int i = 0; i < 3; i++) { /* one context, used again and again */
        p[0] = (unsigned char)i;
        assert_int_equal(block_hash(&h, p, out, &err), 0);
        assert_int_equal(manifest_block_hash(p, 1, want, &err), 0);
        assert_memory_equal(out, want, sizeof(out));
    }
    block_hasher_done(&h);
}

static void
put(struct copy_records *r, uint64_t seq, unsigned n)
{
    uint8_t *p = copy_records_piece(r, seq);

    for (unsigned i = 0; i < n; i++)
        memset(p + i * MANIFEST_RECORD_SIZE, (int)(seq * 2 + i), MANIFEST_RECORD_SIZE);
}

static void
records_in_order(void **state)
{
    struct copy_records *r = NULL;
    struct err err = ERR_INIT;
    const uint8_t *p;
    uint64_t done;
    size_t n;

    (void)state;
    assert_int_equal(copy_records_new(4, 2, &r, &err), 0);
    for (uint64_t seq = 0; seq < 4; seq++) {
        assert_true(copy_records_room(r, seq));
        put(r, seq, 2);
    }
    assert_false(copy_records_room(r, 4)); /* window; somebody waits now */
    assert_false(copy_records_complete(r, 2, 2, 30).wake_workers);
    copy_records_take(r, &p, &n, &done);
    assert_int_equal(n, 0); /* piece 0 is not there */
    assert_int_equal(done, 0);
    assert_true(copy_records_complete(r, 0, 2, 10).wake_workers);
    assert_false(copy_records_complete(r, 1, 1, 20).wake_workers);
    assert_int_equal(copy_records_completed(r), 3);
    assert_true(copy_records_room(r, 6));
    assert_false(copy_records_room(r, 7));
    copy_records_take(r, &p, &n, &done);
    assert_int_equal(n, 5);
    assert_int_equal(done, 30);
    static const int want[] = {0, 1, 2, 4, 5};
    for (size_t i = 0; i < n; i++)
        assert_int_equal(p[i * MANIFEST_RECORD_SIZE], want[i]);
    copy_records_complete(r, 3, 0, 40);
    copy_records_take(r, &p, &n, &done);
    assert_int_equal(n, 0);
    assert_int_equal(done, 40);
    assert_false(copy_records_checkpoint_due(r));
    copy_records_free(r);
}

/* A list that nobody takes stops the work before it fills the memory, and wakes it when
 * taken. */
static void
records_bounded(void **state)
{
    struct copy_records *r = NULL;
    struct err err = ERR_INIT;
    const uint8_t *p;
    uint64_t seq = 0, done;
    unsigned due = 0;
    size_t n;

    (void)state;
    assert_int_equal(copy_records_new(8, 512, &r, &err), 0);
    while (copy_records_room(r, seq)) {
        due += copy_records_complete(r, seq, 512, seq + 1).checkpoint_due;
        seq++;
    }
    assert_int_equal(due, 1);
    assert_true(copy_records_checkpoint_due(r));
    assert_int_equal(seq * 512, 2 * RECORDS_CHECKPOINT);
    assert_true(copy_records_take(r, &p, &n, &done).wake_workers);
    assert_int_equal(n, 2 * RECORDS_CHECKPOINT);
    assert_true(copy_records_room(r, seq));
    copy_records_free(r);
}

static void
stop_slot(void **state)
{
    struct copy_stop *s = NULL;
    struct err err = ERR_INIT, why = ERR_INIT;
    int64_t disk = 5;

    (void)state;
    assert_int_equal(copy_stop_new(&s, &err), 0);
    assert_int_equal(copy_stop_get(s, &disk, &err), 0);
    assert_int_equal(copy_stop_pause(s, 1, &err), 0);
    assert_true(copy_stop_fd(s) >= 0);
    err_set(&why, ERR_IO, "first", "first");
    copy_stop_set(s, 2000, &why);
    err_set(&why, ERR_IO, "second", "second");
    copy_stop_set(s, 2001, &why);
    assert_true(copy_stop_is_set(s));
    assert_int_equal(copy_stop_get(s, &disk, &err), ERR_IO);
    assert_int_equal(disk, 2000);
    assert_string_equal(err.code, "first");
    assert_int_equal(copy_stop_pause(s, 60000, &err), ERR_CANCELLED);
    copy_stop_free(s);
}

static void
rate(void **state)
{
    struct copy_rate r;
    uint64_t now = 1000 * NS_PER_S, start = now, bytes = 0;

    (void)state;
    copy_rate_init(&r, 0, now);
    copy_rate_take(&r, 1 << 30);
    assert_int_equal(copy_rate_wait_ms(&r, now), 0);
    copy_rate_done(&r);
    copy_rate_init(&r, 10 << 20, now);
    while (bytes < 100 << 20) { /* 100 MiB at 10 MiB/s, in a clock of our own */
        unsigned ms = copy_rate_wait_ms(&r, now);

        if (ms == 0) {
            copy_rate_take(&r, 1 << 20);
            bytes += 1 << 20;
        }
        now += ms * NS_PER_MS;
    }
    assert_in_range((now - start) / NS_PER_MS, 9700, 10100);
    copy_rate_done(&r);
}

static void
reservoir(void **state)
{
    unsigned hits[10] = {0};

    (void)state;
    for (unsigned seed = 0; seed < 400; seed++) {
        struct reservoir r;

        reservoir_init(&r, 10, seed);
        reservoir_offer(&r, 100, 500);
        reservoir_offer(&r, 5000, 500);
        assert_int_equal(r.n, 10);
        for (unsigned i = 0; i < r.n; i++) {
            bool low = r.blocks[i] >= 100 && r.blocks[i] < 600;
            uint64_t at = low ? r.blocks[i] - 100 : r.blocks[i] - 4500;

            assert_true(at < 1000);
            hits[at / 100]++;
        }
        reservoir_done(&r);
    }
    for (unsigned i = 0; i < 10;
         i++) /* 4,000 samples, 400 expected in each tenth, sigma 19 */
        assert_in_range(hits[i], 320, 480);
}

static void
reservoir_small(void **state)
{
    struct reservoir r;

    (void)state;
    reservoir_init(&r, 100, 1);
    reservoir_offer(&r, 7, 3);
    assert_int_equal(r.n, 3);
    assert_int_equal(r.blocks[2], 9);
    reservoir_done(&r);
    reservoir_init(&r, 0, 1);
    reservoir_offer(&r, 7, 3);
    assert_int_equal(r.n, 0);
    reservoir_done(&r);
}

static void
cursor_without_map(void **state)
{
    struct copy_records *r = NULL;
    struct copy_cursor *c = NULL;
    struct copy_piece p;
    struct err err = ERR_INIT;
    atomic_uint_fast64_t skipped;
    uint64_t end = 0, count;

    (void)state;
    atomic_init(&skipped, 0);
    assert_int_equal(copy_records_new(3, 16, &r, &err), 0);
    assert_int_equal(copy_cursor_new((3 << 20) + 5, 1 << 20, NULL, r, &skipped, &c, &err),
                     0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(copy_cursor_next(c, &p, &err), CURSOR_PIECE);
        assert_int_equal(p.seq, i);
        assert_int_equal(p.off, end);
        assert_int_equal(p.len, 1 << 20);
        end += p.len;
    }
    assert_int_equal(copy_cursor_next(c, &p, &err), CURSOR_WAIT);
    copy_records_complete(r, 0, 0, 1 << 20);
    assert_int_equal(copy_cursor_next(c, &p, &err), CURSOR_PIECE);
    assert_int_equal(p.len, 5);
    assert_false(copy_cursor_ended(c, &count));
    assert_int_equal(copy_cursor_next(c, &p, &err), CURSOR_END);
    assert_true(copy_cursor_ended(c, &count));
    assert_int_equal(count, 4);
    copy_cursor_free(c);
    assert_int_equal(copy_cursor_new(5, 1000, NULL, r, &skipped, &c, &err), ERR_INTERNAL);
    copy_records_free(r);
}

/* Samples that lie close are one request, however they lie to each other. */
static void
audit_spans(void **state)
{
    struct sample v[] = {{.block = 3},   {.block = 4},   {.block = 9},   {.block = 15},
                         {.block = 100}, {.block = 105}, {.block = 110}, {.block = 115}};
    const struct samples s = {.v = v, .n = ARRAY_LEN(v)};

    assert_int_equal(audit_span(&s, 0, 16), 3); /* 4 blocks between 4 and 9, 5 to 15 */
    assert_int_equal(audit_span(&s, 3, 16), 1);
    assert_int_equal(audit_span(&s, 4, 16), 4); /* 100 to 115 are 16 blocks */
    assert_int_equal(audit_span(&s, 4, 15), 3);
    assert_int_equal(audit_span(&s, 0, 1), 1);
    assert_int_equal(audit_span(&s, 7, 16), 1);
}

/* Many more areas than page ends, many more page ends than samples: each end has the same
 * chance, the last as the first, and neither kind hides the other. */
static void
audit_edges(void **state)
{
    enum { AREAS = 50000, ENDS = 20000, ROUNDS = 400, N = 256 };
    struct job_spec_disk spec = {.size_bytes = 1ull << 45};
    struct copy_changes changes = {.n_page_ends = ENDS};
    CLEANUP_FREE uint64_t *ends = xcalloc(ENDS, sizeof *ends);
    CLEANUP_FREE struct delta_run *runs = xcalloc(AREAS, sizeof *runs);
    struct copy_disk d = {
        .spec = &spec, .changes = &changes, .changed = runs, .n_changed = AREAS};
    unsigned tenth[10] = {0};

    for (uint64_t i = 0; i < AREAS; i++)
        runs[i] = (struct delta_run){10 + 20 * i, 13 + 20 * i};
    for (uint64_t i = 0; i < ENDS; i++)
        ends[i] = (2000000 + 40 * i) * MANIFEST_BLOCK_SIZE;
    changes.page_ends = ends;
    for (uint64_t seed = 1; seed <= ROUNDS; seed++) {
        struct reservoir e, n;

        audit_pick_edges(&d, N, seed, &e, &n);
        assert_int_equal(e.n, N / 2);
        assert_int_equal(n.n, N / 2);
        for (uint32_t i = 0; i < e.n; i++) {
            uint64_t at = e.blocks[i] + 1 - 2000000;

            assert_true(at % 40 <= 1 && at / 40 < ENDS);
            tenth[at / 40 * 10 / ENDS]++;
        }
        for (uint32_t i = 0; i < n.n; i++)
            assert_true(n.blocks[i] % 20 == 9 || n.blocks[i] % 20 == 13);
        reservoir_done(&e);
        reservoir_done(&n);
    }
    /* 5,120 are expected in each tenth; the deviation is some 68. */
    for (size_t i = 0; i < 10; i++)
        assert_in_range(tenth[i], 5120 - 480, 5120 + 480);
    /* Few ends leave their part to the areas. */
    changes.n_page_ends = 3;
    {
        struct reservoir e, n;

        audit_pick_edges(&d, N, 7, &e, &n);
        assert_int_equal(e.n, 6);
        assert_int_equal(n.n, N - 6);
        reservoir_done(&e);
        reservoir_done(&n);
    }
}

/* An earlier attempt dealt with the first blocks: they come no more. */
static void
cursor_in_the_middle(void **state)
{
    static const uint64_t starts[] = {1, 15, 16, 17, 47, 48};
    struct copy_records *r = NULL;
    struct copy_piece p;
    struct err err = ERR_INIT;
    atomic_uint_fast64_t skipped;

    (void)state;
    atomic_init(&skipped, 0);
    assert_int_equal(copy_records_new(4, 16, &r, &err), 0);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        struct copy_cursor *c = NULL;
        uint64_t at = starts[i] * MANIFEST_BLOCK_SIZE, count = 0;

        assert_int_equal(
            copy_cursor_new((3 << 20) + 5, 1 << 20, NULL, r, &skipped, &c, &err), 0);
        copy_cursor_start_at(c, starts[i]);
        while (copy_cursor_next(c, &p, &err) == CURSOR_PIECE) {
            assert_int_equal(p.seq, count++);
            assert_int_equal(p.off, at);
            at += p.len;
            /* Cut where the first attempt would have cut. */
            assert_true(at % (1 << 20) == 0 || at == (3 << 20) + 5);
        }
        assert_int_equal(at, (3 << 20) + 5);
        assert_true(copy_cursor_ended(c, &count));
        copy_cursor_free(c);
    }
    { /* all of it: only the end is missing */
        struct copy_cursor *c = NULL;
        uint64_t count = 9;

        assert_int_equal(
            copy_cursor_new((3 << 20) + 5, 1 << 20, NULL, r, &skipped, &c, &err), 0);
        copy_cursor_start_at(c, 49);
        assert_int_equal(copy_cursor_next(c, &p, &err), CURSOR_END);
        assert_true(copy_cursor_ended(c, &count));
        assert_int_equal(count, 0);
        copy_cursor_free(c);
    }
    assert_int_equal(skipped, 0);
    copy_records_free(r);
}

static void
what_another_attempt_may_do(void **state)
{
    static const struct {
        int class;
        const char *code;
        bool again;
    } v[] = {
        {0, "", false},
        {ERR_CANCELLED, "cancelled", false},
        {ERR_UNAVAILABLE, "interrupted", true},
        {ERR_UNAVAILABLE, "snapshot_gone", true},
        {ERR_UNAVAILABLE, "hub_unavailable", true},
        {ERR_UNAVAILABLE, "nbd_disconnected", true},
        {ERR_TIMEOUT, "nbd_timeout", true},
        {ERR_IO, "nbd_io", true},
        {ERR_IO, "source_failed", true},
        {ERR_IO, "snapshot_failed", true},
        {ERR_NOT_FOUND, "target_unreachable", true},
        {ERR_NOT_FOUND, "nbd_export_not_found", true},
        {ERR_NOT_FOUND, "job_not_found", true},
        {ERR_AUTH, "forbidden", true},
        {ERR_AUTH, "vcenter_login", false},
        {ERR_AUTH, "certificate_refused", false},
        {ERR_INVALID, "vm_changed", false},
        {ERR_INVALID, "target_mismatch", false},
        {ERR_PROTOCOL, "hub_protocol", false},
        {ERR_CORRUPT, "manifest_root_mismatch", false},
        {ERR_NO_SPACE, "repo_full", false},
        {ERR_UNAVAILABLE, "snapshot_changed", false},
        {ERR_UNAVAILABLE, "consolidation_needed", false},
        {ERR_IO, "quiesce_failed", false},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        if (result_is_retryable(v[i].class, v[i].code) != v[i].again)
            fail_msg("%s: want %d", v[i].code, v[i].again);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(zero_test),
        cmocka_unit_test(hash),
        cmocka_unit_test(records_in_order),
        cmocka_unit_test(records_bounded),
        cmocka_unit_test(stop_slot),
        cmocka_unit_test(rate),
        cmocka_unit_test(reservoir),
        cmocka_unit_test(reservoir_small),
        cmocka_unit_test(cursor_without_map),
        cmocka_unit_test(cursor_in_the_middle),
        cmocka_unit_test(what_another_attempt_may_do),
        cmocka_unit_test(audit_spans),
        cmocka_unit_test(audit_edges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
