/* job/bus.h - events: stored in the catalog, and told to whoever listens.   Layer 3.
 * Thread-safe. */
#ifndef SENDENSE_JOB_BUS_H
#define SENDENSE_JOB_BUS_H

#include <stdint.h>

#include "base/err.h"
#include "catalog/cat_event.h"
#include "job/env.h"

struct bus *bus_new(void);
void bus_free(struct bus *b);

/* Stores @e (id and time are filled in) and wakes the listeners.  Inside a transaction
 * the event belongs to it; call bus_wake() after the commit. */
int bus_emit(const struct job_env *env, const struct cat_event *e, struct err *err);
void bus_wake(struct bus *b);

/* Waits until something was emitted since @version, or the deadline; returns the new
 * version. */
uint64_t bus_wait(struct bus *b, uint64_t version, uint64_t deadline_ns);

#endif
