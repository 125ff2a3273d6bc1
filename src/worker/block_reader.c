/* worker/block_reader.c - see block_reader.h.
 *
 * limits.connections threads, each with its own connections, slots and digest context.
 * Shared is one cursor, which hands out pieces: runs of neighbouring data blocks with
 * their hashes. */
#include "worker/block_reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "copy/block.h"
#include "model/naming.h"
#include "nbd/nbd_slots.h"
#include "worker/manifests.h"

#define BLOCK MANIFEST_BLOCK_SIZE
#define READ_ERRORS_MAX 1000u

/* SLOT_LOOKING: at what the target has already. */
enum slot_state { SLOT_LOOKING, SLOT_READING, SLOT_WRITING };

struct cursor {
    /* under lock */
    pthread_mutex_t lock;
    pthread_cond_t ended; /* monotonic; a thread ended */
    struct walk *walk;
    struct walk_item held; /* read from the walk, not handed out yet */
    bool has_held, at_end;
    uint64_t passed; /* bytes of the disk up to here were handed out or skipped */
    struct byte_counters bytes;
    unsigned running;
};

struct thread {
    /* fixed after start */
    struct block_reader *rb;
    struct cursor *cursor;
    pthread_t id;
    /* the thread's own */
    struct nbd_conn *source, *target;
    struct nbd_slots *slots;
    int src, dst;
    struct block_hasher hasher;
    uint8_t *hashes; /* of the piece in each slot: blocks_per_slot hashes each */
    unsigned blocks_per_slot;
    bool ended;
};

struct piece {
    uint64_t first;
    unsigned n;
};

/* Blocks from here on are not in the image or not of this disk.  A manifest that is not
 * the right one may name them. */
static uint64_t
end_block(const struct block_reader *rb)
{
    uint64_t end =
        rb->image_bytes < rb->disk->size_bytes ? rb->image_bytes : rb->disk->size_bytes;

    end = (end + BLOCK - 1) / BLOCK;
    return rb->cut_block < end ? rb->cut_block : end;
}

static uint64_t
clip(const struct block_reader *rb, uint64_t off)
{
    return off < rb->disk->size_bytes ? off : rb->disk->size_bytes;
}

/* Loads the next data block into held; at_end when there is none. */
static int
load_locked(const struct block_reader *rb, struct cursor *c, struct err *err)
{
    int r;

    if (c->has_held || c->at_end)
        return 0;
    do
        r = walk_next(c->walk, &c->held, err);
    while (r > 0 && !c->held.data);
    c->has_held = r > 0 && c->held.block < end_block(rb);
    c->at_end = r >= 0 && !c->has_held;
    return r < 0 ? r : 0;
}

/* 1 = a piece with its hashes, 0 = the end. */
static int
next_piece(struct block_reader *rb, struct cursor *c, unsigned max, struct piece *ret,
           uint8_t *hashes, struct err *err)
{
    LOCK_SCOPE(&c->lock);
    uint64_t from;

    *ret = (struct piece){0};
    while (ret->n < max) {
        if (load_locked(rb, c, err) < 0)
            return err->class;
        if (!c->has_held || (ret->n > 0 && c->held.block != ret->first + ret->n))
            break;
        if (ret->n == 0)
            ret->first = c->held.block;
        memcpy(hashes + (size_t)ret->n * MANIFEST_HASH_SIZE, c->held.hash,
               MANIFEST_HASH_SIZE);
        ret->n++;
        c->has_held = false;
    }
    from = ret->n ? clip(rb, ret->first * BLOCK) : rb->disk->size_bytes;
    c->bytes.skipped += from - c->passed;
    c->bytes.done += from - c->passed;
    c->passed = ret->n ? clip(rb, (ret->first + ret->n) * BLOCK) : from;
    return ret->n > 0;
}

