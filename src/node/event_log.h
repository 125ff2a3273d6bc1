/* node/event_log.h - the events of one job, until the hub has them.       Layer 5.  Pure.
 * Everything is kept but progress, of which only the newest of each disk counts.  Events
 * are held as text: a long job has many.  Not thread-safe: the job's lock guards it. */
#ifndef SENDENSE_NODE_EVENT_LOG_H
#define SENDENSE_NODE_EVENT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/jobevent.h"
#include "model/nodeapi.h"

/* Two days of checkpoints of ten disks each 5 s are half of this. */
#define EVENT_LOG_BYTES_MAX ((size_t)64 * 1024 * 1024)

struct event_log;

struct event_log *event_log_new(void);
void event_log_free(struct event_log *log); /* NULL ok */

/* @e->seq must be above all earlier ones.  ERR_LIMIT "too_many_events" when the log is
 * full; a result always fits. */
int event_log_add(struct event_log *log, const struct job_event *e, struct err *err);

uint64_t
event_log_last_seq(const struct event_log *log); /* 0 = none; progress included */
size_t event_log_bytes(const struct event_log *log);

/* The first NODEAPI_EVENTS_MAX events with seq > @after, in order, into page->events and
 * page->n, and page->ended: is the result among them or before?  The caller frees the
 * page. */
int event_log_page(const struct event_log *log, uint64_t after, struct events_page *page,
                   struct err *err);

#endif
