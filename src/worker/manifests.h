/* worker/manifests.h - the manifests of one disk's chain: checked, then walked. Layer 5.
 * Blocking. */
#ifndef SENDENSE_WORKER_MANIFESTS_H
#define SENDENSE_WORKER_MANIFESTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/jobspec.h"
#include "model/manifest.h"
#include "model/resolve.h"
#include "worker/pulse.h"

/* Every manifest of the chain: header belongs to this disk and layer and stands on the
 * layer below, records are sound, the root is the one that the spec names.  *ret_records:
 * of the tip. ERR_CORRUPT names the file. */
int manifests_check(const struct worker_spec_disk *d, struct pulse *pulse,
                    uint64_t *ret_records, struct err *err);

/* Both together for a tip whose parent's groups are known (spec: parent_roots): the tip
 * as above, of the layers below the ends, and the records of the groups that the tip
 * touched, which must give what the parent's point had there.  ERR_EXISTS
 * "roots_unusable": to be done as below.  ERR_CORRUPT names file or blocks. */
int manifests_update(const struct worker_spec_disk *d, struct pulse *pulse,
                     uint64_t *ret_records, uint8_t ret_root[MANIFEST_HASH_SIZE],
                     struct err *err);

/* The content root, from the manifests alone; leaves the groups where the spec says.
 * *ret_cut: the first block of which nothing is known, because the records of a damaged
 * manifest end there; UINT64_MAX = all is. */
int manifests_content_root(const struct worker_spec_disk *d, struct pulse *pulse,
                           uint8_t ret[MANIFEST_HASH_SIZE], uint64_t *ret_cut,
                           struct err *err);

/* The number of the layer that recorded @block last, as its manifest's file is named
 * ("000007"); "" when none did or can be read. */
#define MANIFESTS_LAYER_SIZE 32
void manifests_layer_of(const struct worker_spec_disk *d, uint64_t block,
                        char out[MANIFESTS_LAYER_SIZE]);

/* Walks blocks in ascending order: of the tip alone (what that backup wrote), or of the
 * whole chain (what the disk holds). */
struct walk;
#define CLEANUP_WALK CLEANUP(cleanup_walk)
void cleanup_walk(struct walk **w);

struct walk_item {
    uint64_t block;
    uint64_t count; /* 1 for data */
    bool data;      /* false: zero blocks that a layer recorded */
    uint8_t hash[MANIFEST_HASH_SIZE];
};

int walk_new(const struct worker_spec_disk *d, bool tip_only, struct walk **ret,
             struct err *err);
/* Of the manifest d->delta alone. */
int walk_new_delta(const struct worker_spec_disk *d, struct walk **ret, struct err *err);
void walk_free(struct walk *w); /* NULL ok */
/* 1 = an item, 0 = the end.  A root that does not fit is no error here: manifests_check()
 * told it, and the blocks are still worth comparing. */
int walk_next(struct walk *w, struct walk_item *ret, struct err *err);

#endif