static int
open_side(struct thread *t, bool target, struct err *err)
{
    const struct worker_spec *spec = t->rb->spec;
    struct nbd_conn_opts o = {.uri = target ? t->rb->disk->target : t->rb->disk->source,
                              .connect_s = spec->deadlines.connect_s,
                              .io_s = spec->deadlines.io_s,
                              .whole_reads = true,
                              .cancel_fd = copy_stop_fd(t->rb->stop)};
    struct nbd_conn **c = target ? &t->target : &t->source;
    const char *name = target ? "target" : "source";
    int n;

    if (nbd_conn_open(&o, c, err) < 0)
        return err_prefix(err, "%s", name);
    n = nbd_slots_attach(t->slots, *c, name, err);
    *(target ? &t->dst : &t->src) = n;
    return n < 0 ? n : 0;
}

static uint64_t
block_len(const struct thread *t, uint64_t off)
{
    return clip(t->rb, off + BLOCK) - off;
}

/* Is the block at @at of the slot, read, as the manifest says? */
static int
block_is_equal(struct thread *t, struct nbd_slot *slot, uint32_t at, bool *ret_equal,
               struct err *err)
{
    const uint8_t *want =
        t->hashes +
        ((size_t)slot->index * t->blocks_per_slot + at / BLOCK) * MANIFEST_HASH_SIZE;
    uint8_t got[MANIFEST_HASH_SIZE];

    if (slot->len - at < BLOCK)
        memset(slot->data + slot->len, 0, BLOCK - (slot->len - at));
    if (block_hash(&t->hasher, slot->data + at, got, err) < 0)
        return err->class;
    *ret_equal = memcmp(got, want, sizeof got) == 0;
    return 0;
}

static int
compare_block(struct thread *t, struct nbd_slot *slot, uint32_t at, bool *ret_equal,
              struct err *err)
{
    uint64_t off = slot->off + at;

    if (block_is_equal(t, slot, at, ret_equal, err) < 0)
        return err->class;
    if (!*ret_equal)
        findings_add(t->rb->findings, off, block_len(t, off), BAD_MISMATCH);
    return 0;
}

/* True when all blocks are as the manifest says. */
static int
compare(struct thread *t, struct nbd_slot *slot, bool *ret_equal, struct err *err)
{
    *ret_equal = true;
    for (uint32_t at = 0; at < slot->len; at += BLOCK) {
        bool equal;

        if (compare_block(t, slot, at, &equal, err) < 0)
            return err->class;
        *ret_equal = *ret_equal && equal;
    }
    return 0;
}

static void
count_read(struct thread *t, const struct nbd_slot *slot, uint64_t bytes)
{
    LOCK_SCOPE(&t->cursor->lock);

    t->cursor->bytes.read += bytes;
    t->cursor->bytes.done += clip(t->rb, slot->off + slot->len) - slot->off;
}

static void
count_sent(struct thread *t, uint64_t bytes)
{
    LOCK_SCOPE(&t->cursor->lock);

    t->cursor->bytes.sent += bytes;
}

/* A salvage writes one good block between bad ones. */
static int
write_block(struct thread *t, struct nbd_slot *slot, uint32_t at, struct err *err)
{
    uint32_t n = slot->len - at < BLOCK ? slot->len - at : BLOCK;

    if (nbd_conn_pwrite(t->target, slot->data + at, n, slot->off + at, err) < 0)
        return err_prefix(err, "target");
    count_sent(t, n);
    return 0;
}

static bool
salvages(const struct thread *t)
{
    return t->target && t->rb->spec->salvage;
}

static int
write_good_blocks(struct thread *t, struct nbd_slot *slot, struct err *err)
{
    for (uint32_t at = 0; at < slot->len; at += BLOCK) {
        bool equal;

        if (block_is_equal(t, slot, at, &equal, err) < 0 ||
            (equal && write_block(t, slot, at, err) < 0))
            return err->class;
    }
    return 0;
}

