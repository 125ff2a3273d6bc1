/* worker/pulse.h - progress of one disk, at most once a second, and never silent for
 * long.  Layer 5.  The hub ends a worker that says nothing; so whatever takes long and
 * copies nothing (the manifests of a large disk, its allocation map) beats while it
 * works.  Owner: the thread of the disk. */
#ifndef SENDENSE_WORKER_PULSE_H
#define SENDENSE_WORKER_PULSE_H

#include "base/err.h"
#include "copy/output.h"
#include "copy/stop.h"

struct pulse {
    /* fixed */
    struct output *out;
    struct copy_stop *stop;
    uint32_t key;
    /* the owner's */
    struct byte_counters bytes; /* as told last, or given */
    uint64_t told_ns;           /* 0 = never */
    uint64_t since_ns;          /* of the first beat */
};

/* Tells @c, unless the last line is younger than a second. */
void pulse_tell(struct pulse *p, const struct byte_counters *c);

/* For loops: tells the old counters again when it is time.  ERR_CANCELLED once the job is
 * stopped. */
int pulse_beat(struct pulse *p, struct err *err);

/* Something for people that is not the damage itself. */
void pulse_warn(struct pulse *p, const struct err *why);

#endif
