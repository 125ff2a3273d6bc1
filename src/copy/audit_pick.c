/* copy/audit_pick.c - which blocks an audit reads; see audit.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "copy/audit.h"
#include "copy/reservoir.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define PAGE_END_SALT 0x70616765656e6473ull /* another stream of numbers */

void
samples_done(struct samples *s)
{
    free(s->v);
    *s = (struct samples){.n = 0};
}

static int
by_block(const void *a, const void *b)
{
    uint64_t x = ((const struct sample *)a)->block;
    uint64_t y = ((const struct sample *)b)->block;

    if (x != y)
        return x < y ? -1 : 1;
    return ((const struct sample *)a)->edge - ((const struct sample *)b)->edge;
}

static int
room(struct samples *s, size_t n, struct err *err)
{
    s->v = calloc(n + 1, sizeof(*s->v));
    if (!s->v)
        return err_set(err, ERR_LIMIT, NULL, "no memory for the samples");
    return 0;
}

static void
take(struct samples *s, const struct reservoir *r, bool edge)
{
    for (uint32_t i = 0; i < r->n; i++)
        s->v[s->n++] = (struct sample){.block = r->blocks[i], .edge = edge};
}

/* What was drawn both ways counts as drawn from everywhere. */
static void
sort(struct samples *s)
{
    size_t kept = 0;

    qsort(s->v, s->n, sizeof(*s->v), by_block);
    for (size_t i = 0; i < s->n; i++)
        if (kept == 0 || s->v[i].block != s->v[kept - 1].block)
            s->v[kept++] = s->v[i];
    s->n = kept;
}

/* Asks what the parent holds in each of them. */
static int
look_up(struct copy_disk *d, struct samples *s, struct err *err)
{
    for (size_t at = 0; at < s->n; at += PARENT_ASK_MAX) {
        size_t n = s->n - at < PARENT_ASK_MAX ? s->n - at : PARENT_ASK_MAX;
        uint64_t blocks[PARENT_ASK_MAX];
        struct delta_block want[PARENT_ASK_MAX];

        for (size_t i = 0; i < n; i++)
            blocks[i] = s->v[at + i].block;
        if (copy_parent_list(d->parent, blocks, n, want, err) < 0)
            return err->class;
        for (size_t i = 0; i < n; i++)
            s->v[at + i].want = want[i];
    }
    return 0;
}

static uint64_t
seed_of(const struct copy_disk *d)
{
    return d->opts->spec->audit_seed * 0x9e3779b97f4a7c15ull + d->spec->key;
}

/* --- the allocation map --- */

struct picks {
    struct reservoir edges, all;
};

static int
on_run(void *arg, uint64_t block, uint64_t count, struct err *err)
{
    struct picks *p = arg;

    (void)err;
    reservoir_offer(&p->edges, block, 1);
    if (count > 1)
        reservoir_offer(&p->edges, block + count - 1, 1);
    reservoir_offer(&p->all, block, count);
    return 0;
}

/* What the parent holds as data is read anyway. */
static void
keep_zero(struct samples *s)
{
    size_t kept = 0;

    for (size_t i = 0; i < s->n; i++)
        if (!s->v[i].want.data)
            s->v[kept++] = s->v[i];
    s->n = kept;
}

/* The parent may hold data in most of the holes and not beside their edges: then few
 * remain of those that were drawn from everywhere, and no more than their third of the
 * others is kept, or what the audit says of itself would not be true. */
static void
keep_share(struct samples *s)
{
    size_t edges = 0, max, kept = 0, seen = 0;

    for (size_t i = 0; i < s->n; i++)
        edges += s->v[i].edge;
    max = (s->n - edges) / 3;
    for (size_t i = 0; i < s->n; i++) {
        /* Spread over the disk: number n of the edges stays where n * max passes a
         * multiple of edges. */
        if (s->v[i].edge && edges > max) {
            seen++;
            if (seen * max / edges == (seen - 1) * max / edges)
                continue;
        }
        s->v[kept++] = s->v[i];
    }
    s->n = kept;
}

int
audit_pick_map(struct copy_disk *d, struct samples *ret, struct err *err)
{
    uint32_t samples = d->opts->spec->audit_samples;
    uint64_t seed = seed_of(d);
    struct picks p;
    int r;

    reservoir_init(&p.edges, samples / 4, seed);
    reservoir_init(&p.all, samples - samples / 4, ~seed);
    r = copy_zero_runs(d->source, 0, d->spec->size_bytes, on_run, &p, err);
    if (r == 0)
        r = room(ret, (size_t)p.edges.n + p.all.n, err);
    if (r == 0) {
        take(ret, &p.edges, true);
        take(ret, &p.all, false);
        sort(ret);
    }
    reservoir_done(&p.edges);
    reservoir_done(&p.all);
    if (r == 0 && d->parent)
        r = look_up(d, ret, err);
    if (r == 0) {
        keep_zero(ret);
        keep_share(ret);
    }
    return r;
}

