/* model/jobevent_snapshot.h - the events that a snapshot has.  Internal to model. */
#ifndef SENDENSE_MODEL_JOBEVENT_SNAPSHOT_H
#define SENDENSE_MODEL_JOBEVENT_SNAPSHOT_H

#include "model/codec.h"
#include "model/jobevent.h"

struct event_snapshot *event_snapshot_get(struct jreader *r); /* never NULL */
void event_snapshot_put(json_t *o, const struct event_snapshot *s);

void event_vm_config_get(struct jreader *r, struct job_event *e);
void event_vm_config_put(json_t *o, const struct job_event *e);

#endif
