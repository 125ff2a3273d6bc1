/* copy/rate.h - a token bucket for the whole job.                         Layer 2.
 * Work may start while the bucket is not in debt; what it takes may put it into debt.  So
 * the mean is kept whatever the size of the pieces.  Thread-safe. */
#ifndef SENDENSE_COPY_RATE_H
#define SENDENSE_COPY_RATE_H

#include <pthread.h>
#include <stdint.h>

struct copy_rate {
    /* fixed */
    uint64_t bytes_per_s; /* 0 = unlimited */
    /* under lock */
    pthread_mutex_t lock;
    int64_t tokens; /* bytes; negative = debt */
    uint64_t last_ns;
};

void copy_rate_init(struct copy_rate *r, uint64_t bytes_per_s, uint64_t now_ns);
void copy_rate_done(struct copy_rate *r);

/* Milliseconds until work may start, 0 = now. */
unsigned copy_rate_wait_ms(struct copy_rate *r, uint64_t now_ns);
void copy_rate_take(struct copy_rate *r, uint64_t bytes);

#endif
