/* node/job_table.h - all jobs of the node: who may start, which attempt counts, how long
 * an ended job is kept. Layer 5.  Thread-safe. */
#ifndef SENDENSE_NODE_JOB_TABLE_H
#define SENDENSE_NODE_JOB_TABLE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/timeutil.h"
#include "model/nodeapi.h"
#include "node/client_job.h"
#include "node/lease_keeper.h"

#define JOB_KEEP_NS (24 * 3600 * NS_PER_S) /* after the end, unless deleted */
#define JOB_KEEP_MAX 1000u
#define JOB_KEEP_BYTES_MAX ((size_t)256 * 1024 * 1024)

struct job_table;

struct job_table_options {
    struct client_job_options job;
    unsigned max_jobs;   /* clients at the same time */
    unsigned keep_ended; /* 0 = JOB_KEEP_MAX */
    /* Of jobs that have a snapshot; NULL: those are refused.  job.gone is then ours. */
    struct lease_keeper *leases;
};

struct job_table *
job_table_new(const struct job_table_options *opt); /* strings are kept by reference */
/* Blocking: ends all clients.  ERR_TIMEOUT "client_stuck" (and nothing is freed) when one
 * cannot be ended.  Takes NULL. */
int job_table_free(struct job_table *t, struct err *err);

/* No new jobs from now on; all clients are told to go; long polls return. */
void job_table_stop(struct job_table *t);

/* Starts the job of @body (a job spec), or finds it: *ret_created.  Blocking while an
 * older attempt is ended.  ERR_INVALID (as job_spec_decode), ERR_EXISTS "job_conflict" or
 * "stale_attempt", ERR_LIMIT "too_many_jobs", ERR_UNAVAILABLE "client_not_started" or
 * "shutting_down", ERR_TIMEOUT "client_stuck"; as lease_keeper_add(). */
int job_table_post(struct job_table *t, const json_t *body, struct node_job *ret,
                   bool *ret_created, struct err *err);

/* A reference, or ERR_NOT_FOUND "job_not_found". */
int job_table_get(struct job_table *t, const char *id, struct client_job **ret,
                  struct err *err);
void job_table_list(struct job_table *t, struct node_jobs *ret);

/* Blocking until the client is gone; then nobody knows the job.  "job_not_found",
 * "client_stuck". */
int job_table_delete(struct job_table *t, const char *id, struct err *err);

/* Forgets ended jobs that are older than JOB_KEEP_NS at @now_ns, or too many or too
 * large, those that ended first first. */
void job_table_expire(struct job_table *t, uint64_t now_ns);

#endif
