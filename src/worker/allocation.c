/* worker/allocation.c - see allocation.h. */
#include "worker/allocation.h"

#include "worker/manifests.h"

#define BLOCK MANIFEST_BLOCK_SIZE

struct check {
    const struct worker_spec_disk *disk;
    struct findings *findings;
    struct walk *walk;
    bool
        zero_counts; /* a zero record is allocated too: in the tip it is a zero cluster */
    bool depth;      /* flags are depths, not base:allocation flags */
    /* the recorded run that is not dealt with yet */
    bool has;
    uint64_t first, end;
    uint64_t next_block; /* extents below it were dealt with */
};

static void
tell(struct check *c, uint64_t first, uint64_t end, enum bad_range reason)
{
    uint64_t from = first * BLOCK, to = end * BLOCK;

    if (to > c->disk->size_bytes)
        to = c->disk->size_bytes;
    if (from < to)
        findings_add(c->findings, from, to - from, reason);
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

        if (!c->has || c->first >= end) {
            tell(c, first, end, BAD_STRAY);
            return 0;
        }
        if (c->first > first) {
            tell(c, first, c->first, BAD_STRAY);
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
allocation_check(struct nbd_conn *conn, const struct worker_spec_disk *d, bool tip_only,
                 struct findings *f, struct err *err)
{
    CLEANUP_WALK struct walk *walk = NULL;
    struct check c = {
        .disk = d, .findings = f, .zero_counts = tip_only, .depth = tip_only};

    if (walk_new(d, tip_only, &walk, err) < 0)
        return err->class;
    c.walk = walk;
    if (load(&c, err) < 0 ||
        nbd_conn_extents(conn, tip_only ? NBD_CONTEXT_DEPTH : NBD_CONTEXT_MAP, 0,
                         nbd_conn_info(conn)->size_bytes, on_extent, &c, err) < 0)
        return err->class;
    return missing_below(&c, UINT64_MAX, err);
}
