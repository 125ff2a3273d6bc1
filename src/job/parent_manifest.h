/* job/parent_manifest.h - what a disk's chain holds, for a client that compares. Layer 3.
 * Blocking.
 *
 * The manifests of the chain are merged on the way; nothing grows with the disk, and a
 * question about some blocks costs a few reads of each layer, wherever they are.  Owner:
 * one thread at a time. */
#ifndef SENDENSE_JOB_PARENT_MANIFEST_H
#define SENDENSE_JOB_PARENT_MANIFEST_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "job/chain.h"
#include "job/parent_check.h"
#include "model/manifest.h"

#define PARENT_LIST_MAX 1024u

struct parent_manifest;
#define CLEANUP_PARENT_MANIFEST CLEANUP(cleanup_parent_manifest)
void cleanup_parent_manifest(struct parent_manifest **p);

/* Opens every manifest of @chain and checks that header and trailer are those of its
 * layer.  @check: shared by all who ask about this chain; NULL = one of its own.
 * ERR_CORRUPT "manifest_corrupt" (a missing one too), ERR_IO. */
int parent_manifest_open(const struct chain *chain, struct parent_check *check,
                         struct parent_manifest **ret, struct err *err);
void parent_manifest_free(struct parent_manifest *p); /* NULL ok */

/* One of the three questions, then parent_manifest_next() until it says 0.  Another
 * question may follow.  ERR_INVALID "invalid_parameter". */

/* All of [@block, @block + @count): data records, and zero runs for all the rest, so
 * that the answer has no gap.  It decides what a backup leaves out, so each group of
 * blocks that it comes from is checked (parent_check.h), here and by
 * parent_manifest_next(): ERR_CORRUPT "manifest_corrupt".  The other two only say what is
 * to be looked at, and are not. */
int parent_manifest_range(struct parent_manifest *p, uint64_t block, uint64_t count,
                          struct err *err);
/* One record of one block for each of @blocks (ascending, 1..PARENT_LIST_MAX). */
int parent_manifest_list(struct parent_manifest *p, const uint64_t *blocks, size_t n,
                         struct err *err);
/* At most @n (1..PARENT_LIST_MAX) different blocks that hold data, chosen uniformly;
 * ascending.  The same @seed gives the same ones. */
int parent_manifest_sample(struct parent_manifest *p, size_t n, uint64_t seed,
                           struct err *err);

/* 1 and the next record, ascending; 0 at the end. */
int parent_manifest_next(struct parent_manifest *p, struct manifest_record *ret,
                         struct err *err);

#endif
