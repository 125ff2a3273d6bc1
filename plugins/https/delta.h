/* https/delta.h - one delta extent on the server: where a piece of the disk lies.
 * Thread-safe, blocking.  Header and tables are read when first needed; what is damaged
 * is an error, never taken for "the parent's". */
#ifndef SENDENSE_HTTPS_DELTA_H
#define SENDENSE_HTTPS_DELTA_H

#include <pthread.h>

#include "fetch.h"
#include "layout.h"
#include "tables.h"
#include "vmdk/vmdk_delta.h"

struct delta {
    struct fetch_file file;
    enum layout_format format;
    uint64_t length; /* of the extent */
    struct fetch_pool *pool;
    struct tables *tables;

    pthread_mutex_t lock; /* of all below; they are fixed once open */
    bool open;
    struct err refused; /* what never gets better */
    struct vmdk_delta d;
};

void delta_init(struct delta *f, const struct layout_extent *e, enum layout_format format,
                struct fetch_pool *pool, struct tables *tables);
void delta_done(struct delta *f);

/* The table read last, so that a run through it costs one look-up.  Starts as {0}. */
struct delta_cursor {
    bool valid, none;
    uint64_t index;
    uint8_t table[TABLES_PIECE_MAX];
};

/* What is at @at (within the extent), and for how many bytes (1…@max) it goes on like
 * that: the same state, and for data one piece of the file. */
int delta_find(struct delta *f, struct delta_cursor *c, uint64_t at, uint64_t max,
               struct vmdk_grain *ret, uint64_t *ret_length, struct err *err);

#endif
