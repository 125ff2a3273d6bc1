/* copy/audit.h - is what is not going to be read as it is said to be?     Layer 2.
 * Internal to src/copy.
 *
 * Before the first piece is handed out a sample of what will be skipped is read: so the
 * disk's manifest knows only one truth.  Which blocks, and what they must hold, is chosen
 * by audit_pick.c; audit.c reads and compares. */
#ifndef SENDENSE_COPY_AUDIT_H
#define SENDENSE_COPY_AUDIT_H

#include <stddef.h>
#include <stdint.h>

#include "copy/disk.h"
#include "copy/reservoir.h"
#include "model/delta.h"

struct sample {
    uint64_t block;
    bool edge;               /* drawn beside something only, not from everywhere */
    struct delta_block want; /* what it must hold */
};

struct samples {
    struct sample *v; /* ascending, different */
    size_t n;
};
void samples_done(struct samples *s);

/* How many samples from @first on one request reads: those that follow it closely, within
 * @max_blocks. */
size_t audit_span(const struct samples *s, size_t first, uint64_t max_blocks);

/* Of what the map calls zero (and the parent, if there is one, holds as zero): at most a
 * quarter beside the edges of extents, where off-by-one maps are wrong, the rest
 * anywhere, so that sampling_uniform() holds. */
int audit_pick_map(struct copy_disk *d, struct samples *ret, struct err *err);

/* The part of the next one's @n that is beside page ends and changed areas, drawn from
 * unchanged blocks; both are to be done. */
void audit_pick_edges(const struct copy_disk *d, uint32_t n, uint64_t seed,
                      struct reservoir *ret_ends, struct reservoir *ret_neighbours);

/* Of what change tracking calls unchanged: half from blocks that the parent holds as
 * data, a quarter beside changed areas and ends of the server's pages (at most half of it
 * beside the latter), a quarter anywhere. */
int audit_pick_changes(struct copy_disk *d, struct samples *ret, struct err *err);

#endif
