/* model/content_root.h - the root of a disk's resolved content.           Layer 1.  Pure,
 * no I/O. docs/design/repository.md section 3: SHA-256 over the digests of groups of
 * 1,024 block hashes. Memory is constant; a stretch of zero blocks costs one digest of 32
 * bytes per whole group. */
#ifndef SENDENSE_MODEL_CONTENT_ROOT_H
#define SENDENSE_MODEL_CONTENT_ROOT_H

#include <stdint.h>

#include "base/cleanup.h"
#include "model/manifest.h"

#define CONTENT_ROOT_GROUP 1024u

/* How many blocks of a disk of @blocks are in @group; 0 = none. */
static inline uint64_t
content_root_group_blocks(uint64_t blocks, uint64_t group)
{
    uint64_t start = group * CONTENT_ROOT_GROUP;

    if (start >= blocks)
        return 0;
    return blocks - start < CONTENT_ROOT_GROUP ? blocks - start : CONTENT_ROOT_GROUP;
}

struct content_root;
#define CLEANUP_CONTENT_ROOT CLEANUP(cleanup_content_root)
/* @disk_size 1..MANIFEST_DISK_SIZE_MAX, else ERR_INVALID. */
int content_root_new(uint64_t disk_size, struct content_root **ret, struct err *err);
void content_root_free(struct content_root *c);
void cleanup_content_root(struct content_root **c);

/* Told, in ascending order, of each group that has a data block: its digest. */
typedef int (*content_root_group_fn)(void *arg, uint64_t group,
                                     const uint8_t digest[MANIFEST_HASH_SIZE],
                                     struct err *err);
void content_root_on_group(struct content_root *c, content_root_group_fn fn, void *arg);

/* Data blocks in ascending order; blocks that are left out are zero.  ERR_INVALID
 * "manifest_invalid" when @block is not above the last one or not in the disk. */
int content_root_add(struct content_root *c, uint64_t block,
                     const uint8_t hash[MANIFEST_HASH_SIZE], struct err *err);
/* A whole group by its digest, as it was told for another root.  ERR_INVALID
 * "manifest_invalid" as above. */
int content_root_add_group(struct content_root *c, uint64_t group,
                           const uint8_t digest[MANIFEST_HASH_SIZE], struct err *err);
/* Once, after the last block. */
int content_root_finish(struct content_root *c, uint8_t ret_root[MANIFEST_HASH_SIZE],
                        struct err *err);

#endif
