/* copy/ahead.h - what the parent holds, fetched ahead of the cursor.      Layer 2.
 * Internal to src/copy.
 *
 * A thread fetches the next page while the cursor deals with the last one; memory is two
 * pages, whatever the size of the disk.  So a worker never waits for the hub: it is told
 * that nothing is there yet, and woken. */
#ifndef SENDENSE_COPY_AHEAD_H
#define SENDENSE_COPY_AHEAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "copy/parent.h"
#include "model/delta.h"

struct copy_ahead;

struct ahead_page {
    uint64_t first;
    uint32_t n;                 /* blocks */
    struct delta_block *blocks; /* n of them */
};

struct copy_ahead_opts {
    struct copy_parent *parent;   /* used by the thread alone while it runs */
    uint64_t start, blocks;       /* of the disk: what is asked about, [start, blocks) */
    const struct delta_run *runs; /* what will be read; NULL = all of that */
    size_t n_runs;
    void (*wake)(void *arg); /* a page came, or the end, or a failure; no lock is held */
    void *arg;
};

int copy_ahead_new(const struct copy_ahead_opts *o, struct copy_ahead **ret,
                   struct err *err);
int copy_ahead_start(struct copy_ahead *a, struct err *err);
/* The thread is gone when it returns.  It ends by itself after the last page; before
 * that only when the job is stopped, or here between two pages. */
void copy_ahead_stop(struct copy_ahead *a);
void copy_ahead_free(struct copy_ahead *a); /* NULL ok; after _stop */

enum { AHEAD_NOT_YET, AHEAD_PAGE, AHEAD_END };
/* The next page, ascending; valid until the next call.  AHEAD_NOT_YET: a wake follows.
 * One caller at a time. */
int copy_ahead_take(struct copy_ahead *a, const struct ahead_page **ret, struct err *err);

#endif
