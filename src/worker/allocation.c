/* worker/allocation.c - see allocation.h. */
#include "worker/allocation.h"

#include "base/mem.h"
#include "copy/block.h"
#include "model/naming.h"

#include "worker/manifests.h"

#define BLOCK MANIFEST_BLOCK_SIZE
#define LOOK_BYTES (16u * BLOCK)

struct check {
    struct findings *findings;
    uint64_t image_bytes;
    uint64_t end_bytes; /* what lies beyond the disk or the image is told by others */
    struct pulse *pulse;
    struct walk *walk;
    bool
        zero_counts; /* a zero record is allocated too: in the tip it is a zero cluster */
    struct nbd_conn *look; /* or NULL: what is allocated counts, not what it holds */
    unsigned char *buf;    /* LOOK_BYTES, with look */
    struct nbd_conn *full; /* or NULL: of a full, whose zero clusters need no record */
    bool depth;            /* flags are depths, not base:allocation flags */
    bool only_stray;
    /* the recorded run that is not dealt with yet */
    bool has;
    uint64_t first, end;
    uint64_t next_block; /* extents below it were dealt with */
};

static void
tell(struct check *c, uint64_t first, uint64_t end, enum bad_range reason)
{
    uint64_t from = first * BLOCK, to = end * BLOCK;

    if (to > c->end_bytes)
        to = c->end_bytes;
    if (from < to)
        findings_add(c->findings, from, to - from, reason);
}

static int
on_full_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    struct check *c = arg;

    if (!(flags & LIBNBD_STATE_ZERO))
        tell(c, off / BLOCK, (off + len + BLOCK - 1) / BLOCK, BAD_STRAY);
    return pulse_beat(c->pulse, err);
}

/* [@first, @end) is allocated and not recorded.  In a whole disk it may hold zeroes all
 * the same; then it is what it should be. */
static int
stray(struct check *c, uint64_t first, uint64_t end, struct err *err)
{
    uint64_t off = first * BLOCK, to = end * BLOCK;

    if (c->full) {
        if (to > c->image_bytes)
            to = c->image_bytes;
        return off < to ? nbd_conn_extents(c->full, NBD_CONTEXT_MAP, off, to - off,
                                           on_full_extent, c, err)
                        : 0;
    }
    if (!c->look) {
        tell(c, first, end, BAD_STRAY);
        return 0;
    }
    /* Some servers take whole sectors only; an image ends with one. */
    if (to > naming_round_up_512(c->end_bytes))
        to = naming_round_up_512(c->end_bytes);
    while (off < to) {
        size_t n = to - off < LOOK_BYTES ? (size_t)(to - off) : LOOK_BYTES;

        if (pulse_beat(c->pulse, err) < 0 ||
            nbd_conn_pread(c->look, c->buf, n, off, err) < 0)
            return err_prefix(err, "source");
        c->pulse->bytes.read += n;
        for (size_t at = 0; at < n; at += BLOCK)
            if (!block_is_zero(c->buf + at, n - at < BLOCK ? n - at : BLOCK))
                tell(c, (off + at) / BLOCK, (off + at) / BLOCK + 1, BAD_STRAY);
        off += n;
    }
    return 0;
}

/* Loads the next recorded run; has = false at the end. */
static int
load(struct check *c, struct err *err)
{
    struct walk_item item;
    int r;

    do
        r = walk_next(c->walk, &item, err);
    while (r > 0 && !item.data && !c->zero_counts);
    c->has = r > 0;
    if (r > 0) {
        c->first = item.block;
        c->end = item.block + item.count;
    }
    return r < 0 ? r : 0;
}

/* Recorded blocks below @block are not allocated. */
static int
missing_below(struct check *c, uint64_t block, struct err *err)
{
    while (c->has && c->first < block) {
        uint64_t end = c->end < block ? c->end : block;

        if (!c->only_stray)
            tell(c, c->first, end, BAD_MISSING);
        c->first = end;
        if (c->first == c->end && load(c, err) < 0)
            return err->class;
    }
    return 0;
}

/* [@first, @end) is allocated. */
static int
allocated(struct check *c, uint64_t first, uint64_t end, struct err *err)
{
    if (missing_below(c, first, err) < 0)
        return err->class;
    while (first < end) {
        uint64_t stop;

        if (!c->has || c->first >= end)
            return stray(c, first, end, err);
        if (c->first > first) {
            if (stray(c, first, c->first, err) < 0)
                return err->class;
            first = c->first;
        }
        stop = c->end < end ? c->end : end;
        first = stop;
        c->first = stop;
        if (c->first == c->end && load(c, err) < 0)
            return err->class;
    }
    return 0;
}

static int
on_extent(void *arg, uint64_t off, uint64_t len, uint32_t flags, struct err *err)
{
    struct check *c = arg;
    uint64_t first = off / BLOCK, end = (off + len + BLOCK - 1) / BLOCK;

    if (pulse_beat(c->pulse, err) < 0)
        return err->class;
    if (c->depth ? flags != 1 : (flags & LIBNBD_STATE_ZERO) != 0)
        return 0;
    /* A server may tell extents smaller than a block. */
    if (first < c->next_block)
        first = c->next_block;
    if (first >= end)
        return 0;
    c->next_block = end;
    return allocated(c, first, end, err);
}

int
allocation_check(struct nbd_conn *conn, const struct worker_spec_disk *d,
                 const struct allocation_how *how, struct findings *f,
                 struct pulse *pulse, struct err *err)
{
    CLEANUP_WALK struct walk *walk = NULL;
    CLEANUP_FREE unsigned char *buf = NULL;
    uint64_t image = nbd_conn_info(conn)->size_bytes;
    struct check c = {.findings = f,
                      .pulse = pulse,
                      .image_bytes = image,
                      .end_bytes = image < d->size_bytes ? image : d->size_bytes,
                      .zero_counts = how->tip_only,
                      .only_stray = how->only_stray,
                      .depth = how->tip_only};

    if (how->end_block < (c.end_bytes + BLOCK - 1) / BLOCK)
        c.end_bytes = how->end_block * BLOCK;
    if (walk_new(d, how->tip_only, &walk, err) < 0)
        return err->class;
    c.walk = walk;
    if (how->tip_only && d->n_layers == 1 && nbd_conn_info(conn)->has_map)
        c.full = conn;
    /* With a damaged manifest all may be stray, and the restore has failed already. */
    if (!how->tip_only && (how->salvage || !findings_any(f))) {
        c.buf = buf = xcalloc(1, LOOK_BYTES);
        c.look = conn;
    }
    if (load(&c, err) < 0 ||
        nbd_conn_extents(conn, how->tip_only ? NBD_CONTEXT_DEPTH : NBD_CONTEXT_MAP, 0,
                         image, on_extent, &c, err) < 0)
        return err->class;
    return missing_below(&c, UINT64_MAX, err);
}

int
allocation_check_target(struct nbd_conn *conn, const struct worker_spec_disk *d,
                        struct pulse *pulse, struct err *err)
{
    const struct allocation_how how = {.only_stray = true, .end_block = UINT64_MAX};
    struct findings strays;
    int r;

    findings_init(&strays);
    r = allocation_check(conn, d, &how, &strays, pulse, err);
    if (r >= 0 && findings_any(&strays))
        r = err_set(err, ERR_EXISTS, "resume_mismatch",
                    "the half-written target holds data at %llu, where the disk is zero: "
                    "it is not of this disk, or was changed",
                    (unsigned long long)strays.v[0].offset);
    findings_done(&strays);
    return r;
}
