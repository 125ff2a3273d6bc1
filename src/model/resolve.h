/* model/resolve.h - what a chain of layers says about each block.         Layer 1.  Pure,
 * no I/O. A merge of the sorted record streams of all layers; the newest layer wins.
 * Memory is one record per layer, whatever the size of the disk. */
#ifndef SENDENSE_MODEL_RESOLVE_H
#define SENDENSE_MODEL_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/manifest.h"

#define RESOLVE_LAYERS_MAX 4096u

/* The next record of one layer: 1 and *ret, 0 at the end, < 0 with err set. */
typedef int (*resolve_next_fn)(void *arg, struct manifest_record *ret, struct err *err);

struct resolve_layer {
    resolve_next_fn next;
    void *arg;
};

struct resolve_item {
    uint64_t block;
    uint64_t count; /* 1 for data, >= 1 for zero */
    enum manifest_state state;
    size_t layer; /* which layer said so: index into the array given, 0 = base */
    uint8_t hash[MANIFEST_HASH_SIZE]; /* of a zero item: manifest_zero_hash */
};

struct resolve;
#define CLEANUP_RESOLVE CLEANUP(cleanup_resolve)
/* @layers base first, tip last, 1..RESOLVE_LAYERS_MAX; the array is copied. */
int resolve_new(const struct resolve_layer *layers, size_t n, struct resolve **ret,
                struct err *err);
void resolve_free(struct resolve *r);
void cleanup_resolve(struct resolve **r);

/* 1 and the next item in ascending, disjoint order; 0 at the end.  Blocks that no layer
 * recorded are left out (they are zero).  A stream that is not sorted is ERR_CORRUPT
 * "manifest_corrupt". */
int resolve_next(struct resolve *r, struct resolve_item *ret, struct err *err);

#endif
