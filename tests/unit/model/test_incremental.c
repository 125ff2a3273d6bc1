/* tests/unit/model/test_incremental.c - thousands of lives of a VM in memory: guest
 * writes, resets of tracking, disks that grow, come and go, tracking that forgets, pages
 * of one area.  Plan and delta decide; what they record, resolved, must give every
 * restore point's bytes.  SEED=N repeats one life; SEEDS=N sets how many.
 *
 * A block's content is 16 numbers of two bytes, one for each 4 KiB; they stand for its
 * hash as well, so that what a chain says about a block is what a restore would write. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/delta.h"
#include "model/plan.h"
#include "model/resolve.h"
#include "incremental_model.h"
#include "model_test.h"

#define SEEDS 4000

/* How often each reason was met: a life that never meets one proves nothing about it. */
static unsigned met[REASON_COUNT], met_mode[READ_MODE_COUNT], zero_runs, lies_caught;

static uint64_t
blocks_of(uint64_t units)
{
    return (units + UNITS - 1) / UNITS;
}

static bool
is_zero(const struct content *c)
{
    static const struct content zero;

    return memcmp(c, &zero, sizeof(zero)) == 0;
}

/* --- the server's answer about changed areas --- */

struct answer {
    struct delta_area areas[UNITS_MAX];
    size_t n;
};

static unsigned
epoch_of(const char *change_id)
{
    return (unsigned)strtoul(strrchr(change_id, '/') + 1, NULL, 10);
}

/* One page: at most @limit areas from @from on; *ret_to says how far it got. */
static void
ask_page(const struct disk *d, unsigned since, uint64_t from, size_t limit,
         uint64_t *seed, struct answer *a, uint64_t *ret_to)
{
    size_t n = 0;

    for (uint64_t off = from; off < size_of(d); off += d->granularity) {
        uint64_t end =
            off + d->granularity < size_of(d) ? off + d->granularity : size_of(d);
        bool changed = false;

        for (uint64_t u = off / UNIT; u * UNIT < end; u++)
            changed = changed || d->changed_at[u] >= since;
        if (changed && d->lies && rnd(seed) % 3 == 0)
            changed = false;
        if (!changed)
            continue;
        if (n == limit) {
            *ret_to = off;
            return;
        }
        a->areas[a->n++] = (struct delta_area){off, end - off};
        n++;
    }
    *ret_to = size_of(d);
}

static void
ask_areas(const struct disk *d, struct answer *a)
{
    size_t limit = 1 + pick(pick(2) ? 3 : 100);
    uint64_t at = 0, seed = rnd(&vm.rng);

    a->n = 0;
    while (at < size_of(d))
        ask_page(d, epoch_of(d->chain.change_id), at, limit, &seed, a, &at);
}

/* --- what a chain holds --- */

struct stream {
    const struct layer *layer;
    size_t at;
};

static int
next_record(void *arg, struct manifest_record *ret, struct err *err)
{
    struct stream *s = arg;

    (void)err;
    if (s->at == s->layer->n)
        return 0;
    *ret = s->layer->recs[s->at++];
    return 1;
}

/* The first @n layers, resolved. */
static void
resolve_chain(const struct chain_model *c, size_t n, struct delta_block out[BLOCKS_MAX])
{
    CLEANUP_RESOLVE struct resolve *r = NULL;
    struct resolve_layer layers[LAYERS_MAX];
    struct stream streams[LAYERS_MAX];
    struct resolve_item it;
    struct err err = ERR_INIT;

    memset(out, 0, BLOCKS_MAX * sizeof(*out));
    if (n == 0)
        return;
    for (size_t i = 0; i < n; i++) {
        streams[i] = (struct stream){.layer = &c->layers[i]};
        layers[i] = (struct resolve_layer){.next = next_record, .arg = &streams[i]};
    }
    assert_int_equal(resolve_new(layers, n, &r, &err), 0);
    while (resolve_next(r, &it, &err) > 0)
        for (uint64_t b = it.block; b < it.block + it.count; b++) {
            assert_true(b < BLOCKS_MAX);
            out[b].data = it.state == MANIFEST_DATA;
            memcpy(out[b].hash, it.hash, MANIFEST_HASH_SIZE);
        }
    assert_int_equal(err.class, 0);
}

