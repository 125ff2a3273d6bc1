/* tests/unit/job/parent_world.h - a chain of manifests in a folder of its own, and a
 * naive model of what it holds.  One at a time. */
#ifndef SENDENSE_TESTS_PARENT_WORLD_H
#define SENDENSE_TESTS_PARENT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "job/parent_manifest.h"
#include "store/chain_root.h"

#define BLOCKS_MAX 9000u
#define DISK "018f0000-0000-7000-8000-0000000000d1"

extern struct model_block {
    bool data;
    uint32_t tag; /* in the hash */
} model[BLOCKS_MAX];

struct world {
    char dir[64];
    struct chain chain;
    uint64_t blocks; /* of the newest layer */
};
void world_init(struct world *w);
void world_done(struct world *w);
/* A layer of a disk of @blocks blocks on top; the model follows. */
void add_layer(struct world *w, uint64_t blocks, uint64_t gap, uint64_t *s);

/* The digests of groups beside the newest layer, as a verification leaves them. */
struct roots {
    char *path;
    struct content_root *root;
    struct chain_root_keep *keep;
};
void roots_begin(struct world *w, struct roots *r);
void roots_end(struct world *w, struct roots *r);
void leave_roots(struct world *w); /* of the model */

uint64_t rnd(uint64_t *s);
void hash_of(uint32_t tag, uint8_t out[MANIFEST_HASH_SIZE]);
void check_data(const struct manifest_record *r);
/* The answer has no gap, no overlap and no block too many, and says what the model says.
 */
void check_range(struct parent_manifest *p, uint64_t block, uint64_t count);

#endif
