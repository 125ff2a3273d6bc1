/* tests/func/incremental_engine.c - chains of incrementals on real qcow2: whatever the
 * guest wrote, every point restores byte by byte.  SEED=N repeats one; SEEDS=N sets how
 * many. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "incr_rig.h"
#include "store/layer.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define MIB (1ull << 20)

static struct incr w;

static int
set_up(void **state)
{
    (void)state;
    incr_init(&w);
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

/* What the tracking reports: the dirty blocks, in units of @unit bytes, and what
 * @forget_one_of says: 0 = nothing is forgotten. */
static void
track(struct incr_disk *d, uint64_t unit, unsigned forget_one_of)
{
    size_t n = 0, seen = 0;

    free(d->areas);
    d->areas = xcalloc(d->blocks + 1, sizeof(*d->areas));
    for (uint64_t off = 0; off < d->size; off += unit) {
        uint64_t end = off + unit < d->size ? off + unit : d->size;
        bool dirty = false;

        for (uint64_t b = off / BLOCK; b * BLOCK < end; b++)
            dirty = dirty || d->dirty[b];
        if (!dirty || (forget_one_of && seen++ % forget_one_of == 0))
            continue;
        if (n > 0 && d->areas[n - 1].off + d->areas[n - 1].len == off)
            d->areas[n - 1].len += end - off;
        else
            d->areas[n++] = (struct delta_area){off, end - off};
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

/* Writes, zeroes and holes of all sizes, and the same bytes once more. */
static void
guest(struct incr_disk *d, unsigned n, uint64_t *s)
{
    for (unsigned i = 0; i < n; i++) {
        uint64_t off = rnd(s) % d->size;
        uint64_t len = 1 + rnd(s) % (rnd(s) % 3 ? 3 * BLOCK : 12 * BLOCK);

        if (rnd(s) % 2)
            off = off / BLOCK * BLOCK;
        if (len > d->size - off)
            len = d->size - off;
        switch (rnd(s) % 5) {
        case 0:
            incr_write(&w, d, off, len, 0, false);
            break;
        case 1:
            incr_write(&w, d, off, len, 0, true);
            break;
        default:
            incr_write(&w, d, off, len, 1 + (unsigned)(rnd(s) % 7), false);
            break;
        }
    }
}

static void
check_all(void)
{
    for (uint32_t seq = 1; seq <= w.seq; seq++)
        for (size_t i = 0; i < w.n; i++)
            incr_check_restore(&w, seq, i);
    incr_check_chains(&w);
}

/* Every point by its image, and one of them through the worker; the chains' blocks are
 * compared with the manifests, so that one restore stands for all. */
static void
check_life(uint64_t *s)
{
    for (uint32_t seq = 1; seq <= w.seq; seq++)
        for (size_t i = 0; i < w.n; i++)
            incr_check_image(&w, seq, i);
    incr_check_restore(&w, 1 + (uint32_t)(rnd(s) % w.seq), rnd(s) % w.n);
    incr_check_chains(&w);
}

static void
seed_run(uint64_t seed)
{
    static const char *const no_map[] = {"--filter=noextents", NULL};
    uint64_t s = seed * 2654435761u + 12345;
    unsigned points = 2 + (unsigned)(rnd(&s) % 2);

    incr_init(&w);
    w.filters = rnd(&s) % 4 == 0 ? no_map : NULL;
    w.limits.request_bytes = MANIFEST_BLOCK_SIZE << (rnd(&s) % 4);
    for (unsigned i = 0; i < 1 + rnd(&s) % 2; i++) {
        struct incr_disk *d = incr_add_disk(
            &w, 2000 + i, 1 + rnd(&s) % (rnd(&s) % 3 ? 6 * MIB : 3 * BLOCK));

        guest(d, 12, &s);
    }
    incr_backup_ok(&w, false);
    for (unsigned p = 0; p < points; p++) {
        bool here = false;

        for (size_t i = 0; i < w.n; i++) {
            struct incr_disk *d = &w.disks[i];
            bool grown = rnd(&s) % 5 == 0;

            if (grown)
                incr_grow(&w, d, d->size + 1 + rnd(&s) % (2 * MIB));
            guest(d, (unsigned)(rnd(&s) % 5), &s);
            if (rnd(&s) % 2 && !grown) {
                track(d, BLOCK << (rnd(&s) % 5), 0);
                here = true;
            } else {
                compare_next(d);
            }
        }
        incr_backup_ok(&w, here);
        for (size_t i = 0; i < w.n; i++) {
            assert_int_equal(w.disks[i].told_mode, w.disks[i].read);
            assert_int_equal(w.disks[i].bad, 0);
        }
    }
    check_life(&s);
    incr_done(&w);
}

static void
seeds(void **state)
{
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : 24;

    (void)state;
    for (uint64_t seed = 0; seed < n; seed++) {
        if (only)
            seed = strtoull(only, NULL, 10);
        print_message("# SEED=%llu\n", (unsigned long long)seed);
        seed_run(seed);
        if (only)
            break;
    }
}

/* Nothing changed: nothing is recorded, and with tracking nothing but the audit is read.
 */
static void
nothing_changed(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 8 * MIB + 512);

    (void)state;
    w.audit_samples = 16;
    incr_write(&w, d, MIB, 2 * MIB, 5, false);
    incr_backup_ok(&w, false);
    assert_int_equal(d->told_mode, READ_ALL);
    compare_next(d);
    incr_backup_ok(&w, false);
    assert_int_equal(d->records, 0);
    assert_int_equal(d->bytes.sent, 0);
    assert_int_equal(d->bytes.read - d->bytes.audit, 2 * MIB);
    track(d, BLOCK, 0);
    incr_backup_ok(&w, true);
    assert_int_equal(d->records, 0);
    assert_int_equal(d->bytes.read, d->bytes.audit);
    assert_in_range(d->sampled, 8, 16);
    check_all();
}

/* Zero where the parent has data: a zero run, zero clusters that hide the parent, not one
 * byte sent; zero where it has none: nothing. */
static void
zeroes_hide(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 4 * MIB + 777);

    (void)state;
    incr_write(&w, d, MIB, MIB, 5, false);
    incr_write(&w, d, 4 * MIB, 777, 6, false);
    incr_backup_ok(&w, false);
    for (unsigned round = 0; round < 2; round++) {
        incr_write(&w, d, MIB - BLOCK, 4 * BLOCK, 0, round == 0);
        incr_write(&w, d, 4 * MIB, 777, 0, true);
        if (round == 0)
            compare_next(d);
        else
            track(d, BLOCK, 0);
        incr_backup_ok(&w, round == 1);
        assert_int_equal(d->bytes.sent, 0);
        /* Three blocks in one piece, and the short end; the second time it is all zero
         * already. */
        assert_int_equal(d->records, round == 0 ? 2 : 0);
    }
    check_all();
}

