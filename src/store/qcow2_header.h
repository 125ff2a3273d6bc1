/* store/qcow2_header.h - reads a qcow2 header before qemu does.           Layer 2.
 * Accepts only what Sendense itself makes (docs/design/repository.md 2.3); everything
 * else is refused, so that a planted image cannot make qemu open another file.  Format:
 * QEMU docs/interop/qcow2.txt. */
#ifndef SENDENSE_STORE_QCOW2_HEADER_H
#define SENDENSE_STORE_QCOW2_HEADER_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define QCOW2_CLUSTER_SIZE 65536u
/* The header, its extensions and the backing name must lie within the first cluster. */
#define QCOW2_HEADER_READ QCOW2_CLUSTER_SIZE
#define QCOW2_BACKING_SIZE 32

struct qcow2_header {
    uint64_t virtual_size;
    char backing[QCOW2_BACKING_SIZE]; /* "000006.qcow2", "" = none */
    uint32_t backing_seq;             /* its number, 0 = none */
};

/* @p holds the first @n bytes of the file (fewer than QCOW2_HEADER_READ only when the
 * file is shorter).  @seq is the number of the layer itself: a backing name must have a
 * lower one.  Pure. ERR_CORRUPT "layer_header", the message says what is refused. */
int qcow2_header_parse(const void *p, size_t n, uint32_t seq, struct qcow2_header *ret,
                       struct err *err);
int qcow2_header_read(int fd, uint32_t seq, struct qcow2_header *ret, struct err *err);

#endif