/* --- change tracking --- */

static void
offer_unchanged(const struct copy_disk *d, struct reservoir *r, uint64_t block)
{
    if (block < manifest_blocks(d->spec->size_bytes) &&
        !delta_covers(d->changed, d->n_changed, block))
        reservoir_offer(r, block, 1);
}

/* Both sides of where one answer of the server ended: a client that loses the rest of an
 * answer loses it there. */
static void
offer_page_ends(const struct copy_disk *d, struct reservoir *r)
{
    const struct copy_changes *c = d->changes;

    for (size_t i = 0; i < c->n_page_ends; i++) {
        uint64_t block = c->page_ends[i] / BLOCK;

        if (block > 0)
            offer_unchanged(d, r, block - 1);
        offer_unchanged(d, r, block);
    }
}

static void
offer_neighbours(const struct copy_disk *d, struct reservoir *r)
{
    for (size_t i = 0; i < d->n_changed; i++) {
        if (d->changed[i].start > 0)
            offer_unchanged(d, r, d->changed[i].start - 1);
        offer_unchanged(d, r, d->changed[i].end);
    }
}

/* There may be a thousand areas to each page end, which would hide it. */
void
audit_pick_edges(const struct copy_disk *d, uint32_t n, uint64_t seed,
                 struct reservoir *ret_ends, struct reservoir *ret_neighbours)
{
    reservoir_init(ret_ends, n / 2, seed ^ PAGE_END_SALT);
    offer_page_ends(d, ret_ends);
    reservoir_init(ret_neighbours, n - ret_ends->n, seed);
    offer_neighbours(d, ret_neighbours);
}

static void
offer_all(struct copy_disk *d, struct reservoir *r)
{
    uint64_t at = 0;

    for (size_t i = 0; i < d->n_changed; i++) {
        if (d->changed[i].start > at)
            reservoir_offer(r, at, d->changed[i].start - at);
        at = d->changed[i].end;
    }
    if (at < manifest_blocks(d->spec->size_bytes))
        reservoir_offer(r, at, manifest_blocks(d->spec->size_bytes) - at);
}

/* At most @max unchanged blocks that the parent holds as data.  The hub draws from all of
 * them: for those that fall into changed areas others are drawn, in a bounded number of
 * rounds. */
static int
sample_data(struct copy_disk *d, size_t max, struct samples *s, struct err *err)
{
    size_t rounds = 4 + 2 * (max / PARENT_ASK_MAX), first = s->n;

    for (size_t i = 0; i < rounds && s->n - first < max; i++) {
        size_t n = 0, left = max - (s->n - first);
        size_t ask = left < PARENT_ASK_MAX ? left : PARENT_ASK_MAX;
        uint64_t blocks[PARENT_ASK_MAX];
        struct delta_block want[PARENT_ASK_MAX];

        if (copy_parent_sample(d->parent, ask, seed_of(d) + i, blocks, want, &n, err) < 0)
            return err->class;
        for (size_t k = 0; k < n; k++)
            if (!delta_covers(d->changed, d->n_changed, blocks[k]))
                s->v[s->n++] = (struct sample){.block = blocks[k], .want = want[k]};
        if (n < ask)
            break; /* that was all there is */
    }
    return 0;
}

int
audit_pick_changes(struct copy_disk *d, struct samples *ret, struct err *err)
{
    uint32_t samples = d->opts->spec->audit_samples;
    struct samples rest = {.n = 0};
    struct reservoir ends, edges, all;
    uint64_t seed = seed_of(d);
    int r;

    audit_pick_edges(d, samples / 4, seed, &ends, &edges);
    reservoir_init(&all, samples / 4, ~seed);
    offer_all(d, &all);
    r = room(&rest, (size_t)ends.n + edges.n + all.n, err);
    if (r == 0)
        r = room(ret, samples, err);
    if (r == 0) {
        take(&rest, &ends, true);
        take(&rest, &edges, true);
        take(&rest, &all, false);
        sort(&rest);
        r = look_up(d, &rest, err);
    }
    reservoir_done(&ends);
    reservoir_done(&edges);
    reservoir_done(&all);
    if (r == 0)
        r = sample_data(d, samples - 2 * (samples / 4), ret, err);
    if (r == 0) {
        memcpy(ret->v + ret->n, rest.v, rest.n * sizeof(*rest.v));
        ret->n += rest.n;
        sort(ret);
    }
    samples_done(&rest);
    return r;
}
