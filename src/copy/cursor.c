/* copy/cursor.c - see cursor.h. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "copy/cursor.h"
#include "copy/records.h"
#include "model/manifest.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)
#define MAP_PAGE (2ull << 30) /* a multiple of BLOCK */

struct run {
    uint64_t start, end; /* blocks */
};

struct copy_cursor {
    /* fixed */
    uint64_t size, blocks;
    uint32_t piece_blocks;
    struct nbd_conn *map;
    struct copy_records *records;
    atomic_uint_fast64_t *skipped;
    struct copy_ahead *ahead; /* NULL = no parent */
    const struct delta_run *changed;
    size_t n_changed;
    pthread_mutex_t lock;
    /* under lock */
    uint64_t mapped; /* blocks below are in runs or were skipped */
    struct run *runs;
    size_t n_runs, next_run, runs_alloc;
    uint64_t seq;
    bool ended;
    const struct ahead_page *page; /* that the runs are of */
    size_t next_changed;           /* the first that may reach into the next page */
    bool *wanted;                  /* of each block of the page */
};

int
copy_cursor_new(uint64_t size, uint32_t piece_bytes, struct nbd_conn *map,
                struct copy_records *records, atomic_uint_fast64_t *skipped,
                struct copy_cursor **ret, struct err *err)
{
    struct copy_cursor *c;

    if (piece_bytes < BLOCK || piece_bytes % BLOCK)
        return err_set(err, ERR_INTERNAL, NULL, "pieces of %u bytes", piece_bytes);
    c = xcalloc(1, sizeof(*c));
    c->size = size;
    c->blocks = manifest_blocks(size);
    c->piece_blocks = piece_bytes / MANIFEST_BLOCK_SIZE;
    c->map = map;
    c->records = records;
    c->skipped = skipped;
    pthread_mutex_init(&c->lock, NULL);
    *ret = c;
    return 0;
}

void
copy_cursor_free(struct copy_cursor *c)
{
    if (!c)
        return;
    pthread_mutex_destroy(&c->lock);
    free(c->runs);
    free(c->wanted);
    free(c);
}

void
copy_cursor_start_at(struct copy_cursor *c, uint64_t block)
{
    c->mapped = block;
}

void
copy_cursor_on_parent(struct copy_cursor *c, struct copy_ahead *ahead,
                      const struct delta_run *runs, size_t n_runs)
{
    c->ahead = ahead;
    c->changed = runs;
    c->n_changed = n_runs;
    c->wanted = xcalloc(DELTA_PAGE_BLOCKS, sizeof(*c->wanted));
}

static void
add_run_locked(struct copy_cursor *c, uint64_t start, uint64_t end)
{
    struct run *last = c->n_runs > 0 ? &c->runs[c->n_runs - 1] : NULL;

    if (last && start <= last->end) {
        if (end > last->end)
            last->end = end;
        return;
    }
    if (c->n_runs == c->runs_alloc) {
        c->runs_alloc = c->runs_alloc ? c->runs_alloc * 2 : 64;
        c->runs = xreallocarray(c->runs, c->runs_alloc, sizeof(*c->runs));
    }
    c->runs[c->n_runs++] = (struct run){start, end};
}

static int
on_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    struct copy_cursor *c = arg;

    (void)err;
    if (!(flags & LIBNBD_STATE_ZERO))
        add_run_locked(c, off / BLOCK, (off + len + BLOCK - 1) / BLOCK);
    return 0;
}

/* The next page of the map into runs.  A page is at most 32,768 blocks, so runs are
 * bounded. */
static int
refill_locked(struct copy_cursor *c, struct err *err)
{
    uint64_t off = c->mapped * BLOCK;
    uint64_t end = off + MAP_PAGE < c->size ? off + MAP_PAGE : c->size;
    uint64_t data = 0;
    int r = 0;

    c->n_runs = c->next_run = 0;
    if (!c->map) {
        add_run_locked(c, c->mapped, c->blocks);
        c->mapped = c->blocks;
        return 0;
    }
    r = nbd_conn_extents(c->map, NBD_CONTEXT_MAP, off, end - off, on_extent, c, err);
    if (r < 0)
        return err_prefix(err, "source");
    for (size_t i = 0; i < c->n_runs; i++) {
        uint64_t run_end = c->runs[i].end * BLOCK;

        data += (run_end < c->size ? run_end : c->size) - c->runs[i].start * BLOCK;
    }
    atomic_fetch_add_explicit(c->skipped, end - off - data, memory_order_relaxed);
    c->mapped = manifest_blocks(end);
    return 0;
}

/* --- on a parent --- */

static uint64_t
bytes_of(const struct copy_cursor *c, uint64_t start, uint64_t end)
{
    if (start >= end)
        return 0;
    return (end < c->blocks ? end * BLOCK : c->size) - start * BLOCK;
}

static void
want_locked(struct copy_cursor *c, uint64_t start, uint64_t end)
{
    uint64_t first = c->page->first, last = first + c->page->n;

    start = start > first ? start : first;
    end = end < last ? end : last;
    for (uint64_t b = start; b < end; b++)
        c->wanted[b - first] = true;
}

