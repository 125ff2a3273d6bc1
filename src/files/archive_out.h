/* files/archive_out.h - what is archived, as one stream of frames.         Layer 5.
 * Its end is written only when all before it was whole (docs/design/protocol.md 7). */
#ifndef SENDENSE_FILES_ARCHIVE_OUT_H
#define SENDENSE_FILES_ARCHIVE_OUT_H

#include <archive.h>
#include <archive_entry.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/err.h"

/* Where the bytes go; < 0 with @err ends the archive. */
typedef int (*archive_sink)(void *arg, const void *p, size_t n, struct err *err);

struct archive_out {
    struct archive *w;
    bool zip;
    archive_sink sink;
    void *arg;
    struct err err; /* the first failure: it sticks */
    char *link;     /* the last link written: nothing may lie below it */
    struct buf left_out;
    uint64_t entries, n_left_out;
};

int archive_out_open(struct archive_out *o, bool zip, archive_sink sink, void *arg,
                     struct err *err);
/* Writes the header of @e under the name @entry, or leaves it out.  1 = written, its data
 * may follow; 0 = left out.  A link's target and a hard link's, given as @hard, are made
 * safe.  @e is changed. */
int archive_out_header(struct archive_out *o, const char *entry, const char *hard,
                       struct archive_entry *e, struct err *err);
int archive_out_data(struct archive_out *o, const void *p, size_t n, struct err *err);
void archive_out_leave_out(struct archive_out *o, const char *entry, const char *why);
/* The list of what was left out, and the end. */
int archive_out_finish(struct archive_out *o, struct err *err);
/* Frees; what was not finished has no end and never gets one. */
void archive_out_done(struct archive_out *o);

#endif
