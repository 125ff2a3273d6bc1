/* job/chain.h - the layers below one layer of one disk, as their points know them.
 * Layer 3.  Blocking.
 *
 * What the image really stands on (its backing file) and what the restore points say must
 * be one story: each layer is the one that the point of its number names, with the root
 * that was committed then.  So a layer that was exchanged, or a manifest that was
 * rewritten, is found before anything is read through it. */
#ifndef SENDENSE_JOB_CHAIN_H
#define SENDENSE_JOB_CHAIN_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/manifest.h"
#include "model/naming.h"
#include "store/repo.h"

struct chain_layer {
    char locator[NAMING_LOCATOR_SIZE];
    char *manifest; /* absolute path */
    char layer_id[UUID_STR_SIZE];
    uint8_t layer_root[MANIFEST_HASH_SIZE];
    uint8_t content_root[MANIFEST_HASH_SIZE]; /* of the disk at that time */
    uint64_t size_bytes;                      /* of the disk at that time */
};

struct chain {
    char disk_uuid[UUID_STR_SIZE];
    struct chain_layer *v; /* base first, the given layer last */
    size_t n;
};
#define CLEANUP_CHAIN CLEANUP(chain_done)
void chain_done(struct chain *c); /* zeroes */

/* The chain whose tip is the committed layer @locator.  ERR_CORRUPT "chain_broken" (the
 * message names the layer: its point or image is missing, or they contradict each
 * other); ERR_UNAVAILABLE "merge_unfinished"; ERR_IO. */
int chain_load(struct repo *repo, const char *locator, struct chain *ret,
               struct err *err);

/* The same for a layer that has no point yet, or is being written: its parent and all
 * below.  @locator must have a backing file.  0 layers (and success) for a full. */
int chain_load_below(struct repo *repo, const char *locator, struct chain *ret,
                     struct err *err);

#endif