/* A disk that grew within its last, short block; the parent's is hashed padded. */
static void
grown_in_the_last_block(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 2 * BLOCK + 1000);

    (void)state;
    incr_write(&w, d, 0, d->size, 9, false);
    incr_backup_ok(&w, false);
    incr_grow(&w, d, 2 * BLOCK + 5000);
    compare_next(d);
    d->reason = REASON_CAPACITY_CHANGED;
    incr_backup_ok(&w, false);
    assert_int_equal(d->records, 0);
    assert_int_equal(d->told_reason, REASON_CAPACITY_CHANGED);
    incr_grow(&w, d, 9 * BLOCK + 1);
    incr_write(&w, d, 2 * BLOCK + 4999, 2, 7, false);
    compare_next(d);
    incr_backup_ok(&w, false);
    assert_int_equal(d->records, 1);
    incr_write(&w, d, 9 * BLOCK, 1, 7, false);
    track(d, BLOCK, 0);
    incr_backup_ok(&w, true);
    assert_int_equal(d->records, 1);
    check_all();
}

/* Tracking that forgets: the audit finds it, the disk is compared in the same job, and
 * the point is right. */
static void
tracking_lies(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 8 * MIB);
    struct incr_disk *honest = incr_add_disk(&w, 2001, 2 * MIB);

    (void)state;
    incr_write(&w, d, 0, 6 * MIB, 3, false);
    incr_write(&w, honest, 0, MIB, 4, false);
    incr_backup_ok(&w, false);
    incr_write(&w, d, 2 * MIB, 2 * MIB, 5, false);
    incr_write(&w, honest, 0, BLOCK, 6, false);
    track(d, BLOCK, 2);
    track(honest, BLOCK, 0);
    incr_backup_ok(&w, true);
    assert_true(d->bad > 0);
    assert_int_equal(d->told_mode, READ_COMPARE);
    assert_int_equal(d->told_reason, REASON_AUDIT_MISMATCH);
    assert_int_equal(d->warnings, 1);
    assert_string_equal(d->warning, "change_tracking_wrong");
    assert_int_equal(d->records, 2 * MIB / BLOCK);
    assert_int_equal(honest->told_mode, READ_CHANGED);
    assert_int_equal(honest->bad, 0);
    assert_int_equal(honest->warnings, 0);
    /* The same with zeroes forgotten, and with data where the parent has none. */
    incr_write(&w, d, MIB, MIB, 0, true);
    track(d, BLOCK, 1);
    track(honest, BLOCK, 0);
    incr_backup_ok(&w, true);
    assert_int_equal(d->told_reason, REASON_AUDIT_MISMATCH);
    incr_write(&w, d, 7 * MIB, MIB, 8, false);
    track(d, BLOCK, 1);
    track(honest, BLOCK, 0);
    incr_backup_ok(&w, true);
    assert_int_equal(d->told_reason, REASON_AUDIT_MISMATCH);
    check_all();
}

