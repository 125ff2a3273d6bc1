/* copy/worker.c - one worker: its own two connections, slots and digest context.
 *
 * A slot goes read -> hash -> write -> complete.  Between waits the worker starts as many
 * reads as it has idle slots, so both connections always have requests in flight. */
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/block.h"
#include "copy/disk.h"

#define BLOCK MANIFEST_BLOCK_SIZE
#define SECTOR 512u

enum slot_state { SLOT_READING, SLOT_WRITING, SLOT_FLUSHING };

struct copy_worker {
    /* fixed after start */
    struct copy_disk *disk;
    pthread_t thread;
    struct nbd_slots *slots;
    /* the thread's own */
    struct nbd_conn *source, *target;
    struct block_hasher hasher;
    int src, dst;          /* numbers in slots */
    unsigned flushed;      /* newest generation that was started */
    bool ended;            /* the cursor has no more */
    bool starved;          /* the window was full; a wake-up follows */
    unsigned *piece_count; /* records of the piece in each slot */
    struct delta_block
        *parent; /* of the piece in each slot: what the parent holds; or NULL */
};

static int
open_side(struct copy_worker *w, bool target, struct err *err)
{
    const struct job_spec *spec = w->disk->opts->spec;
    struct nbd_conn_opts o = {.uri = target ? w->disk->spec->target
                                            : w->disk->spec->source_url,
                              .connect_s = spec->deadlines.connect_s,
                              .io_s = copy_io_s(w->disk->opts, !target),
                              .cancel_fd = copy_stop_fd(w->disk->opts->stop)};
    const struct nbd_conn *first = target ? w->disk->target : w->disk->source;
    struct nbd_conn **c = target ? &w->target : &w->source;
    const char *name = target ? "target" : "source";
    int n, r = nbd_conn_open(&o, c, err);

    if (r < 0)
        return err_prefix(err, "%s", name);
    if (nbd_conn_info(*c)->size_bytes != nbd_conn_info(first)->size_bytes)
        return err_set(err, ERR_PROTOCOL,
                       target ? "target_size_mismatch" : "size_mismatch",
                       "%s: the size changed from %llu to %llu bytes", name,
                       (unsigned long long)nbd_conn_info(first)->size_bytes,
                       (unsigned long long)nbd_conn_info(*c)->size_bytes);
    n = nbd_slots_attach(w->slots, *c, name, err);
    if (n < 0)
        return n;
    nbd_slots_set_io(w->slots, n, o.io_s);
    *(target ? &w->dst : &w->src) = n;
    return 0;
}

static struct delta_block *
slot_parent(struct copy_worker *w, const struct nbd_slot *slot)
{
    return w->parent ? w->parent + (size_t)slot->index * (w->disk->piece_bytes / BLOCK)
                     : NULL;
}

static void
complete(struct copy_worker *w, struct nbd_slot *slot)
{
    struct copy_disk *d = w->disk;
    struct records_news news = copy_records_complete(
        d->records, slot->seq, w->piece_count[slot->index], slot->off + slot->len);

    atomic_fetch_add_explicit(&d->bytes.copied, slot->len, memory_order_relaxed);
    FAILPOINT(CLIENT_COPYING);
    if (news.wake_workers)
        copy_workers_wake(d);
    if (news.checkpoint_due)
        copy_disk_wake(d);
    nbd_slots_put(w->slots, slot);
}

/* Writes [@from, @to) of the slot, its end rounded up to a sector (the pad is zero). */
static int
write_run(struct copy_worker *w, struct nbd_slot *slot, uint32_t from, uint32_t to,
          uint64_t *sent, struct err *err)
{
    to = (to + SECTOR - 1) / SECTOR * SECTOR;
    *sent += to - from;
    return nbd_slot_pwrite(w->slots, slot, w->dst, from, to - from, slot->off + from,
                           err);
}

