/* model/progress.h - percent, rate and time left of a job.                Layer 1.  Pure.
 * The clock is the caller's (monotonic ns).  What is shown never goes backwards, whatever
 * comes in. Not thread-safe: its owner locks. */
#ifndef SENDENSE_MODEL_PROGRESS_H
#define SENDENSE_MODEL_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "model/jobevent.h"

#define PROGRESS_ETA_UNKNOWN UINT64_MAX

struct progress_view {
    struct byte_counters bytes;
    unsigned percent_x10;      /* 0..1000, rounded down: 1000 only when all is done */
    uint64_t rate_bytes_per_s; /* of bytes read, smoothed */
    uint64_t eta_s;            /* PROGRESS_ETA_UNKNOWN until there is a rate */
};

struct progress;
#define CLEANUP_PROGRESS CLEANUP(cleanup_progress)
struct progress *progress_new(void);
void progress_free(struct progress *p);
void cleanup_progress(struct progress **p);

/* Before the first update, so that the percentage is of the whole job.  A key given twice
 * changes nothing. */
void progress_add_disk(struct progress *p, uint32_t key, uint64_t total_bytes);

/* There is more to do of a disk than was said; a total that falls is not taken. */
void progress_raise_total(struct progress *p, uint32_t key, uint64_t total_bytes);

/* Newest counters of a disk; numbers that fall are held at their highest, done is capped
 * at its total.  False for a disk that was not added. */
bool progress_update(struct progress *p, uint32_t key, const struct byte_counters *c,
                     uint64_t now_ns);

/* The job as a whole, or one disk (false: no such disk).  A rate decays when nothing
 * comes in. */
void progress_view(const struct progress *p, uint64_t now_ns, struct progress_view *ret);
bool progress_view_disk(const struct progress *p, uint32_t key, uint64_t now_ns,
                        struct progress_view *ret);

#endif