/* The connection itself is gone or silent, or the job is: nothing more can be learnt. */
static bool
is_final(const struct err *err)
{
    return err->class == ERR_UNAVAILABLE || err->class == ERR_TIMEOUT ||
           err->class == ERR_CANCELLED;
}

/* A request failed: its blocks one by one, so that the good ones are compared and the bad
 * one is named. */
static int
on_read_error(struct thread *t, struct nbd_slot *slot, struct err *err)
{
    uint64_t read = 0;

    for (uint32_t at = 0; at < slot->len && !is_final(err); at += BLOCK) {
        uint32_t n = slot->len - at < BLOCK ? slot->len - at : BLOCK;
        uint64_t off = slot->off + at;
        bool equal;

        err_clear(err);
        if (nbd_conn_pread(t->source, slot->data + at, n, off, err) == 0) {
            read += n;
            if (compare_block(t, slot, at, &equal, err) < 0 ||
                (equal && salvages(t) && write_block(t, slot, at, err) < 0))
                return err->class;
            continue;
        }
        if (is_final(err))
            break;
        findings_add(t->rb->findings, off, block_len(t, off), BAD_READ_ERROR);
        /* A salvage goes to the end, however often. */
        if (!t->rb->spec->salvage &&
            findings_read_errors(t->rb->findings) > READ_ERRORS_MAX)
            return err_prefix(err, "more than %u read errors, the last one",
                              READ_ERRORS_MAX);
    }
    if (is_final(err))
        return err->class;
    err_clear(err);
    count_read(t, slot, read);
    nbd_slots_put(t->slots, slot);
    return 0;
}

static int
on_read(struct thread *t, struct nbd_slot *slot, struct err *err)
{
    bool equal;

    if (nbd_slot_result(t->slots, slot, err) < 0)
        return on_read_error(t, slot, err);
    if (compare(t, slot, &equal, err) < 0)
        return err->class;
    count_read(t, slot, slot->len);
    FAILPOINT(WORKER_READING);
    if (!equal && salvages(t) && write_good_blocks(t, slot, err) < 0)
        return err->class;
    if (!t->target || !equal) {
        nbd_slots_put(t->slots, slot);
        return 0;
    }
    slot->state = SLOT_WRITING;
    return nbd_slot_pwrite(t->slots, slot, t->dst, 0, slot->len, slot->off, err);
}

static void
count_found(struct thread *t, const struct nbd_slot *slot)
{
    LOCK_SCOPE(&t->cursor->lock);

    t->cursor->bytes.done += clip(t->rb, slot->off + slot->len) - slot->off;
}

/* What the target has of an earlier try is taken for good only when every block of the
 * piece is; a block that is still zero is not worth a hash. */
static int
on_looked(struct thread *t, struct nbd_slot *slot, struct err *err)
{
    bool equal = true;

    if (nbd_slot_result(t->slots, slot, err) < 0)
        return err->class;
    for (uint32_t at = 0; equal && at < slot->len; at += BLOCK) {
        uint32_t n = slot->len - at < BLOCK ? slot->len - at : BLOCK;

        if (block_is_zero(slot->data + at, n))
            equal = false;
        else if (block_is_equal(t, slot, at, &equal, err) < 0)
            return err->class;
    }
    if (equal) {
        count_found(t, slot);
        nbd_slots_put(t->slots, slot);
        return 0;
    }
    slot->state = SLOT_READING;
    return nbd_slot_pread(t->slots, slot, t->src, 0, slot->len, slot->off, err);
}

static int
handle(struct thread *t, struct nbd_slot *slot, struct err *err)
{
    if (slot->state == SLOT_LOOKING)
        return on_looked(t, slot, err);
    if (slot->state == SLOT_READING)
        return on_read(t, slot, err);
    if (nbd_slot_result(t->slots, slot, err) < 0)
        return err->class;
    if (slot->state == SLOT_WRITING)
        count_sent(t, slot->len);
    nbd_slots_put(t->slots, slot);
    return 0;
}

