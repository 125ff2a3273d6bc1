/* copy/records.c - see records.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "copy/records.h"
#include "model/manifest.h"

/* The list may still grow by one ring after it counts as full. */
#define LIST_FULL (2 * RECORDS_CHECKPOINT)

struct entry {
    bool complete;
    unsigned n;
    uint64_t end;
};

struct list {
    uint8_t *bytes;
    size_t n, alloc; /* records */
};

struct copy_records {
    /* fixed */
    unsigned window, piece_blocks;
    uint8_t *bytes; /* window * piece_blocks records; a piece's part is its owner's */
    pthread_mutex_t lock;
    /* under lock */
    struct entry *ring;
    uint64_t first; /* sequence of the first incomplete piece */
    uint64_t done;
    bool starved; /* room for piece starved_seq was asked for in vain */
    uint64_t starved_seq;
    struct list list;
    /* owner of the checkpoints */
    struct list taken;
};

int
copy_records_new(unsigned window, unsigned piece_blocks, struct copy_records **ret,
                 struct err *err)
{
    struct copy_records *r;
    uint8_t *bytes = calloc((size_t)window * piece_blocks, MANIFEST_RECORD_SIZE);

    if (!bytes)
        return err_set(err, ERR_LIMIT, NULL, "no memory for a window of %u pieces",
                       window);
    r = xcalloc(1, sizeof(*r));
    r->window = window;
    r->piece_blocks = piece_blocks;
    r->bytes = bytes;
    r->ring = xcalloc(window, sizeof(*r->ring));
    pthread_mutex_init(&r->lock, NULL);
    *ret = r;
    return 0;
}

void
copy_records_free(struct copy_records *r)
{
    if (!r)
        return;
    pthread_mutex_destroy(&r->lock);
    free(r->bytes);
    free(r->ring);
    free(r->list.bytes);
    free(r->taken.bytes);
    free(r);
}

static bool
room_locked(const struct copy_records *r, uint64_t seq)
{
    return seq < r->first + r->window && r->list.n < LIST_FULL;
}

bool
copy_records_room(struct copy_records *r, uint64_t seq)
{
    LOCK_SCOPE(&r->lock);
    bool room = room_locked(r, seq);

    if (!room) {
        r->starved = true;
        r->starved_seq = seq;
    }
    return room;
}

uint8_t *
copy_records_piece(struct copy_records *r, uint64_t seq)
{
    return r->bytes + (size_t)(seq % r->window) * r->piece_blocks * MANIFEST_RECORD_SIZE;
}

static void
append_locked(struct copy_records *r, uint64_t seq, unsigned n)
{
    struct list *l = &r->list;

    if (n == 0)
        return;
    if (l->n + n > l->alloc) {
        l->alloc = l->alloc ? l->alloc * 2 : 4096;
        while (l->alloc < l->n + n)
            l->alloc *= 2;
        l->bytes = xreallocarray(l->bytes, l->alloc, MANIFEST_RECORD_SIZE);
    }
    memcpy(l->bytes + l->n * MANIFEST_RECORD_SIZE, copy_records_piece(r, seq),
           (size_t)n * MANIFEST_RECORD_SIZE);
    l->n += n;
}

static bool
end_starvation_locked(struct copy_records *r)
{
    bool wake = r->starved && room_locked(r, r->starved_seq);

    if (wake)
        r->starved = false;
    return wake;
}

struct records_news
copy_records_complete(struct copy_records *r, uint64_t seq, unsigned n, uint64_t end)
{
    LOCK_SCOPE(&r->lock);
    struct entry *e = &r->ring[seq % r->window];
    struct records_news news = {0};
    bool was_due = r->list.n >= RECORDS_CHECKPOINT;
    uint64_t was_first = r->first;

    *e = (struct entry){.complete = true, .n = n, .end = end};
    while ((e = &r->ring[r->first % r->window])->complete) {
        append_locked(r, r->first, e->n);
        r->done = e->end;
        e->complete = false;
        r->first++;
    }
    news.checkpoint_due = !was_due && r->list.n >= RECORDS_CHECKPOINT;
    if (r->first != was_first)
        news.wake_workers = end_starvation_locked(r);
    return news;
}

struct records_news
copy_records_take(struct copy_records *r, const uint8_t **ret, size_t *ret_n,
                  uint64_t *ret_done)
{
    LOCK_SCOPE(&r->lock);
    struct list full = r->list;

    r->taken.n = 0;
    r->list = r->taken;
    r->taken = full;
    *ret = full.bytes;
    *ret_n = full.n;
    *ret_done = r->done;
    return (struct records_news){.wake_workers = end_starvation_locked(r)};
}

uint64_t
copy_records_completed(struct copy_records *r)
{
    LOCK_SCOPE(&r->lock);

    return r->first;
}

bool
copy_records_checkpoint_due(struct copy_records *r)
{
    LOCK_SCOPE(&r->lock);

    return r->list.n >= RECORDS_CHECKPOINT;
}
