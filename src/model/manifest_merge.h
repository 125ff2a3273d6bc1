/* model/manifest_merge.h - the records of a layer that two are merged into.  Layer 1.
 * Pure, no I/O.
 *
 * docs/design/repository.md 5: the upper layer's records over the lower one's.  Every
 * block resolves through the merged layer as it did through both. */
#ifndef SENDENSE_MODEL_MANIFEST_MERGE_H
#define SENDENSE_MODEL_MANIFEST_MERGE_H

#include <stdbool.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/manifest.h"
#include "model/resolve.h"

struct manifest_merge;
#define CLEANUP_MANIFEST_MERGE CLEANUP(cleanup_manifest_merge)
void cleanup_manifest_merge(struct manifest_merge **m);

/* @full: the merged layer stands on nothing, so what it does not record is zero and zero
 * runs are left out. */
int manifest_merge_new(const struct resolve_layer *lower,
                       const struct resolve_layer *upper, bool full,
                       struct manifest_merge **ret, struct err *err);
void manifest_merge_free(struct manifest_merge *m); /* NULL ok */

/* 1 and the next record, as manifest_check_add() takes it; 0 at the end.  Neighbouring
 * zero runs are one.  ERR_CORRUPT "manifest_corrupt" when a stream is not sorted. */
int manifest_merge_next(struct manifest_merge *m, struct manifest_record *ret,
                        struct err *err);

#endif
