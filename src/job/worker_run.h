/* job/worker_run.h - runs one sendense-worker to its end.                   Layer 3.
 * Blocking. */
#ifndef SENDENSE_JOB_WORKER_RUN_H
#define SENDENSE_JOB_WORKER_RUN_H

#include "base/err.h"
#include "job/env.h"
#include "job/joblog.h"
#include "job/live.h"
#include "model/jobevent.h"
#include "model/jobspec.h"

/* Everything the worker says but hello and result. */
typedef void (*worker_event_fn)(void *arg, const struct job_event *e);

struct worker_job {
    const struct job_env *env;
    struct live_job *live; /* its cancel descriptor ends the worker */
    struct joblog *log;
    const struct worker_spec *spec;
    worker_event_fn on_event;
    void *arg;
    bool has_disk; /* out: the result named this disk */
    uint32_t disk;
};

/* 0 when the worker's result is ok.  Otherwise its code and message: ERR_CORRUPT
 * "verification_failed", ERR_CANCELLED "cancelled", ERR_IO …, "worker_died",
 * "worker_protocol", ERR_TIMEOUT "worker_hung" (no line for a minute longer than its own
 * deadlines). */
int worker_run(struct worker_job *w, struct err *err);

/* The result of a client or worker as an error: class from the code. */
int result_to_err(const struct job_event *result, struct err *err);

#endif
