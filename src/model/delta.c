/* model/delta.c - see delta.h. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/delta.h"
#include "model/naming.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)

enum delta_action
delta_decide(bool zero, const uint8_t hash[MANIFEST_HASH_SIZE],
             const struct delta_block *parent)
{
    if (zero)
        return parent->data ? DELTA_ZERO : DELTA_SAME;
    if (parent->data && memcmp(hash, parent->hash, MANIFEST_HASH_SIZE) == 0)
        return DELTA_SAME;
    return DELTA_WRITE;
}

void
delta_put(struct delta_out *o, uint64_t block, enum delta_action action,
          const uint8_t hash[MANIFEST_HASH_SIZE])
{
    struct manifest_record *r = &o->last;

    if (action == DELTA_SAME)
        return;
    if (action == DELTA_ZERO && o->n > 0 && r->state == MANIFEST_ZERO &&
        r->block + r->count == block) {
        r->count++;
        manifest_record_encode(r, o->records + (size_t)(o->n - 1) * MANIFEST_RECORD_SIZE);
        return;
    }
    *r = (struct manifest_record){.block = block, .state = MANIFEST_ZERO, .count = 1};
    if (action == DELTA_WRITE) {
        r->state = MANIFEST_DATA;
        memcpy(r->hash, hash, MANIFEST_HASH_SIZE);
    }
    manifest_record_encode(r, o->records + (size_t)o->n++ * MANIFEST_RECORD_SIZE);
}

static int
bad_area(size_t i, const struct delta_area *a, const char *what, struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "changed_areas",
                   "changed area %zu (%llu bytes at %llu) %s", i,
                   (unsigned long long)a->len, (unsigned long long)a->off, what);
}

int
delta_widen(const struct delta_area *areas, size_t n, uint64_t size_bytes,
            struct delta_run **ret, size_t *ret_n, struct err *err)
{
    CLEANUP_FREE struct delta_run *runs = xcalloc(n ? n : 1, sizeof(*runs));
    uint64_t limit = naming_round_up_512(size_bytes), from = 0;
    size_t n_runs = 0;

    for (size_t i = 0; i < n; i++) {
        const struct delta_area *a = &areas[i];
        struct delta_run r, *last = n_runs ? &runs[n_runs - 1] : NULL;

        if (a->len == 0 || a->off < from)
            return bad_area(i, a, "is empty or out of order", err);
        if (a->off >= size_bytes || a->len > limit - a->off)
            return bad_area(i, a, "is not within the disk", err);
        from = a->off + a->len;
        r = (struct delta_run){
            a->off / BLOCK, (from < size_bytes ? from - 1 : size_bytes - 1) / BLOCK + 1};
        if (last && r.start <= last->end)
            last->end = r.end;
        else
            runs[n_runs++] = r;
    }
    *ret = take_ptr(&runs);
    *ret_n = n_runs;
    return 0;
}

bool
delta_covers(const struct delta_run *runs, size_t n, uint64_t block)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t mid = low + (high - low) / 2;

        if (runs[mid].end <= block)
            low = mid + 1;
        else
            high = mid;
    }
    return low < n && runs[low].start <= block;
}

bool
delta_page(const struct delta_run *runs, size_t n, struct delta_at *at,
           struct delta_run *ret)
{
    uint64_t limit;

    if (at->run == n)
        return false;
    if (at->block < runs[at->run].start)
        at->block = runs[at->run].start;
    ret->start = ret->end = at->block;
    limit = ret->start + DELTA_PAGE_BLOCKS;
    for (; at->run < n; at->run++) {
        const struct delta_run *r = &runs[at->run];

        if (r->start >= limit ||
            (r->start > ret->end && r->start - ret->end > DELTA_GAP_BLOCKS))
            break;
        if (r->end > limit) {
            ret->end = at->block = limit;
            return true;
        }
        ret->end = at->block = r->end;
    }
    return true;
}
