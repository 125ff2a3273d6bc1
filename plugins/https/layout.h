/* https/layout.h - what the plugin is to serve, as the client says it.
 * docs/design/protocol.md, "Source plugin: layout and cookie".  Strict: unknown members,
 * gaps and overlaps are refused.  Units: bytes.  ERR_INVALID "invalid_field" or
 * "unknown_field". */
#ifndef SENDENSE_HTTPS_LAYOUT_H
#define SENDENSE_HTTPS_LAYOUT_H

#include <stdint.h>

#include "base/err.h"
#include "os/tls_trust.h"

#define LAYOUT_TEXT_MAX (64u << 20)
#define LAYOUT_SIZE_MAX (1ull << 50)
#define LAYOUT_LAYERS_MAX 64u
#define LAYOUT_EXTENTS_MAX 1024u /* of a layer */
#define LAYOUT_RANGES_MAX 1000000u
#define LAYOUT_URL_MAX 4096u
#define LAYOUT_CONNECTIONS_MAX 16u
#define LAYOUT_RETRY_MAX_S 3600u

enum layout_format { LAYOUT_FLAT, LAYOUT_COWD, LAYOUT_SESPARSE, LAYOUT_ZERO };

struct layout_extent {
    char *url;       /* NULL = zeros (flat only) */
    uint64_t offset; /* in the file; 0 for a delta */
    uint64_t start;  /* in the disk */
    uint64_t length;
};

/* The extents cover the disk without gap, in order; none for LAYOUT_ZERO. */
struct layout_layer {
    enum layout_format format;
    struct layout_extent *extents;
    size_t n_extents;
};

struct layout_range {
    uint64_t offset, length;
};

struct layout {
    uint64_t size;
    struct tls_trust trust;
    unsigned connections, retry_s;
    struct layout_layer *layers; /* newest first */
    size_t n_layers;
    bool has_map;
    struct layout_range *allocated; /* in order, disjoint */
    size_t n_allocated;
};

int layout_decode(const char *text, size_t n, struct layout *ret, struct err *err);
/* The whole file @fd (a memfd), from its start. */
int layout_read(int fd, struct layout *ret, struct err *err);
void layout_done(struct layout *l);

#endif