/* Records one data block. */
static int
record_block(struct copy_worker *w, struct nbd_slot *slot, uint32_t at, struct err *err)
{
    struct manifest_record rec = {
        .block = (slot->off + at) / BLOCK, .state = MANIFEST_DATA, .count = 1};
    uint8_t *out = copy_records_piece(w->disk->records, slot->seq) +
                   (size_t)w->piece_count[slot->index]++ * MANIFEST_RECORD_SIZE;
    int r = block_hash(&w->hasher, slot->data + at, rec.hash, err);

    if (r == 0)
        manifest_record_encode(&rec, out);
    return r;
}

/* What was read: hash the data blocks, write runs of them as long as they come, pass over
 * zero. */
static int
process(struct copy_worker *w, struct nbd_slot *slot, struct err *err)
{
    struct copy_counters *b = &w->disk->bytes;
    uint32_t run = 0, len = slot->len;
    uint64_t sent = 0, zero = 0;
    bool in_run = false;
    int r = 0;

    w->piece_count[slot->index] = 0;
    if (len % BLOCK)
        memset(slot->data + len, 0, BLOCK - len % BLOCK);
    for (uint32_t at = 0; at < len && r == 0; at += BLOCK) {
        uint32_t n = len - at < BLOCK ? len - at : BLOCK;

        if (block_is_zero(slot->data + at, n)) {
            zero += n;
            if (in_run)
                r = write_run(w, slot, run, at, &sent, err);
            in_run = false;
            continue;
        }
        if (!in_run)
            run = at;
        in_run = true;
        r = record_block(w, slot, at, err);
    }
    if (r == 0 && in_run)
        r = write_run(w, slot, run, len, &sent, err);
    if (r < 0)
        return r;
    atomic_fetch_add_explicit(&b->read, len, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->sent, sent, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->zero, zero, memory_order_relaxed);
    if (sent == 0)
        complete(w, slot);
    else
        slot->state = SLOT_WRITING;
    return 0;
}

/* On a parent: neighbouring blocks that are treated alike. */
struct span {
    enum delta_action action;
    uint32_t from;
};

/* Starts what [@s->from, @to) of the slot needs, its end rounded up to a sector. */
static int
end_span(struct copy_worker *w, struct nbd_slot *slot, const struct span *s, uint32_t to,
         uint64_t *sent, struct err *err)
{
    uint32_t end = (to + SECTOR - 1) / SECTOR * SECTOR;

    switch (s->action) {
    case DELTA_SAME:
        return 0;
    case DELTA_WRITE:
        return write_run(w, slot, s->from, to, sent, err);
    case DELTA_ZERO:
        break;
    }
    /* No TRIM, which would let the parent's data show through. */
    return nbd_slot_zero(w->slots, slot, w->dst, end - s->from, slot->off + s->from, err);
}

static int
decide_block(struct copy_worker *w, struct nbd_slot *slot, uint32_t at, uint64_t *zero,
             struct delta_out *out, enum delta_action *ret, struct err *err)
{
    uint32_t n = slot->len - at < BLOCK ? slot->len - at : BLOCK;
    const struct delta_block *parent = slot_parent(w, slot) + at / BLOCK;
    uint8_t hash[MANIFEST_HASH_SIZE];
    bool is_zero = block_is_zero(slot->data + at, n);
    int r = 0;

    if (is_zero)
        *zero += n;
    else
        r = block_hash(&w->hasher, slot->data + at, hash, err);
    if (r < 0)
        return r;
    *ret = delta_decide(is_zero, hash, parent);
    delta_put(out, (slot->off + at) / BLOCK, *ret, hash);
    return 0;
}

