/* client/areas.h - which parts of a disk are in use, in whole blocks.   Layer 5.  Pure.
 * Areas come in order; neighbours become one.  When there are too many, all become
 * coarser: more is read then, never less. */
#ifndef SENDENSE_CLIENT_AREAS_H
#define SENDENSE_CLIENT_AREAS_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"

#define AREAS_MAX 100000u

struct areas {
    uint64_t size, granule; /* of the disk; a power of two */
    size_t max;
    struct area {
        uint64_t begin, end;
    } * v;
    size_t n, room;
};
#define CLEANUP_AREAS CLEANUP(areas_done)

/* Granules of MANIFEST_BLOCK_SIZE to begin with; @max >= 1. */
void areas_init(struct areas *a, uint64_t size, size_t max);
void areas_done(struct areas *a);
/* [@offset, @offset + @length): inside the disk, not before the last one's begin. */
void areas_add(struct areas *a, uint64_t offset, uint64_t length);
/* [[offset, length], …]; caller decrefs. */
json_t *areas_encode(const struct areas *a);

#endif
