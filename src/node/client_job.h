/* node/client_job.h - one job: its client process, the thread that minds it, its events.
 * Layer 5. Thread-safe.  The thread owns the process from start to reaping; everybody
 * else states wishes and waits. */
#ifndef SENDENSE_NODE_CLIENT_JOB_H
#define SENDENSE_NODE_CLIENT_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/secret.h"
#include "model/nodeapi.h"

struct client_job;
#define CLEANUP_CLIENT_JOB CLEANUP(cleanup_client_job)
void cleanup_client_job(struct client_job **job); /* drops one reference */

/* What a client that is gone did to the snapshot of its job. */
enum client_left {
    CLIENT_LEFT_UNTOUCHED, /* it never came so far */
    CLIENT_LEFT_NONE,      /* removed, those of earlier attempts too */
    CLIENT_LEFT_MAYBE,
};

struct client_job_options {
    const char *client; /* program */
    unsigned grace_ms;  /* from cancel to TERM, and from TERM to KILL, when it must go */
    /* The client is gone, and its result not yet told.  From the job's thread; may be
     * NULL. */
    void (*gone)(void *arg, const char *job_id, enum client_left left);
    /* Another session of the client at its vCenter; "" = it has logged out.  From the
     * job's thread, before gone(); may be NULL. */
    void (*cookie)(void *arg, const char *job_id, const char *cookie);
    void *gone_arg; /* of both */
};

#define CLIENT_JOB_HASH_SIZE 32

struct client_job_spec {
    char job_id[UUID_STR_SIZE];
    uint32_t attempt;
    bool has_session; /* at a vCenter: the client is handed memory for its cookie */
    unsigned char hash[CLIENT_JOB_HASH_SIZE]; /* of the canonical spec: "the same spec" */
};

/* Starts the client and hands it @line (one spec with its newline, not kept) and the
 * cookie of a session to go on with (NULL = none; ignored without has_session).  The
 * caller owns one reference and must client_job_join() once before dropping it. */
int client_job_start(const struct client_job_options *opt,
                     const struct client_job_spec *spec, const char *line,
                     const struct secret *session, struct client_job **ret,
                     struct err *err);
struct client_job *client_job_ref(struct client_job *job);

const struct client_job_spec *client_job_spec(const struct client_job *job);
/* Into *ret; free with node_job_done(). */
void client_job_describe(struct client_job *job, struct node_job *ret);
/* False while it runs.  *ret_ended_ns (may be NULL) = when it ended, monotonic. */
bool client_job_ended(struct client_job *job, uint64_t *ret_ended_ns);
size_t client_job_bytes(struct client_job *job); /* held by its events */

/* Asks the client to cancel; a client that does not obey for 12 times the grace is ended.
 */
void client_job_cancel(struct client_job *job);
/* The client must go: cancel, grace, TERM, grace, KILL.  Long polls no longer wait. */
void client_job_stop(struct client_job *job);
/* The client must go, but nobody gave up its job: TERM, grace, KILL.  It leaves what the
 * next attempt needs; its result is retryable.  Long polls no longer wait. */
void client_job_interrupt(struct client_job *job);

/* Blocking until the client is gone.  ERR_TIMEOUT "client_stuck" at @deadline_ns. */
int client_job_wait(struct client_job *job, uint64_t deadline_ns, struct err *err);
/* Blocking as above, without a deadline; frees the thread. */
void client_job_join(struct client_job *job);

/* Blocking, at most until @deadline_ns, while there is nothing after @after. */
int client_job_events(struct client_job *job, uint64_t after, uint64_t deadline_ns,
                      struct events_page *ret, struct err *err);

#endif