/* The same on a parent: only what differs is written and recorded. */
static int
process_on_parent(struct copy_worker *w, struct nbd_slot *slot, struct err *err)
{
    struct copy_counters *b = &w->disk->bytes;
    struct delta_out out = {.records = copy_records_piece(w->disk->records, slot->seq)};
    struct span span = {.action = DELTA_SAME};
    uint64_t sent = 0, zero = 0;
    bool started = false;
    int r = 0;

    if (slot->len % BLOCK)
        memset(slot->data + slot->len, 0, BLOCK - slot->len % BLOCK);
    for (uint32_t at = 0; at < slot->len; at += BLOCK) {
        enum delta_action action;

        if (decide_block(w, slot, at, &zero, &out, &action, err) < 0)
            return err->class;
        started = started || action != DELTA_SAME;
        if (action == span.action)
            continue;
        if (end_span(w, slot, &span, at, &sent, err) < 0)
            return err->class;
        span = (struct span){.action = action, .from = at};
    }
    r = end_span(w, slot, &span, slot->len, &sent, err);
    if (r < 0)
        return r;
    w->piece_count[slot->index] = out.n;
    atomic_fetch_add_explicit(&b->read, slot->len, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->sent, sent, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->zero, zero, memory_order_relaxed);
    if (started)
        slot->state = SLOT_WRITING;
    else
        complete(w, slot);
    return 0;
}

static int
handle(struct copy_worker *w, struct nbd_slot *slot, struct err *err)
{
    struct copy_disk *d = w->disk;
    int r = nbd_slot_result(w->slots, slot, err);

    if (r < 0)
        return r;
    switch ((enum slot_state)slot->state) {
    case SLOT_READING:
        return w->parent ? process_on_parent(w, slot, err) : process(w, slot, err);
    case SLOT_WRITING:
        complete(w, slot);
        return 0;
    case SLOT_FLUSHING:
        nbd_slots_put(w->slots, slot);
        pthread_mutex_lock(&d->lock);
        d->flush_acks++;
        pthread_mutex_unlock(&d->lock);
        copy_disk_wake(d);
        return 0;
    }
    return err_set(err, ERR_INTERNAL, NULL, "slot in state %d", slot->state);
}

static int
start_flush(struct copy_worker *w, unsigned wanted, struct err *err)
{
    struct nbd_slot *slot = nbd_slots_get(w->slots);

    if (!slot)
        return 0; /* as soon as one is free */
    w->flushed = wanted;
    slot->state = SLOT_FLUSHING;
    return nbd_slot_flush(w->slots, slot, w->dst, err);
}

static int
start_read(struct copy_worker *w, struct nbd_slot *slot, const struct copy_piece *p,
           struct err *err)
{
    slot->state = SLOT_READING;
    slot->seq = p->seq;
    slot->off = p->off;
    slot->len = p->len;
    copy_rate_take(w->disk->rate, p->len);
    return nbd_slot_pread(w->slots, slot, w->src, 0, p->len, p->off, err);
}

/* Starts all that can be started now.  @ret_wait_ms: when to try again by the clock, or
 * -1. */
static int
fill(struct copy_worker *w, int *ret_wait_ms, struct err *err)
{
    struct copy_disk *d = w->disk;
    unsigned wanted = atomic_load(&d->flush_wanted);
    int r = 0;

    *ret_wait_ms = -1;
    if (wanted != w->flushed)
        r = start_flush(w, wanted, err);
    while (r >= 0 && !w->ended && !w->starved) {
        unsigned wait_ms =
            copy_rate_wait_ms(d->rate, d->rate->bytes_per_s ? time_mono_ns() : 0);
        struct nbd_slot *slot;
        struct copy_piece p;

        if (wait_ms > 0) {
            *ret_wait_ms = (int)wait_ms;
            return 0;
        }
        slot = nbd_slots_get(w->slots);
        if (!slot)
            return 0;
        p.parent = slot_parent(w, slot);
        r = copy_cursor_next(d->cursor, &p, err);
        if (r == CURSOR_PIECE) {
            r = start_read(w, slot, &p, err);
            continue;
        }
        nbd_slots_put(w->slots, slot);
        w->starved = r == CURSOR_WAIT;
        w->ended = r == CURSOR_END;
    }
    return r < 0 ? r : 0;
}

