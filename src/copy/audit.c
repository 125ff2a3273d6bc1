/* copy/audit.c - is the source's allocation map true?
 *
 * A map that wrongly calls data zero would make a backup that restores with holes and
 * hashes nobody can complain about.  So a sample of what will be skipped is read first: a
 * quarter of it beside the edges of extents, where off-by-one maps are wrong, the rest
 * anywhere. */
#include <stdlib.h>

#include "copy/block.h"
#include "copy/disk.h"
#include "copy/reservoir.h"

#define BLOCK MANIFEST_BLOCK_SIZE
#define AUDIT_SLOTS 16

struct audit {
    struct copy_disk *disk;
    struct reservoir edges, all;
    uint64_t *blocks; /* sorted, different */
    size_t n;
    uint64_t bad, first_bad;
};

static int
on_run(void *arg, uint64_t block, uint64_t count, struct err *err)
{
    struct audit *a = arg;

    (void)err;
    reservoir_offer(&a->edges, block, 1);
    if (count > 1)
        reservoir_offer(&a->edges, block + count - 1, 1);
    reservoir_offer(&a->all, block, count);
    return 0;
}

static int
by_number(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

static int
choose(struct audit *a, struct err *err)
{
    size_t n = 0, kept = 0;

    a->blocks = calloc((size_t)a->edges.n + a->all.n + 1, sizeof(*a->blocks));
    if (!a->blocks)
        return err_set(err, ERR_LIMIT, NULL, "no memory for the samples");
    for (uint32_t i = 0; i < a->edges.n; i++)
        a->blocks[n++] = a->edges.blocks[i];
    for (uint32_t i = 0; i < a->all.n; i++)
        a->blocks[n++] = a->all.blocks[i];
    qsort(a->blocks, n, sizeof(*a->blocks), by_number);
    for (size_t i = 0; i < n; i++)
        if (kept == 0 || a->blocks[i] != a->blocks[kept - 1])
            a->blocks[kept++] = a->blocks[i];
    a->n = kept;
    return 0;
}

static int
check(struct audit *a, struct nbd_slots *s, struct nbd_slot *slot, struct err *err)
{
    struct copy_counters *b = &a->disk->bytes;
    int r = nbd_slot_result(s, slot, err);

    if (r < 0)
        return r;
    if (!block_is_zero(slot->data, slot->len) &&
        (a->bad++ == 0 || slot->off < a->first_bad))
        a->first_bad = slot->off;
    atomic_fetch_add_explicit(&b->read, slot->len, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->audit, slot->len, memory_order_relaxed);
    nbd_slots_put(s, slot);
    return 0;
}

static int
read_samples(struct audit *a, struct err *err)
{
    struct copy_disk *d = a->disk;
    struct nbd_slots_opts o = {.count = AUDIT_SLOTS,
                               .slot_bytes = BLOCK,
                               .io_s = d->opts->spec->deadlines.io_s,
                               .cancel_fd = copy_stop_fd(d->opts->stop)};
    CLEANUP_NBD_SLOTS struct nbd_slots *s = NULL;
    struct nbd_slot *slot;
    size_t next = 0;
    int r = nbd_slots_new(&o, &s, err);

    if (r < 0)
        return r;
    r = nbd_slots_attach(s, d->source, "source", err);
    while (r >= 0 && (next < a->n || nbd_slots_busy(s) > 0)) {
        while (r >= 0 && next < a->n && (slot = nbd_slots_get(s))) {
            uint64_t off = a->blocks[next++] * BLOCK, left = d->spec->size_bytes - off;

            slot->off = off;
            slot->len = left < BLOCK ? (uint32_t)left : BLOCK;
            r = nbd_slot_pread(s, slot, 0, 0, slot->len, off, err);
        }
        if (r >= 0)
            r = nbd_slots_wait(s, -1, &slot, err);
        if (r > 0)
            r = check(a, s, slot, err);
    }
    return r < 0 ? r : 0;
}

static void
report(const struct audit *a)
{
    char text[256];
    struct job_event ev = {.type = EVENT_AUDIT, .sampled = a->n, .bad = a->bad};
    struct job_event warning = {
        .type = EVENT_WARNING, .code = (char[]){"allocation_map_wrong"}, .message = text};

    copy_emit(a->disk, &ev);
    if (a->bad == 0)
        return;
    snprintf(
        text, sizeof(text),
        "disk %u: the source's allocation map calls %llu of %zu sampled blocks zero that "
        "hold data (first at %llu); the disk is read whole",
        a->disk->spec->key, (unsigned long long)a->bad, a->n,
        (unsigned long long)a->first_bad);
    copy_emit(a->disk, &warning);
}

int
copy_audit(struct copy_disk *d, uint64_t *ret_bad, struct err *err)
{
    uint32_t samples = d->opts->spec->audit_samples;
    uint64_t seed = d->opts->spec->audit_seed * 0x9e3779b97f4a7c15ull + d->spec->key;
    struct audit a = {.disk = d};
    int r;

    reservoir_init(&a.edges, samples / 4, seed);
    reservoir_init(&a.all, samples - samples / 4, ~seed);
    r = copy_zero_runs(d->source, 0, d->spec->size_bytes, on_run, &a, err);
    if (r == 0)
        r = choose(&a, err);
    if (r == 0)
        r = read_samples(&a, err);
    if (r == 0) {
        report(&a);
        *ret_bad = a.bad;
    }
    reservoir_done(&a.edges);
    reservoir_done(&a.all);
    free(a.blocks);
    return r < 0 ? err_prefix(err, "audit of the source's allocation map") : 0;
}