/* Starts reads in all idle slots.  *ret_wait_ms: when the rate limit lets the next one
 * start. */
static int
fill(struct thread *t, int *ret_wait_ms, struct err *err)
{
    struct copy_rate *rate = t->rb->rate;
    struct nbd_slot *slot;

    *ret_wait_ms = -1;
    while (!t->ended) {
        unsigned wait_ms =
            copy_rate_wait_ms(rate, rate->bytes_per_s ? time_mono_ns() : 0);
        struct piece p = {0};
        uint64_t end;
        int r;

        if (wait_ms > 0) {
            *ret_wait_ms = (int)wait_ms;
            return 0;
        }
        slot = nbd_slots_get(t->slots);
        if (!slot)
            return 0;
        r = next_piece(t->rb, t->cursor, t->blocks_per_slot, &p,
                       t->hashes +
                           (size_t)slot->index * t->blocks_per_slot * MANIFEST_HASH_SIZE,
                       err);
        if (r <= 0) {
            nbd_slots_put(t->slots, slot);
            t->ended = r == 0;
            return r;
        }
        slot->state = t->rb->disk->resume ? SLOT_LOOKING : SLOT_READING;
        slot->off = p.first * BLOCK;
        end = (p.first + p.n) * BLOCK;
        slot->len =
            (uint32_t)((end < t->rb->image_bytes ? end : t->rb->image_bytes) - slot->off);
        copy_rate_take(rate, slot->len);
        if (nbd_slot_pread(t->slots, slot, slot->state == SLOT_LOOKING ? t->dst : t->src,
                           0, slot->len, slot->off, err) < 0)
            return err->class;
    }
    return 0;
}

static int
drain(struct thread *t, struct err *err)
{
    for (;;) {
        struct nbd_slot *slot;
        int wait_ms, r = fill(t, &wait_ms, err);

        if (r < 0)
            return r;
        if (nbd_slots_busy(t->slots) == 0 && t->ended)
            return 0;
        r = nbd_slots_wait(t->slots, wait_ms, &slot, err);
        if (r > 0)
            r = handle(t, slot, err);
        if (r < 0)
            return r;
    }
}

static int
open_target(struct thread *t, struct err *err)
{
    const struct nbd_conn_info *info;

    if (open_side(t, true, err) < 0)
        return err->class;
    info = nbd_conn_info(t->target);
    if (info->size_bytes < naming_round_up_512(t->rb->disk->size_bytes) ||
        info->size_bytes < t->rb->image_bytes || info->read_only)
        return err_set(err, ERR_INVALID, "target_size_mismatch",
                       "the target is too small or cannot be written");
    return 0;
}

/* No request is larger than either server takes. */
static uint32_t
piece_bytes(const struct thread *t)
{
    uint32_t n = t->rb->spec->limits.request_bytes;

    if (n > nbd_conn_info(t->source)->max_request)
        n = nbd_conn_info(t->source)->max_request;
    if (t->target && n > nbd_conn_info(t->target)->max_request)
        n = nbd_conn_info(t->target)->max_request;
    return n;
}

static int
set_up(struct thread *t, struct err *err)
{
    const struct spec_limits *l = &t->rb->spec->limits;
    struct nbd_slots_opts o = {.count = l->requests,
                               .slot_bytes = l->request_bytes,
                               .io_s = t->rb->spec->deadlines.io_s,
                               .cancel_fd = copy_stop_fd(t->rb->stop)};

    if (block_hasher_init(&t->hasher, err) < 0 || nbd_slots_new(&o, &t->slots, err) < 0 ||
        open_side(t, false, err) < 0)
        return err->class;
    if (nbd_conn_info(t->source)->size_bytes != t->rb->image_bytes)
        return err_set(err, ERR_PROTOCOL, "nbd_io",
                       "the size of the export changed from %llu to %llu bytes",
                       (unsigned long long)t->rb->image_bytes,
                       (unsigned long long)nbd_conn_info(t->source)->size_bytes);
    if (t->rb->disk->target && open_target(t, err) < 0)
        return err->class;
    t->blocks_per_slot = piece_bytes(t) / BLOCK;
    t->hashes = xcalloc((size_t)l->requests * t->blocks_per_slot, MANIFEST_HASH_SIZE);
    return 0;
}