static int
want_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    (void)err;
    if (!(flags & LIBNBD_STATE_ZERO))
        want_locked(arg, off / BLOCK, (off + len + BLOCK - 1) / BLOCK);
    return 0;
}

static void
want_changed_locked(struct copy_cursor *c)
{
    uint64_t end = c->page->first + c->page->n;

    for (size_t i = c->next_changed; i < c->n_changed && c->changed[i].start < end; i++) {
        want_locked(c, c->changed[i].start, c->changed[i].end);
        if (c->changed[i].end <= end)
            c->next_changed = i + 1;
    }
}

/* What the source does not declare zero, and what the parent holds: there zeroes must
 * hide it. */
static int
want_all_locked(struct copy_cursor *c, struct err *err)
{
    uint64_t first = c->page->first, end = first + c->page->n;

    for (uint32_t i = 0; i < c->page->n; i++)
        c->wanted[i] = !c->map || c->page->blocks[i].data;
    if (!c->map)
        return 0;
    return nbd_conn_extents(c->map, NBD_CONTEXT_MAP, first * BLOCK,
                            bytes_of(c, first, end), want_extent, c, err);
}

/* The next page into runs: AHEAD_PAGE, AHEAD_NOT_YET, or AHEAD_END. */
static int
refill_on_parent_locked(struct copy_cursor *c, struct err *err)
{
    uint64_t done = 0;
    int r = copy_ahead_take(c->ahead, &c->page, err);

    c->n_runs = c->next_run = 0;
    if (r == AHEAD_END) {
        /* What follows the last page did not change. */
        atomic_fetch_add_explicit(c->skipped, bytes_of(c, c->mapped, c->blocks),
                                  memory_order_relaxed);
        c->mapped = c->blocks;
    }
    if (r != AHEAD_PAGE)
        return r;
    memset(c->wanted, 0, DELTA_PAGE_BLOCKS * sizeof(*c->wanted));
    if (c->changed)
        want_changed_locked(c);
    else if (want_all_locked(c, err) < 0)
        return err_prefix(err, "source");
    for (uint64_t i = 0; i < c->page->n; i++)
        if (c->wanted[i])
            add_run_locked(c, c->page->first + i, c->page->first + i + 1);
    for (size_t i = 0; i < c->n_runs; i++)
        done += bytes_of(c, c->runs[i].start, c->runs[i].end);
    atomic_fetch_add_explicit(c->skipped,
                              bytes_of(c, c->mapped, c->page->first + c->page->n) - done,
                              memory_order_relaxed);
    c->mapped = c->page->first + c->page->n;
    return AHEAD_PAGE;
}

int
copy_cursor_next(struct copy_cursor *c, struct copy_piece *ret, struct err *err)
{
    LOCK_SCOPE(&c->lock);
    struct run *run;
    uint64_t n;

    while (c->next_run == c->n_runs) {
        int r;

        if (c->mapped == c->blocks) {
            c->ended = true;
            return CURSOR_END;
        }
        r = c->ahead ? refill_on_parent_locked(c, err) : refill_locked(c, err);
        if (r < 0)
            return r;
        if (c->ahead && r == AHEAD_NOT_YET)
            return CURSOR_WAIT;
    }
    if (!copy_records_room(c->records, c->seq))
        return CURSOR_WAIT;
    run = &c->runs[c->next_run];
    n = run->end - run->start;
    /* Cut at multiples of the piece, so that one ragged start does not shift all the
     * rest. */
    if (n > c->piece_blocks - run->start % c->piece_blocks)
        n = c->piece_blocks - run->start % c->piece_blocks;
    ret->seq = c->seq++;
    ret->off = run->start * BLOCK;
    ret->len =
        (uint32_t)(n * BLOCK < c->size - ret->off ? n * BLOCK : c->size - ret->off);
    if (c->ahead)
        memcpy(ret->parent, c->page->blocks + (run->start - c->page->first),
               (size_t)n * sizeof(*ret->parent));
    run->start += n;
    if (run->start == run->end)
        c->next_run++;
    return CURSOR_PIECE;
}

bool
copy_cursor_ended(struct copy_cursor *c, uint64_t *ret_count)
{
    LOCK_SCOPE(&c->lock);

    *ret_count = c->seq;
    return c->ended;
}

struct zero_walk {
    copy_run_fn fn;
    void *arg;
    uint64_t next; /* first block not yet known to hold data or not */
};

static int
walk_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    struct zero_walk *w = arg;
    uint64_t start = off / BLOCK, end = (off + len + BLOCK - 1) / BLOCK;
    int r = 0;

    if (flags & LIBNBD_STATE_ZERO)
        return 0;
    if (start > w->next)
        r = w->fn(w->arg, w->next, start - w->next, err);
    if (end > w->next)
        w->next = end;
    return r;
}

int
copy_zero_runs(struct nbd_conn *map, uint64_t off, uint64_t end, copy_run_fn fn,
               void *arg, struct err *err)
{
    struct zero_walk w = {.fn = fn, .arg = arg, .next = off / BLOCK};
    uint64_t last = manifest_blocks(end);
    int r = nbd_conn_extents(map, NBD_CONTEXT_MAP, off, end - off, walk_extent, &w, err);

    if (r < 0)
        return r;
    return w.next < last ? fn(arg, w.next, last - w.next, err) : 0;
}
