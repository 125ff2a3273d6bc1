/* model/resolve.c - see resolve.h.
 *
 * A binary heap holds the current record of each layer, the lowest block on top and, of
 * equal blocks, the newest layer.  So the top always says what its first block is: either
 * a newer layer starts later, or there is none.  A run on top is cut where a newer
 * layer's record begins, and what older layers say about the blocks of the item given out
 * is dropped. */
#include <string.h>

#include "base/mem.h"
#include "model/resolve.h"

struct stream {
    struct resolve_layer source;
    size_t layer;
    uint64_t next_block; /* what the stream's next record must not go below */
    struct manifest_record rec;
};

struct resolve {
    size_t n; /* streams in the heap */
    struct stream *heap;
    bool primed;
};

void
resolve_free(struct resolve *r)
{
    if (!r)
        return;
    free(r->heap);
    free(r);
}

void
cleanup_resolve(struct resolve **r)
{
    resolve_free(*r);
}

int
resolve_new(const struct resolve_layer *layers, size_t n, struct resolve **ret,
            struct err *err)
{
    struct resolve *r;

    if (n == 0 || n > RESOLVE_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "chain_too_long",
                       "a chain of %zu layers, 1 to %u", n, RESOLVE_LAYERS_MAX);
    r = xcalloc(1, sizeof(*r));
    r->heap = xcalloc(n, sizeof(*r->heap));
    r->n = n;
    for (size_t i = 0; i < n; i++)
        r->heap[i] = (struct stream){.source = layers[i], .layer = i};
    *ret = r;
    return 0;
}

static bool
before(const struct stream *a, const struct stream *b)
{
    return a->rec.block != b->rec.block ? a->rec.block < b->rec.block
                                        : a->layer > b->layer;
}

static void
sift_down(struct resolve *r, size_t i)
{
    for (;;) {
        size_t best = i, left = 2 * i + 1, right = 2 * i + 2;
        struct stream swap;

        if (left < r->n && before(&r->heap[left], &r->heap[best]))
            best = left;
        if (right < r->n && before(&r->heap[right], &r->heap[best]))
            best = right;
        if (best == i)
            return;
        swap = r->heap[i];
        r->heap[i] = r->heap[best];
        r->heap[best] = swap;
        i = best;
    }
}

/* 1 = rec is the stream's next record, 0 = the stream has ended. */
static int
pull(struct stream *s, struct err *err)
{
    int got = s->source.next(s->source.arg, &s->rec, err);

    if (got <= 0)
        return got;
    if (s->rec.block < s->next_block || s->rec.count == 0 ||
        (s->rec.state == MANIFEST_DATA && s->rec.count != 1) ||
        (s->rec.state != MANIFEST_DATA && s->rec.state != MANIFEST_ZERO) ||
        s->rec.count > UINT64_MAX - s->rec.block)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "layer %zu of the chain: record of block %llu is out of order",
                       s->layer, (unsigned long long)s->rec.block);
    s->next_block = s->rec.block + s->rec.count;
    return 1;
}

/* The stream at heap index @i goes on to its next record or leaves the heap. */
static int
advance(struct resolve *r, size_t i, struct err *err)
{
    int got = pull(&r->heap[i], err);

    if (got < 0)
        return got;
    if (got == 0)
        r->heap[i] = r->heap[--r->n];
    sift_down(r, i);
    return 0;
}

static int
prime(struct resolve *r, struct err *err)
{
    for (size_t i = 0; i < r->n;) {
        int got = pull(&r->heap[i], err);

        if (got < 0)
            return got;
        if (got == 0)
            r->heap[i] = r->heap[--r->n];
        else
            i++;
    }
    for (size_t i = r->n / 2; i-- > 0;)
        sift_down(r, i);
    r->primed = true;
    return 0;
}

/* The top, an older layer's record that starts below @end: what it says below @end is
 * hidden. */
static int
hide_top(struct resolve *r, uint64_t end, struct err *err)
{
    struct manifest_record *rec = &r->heap[0].rec;

    if (rec->block + rec->count <= end)
        return advance(r, 0, err);
    rec->count -= end - rec->block;
    rec->block = end;
    sift_down(r, 0);
    return 0;
}

static void
push(struct resolve *r, const struct stream *s)
{
    size_t i = r->n++;

    while (i > 0 && before(s, &r->heap[(i - 1) / 2])) {
        r->heap[i] = r->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    r->heap[i] = *s;
}

int
resolve_next(struct resolve *r, struct resolve_item *ret, struct err *err)
{
    struct stream win;
    uint64_t block, end;
    int got = 1;

    if (!r->primed && prime(r, err) < 0)
        return err->class;
    if (r->n == 0)
        return 0;
    win = r->heap[0];
    block = win.rec.block;
    end = block + win.rec.count;
    r->heap[0] = r->heap[--r->n];
    sift_down(r, 0);
    while (r->n > 0 && r->heap[0].rec.block < end) {
        if (r->heap[0].layer > win.layer)
            end = r->heap[0].rec.block; /* above block, else it would have won */
        else if (hide_top(r, end, err) < 0)
            return err->class;
    }
    *ret = (struct resolve_item){
        .block = block, .count = end - block, .state = win.rec.state, .layer = win.layer};
    memcpy(ret->hash, ret->state == MANIFEST_DATA ? win.rec.hash : manifest_zero_hash,
           MANIFEST_HASH_SIZE);
    win.rec.count -= end - block;
    win.rec.block = end;
    if (win.rec.count == 0)
        got = pull(&win, err);
    if (got > 0)
        push(r, &win);
    return got < 0 ? got : 1;
}