static void
check_point(const struct point *p)
{
    struct delta_block got[BLOCKS_MAX];

    resolve_chain(&vm.disks[p->disk].chain, p->layers, got);
    for (uint64_t b = 0; b < blocks_of(p->units); b++) {
        assert_int_equal(got[b].data, !is_zero(&p->is[b]));
        if (got[b].data)
            assert_memory_equal(got[b].hash, &p->is[b], sizeof(p->is[b]));
    }
    for (uint64_t b = blocks_of(p->units); b < BLOCKS_MAX; b++)
        assert_false(got[b].data);
}

/* A chain ends: what stood on it is checked for the last time. */
static void
check_points_of(size_t disk)
{
    size_t kept = 0;

    for (size_t i = 0; i < vm.n_points; i++) {
        if (vm.points[i].disk == disk)
            check_point(&vm.points[i]);
        else
            vm.points[kept++] = vm.points[i];
    }
    vm.n_points = kept;
}

/* --- one backup of one disk --- */

static void
record_all(const struct disk *d, struct layer *l)
{
    for (uint64_t b = 0; b < blocks_of(d->units); b++) {
        struct manifest_record *r = &l->recs[l->n];

        if (is_zero(&d->now[b]))
            continue;
        *r = (struct manifest_record){.block = b, .state = MANIFEST_DATA, .count = 1};
        memcpy(r->hash, &d->now[b], MANIFEST_HASH_SIZE);
        l->n++;
    }
}

/* The pieces of one page, as workers get them. */
static void
record_page(const struct disk *d, const struct delta_block *parent,
            const struct delta_run *page, const bool *wanted, struct layer *l)
{
    uint8_t raw[16 * MANIFEST_RECORD_SIZE];
    uint64_t piece = 1 + pick(16), b = page->start;
    struct err err = ERR_INIT;

    while (b < page->end) {
        struct delta_out out = {.records = raw};

        for (uint64_t end = b + piece; b < end && b < page->end && wanted[b]; b++)
            delta_put(&out, b,
                      delta_decide(is_zero(&d->now[b]), (const uint8_t *)&d->now[b],
                                   &parent[b]),
                      (const uint8_t *)&d->now[b]);
        for (unsigned i = 0; i < out.n; i++)
            assert_int_equal(manifest_record_decode(raw + i * MANIFEST_RECORD_SIZE,
                                                    &l->recs[l->n++], &err),
                             0);
        while (b < page->end && !wanted[b])
            b++;
    }
}

static void
record_delta(const struct disk *d, const struct delta_block *parent,
             const struct delta_run *runs, size_t n, struct layer *l)
{
    struct delta_run whole = {0, blocks_of(d->units)}, page;
    struct delta_at at = {0};
    bool map = pick(2) == 0; /* does the source have an allocation map? */

    while (delta_page(runs ? runs : &whole, runs ? n : 1, &at, &page)) {
        bool wanted[BLOCKS_MAX];

        for (uint64_t b = page.start; b < page.end; b++)
            wanted[b] = runs ? delta_covers(runs, n, b)
                             : !map || !is_zero(&d->now[b]) || parent[b].data;
        record_page(d, parent, &page, wanted, l);
    }
}

/* An audit that reads all that is called unchanged. */
static bool
audit_fails(const struct disk *d, const struct delta_block *parent,
            const struct delta_run *runs, size_t n)
{
    for (uint64_t b = 0; b < blocks_of(d->units); b++) {
        bool zero = is_zero(&d->now[b]);

        if (!delta_covers(runs, n, b) &&
            delta_decide(zero, (const uint8_t *)&d->now[b], &parent[b]) != DELTA_SAME)
            return true;
    }
    return false;
}

