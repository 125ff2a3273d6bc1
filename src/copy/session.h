/* copy/session.h - the frame of a client or worker: one spec on stdin, events on stdout.
 * Layer 2. docs/design/protocol.md 3 and 4: hello first, exactly one result last, the
 * wish to stop heeded from the first byte of stdin on. */
#ifndef SENDENSE_COPY_SESSION_H
#define SENDENSE_COPY_SESSION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "copy/control.h"
#include "copy/output.h"
#include "copy/stop.h"

struct session {
    const char *prog;          /* literal: what hello says */
    void (*leave)(int status); /* _exit(2): see control.h */
    bool resumable;            /* see control.h */
    /* Decodes @line and does the work: copy_stop_* ends it.  Calls session_watch() once
     * the spec is decoded and session_unwatch() before it returns.  < 0: @err is the
     * result. */
    int (*run)(struct control *c, const char *line, size_t n, struct err *err);
};

/* Blocking.  The exit status of the program. */
int session_main(const struct session *s, int signal_fd);

/* Between the two, a cancel, a signal or the end of stdin stops the work. */
int session_watch(struct control *c, const char *job_id, struct err *err);
void session_unwatch(struct control *c);

#endif
