/* copy/control.h - what may end a job from outside: the cancel line, end of file on
 * stdin, SIGTERM.  The last two are a cancel too, but for a job that may be gone on with:
 * there they are an interruption (ERR_UNAVAILABLE "interrupted").  Layer 2.  One thread,
 * from the first byte of stdin to the end of the program. */
#ifndef SENDENSE_COPY_CONTROL_H
#define SENDENSE_COPY_CONTROL_H

#include "copy/output.h"
#include "copy/stop.h"
#include "os/pipe_io.h"

#define CONTROL_GRACE_MS 4000 /* of the 5 s that a cancelled job has */

struct control {
    /* fixed after start */
    int in_fd;     /* -1: stdin is not ours (a client run by hand) */
    int signal_fd; /* of signals_setup() */
    int done_fd;
    bool resumable; /* another attempt may go on with this job */
    struct copy_stop *stop;
    struct output *output;     /* or NULL */
    void (*leave)(int status); /* ends the program, at once: _exit(2), named by main() */
    pthread_t thread;
    /* the thread's own after start */
    struct line_reader lines;
};

/* Waits for the first line.  ERR_CANCELLED (a signal came first), ERR_INVALID
 * "malformed_json" (stdin ended), ERR_LIMIT "line_too_long".  *ret is valid until
 * control_start(). */
int control_first_line(struct control *c, char **ret, size_t *ret_n, struct err *err);

/* From now on a thread watches.  When the job does not end within CONTROL_GRACE_MS of the
 * wish, the thread tells the result and ends the program. */
int control_start(struct control *c, struct err *err);
void control_stop(struct control *c);

#endif