/* Damage in a layer that newer ones stand on: the tip is as it was written, the chain is
 * not, and nothing that shows the damage is restored. */
static void
damage_below(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 2 * MIB);
    char base[NAMING_LOCATOR_SIZE], middle[NAMING_LOCATOR_SIZE];
    struct err err = ERR_INIT;

    (void)state;
    incr_write(&w, d, 0, MIB, 3, false);
    incr_backup_ok(&w, false);
    memcpy(base, d->tip, sizeof(base));
    incr_write(&w, d, MIB, MIB, 4, false);
    compare_next(d);
    incr_backup_ok(&w, false);
    memcpy(middle, d->tip, sizeof(middle));
    incr_write(&w, d, 0, 4 * BLOCK, 5, false);
    compare_next(d);
    incr_backup_ok(&w, false);
    /* What the tip hides is damage all the same. */
    incr_damage(&w, base, BLOCK);
    assert_int_equal(incr_verify(&w, false, &err), 0);
    assert_int_equal(incr_verify(&w, true, &err), ERR_CORRUPT);
    assert_string_equal(err.code, "verification_failed");
    assert_non_null(strstr(err.msg, "disk 2000: 1 damaged range"));
    incr_check_restore(&w, 3, 0);
    incr_damage(&w, middle, MIB);
    err_clear(&err);
    assert_int_equal(incr_verify(&w, false, &err), 0);
    assert_int_equal(incr_verify(&w, true, &err), ERR_CORRUPT);
}

/* Thirty layers, and every one of them restores. */
static void
thirty_layers(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 2 * MIB + 4096);
    uint64_t s = 77;

    (void)state;
    guest(d, 10, &s);
    incr_backup_ok(&w, false);
    for (unsigned i = 1; i < 30; i++) {
        guest(d, 2, &s);
        track(d, BLOCK, 0);
        incr_backup_ok(&w, true);
    }
    for (uint32_t seq = 1; seq <= 30; seq += seq < 3 ? 1 : 9)
        incr_check_restore(&w, seq, 0);
    incr_check_restore(&w, 30, 0);
    incr_check_chains(&w);
}

/* What an incremental costs follows what changed, not the size of the disk. */
static void
cost_follows_changes(void **state)
{
    static const uint64_t sizes[] = {1ull << 30, 1ull << 40};
    struct byte_counters cost[2];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct incr_disk *d;

        incr_init(&w);
        d = incr_add_disk(&w, 2000, sizes[i]);
        incr_write(&w, d, 0, 2 * MIB, 3, false);
        incr_write(&w, d, sizes[i] - MIB, MIB, 4, false);
        incr_backup_ok(&w, false);
        incr_write(&w, d, MIB, MIB, 5, false);
        incr_write(&w, d, sizes[i] - MIB, BLOCK, 0, false);
        track(d, BLOCK, 0);
        incr_backup_ok(&w, true);
        cost[i] = d->bytes;
        /* 16 changed blocks, and one zero run. */
        assert_int_equal(d->records, 17);
        assert_int_equal(d->bytes.sent, MIB);
        incr_done(&w);
    }
    assert_int_equal(cost[0].read - cost[0].audit, MIB + BLOCK);
    assert_int_equal(cost[1].read - cost[1].audit, MIB + BLOCK);
    assert_in_range(cost[1].audit, cost[0].audit - 64 * BLOCK,
                    cost[0].audit + 64 * BLOCK);
}

