/* worker/findings.h - the damaged ranges of one disk.                       Layer 5.
 * Thread-safe. Neighbouring ranges of one reason are joined; some are told, all are
 * counted. */
#ifndef SENDENSE_WORKER_FINDINGS_H
#define SENDENSE_WORKER_FINDINGS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/jobevent.h"

#define FINDINGS_KEPT 4096u

struct finding {
    uint64_t offset, length;
    enum bad_range reason;
};

struct findings {
    /* fixed */
    pthread_mutex_t lock;
    /* under lock */
    struct finding *v; /* at most FINDINGS_KEPT, in the order they came */
    size_t n;
    uint64_t blocks; /* damaged ones, all of them */
    size_t read_errors;
    bool overflow; /* more than can be kept */
};

void findings_init(struct findings *f);
void findings_done(struct findings *f);
void findings_add(struct findings *f, uint64_t offset, uint64_t length,
                  enum bad_range reason);
bool findings_any(struct findings *f);
size_t findings_read_errors(struct findings *f);

/* Sorts, joins and tells at most @max of them; then *err says "disk 2000: N damaged
 * ranges, first: …". Returns ERR_CORRUPT "verification_failed", or 0 when there are none.
 */
int findings_report(struct findings *f, uint32_t key, size_t max,
                    void (*emit)(void *, struct job_event *), void *arg, struct err *err);

#endif
