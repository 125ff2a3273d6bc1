/* copy/checkpoint.h - the manifest of one disk while it grows.            Layer 2.
 * Internal to src/copy; one thread.  A checkpoint = flush, then records to the hub (and
 * to a file, for a client run by hand).  Keeps the layer root on its own, over the
 * records of earlier attempts too, to compare at the end. */
#ifndef SENDENSE_COPY_CHECKPOINT_H
#define SENDENSE_COPY_CHECKPOINT_H

#include "copy/disk.h"
#include "copy/push.h"
#include "model/manifest.h"

struct checkpoint {
    struct copy_disk *disk;
    struct manifest_check *check;
    struct copy_push *push; /* NULL without a hub */
    int fd;                 /* the manifest of a client run by hand, or -1 */
    char *path;
    uint64_t n; /* checkpoints made */
    uint8_t root[MANIFEST_HASH_SIZE];
};

int checkpoint_init(struct checkpoint *c, struct copy_disk *d, struct err *err);
void checkpoint_done(struct checkpoint *c);

/* @n complete records, already flushed on the target; all blocks below @block were dealt
 * with. */
int checkpoint_add(struct checkpoint *c, const uint8_t *records, size_t n, uint64_t block,
                   struct err *err);
/* The last ones: final push, roots compared, file sealed.  c->root is valid then. */
int checkpoint_end(struct checkpoint *c, const uint8_t *records, size_t n,
                   struct err *err);

#endif
