/* job/parent_check.h - is what the manifests of a chain say still what its tip's restore
 * point was made of?  Layer 3.  Blocking.  Thread-safe.
 *
 * A block that the parent "holds already" is not recorded, and what is not recorded is
 * not checked by anything later: so a wrong record below would become a wrong backup that
 * calls itself verified.  Each group of blocks that such an answer comes from must
 * therefore give the digest that lies beside the parent (docs/design/repository.md 3.1).
 * Where these digests cannot be used the manifests are read whole, once. */
#ifndef SENDENSE_JOB_PARENT_CHECK_H
#define SENDENSE_JOB_PARENT_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/chain.h"
#include "model/content_root.h"
#include "store/manifest_file.h"

struct parent_hashes { /* of the blocks of one group, zero blocks included */
    uint8_t v[CONTENT_ROOT_GROUP][MANIFEST_HASH_SIZE];
};

struct parent_check;

/* One for all questions about @chain (at least one layer), of which it keeps nothing. */
struct parent_check *parent_check_new(const struct chain *chain);
struct parent_check *parent_check_ref(struct parent_check *c);
void parent_check_unref(struct parent_check *c); /* NULL ok; the last one frees */

/* Before the groups of a question.  @files: the opened manifests of the chain, base
 * first, whose headers and trailers were checked; where they stand is lost.  ERR_CORRUPT
 * "manifest_corrupt", also when that was found by an earlier question; ERR_IO. */
int parent_check_begin(struct parent_check *c, struct manifest_file **files, size_t n,
                       struct err *err);
/* The group that was found good last: neighbouring questions need not read it again. */
bool parent_check_recall(struct parent_check *c, uint64_t group,
                         struct parent_hashes *ret);
/* ERR_CORRUPT "manifest_corrupt": these are not the parent's.  ERR_IO. */
int parent_check_group(struct parent_check *c, uint64_t group,
                       const struct parent_hashes *h, struct err *err);
/* Damage met on the way: the next question is told at once. */
void parent_check_note(struct parent_check *c, const struct err *damage);

#endif
