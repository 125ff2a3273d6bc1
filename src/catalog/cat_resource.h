/* catalog/cat_resource.h - job_resources: the journal of what jobs hold.   Layer 2.
 * Blocking. intent (before the thing exists) -> held (it exists) -> released (it is gone
 * for certain). Open = intent or held; at most one open entry per (kind, res_key) in the
 * whole hub. */
#ifndef SENDENSE_CATALOG_CAT_RESOURCE_H
#define SENDENSE_CATALOG_CAT_RESOURCE_H

#include "catalog/catalog.h"

struct cat_resource {
    int64_t id; /* given by cat_resource_intend */
    const char *job_id;
    const char *kind;
    const char *res_key; /* at most 700 characters */
    const char *state;
    const char *detail; /* JSON text, NULL = none */
    int64_t pid; /* 0 = no process; with start_ticks and boot_id it names one for ever */
    int64_t start_ticks; /* /proc/PID/stat, field 22 */
    const char *boot_id;
    int64_t created_us;
    int64_t updated_us;
};

struct cat_resources {
    struct cat_resource *v;
    size_t n;
};

void cat_resource_done(struct cat_resource *r);
void cat_resources_done(struct cat_resources *l);

/* Uses job_id, kind, res_key, detail and created_us.  ERR_EXISTS "resource_taken" when
 * somebody has it open; the message names the job. */
int cat_resource_intend(struct catalog *c, const struct cat_resource *r, int64_t *ret_id,
                        struct err *err);

struct cat_hold {
    const char *detail; /* NULL = keep */
    int64_t pid;        /* 0 = no process */
    int64_t start_ticks;
    const char *boot_id;
    int64_t now_us;
};
/* From intent or held; ERR_NOT_FOUND "resource_not_found" when @job_id owns no open entry
 * @id. */
int cat_resource_hold(struct catalog *c, const char *job_id, int64_t id,
                      const struct cat_hold *h, struct err *err);

/* Idempotent for the owner; ERR_NOT_FOUND when @job_id does not own @id. */
int cat_resource_release(struct catalog *c, const char *job_id, int64_t id,
                         int64_t now_us, struct err *err);

/* Open entries in the order they were made. */
int cat_resource_list_job(struct catalog *c, const char *job_id,
                          struct cat_resources *ret, struct err *err);
int cat_resource_list_open(struct catalog *c, struct cat_resources *ret, struct err *err);
/* The open entry of (kind, res_key); ERR_NOT_FOUND. */
int cat_resource_find(struct catalog *c, const char *kind, const char *res_key,
                      struct cat_resource *ret, struct err *err);

/* Forgets released entries last changed before @before_us; returns how many. */
int cat_resource_prune(struct catalog *c, int64_t before_us, struct err *err);

#endif
