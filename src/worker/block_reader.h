/* worker/block_reader.h - reads the recorded data blocks of one disk, compares, and may
 * write them. Layer 5.  Blocking. */
#ifndef SENDENSE_WORKER_BLOCK_READER_H
#define SENDENSE_WORKER_BLOCK_READER_H

#include "base/err.h"
#include "copy/rate.h"
#include "copy/stop.h"
#include "model/jobevent.h"
#include "model/jobspec.h"
#include "worker/findings.h"

struct block_reader {
    const struct worker_spec *spec;
    const struct worker_spec_disk *disk;
    uint64_t image_bytes; /* of the export; nothing is read beyond it or the disk */
    uint64_t cut_block;   /* nothing is read from here on; UINT64_MAX = the disk's end */
    struct copy_stop *stop;
    struct copy_rate *rate; /* of the whole job */
    struct findings *findings;
    void (*progress)(void *arg, const struct byte_counters *c); /* about once a second */
    void *arg;
    struct byte_counters bytes; /* in: before; out: after */
};

/* verify: the blocks that the tip recorded.  compare: all data blocks of the chain.
 * restore: the same, each written to the target once it was found equal; ends with a
 * flush on every connection.  With resume the target is read first, and what it has is
 * neither read from the source nor written again.
 * A block that differs or cannot be read goes to @findings and is no error of the call.
 */
int block_reader_run(struct block_reader *rb, struct err *err);

#endif
