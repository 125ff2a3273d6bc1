/* copy/reservoir.h - a uniform sample of a stream of block runs.          Layer 2.  Pure.
 * Algorithm L of K.-H. Li (1994): memory and time follow the sample, not the stream.  The
 * same seed and stream give the same sample. */
#ifndef SENDENSE_COPY_RESERVOIR_H
#define SENDENSE_COPY_RESERVOIR_H

#include <stdint.h>

struct reservoir {
    uint64_t *blocks; /* the sample so far, n of them; unordered */
    uint32_t n, size;
    uint64_t seen,
        next; /* items of the stream so far; index of the next one to be taken */
    double w;
    uint64_t rng;
};

void reservoir_init(struct reservoir *r, uint32_t size, uint64_t seed);
void reservoir_done(struct reservoir *r);
void reservoir_offer(struct reservoir *r, uint64_t block, uint64_t count); /* a run */

#endif
