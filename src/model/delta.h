/* model/delta.h - what a layer on a parent holds.                         Layer 1.  Pure.
 *
 * The rules of an incremental: which blocks are read, and what is recorded of a block
 * that was read, given what the parent holds there. */
#ifndef SENDENSE_MODEL_DELTA_H
#define SENDENSE_MODEL_DELTA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/manifest.h"

/* What the parent's chain holds in one block.  Beyond the parent's end: zero. */
struct delta_block {
    bool data;
    uint8_t hash[MANIFEST_HASH_SIZE]; /* of data */
};

enum delta_action {
    DELTA_SAME,  /* as in the parent: not written, not recorded */
    DELTA_WRITE, /* data, written and recorded */
    DELTA_ZERO   /* zero where the parent has data: a zero cluster, and a zero run */
};

/* @hash: of the block, padded; not looked at when it is zero. */
enum delta_action delta_decide(bool zero, const uint8_t hash[MANIFEST_HASH_SIZE],
                               const struct delta_block *parent);

/* Encoded records of one piece: ascending, neighbouring zero blocks joined. */
struct delta_out {
    uint8_t *records; /* room for one record of each block of the piece */
    unsigned n;
    struct manifest_record last; /* the newest one, which may still grow */
};
void delta_put(struct delta_out *o, uint64_t block, enum delta_action action,
               const uint8_t hash[MANIFEST_HASH_SIZE]);

/* Bytes of a disk. */
struct delta_area {
    uint64_t off, len;
};

/* Blocks of a disk. */
struct delta_run {
    uint64_t start, end;
};

/* @areas, ascending and disjoint, each of at least a byte, in whole blocks: ascending,
 * disjoint and not touching.  The last one may reach beyond a disk of @size_bytes only
 * by what rounding up to 512 adds.  *ret is malloc'ed.  ERR_PROTOCOL "changed_areas". */
int delta_widen(const struct delta_area *areas, size_t n, uint64_t size_bytes,
                struct delta_run **ret, size_t *ret_n, struct err *err);

/* True when @block is in one of @runs (as delta_widen() gives them). */
bool delta_covers(const struct delta_run *runs, size_t n, uint64_t block);

/* A page is what the parent is asked about in one go. */
#define DELTA_PAGE_BLOCKS 32768u
/* Runs with a wider gap between them are in different pages. */
#define DELTA_GAP_BLOCKS 1024u

/* The next page of @runs from *at on, which is moved past it (start with 0, 0): false at
 * the end.  A page holds at most DELTA_PAGE_BLOCKS; a long run makes several. */
struct delta_at {
    size_t run;
    uint64_t block;
};
bool delta_page(const struct delta_run *runs, size_t n, struct delta_at *at,
                struct delta_run *ret);

#endif