/* The layer is in order, within the disk, and says nothing that the parent says too. */
static void
check_layer(const struct layer *l, const struct delta_block *parent, bool full)
{
    CLEANUP_MANIFEST_CHECK struct manifest_check *c = NULL;
    struct manifest_header h = {.disk_size = l->size};
    struct err err = ERR_INIT;

    h.parent_layer_id[0] = !full;
    assert_int_equal(manifest_check_new(&h, &c, &err), 0);
    for (size_t i = 0; i < l->n; i++) {
        const struct manifest_record *r = &l->recs[i];

        if (manifest_check_add(c, r, &err) < 0)
            fail_msg("%s", err.msg);
        zero_runs += r->state == MANIFEST_ZERO;
        for (uint64_t b = r->block; b < r->block + r->count; b++)
            assert_true(r->state == MANIFEST_ZERO
                            ? parent[b].data
                            : !parent[b].data ||
                                  memcmp(r->hash, parent[b].hash, sizeof(r->hash)) != 0);
    }
}

static void
name_file(const struct disk *d, size_t i, char ret[16])
{
    snprintf(ret, 16, "f%u", i ? d->files[i - 1] : 0);
}

static void
name_snapshot(const struct disk *d, size_t i, char ret[16])
{
    ret[0] = '\0';
    if (i)
        snprintf(ret, 16, "s%u", d->snapshots[i - 1]);
}

static enum plan_history_is
history_of(const struct disk *d)
{
    const size_t top = d->n_snapshots;
    char files[SNAPSHOTS_MAX + 1][16], on[16], *below[SNAPSHOTS_MAX];
    struct plan_history h = {.parent_file = d->chain.file,
                             .parent_on = d->chain.on,
                             .file = files[top],
                             .below = below,
                             .n_below = top};

    for (size_t i = 0; i <= top; i++) {
        name_file(d, i, files[i]);
        name_snapshot(d, i, on);
        if (i < top)
            below[top - 1 - i] = files[i];
        h.parent_on_stands |= on[0] && strcmp(on, d->chain.on) == 0;
    }
    return plan_history(&h);
}

static struct plan_result
plan(const struct disk *d, bool want_full)
{
    const struct chain_model *c = &d->chain;
    struct plan_parent p = {.exists = c->n > 0,
                            .damaged = c->damaged,
                            .apart = d->apart,
                            .size_bytes = c->n ? c->layers[c->n - 1].size : 0,
                            .source_uuid = c->source_uuid,
                            .datastore = c->datastore,
                            .change_id = c->change_id,
                            .chain_length = (uint32_t)c->n};
    struct plan_source s = {.can_track = true,
                            .tracking_on = d->tracking,
                            .size_bytes = size_of(d),
                            .source_uuid = d->uuid,
                            .datastore = d->datastore};
    struct plan_wish w = {.full = want_full, .chain_max = CHAIN_MAX};
    struct plan_result first = plan_disk(&p, &s, &w), r;
    const enum plan_history_is history = history_of(d);
    struct plan_snapshot snap = {.size_bytes = s.size_bytes,
                                 .source_uuid = d->uuid,
                                 .datastore = d->datastore,
                                 .tracking_off = !d->tracking,
                                 .reverted = d->reverted || history == HISTORY_REVERTED,
                                 .history_unknown = history == HISTORY_UNKNOWN,
                                 .left_behind = d->left_behind,
                                 .fault = pick(12) == 0};
    char id[32];
    struct err err = ERR_INIT;

    snprintf(id, sizeof(id), "%u/%u", d->tracking_uuid, d->epoch);
    snap.change_id = d->tracking ? id : NULL;
    assert_int_equal(plan_refine(&first, &s, c->change_id, &snap, &r, &err), 0);
    return r;
}

static void
make_layer(struct disk *d, struct plan_result *p, const struct delta_block *parent,
           struct layer *l)
{
    static struct answer a;
    CLEANUP_FREE struct delta_run *runs = NULL;
    size_t n = 0;
    struct err err = ERR_INIT;

    *l = (struct layer){.size = size_of(d)};
    if (p->mode == READ_CHANGED) {
        ask_areas(d, &a);
        if (delta_widen(a.areas, a.n, size_of(d), &runs, &n, &err) < 0)
            fail_msg("%s", err.msg);
        if (audit_fails(d, parent, runs, n)) {
            assert_true(d->lies); /* an honest one is never caught */
            lies_caught++;
            *p = (struct plan_result){READ_COMPARE, REASON_AUDIT_MISMATCH};
        }
    }
    if (p->mode == READ_ALL)
        record_all(d, l);
    else
        record_delta(d, parent, p->mode == READ_CHANGED ? runs : NULL, n, l);
}

