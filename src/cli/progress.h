/* cli/progress.h - what a running job shows: one line per disk and a total.   Layer 5.
 * Pure. Clocks and window size come in as arguments, text goes into a buffer. */
#ifndef SENDENSE_CLI_PROGRESS_H
#define SENDENSE_CLI_PROGRESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define PROGRESS_DISKS_MAX 256
#define PROGRESS_CAP (256u * 1024)

struct progress_line {
    char name[24];        /* device key, or "total" */
    char phase[32];       /* escaped */
    double percent;       /* 0..100, never falls within one phase */
    uint64_t done, total; /* bytes */
    uint64_t rate;        /* bytes per second; 0 = unknown */
    uint64_t eta_s;       /* UINT64_MAX = unknown */
};

struct progress {
    /* Of the last sample. */
    struct progress_line total;
    struct progress_line disks[PROGRESS_DISKS_MAX];
    unsigned n_disks;
    /* Between samples. */
    uint64_t last_ns; /* 0 = no sample yet */
    unsigned n_drawn; /* lines on the screen, to be drawn over */
};

/* Takes in a backup, verification or restore object of the API at monotonic time @now_ns.
 * Rates of disks, which the API does not tell, come from the bytes since the sample
 * before. */
void progress_update(struct progress *p, const json_t *job, uint64_t now_ns);

/* For a terminal of @width columns and @height lines: first moves up over what was drawn
 * before. No line is wider than @width - 1. */
int progress_draw(struct progress *p, unsigned width, unsigned height, struct buf *b,
                  struct err *err);

/* "transferring 41.5%, 812 MiB/s, 0:03 left" */
int progress_plain(const struct progress *p, struct buf *b, struct err *err);

#endif