static int
loop(struct copy_worker *w, struct err *err)
{
    for (;;) {
        struct nbd_slot *slot;
        int wait_ms, r = fill(w, &wait_ms, err);

        if (r < 0)
            return r;
        if (nbd_slots_busy(w->slots) == 0) {
            if (atomic_load(&w->disk->quit))
                return 0;
            if (w->ended) /* perhaps the last one that had work */
                copy_disk_wake(w->disk);
        }
        r = nbd_slots_wait(w->slots, wait_ms, &slot, err);
        w->starved = false; /* whatever it was, room may have come with it */
        if (r > 0)
            r = handle(w, slot, err);
        if (r < 0)
            return r;
    }
}

static int
run(struct copy_worker *w, struct err *err)
{
    int r = block_hasher_init(&w->hasher, err);

    if (r == 0)
        r = open_side(w, false, err);
    if (r == 0)
        r = open_side(w, true, err);
    if (r == 0)
        r = loop(w, err);
    return r;
}

static void *
worker_main(void *arg)
{
    struct copy_worker *w = arg;
    struct err err = ERR_INIT;

    if (run(w, &err) < 0) {
        err_prefix(&err, "disk %u", w->disk->spec->key);
        copy_stop_set(w->disk->opts->stop, w->disk->spec->key, &err);
        copy_disk_wake(w->disk);
    }
    return NULL;
}

/* No more than there are pieces: an idle worker costs two connections, a slot its
 * memory. */
static unsigned
no_more_than_pieces(const struct copy_disk *d, unsigned limit)
{
    uint64_t pieces = 0, piece_blocks = d->piece_bytes / BLOCK;

    if (d->mode != READ_CHANGED)
        return limit;
    for (size_t i = 0; i < d->n_changed && pieces < limit; i++)
        pieces += (d->changed[i].end - 1) / piece_blocks -
                  d->changed[i].start / piece_blocks + 1;
    if (pieces == 0)
        return 1; /* who finds out that there is nothing */
    return pieces < limit ? (unsigned)pieces : limit;
}

int
copy_workers_start(struct copy_disk *d, struct err *err)
{
    const struct job_spec *spec = d->opts->spec;
    unsigned n = no_more_than_pieces(d, spec->limits.connections);
    struct nbd_slots_opts o = {.count = no_more_than_pieces(d, spec->limits.requests),
                               .slot_bytes = d->piece_bytes,
                               .io_s = copy_io_s(d->opts, false),
                               .cancel_fd = copy_stop_fd(d->opts->stop)};

    d->workers = xcalloc(n, sizeof(*d->workers));
    for (unsigned i = 0; i < n; i++) {
        struct copy_worker *w = &d->workers[i];
        int r = nbd_slots_new(&o, &w->slots, err);

        if (r < 0)
            return r;
        w->disk = d;
        w->piece_count = xcalloc(o.count, sizeof(*w->piece_count));
        if (d->ahead)
            w->parent =
                xcalloc((size_t)o.count * (d->piece_bytes / BLOCK), sizeof(*w->parent));
        d->n_workers++;
    }
    for (unsigned i = 0; i < d->n_workers; i++) {
        int r = pthread_create(&d->workers[i].thread, NULL, worker_main, &d->workers[i]);

        if (r != 0) {
            d->workers[i].thread = 0;
            return err_errno(err, r, NULL, "start a copy thread");
        }
    }
    return 0;
}

void
copy_workers_wake(struct copy_disk *d)
{
    for (unsigned i = 0; i < d->n_workers; i++)
        nbd_slots_wake(d->workers[i].slots);
}

void
copy_workers_join(struct copy_disk *d)
{
    for (unsigned i = 0; i < d->n_workers; i++)
        if (d->workers[i].thread)
            pthread_join(d->workers[i].thread, NULL);
    for (unsigned i = 0; i < d->n_workers; i++) {
        struct copy_worker *w = &d->workers[i];

        nbd_slots_free(w->slots);
        nbd_conn_free(w->source);
        nbd_conn_free(w->target);
        block_hasher_done(&w->hasher);
        free(w->piece_count);
        free(w->parent);
    }
    free(d->workers);
    d->workers = NULL;
    d->n_workers = 0;
}
