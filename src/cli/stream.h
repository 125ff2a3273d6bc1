/* cli/stream.h - lines out of pieces of a stream.                         Layer 5.  Pure.
 */
#ifndef SENDENSE_CLI_STREAM_H
#define SENDENSE_CLI_STREAM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define STREAM_LINE_MAX (1024u * 1024)

struct line_splitter {
    struct buf line; /* what has come of the next line */
    /* Called for each line, without its end; non-zero ends the stream. */
    int (*on_line)(void *arg, const char *line, size_t n);
    void *arg;
};

/* Non-zero when on_line returned non-zero or a line is longer than STREAM_LINE_MAX. */
int line_splitter_feed(struct line_splitter *s, const char *p, size_t n);
/* The last line, when it has no end. */
int line_splitter_end(struct line_splitter *s);
void line_splitter_done(struct line_splitter *s);

/* Server-sent events: fields of one event until its empty line. */
struct sse_event {
    char id[128];
    char type[64];
    struct buf data;
};

/* Takes one line; true = the event is complete (call sse_reset before the next line). */
bool sse_take_line(struct sse_event *e, const char *line, size_t n);
void sse_reset(struct sse_event *e);

#endif