static void
commit(struct disk *d, const struct plan_result *p, const struct layer *l)
{
    struct chain_model *c = &d->chain;
    struct point *point;

    if (p->mode == READ_ALL) {
        check_points_of((size_t)(d - vm.disks));
        *c = (struct chain_model){.n = 0};
    }
    assert_true(c->n < CHAIN_MAX);
    c->layers[c->n++] = *l;
    /* A layer of long ago knows less of its disk. */
    snprintf(c->source_uuid, sizeof(c->source_uuid), "%s", pick(20) ? d->uuid : "");
    name_file(d, d->n_snapshots, c->file);
    name_snapshot(d, d->n_snapshots, c->on);
    snprintf(c->datastore, sizeof(c->datastore), "%s", d->datastore);
    c->change_id[0] = '\0';
    if (d->tracking) {
        snprintf(c->change_id, sizeof(c->change_id), "%u/%u", d->tracking_uuid,
                 d->epoch + 1);
        d->epoch++;
    }
    d->reverted = d->apart = false;
    d->left_behind = false;
    point = &vm.points[vm.n_points++];
    *point =
        (struct point){.disk = (size_t)(d - vm.disks), .layers = c->n, .units = d->units};
    memcpy(point->is, d->now, sizeof(point->is));
    check_point(point);
}

static void
back_up(struct disk *d)
{
    struct delta_block parent[BLOCKS_MAX];
    struct plan_result p = plan(d, pick(15) == 0);
    static struct layer l;

    resolve_chain(&d->chain, p.mode == READ_ALL ? 0 : d->chain.n, parent);
    make_layer(d, &p, parent, &l);
    check_layer(&l, parent, p.mode == READ_ALL);
    if (pick(6) == 0)
        return; /* the job failed: the next one stands on the same parent */
    met[p.reason]++;
    met_mode[p.mode]++;
    commit(d, &p, &l);
}

static void
live(uint64_t seed)
{
    memset(&vm, 0, sizeof(vm));
    vm.rng = seed * 2862933555777941757ull + 3037000493u;
    for (size_t i = 0; i < DISKS_MAX; i++)
        add_disk(&vm.disks[i]);
    for (unsigned step = 0; step < STEPS; step++)
        for (size_t i = 0; i < DISKS_MAX; i++) {
            something_happens(&vm.disks[i]);
            if (vm.disks[i].present)
                back_up(&vm.disks[i]);
            else
                is_elsewhere(&vm.disks[i]);
        }
    /* What happened later did not change what was stored before. */
    for (size_t i = 0; i < DISKS_MAX; i++)
        check_points_of(i);
    assert_int_equal(vm.n_points, 0);
}

static uint64_t seed_now;

/* The test ends at the line that failed; this runs all the same. */
static int
tell_seed(void **state)
{
    (void)state;
    print_message("# the last one was SEED=%llu\n", (unsigned long long)seed_now);
    return 0;
}

static void
test_lives(void **state)
{
    const char *only = getenv("SEED"), *many = getenv("SEEDS");
    uint64_t n = many ? strtoull(many, NULL, 10) : SEEDS;

    (void)state;
    if (only) {
        live(strtoull(only, NULL, 10));
        return;
    }
    for (seed_now = 0; seed_now < n; seed_now++)
        live(seed_now);
    if (n < SEEDS)
        return;
    for (int r = 0; r < REASON_COUNT; r++)
        if (met[r] < 20)
            fail_msg("the reason %s was met %u times", reason_to_str(r), met[r]);
    for (int m = 0; m < READ_MODE_COUNT; m++)
        assert_true(met_mode[m] > 1000);
    assert_true(zero_runs > 1000 && lies_caught > 100);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test_teardown(test_lives, tell_seed)};

    return cmocka_run_group_tests_name("incremental", tests, NULL, NULL);
}
