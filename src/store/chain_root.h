/* store/chain_root.h - the content root of a chain of manifests.              Layer 2.
 * Blocking.
 *
 * From everything, or from what the parent's point had and what the tip touched: then it
 * costs the touched groups, however much the layers below hold.  Both leave the digests
 * of the groups beside the tip for the next backup. */
#ifndef SENDENSE_STORE_CHAIN_ROOT_H
#define SENDENSE_STORE_CHAIN_ROOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/content_root.h"
#include "store/group_roots.h"

struct chain_root {
    const char *const *manifests; /* base first, the tip last */
    size_t n;
    const char *parent_roots; /* file of the tip's parent */
    const uint8_t *parent_content_root;
    const char *roots; /* where to leave the tip's; replaced; NULL = nowhere */
    int (*beat)(void *arg, struct err *err); /* called now and then; may end it */
    void *arg;
};

/* From the parent's groups; the manifests below are read where the tip touches a group,
 * and there they must give the parent's digest.  The headers are the caller's to check.
 *
 * ERR_EXISTS "roots_unusable": the parent's file is missing, of another layer, or does
 * not give its content root; compute it from everything.  ERR_CORRUPT "manifest_corrupt":
 * the records below are not those that the parent's point was made of. */
int chain_root_update(const struct chain_root *c, uint8_t ret[MANIFEST_HASH_SIZE],
                      struct err *err);

/* Leaves what @root is told of at @path: call before the first block, end with
 * chain_root_keep_end().  A failure to write is no error of the root: *ret is NULL. */
struct chain_root_keep;
int chain_root_keep(const char *path, const struct manifest_header *tip,
                    struct content_root *root, struct chain_root_keep **ret,
                    struct err *err);
/* @content_root NULL = there is none: nothing is left.  Frees; NULL ok. */
int chain_root_keep_end(struct chain_root_keep *k, const uint8_t *content_root,
                        struct err *err);

#endif