static void
fails_with(const char *code, bool here)
{
    assert_true(incr_backup(&w, here) < 0);
    if (strcmp(w.err.code, code) != 0)
        fail_msg("want %s, got %s: %s", code, w.err.code, w.err.msg);
}

/* A parent whose manifest was rewritten: nothing is read through it, nothing is left. */
static void
parent_manifest_damaged(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 2 * MIB);
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FD int fd = -1;
    char path[REPO_PATH_SIZE];
    struct err err = ERR_INIT;
    unsigned char byte;

    (void)state;
    incr_write(&w, d, 0, MIB, 3, false);
    incr_backup_ok(&w, false);
    name = xasprintf("%s.manifest", d->tip);
    assert_int_equal(repo_path(w.repo, name, path, &err), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    /* The root in the trailer. */
    assert_int_equal(pread(fd, &byte, 1, lseek(fd, 0, SEEK_END) - 40), 1);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, lseek(fd, 0, SEEK_END) - 40), 1);
    compare_next(d);
    fails_with("parent_damaged", false);
    byte ^= 1;
    assert_int_equal(pwrite(fd, &byte, 1, lseek(fd, 0, SEEK_END) - 40), 1);
    incr_backup_ok(&w, false);
    check_all();
}

/* The number of a record in the parent's manifest rots to one that is free: header,
 * trailer and order are right, and the block resolves as zero.  The guest zeroes it,
 * which is what the parent seems to hold: but the parent's image has data there. */
static void
parent_record_rots(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 4 * MIB);
    uint32_t samples = w.audit_samples;
    CLEANUP_FREE char *name = NULL;
    CLEANUP_FD int fd = -1;
    char path[REPO_PATH_SIZE];
    struct err err = ERR_INIT;

    (void)state;
    incr_write(&w, d, 0, MIB, 3, false);
    incr_backup_ok(&w, false);
    name = xasprintf("%s.manifest", d->tip);
    assert_int_equal(repo_path(w.repo, name, path, &err), 0);
    fd = open(path, O_RDWR | O_CLOEXEC);
    /* The last of 16 records. */
    assert_int_equal(pwrite(fd, "\x14", 1, 4096 + 15 * 40), 1);
    w.audit_samples = 0; /* it might look at block 20 */
    incr_write(&w, d, 15 * BLOCK, BLOCK, 0, false);
    track(d, BLOCK, 0);
    fails_with("parent_damaged", true);
    assert_int_equal(pwrite(fd, "\x0f", 1, 4096 + 15 * 40), 1);
    incr_backup_ok(&w, true);
    w.audit_samples = samples;
    check_all();
}

/* Areas that are none end the job; the next one succeeds. */
static void
areas_refused(void **state)
{
    struct incr_disk *d = incr_add_disk(&w, 2000, 2 * MIB);

    (void)state;
    incr_write(&w, d, 0, MIB, 3, false);
    incr_backup_ok(&w, false);
    incr_write(&w, d, BLOCK, 10, 4, false);
    track(d, BLOCK, 0);
    d->areas[0].len = 3 * MIB;
    fails_with("changed_areas", true);
    track(d, BLOCK, 0);
    incr_backup_ok(&w, true);
    assert_int_equal(d->records, 1);
    check_all();
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(nothing_changed),         T(zeroes_hide),
        T(grown_in_the_last_block), T(tracking_lies),
        T(parent_manifest_damaged), T(parent_record_rots),
        T(areas_refused),           T(damage_below),
        T(thirty_layers),           cmocka_unit_test(cost_follows_changes),
        cmocka_unit_test(seeds),
    };

    return cmocka_run_group_tests_name("incremental_engine", tests, NULL, NULL);
}
