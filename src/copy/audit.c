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

/* The words of a warning: "… calls N of M sampled blocks …". */
struct subject {
    const char *code, *who, *what;
};

struct audit {
    struct copy_disk *disk;
    struct samples samples;
    struct block_hasher hasher;
    uint64_t bad, first_bad;
};

static int
is_as_wanted(struct audit *a, const struct sample *s, struct nbd_slot *slot,
             bool *ret_good, struct err *err)
{
    uint8_t hash[MANIFEST_HASH_SIZE];
    bool zero = block_is_zero(slot->data, slot->len);

    *ret_good = zero == !s->want.data;
    if (zero || !s->want.data)
        return 0;
    memset(slot->data + slot->len, 0, BLOCK - slot->len);
    if (block_hash(&a->hasher, slot->data, hash, err) < 0)
        return err->class;
    *ret_good = memcmp(hash, s->want.hash, sizeof(hash)) == 0;
    return 0;
}

static int
check(struct audit *a, struct nbd_slots *s, struct nbd_slot *slot, struct err *err)
{
    struct copy_counters *b = &a->disk->bytes;
    bool good = true;
    int r = nbd_slot_result(s, slot, err);

    if (r == 0)
        r = is_as_wanted(a, &a->samples.v[slot->seq], slot, &good, err);
    if (r < 0)
        return r;
    if (!good && (a->bad++ == 0 || slot->off < a->first_bad))
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
                               .io_s = copy_io_s(d->opts, true),
                               .cancel_fd = copy_stop_fd(d->opts->stop)};
    CLEANUP_NBD_SLOTS struct nbd_slots *s = NULL;
    struct nbd_slot *slot;
    size_t next = 0;
    int r = nbd_slots_new(&o, &s, err);

    if (r == 0)
        r = nbd_slots_attach(s, d->source, "source", err);
    while (r >= 0 && (next < a->samples.n || nbd_slots_busy(s) > 0)) {
        while (r >= 0 && next < a->samples.n && (slot = nbd_slots_get(s))) {
            uint64_t off = a->samples.v[next].block * BLOCK;
            uint64_t left = d->spec->size_bytes - off;

            slot->seq = next++;
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
