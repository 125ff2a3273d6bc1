/* catalog/cat_event.h - table events: what happened, for people and for audit.  Layer 2.
 * Blocking. */
#ifndef SENDENSE_CATALOG_CAT_EVENT_H
#define SENDENSE_CATALOG_CAT_EVENT_H

#include "catalog/catalog.h"

struct cat_event {
    int64_t id; /* given by add; rises, never used twice */
    int64_t time_us;
    const char *severity; /* info, warning, error */
    const char *type;
    const char *code; /* NULL = none, as are those below */
    const char *message;
    const char *job_id;
    const char *backup_id;
    const char *vm_id;
    const char *actor;
};

struct cat_events {
    struct cat_event *v;
    size_t n;
    bool more;
};

void cat_event_done(struct cat_event *e);
void cat_events_done(struct cat_events *l);

int cat_event_add(struct catalog *c, const struct cat_event *e, int64_t *ret_id,
                  struct err *err);

/* Those with id > @after_id, oldest first; @limit as in struct cat_page.  @job_id NULL =
 * of all. */
int cat_event_list(struct catalog *c, int64_t after_id, unsigned limit,
                   const char *job_id, struct cat_events *ret, struct err *err);

/* Does any speak of that backup, which may be deleted?  1, 0, or < 0. */
int cat_event_of_backup(struct catalog *c, const char *backup_id, struct err *err);

/* The highest id ever given, 0 before the first. */
int cat_event_last_id(struct catalog *c, int64_t *ret, struct err *err);

/* Keeps the newest @keep; returns how many went. */
int cat_event_prune(struct catalog *c, unsigned keep, struct err *err);

#endif
