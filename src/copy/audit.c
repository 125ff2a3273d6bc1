/* copy/audit.c - reads a sample of what will not be read; see audit.h.
 *
 * A map that wrongly calls data zero, or tracking that wrongly calls a block unchanged,
 * would make a backup that restores other bytes and hashes nobody can complain about. */
#include <stdlib.h>
#include <string.h>

#include "copy/audit.h"
#include "copy/block.h"

#define BLOCK MANIFEST_BLOCK_SIZE
#define AUDIT_SLOTS 16
/* Samples that lie close are read in one request: what lies between them costs less than
 * another round trip (256 KiB are 2 ms at 1 Gbit/s, as is a request to a datastore). */
#define GAP_BLOCKS 4u
#define SPAN_MAX (1u << 20)

/* The words of a warning: "… calls N of M sampled blocks …". */
struct subject {
    const char *code, *who, *what;
};

struct audit {
    struct copy_disk *disk;
    struct samples samples;
    /* Beside the disk's own; each is asked for as many requests as the others. */
    struct nbd_conn *more[NBD_SLOTS_CONNS_MAX - 1];
    unsigned n_more;
    struct block_hasher hasher;
    uint64_t bad, first_bad;
};

/* @p: @len bytes of one block, with room for a whole one behind. */
static int
is_as_wanted(struct audit *a, const struct sample *s, uint8_t *p, uint32_t len,
             bool *ret_good, struct err *err)
{
    uint8_t hash[MANIFEST_HASH_SIZE];
    bool zero = block_is_zero(p, len);

    *ret_good = zero == !s->want.data;
    if (zero || !s->want.data)
        return 0;
    memset(p + len, 0, BLOCK - len);
    if (block_hash(&a->hasher, p, hash, err) < 0)
        return err->class;
    *ret_good = memcmp(hash, s->want.hash, sizeof(hash)) == 0;
    return 0;
}

/* Sample @s of what was read into @slot. */
static int
check_sample(struct audit *a, const struct sample *s, struct nbd_slot *slot,
             struct err *err)
{
    uint64_t off = s->block * BLOCK, left = slot->off + slot->len - off;
    bool good = true;

    if (is_as_wanted(a, s, slot->data + (off - slot->off),
                     left < BLOCK ? (uint32_t)left : BLOCK, &good, err) < 0)
        return err->class;
    if (!good && (a->bad++ == 0 || off < a->first_bad))
        a->first_bad = off;
    return 0;
}

static int
check(struct audit *a, struct nbd_slots *s, struct nbd_slot *slot, struct err *err)
{
    struct copy_counters *b = &a->disk->bytes;
    uint64_t end = slot->off + slot->len;
    int r = nbd_slot_result(s, slot, err);

    for (size_t i = slot->seq;
         r == 0 && i < a->samples.n && a->samples.v[i].block * BLOCK < end; i++)
        r = check_sample(a, &a->samples.v[i], slot, err);
    if (r < 0)
        return r;
    atomic_fetch_add_explicit(&b->read, slot->len, memory_order_relaxed);
    atomic_fetch_add_explicit(&b->audit, slot->len, memory_order_relaxed);
    nbd_slots_put(s, slot);
    return 0;
}

size_t
audit_span(const struct samples *s, size_t first, uint64_t max_blocks)
{
    size_t n = 1;

    while (first + n < s->n &&
           s->v[first + n].block - s->v[first + n - 1].block <= GAP_BLOCKS + 1 &&
           s->v[first + n].block - s->v[first].block < max_blocks)
        n++;
    return n;
}

/* A server may take one request at a time of a connection. */
static int
connect_more(struct audit *a, struct nbd_slots *s, struct err *err)
{
    struct copy_disk *d = a->disk;
    struct nbd_conn_opts o = {.uri = d->spec->source_url,
                              .connect_s = d->opts->spec->deadlines.connect_s,
                              .io_s = copy_io_s(d->opts, true),
                              .cancel_fd = copy_stop_fd(d->opts->stop)};
    unsigned want = d->opts->spec->limits.connections - 1;
    int r = nbd_slots_attach(s, d->source, "source", err);

    while (r >= 0 && a->n_more < want && a->n_more < ARRAY_LEN(a->more)) {
        r = nbd_conn_open(&o, &a->more[a->n_more], err);
        if (r == 0)
            r = nbd_slots_attach(s, a->more[a->n_more++], "source", err);
    }
    return r;
}

