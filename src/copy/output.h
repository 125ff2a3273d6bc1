/* copy/output.h - the event lines on stdout.                            Layer 2.
 * Thread-safe: a line is written whole, numbers rise with the lines.  A reader that is
 * gone, or that takes nothing for OUTPUT_BLOCKED_S seconds, ends the job through the stop
 * slot. */
#ifndef SENDENSE_COPY_OUTPUT_H
#define SENDENSE_COPY_OUTPUT_H

#include <pthread.h>
#include <stdbool.h>

#include "copy/stop.h"
#include "model/jobevent.h"

#define OUTPUT_BLOCKED_S 30
#define OUTPUT_STOPPED_S 2 /* the same, once the job is being stopped */

struct output {
    /* fixed */
    int fd;
    struct copy_stop *stop;
    pthread_mutex_t lock;
    /* under lock */
    uint64_t seq;
    enum job_phase phase; /* the last one told */
    bool broken;          /* nobody reads; nothing is written any more */
    bool ended;           /* the result was written; nothing may follow */
};

void output_init(struct output *o, int fd, struct copy_stop *stop);
void output_done(struct output *o);

/* Fills in seq and time and writes the line.  The form that copy_opts.event wants. */
void output_emit(void *output, struct job_event *ev);

enum job_phase output_phase(struct output *o);

#endif
