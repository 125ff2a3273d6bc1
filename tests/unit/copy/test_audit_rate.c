/* tests/unit/copy/test_audit_rate.c - an audit finds what it says that it finds: some
 * thousand draws of the real picking code, on a disk with bad blocks where only the
 * samples from everywhere can hit them.  Source and hub are tables here. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "copy/audit.h"
#include "model/sampling.h"

#define BLOCKS 65536u
#define BAD 200u
#define SAMPLES 256u
#define SEEDS 4000u
#define SIGMAS 5

enum { DATA = 1, BAD_BLOCK = 2, HOLE = 4, CHANGED = 8 };

static struct {
    uint8_t is[BLOCKS]; /* DATA: in the parent; HOLE: in the map */
    struct delta_run changed[BLOCKS / 16];
    size_t n_changed, unread;
} w;

/* --- what the picking code asks --- */

static void
tell(uint64_t block, struct delta_block *ret)
{
    *ret = (struct delta_block){.data = (w.is[block] & DATA) != 0};
}

int
copy_parent_list(struct copy_parent *p, const uint64_t *blocks, size_t n,
                 struct delta_block *ret, struct err *err)
{
    (void)p;
    (void)err;
    for (size_t i = 0; i < n; i++)
        tell(blocks[i], &ret[i]);
    return 0;
}

int
copy_parent_sample(struct copy_parent *p, size_t n, uint64_t seed, uint64_t *ret_blocks,
                   struct delta_block *ret, size_t *ret_n, struct err *err)
{
    struct reservoir r;

    (void)p;
    (void)err;
    reservoir_init(&r, (uint32_t)n, seed);
    for (uint64_t b = 0; b < BLOCKS; b++)
        if (w.is[b] & DATA)
            reservoir_offer(&r, b, 1);
    for (uint32_t i = 0; i < r.n; i++) {
        ret_blocks[i] = r.blocks[i];
        tell(r.blocks[i], &ret[i]);
    }
    *ret_n = r.n;
    reservoir_done(&r);
    return 0;
}

int
copy_zero_runs(struct nbd_conn *map, uint64_t off, uint64_t end, copy_run_fn fn,
               void *arg, struct err *err)
{
    (void)map;
    assert_true(off == 0 && end == (uint64_t)BLOCKS * MANIFEST_BLOCK_SIZE);
    for (uint64_t b = 0; b < BLOCKS;) {
        uint64_t start = b;

        while (b < BLOCKS && (w.is[b] & HOLE))
            b++;
        if (b > start && fn(arg, start, b - start, err) < 0)
            return err->class;
        if (b == start)
            b++;
    }
    return 0;
}

/* --- the rate --- */

static void
add_bad(uint64_t first, uint64_t step)
{
    unsigned n = 0;

    for (uint64_t b = first; n < BAD; b += step) {
        assert_true(b < BLOCKS && !(w.is[b] & (DATA | CHANGED)));
        w.is[b] |= BAD_BLOCK;
        n++;
    }
}

static size_t
draw(enum read_mode mode, uint64_t seed, bool *ret_found)
{
    struct job_spec spec = {.audit_samples = SAMPLES, .audit_seed = seed};
    struct job_spec_disk sd = {.key = 2000,
                               .size_bytes = (uint64_t)BLOCKS * MANIFEST_BLOCK_SIZE};
    struct copy_opts opts = {.spec = &spec};
    struct copy_changes changes = {.key = 2000};
    struct copy_disk d = {.opts = &opts,
                          .spec = &sd,
                          .parent = mode == READ_ALL ? NULL : (void *)&w,
                          .changes = &changes,
                          .changed = w.changed,
                          .n_changed = w.n_changed};
    struct samples s = {.n = 0};
    struct err err = ERR_INIT;
    size_t n;

    if (mode == READ_CHANGED)
        assert_int_equal(audit_pick_changes(&d, &s, &err), 0);
    else
        assert_int_equal(audit_pick_map(&d, &s, &err), 0);
    *ret_found = false;
    for (size_t i = 0; i < s.n; i++)
        *ret_found = *ret_found || (w.is[s.v[i].block] & BAD_BLOCK);
    n = s.n;
    samples_done(&s);
    return n;
}

static void
check_rate(enum read_mode mode)
{
    double stated = 0, all_uniform = 0, found = 0, sigma;

    for (unsigned seed = 0; seed < SEEDS; seed++) {
        bool hit;
        size_t n = draw(mode, seed * 2654435761ull + 17, &hit);
        uint64_t uniform = sampling_uniform(mode, n);

        assert_true(n <= SAMPLES);
        stated += 1 - sampling_miss_probability(w.unread, uniform, BAD);
        all_uniform += 1 - sampling_miss_probability(w.unread, n, BAD);
        found += hit;
    }
    stated /= SEEDS;
    all_uniform /= SEEDS;
    found /= SEEDS;
    sigma = sqrt(stated * (1 - stated) / SEEDS);
    print_message("# %s: stated %.4f, found %.4f, sigma %.4f, if all counted %.4f\n",
                  read_mode_to_str(mode), stated, found, sigma, all_uniform);
    assert_true(stated > 0.03 && stated < 0.97);
    assert_true(found >= stated - SIGMAS * sigma);
    /* These bad blocks tell a statement apart that counts every sample. */
    assert_true(found < all_uniform - SIGMAS * sigma);
}

/* Tracking: changed areas and the parent's data are in the upper half, the bad blocks,
 * which the guest wrote where nothing was, in the lower one. */
static void
changed(void **state)
{
    memset(&w, 0, sizeof(w));
    for (uint64_t b = BLOCKS / 2; b < BLOCKS; b += 2)
        w.is[b] |= DATA;
    for (uint64_t b = BLOCKS / 2; b + 8 < BLOCKS; b += 300) {
        w.changed[w.n_changed++] = (struct delta_run){.start = b, .end = b + 8};
        for (uint64_t i = b; i < b + 8; i++)
            w.is[i] |= CHANGED;
    }
    add_bad(37, 101);
    w.unread = BLOCKS - w.n_changed * 8;
    check_rate(READ_CHANGED);
}

/* Holes of 96 blocks with 4 of data between; the bad ones are inside. */
static void
all(void **state)
{
    memset(&w, 0, sizeof(w));
    for (uint64_t b = 0; b < BLOCKS; b++)
        if (b % 100 < 96) {
            w.is[b] |= HOLE;
            w.unread++;
        }
    add_bad(50, 300);
    check_rate(READ_ALL);
}

/* The same, and the parent holds data in three quarters of each hole, which is read
 * anyway: the edges are what remains, and many more of them than others were drawn. */
static void
compare(void **state)
{
    memset(&w, 0, sizeof(w));
    for (uint64_t b = 0; b < BLOCKS; b++)
        if (b % 100 < 96) {
            w.is[b] |= HOLE;
            if (b % 100 >= 2 && b % 100 < 94 && b % 100 % 8 != 2)
                w.is[b] |= DATA;
            w.unread += !(w.is[b] & DATA);
        }
    add_bad(50, 300);
    check_rate(READ_COMPARE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changed),
        cmocka_unit_test(all),
        cmocka_unit_test(compare),
    };

    return cmocka_run_group_tests_name("audit_rate", tests, NULL, NULL);
}