static int
start_read(struct audit *a, struct nbd_slots *s, struct nbd_slot *slot, size_t *next,
           uint32_t slot_bytes, struct err *err)
{
    const struct sample *v = a->samples.v;
    size_t n = audit_span(&a->samples, *next, slot_bytes / BLOCK);
    uint64_t off = v[*next].block * BLOCK, end = (v[*next + n - 1].block + 1) * BLOCK;

    if (end > a->disk->spec->size_bytes)
        end = a->disk->spec->size_bytes;
    slot->seq = *next;
    slot->off = off;
    slot->len = (uint32_t)(end - off);
    *next += n;
    return nbd_slot_pread(s, slot, (int)(slot->index % (a->n_more + 1)), 0, slot->len,
                          off, err);
}

static int
read_samples(struct audit *a, struct err *err)
{
    struct copy_disk *d = a->disk;
    uint32_t slot_bytes = d->piece_bytes < SPAN_MAX ? d->piece_bytes : SPAN_MAX;
    struct nbd_slots_opts o = {.count = AUDIT_SLOTS,
                               .slot_bytes = slot_bytes,
                               .io_s = copy_io_s(d->opts, true),
                               .cancel_fd = copy_stop_fd(d->opts->stop)};
    CLEANUP_NBD_SLOTS struct nbd_slots *s = NULL;
    struct nbd_slot *slot;
    size_t next = 0;
    int r = nbd_slots_new(&o, &s, err);

    if (r == 0)
        r = connect_more(a, s, err);
    while (r >= 0 && (next < a->samples.n || nbd_slots_busy(s) > 0)) {
        while (r >= 0 && next < a->samples.n && (slot = nbd_slots_get(s)))
            r = start_read(a, s, slot, &next, slot_bytes, err);
        if (r >= 0)
            r = nbd_slots_wait(s, -1, &slot, err);
        if (r > 0)
            r = check(a, s, slot, err);
    }
    return r < 0 ? r : 0;
}

static void
report(const struct audit *a, const struct subject *s)
{
    char text[320], code[32];
    struct job_event ev = {.type = EVENT_AUDIT, .sampled = a->samples.n, .bad = a->bad};
    struct job_event warning = {.type = EVENT_WARNING, .code = code, .message = text};

    copy_emit(a->disk, &ev);
    if (a->bad == 0)
        return;
    snprintf(code, sizeof(code), "%s", s->code);
    snprintf(
        text, sizeof(text),
        "disk %u: %s calls %llu of %zu sampled blocks %s (first at %llu); the disk is "
        "read whole",
        a->disk->spec->key, s->who, (unsigned long long)a->bad, a->samples.n, s->what,
        (unsigned long long)a->first_bad);
    copy_emit(a->disk, &warning);
}

/* Reads what @a->samples names. */
static int
run(struct audit *a, struct err *err)
{
    int r = block_hasher_init(&a->hasher, err);

    if (r == 0)
        r = read_samples(a, err);
    block_hasher_done(&a->hasher);
    for (unsigned i = 0; i < a->n_more; i++)
        nbd_conn_free(a->more[i]);
    return r;
}

int
copy_audit_map(struct copy_disk *d, uint64_t *ret_bad, struct err *err)
{
    static const struct subject map = {
        "allocation_map_wrong", "the source's allocation map", "zero that hold data"};
    struct audit a = {.disk = d};
    int r = audit_pick_map(d, &a.samples, err);

    if (r == 0)
        r = run(&a, err);
    if (r == 0) {
        report(&a, &map);
        *ret_bad = a.bad;
    }
    samples_done(&a.samples);
    return r < 0 ? err_prefix(err, "audit of the source's allocation map") : 0;
}

int
copy_audit_changes(struct copy_disk *d, uint64_t *ret_bad, struct err *err)
{
    static const struct subject tracking = {"change_tracking_wrong", "change tracking",
                                            "unchanged that differ from the parent"};
    struct audit a = {.disk = d};
    int r = audit_pick_changes(d, &a.samples, err);

    if (r == 0)
        r = run(&a, err);
    if (r == 0) {
        report(&a, &tracking);
        *ret_bad = a.bad;
    }
    samples_done(&a.samples);
    return r < 0 ? err_prefix(err, "audit of the changed areas") : 0;
}
