/* copy/cursor.h - what of one disk is still to be read, piece by piece, in order.
 * Layer 2. A piece is part of one extent that the source does not declare zero, widened
 * to whole blocks. Without a map the disk is one extent.  Thread-safe; the map is fetched
 * page by page, under the cursor's lock, over the connection given for it.
 *
 * On a parent: what is known to have changed, or (to compare) all that the source does
 * not declare zero and all that the parent holds as data. */
#ifndef SENDENSE_COPY_CURSOR_H
#define SENDENSE_COPY_CURSOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "copy/ahead.h"
#include "model/delta.h"
#include "nbd/nbd_conn.h"

struct copy_cursor;
struct copy_records;

struct copy_piece {
    uint64_t seq; /* 0, 1, … without gaps */
    uint64_t off; /* multiple of 64 KiB */
    uint32_t len; /* <= piece_bytes; short only at the end of the disk */
    /* On a parent: room for what it holds in each block of a piece, given by the caller
     * and filled in. */
    struct delta_block *parent;
};

enum copy_cursor_next { CURSOR_PIECE, CURSOR_WAIT, CURSOR_END };

/* @map: NULL = read everything; else a connection with base:allocation that nobody else
 * uses until the cursor is freed.  @skipped is raised as zero extents are passed.  Keeps
 * @records. */
int copy_cursor_new(uint64_t size, uint32_t piece_bytes, struct nbd_conn *map,
                    struct copy_records *records, atomic_uint_fast64_t *skipped,
                    struct copy_cursor **ret, struct err *err);
void copy_cursor_free(struct copy_cursor *c);

/* Before the first piece: an earlier attempt dealt with all blocks below @block. */
void copy_cursor_start_at(struct copy_cursor *c, uint64_t block);

/* Before the first piece: the disk has a parent.  @runs, which @ahead must have been made
 * for, is what changed (nothing below the start); NULL = compare.  Both are kept. */
void copy_cursor_on_parent(struct copy_cursor *c, struct copy_ahead *ahead,
                           const struct delta_run *runs, size_t n_runs);

/* CURSOR_PIECE, CURSOR_WAIT (the window of records is full, or the hub has not answered
 * yet what the parent holds; a wake-up follows), CURSOR_END, or < 0. */
int copy_cursor_next(struct copy_cursor *c, struct copy_piece *ret, struct err *err);

/* All pieces were handed out; @ret_count = how many there were. */
bool copy_cursor_ended(struct copy_cursor *c, uint64_t *ret_count);

/* Calls @fn with the runs of blocks in [@off, @end) that the map declares zero: first
 * block, count. */
typedef int (*copy_run_fn)(void *arg, uint64_t block, uint64_t count, struct err *err);
int copy_zero_runs(struct nbd_conn *map, uint64_t off, uint64_t end, copy_run_fn fn,
                   void *arg, struct err *err);

#endif
