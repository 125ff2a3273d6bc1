/* copy/records.h - the records of one disk, put back in order.            Layer 2.
 * Pieces are handed out in order and complete in any; a checkpoint may only tell what is
 * complete from the start on.  A ring holds the pieces from the first incomplete one on;
 * in front of it is the list of records that no checkpoint took yet.  Both are bounded:
 * when they are full no work is handed out, so a slow hub slows the copy and never fills
 * the memory.  Thread-safe. */
#ifndef SENDENSE_COPY_RECORDS_H
#define SENDENSE_COPY_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define RECORDS_CHECKPOINT (256u * 1024) /* a checkpoint is due */

struct copy_records;

/* @window: pieces between the first incomplete one and the newest; @piece_blocks: most
 * records of one piece.  ERR_LIMIT. */
int copy_records_new(unsigned window, unsigned piece_blocks, struct copy_records **ret,
                     struct err *err);
void copy_records_free(struct copy_records *r);

/* May piece @seq be handed out?  False remembers that somebody waits
 * (copy_records_complete and copy_records_take tell when that ends). */
bool copy_records_room(struct copy_records *r, uint64_t seq);

/* Where piece @seq, handed out and not completed, keeps its encoded records. */
uint8_t *copy_records_piece(struct copy_records *r, uint64_t seq);

struct records_news {
    bool wake_workers;   /* somebody was refused room, and now there is some */
    bool checkpoint_due; /* just became true */
};
/* The piece is written and acknowledged: @n records of it, ascending; @end = its end on
 * the disk. */
struct records_news copy_records_complete(struct copy_records *r, uint64_t seq,
                                          unsigned n, uint64_t end);

/* Everything up to the first incomplete piece: @ret gets @ret_n encoded records, valid
 * until the next call; @ret_done the disk offset up to which all is complete. */
struct records_news copy_records_take(struct copy_records *r, const uint8_t **ret,
                                      size_t *ret_n, uint64_t *ret_done);

bool copy_records_checkpoint_due(struct copy_records *r);
uint64_t
copy_records_completed(struct copy_records *r); /* pieces, counted from the start */

#endif