static void *
thread_main(void *arg)
{
    struct thread *t = arg;
    struct err err = ERR_INIT;
    int r = set_up(t, &err);

    if (r >= 0)
        r = drain(t, &err);
    if (r >= 0 && t->target)
        r = nbd_conn_flush(t->target, &err);
    if (r < 0) {
        err_prefix(&err, "disk %u", t->rb->disk->key);
        copy_stop_set(t->rb->stop, t->rb->disk->key, &err);
    }
    LOCK_SCOPE(&t->cursor->lock);
    t->cursor->running--;
    pthread_cond_broadcast(&t->cursor->ended);
    return NULL;
}

static void
thread_done(struct thread *t)
{
    nbd_slots_free(t->slots);
    nbd_conn_free(t->source);
    nbd_conn_free(t->target);
    block_hasher_done(&t->hasher);
    free(t->hashes);
}

/* Tells progress every second until all threads have ended. */
static void
watch(struct block_reader *rb, struct cursor *c)
{
    pthread_mutex_lock(&c->lock);
    while (c->running > 0) {
        uint64_t at = time_mono_ns() + NS_PER_S;
        struct timespec ts = {.tv_sec = (time_t)(at / NS_PER_S),
                              .tv_nsec = (long)(at % NS_PER_S)};
        struct byte_counters now;

        if (pthread_cond_timedwait(&c->ended, &c->lock, &ts) == 0)
            continue;
        now = c->bytes;
        pthread_mutex_unlock(&c->lock);
        rb->progress(rb->arg, &now);
        pthread_mutex_lock(&c->lock);
    }
    rb->bytes = c->bytes;
    pthread_mutex_unlock(&c->lock);
}

static void
cursor_init(struct cursor *c, const struct block_reader *rb)
{
    pthread_condattr_t attr;

    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->ended, &attr);
    pthread_condattr_destroy(&attr);
    c->bytes = rb->bytes;
}

int
block_reader_run(struct block_reader *rb, struct err *err)
{
    CLEANUP_WALK struct walk *walk = NULL;
    unsigned n = rb->spec->limits.connections;
    struct thread *threads;
    struct cursor c = {0};
    int r = 0;

    if ((rb->disk->delta
             ? walk_new_delta(rb->disk, &walk, err)
             : walk_new(rb->disk, rb->spec->task == WORKER_VERIFY, &walk, err)) < 0)
        return err->class;
    cursor_init(&c, rb);
    c.walk = walk;
    threads = xcalloc(n, sizeof *threads);
    for (unsigned i = 0; i < n && r == 0; i++) {
        threads[i].rb = rb;
        threads[i].cursor = &c;
        pthread_mutex_lock(&c.lock);
        c.running++;
        pthread_mutex_unlock(&c.lock);
        r = pthread_create(&threads[i].id, NULL, thread_main, &threads[i]);
        if (r != 0) {
            pthread_mutex_lock(&c.lock);
            c.running--;
            pthread_mutex_unlock(&c.lock);
            threads[i].id = 0;
            err_errno(err, r, NULL, "start a thread");
            copy_stop_set(rb->stop, rb->disk->key, err);
        }
    }
    watch(rb, &c);
    for (unsigned i = 0; i < n; i++) {
        if (threads[i].id)
            pthread_join(threads[i].id, NULL);
        thread_done(&threads[i]);
    }
    free(threads);
    pthread_cond_destroy(&c.ended);
    pthread_mutex_destroy(&c.lock);
    return copy_stop_get(rb->stop, NULL, err);
}
