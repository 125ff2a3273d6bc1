/* node/client_job_priv.h - shared by client_job.c and client_mind.c only.     Layer 5. */
#ifndef SENDENSE_NODE_CLIENT_JOB_PRIV_H
#define SENDENSE_NODE_CLIENT_JOB_PRIV_H

#include <pthread.h>
#include <stdatomic.h>

#include "node/client_io.h"
#include "node/client_job.h"
#include "node/event_log.h"
#include "os/cookie_box.h"

enum job_wish {
    WISH_NONE,
    WISH_CANCEL,
    WISH_INTERRUPT, /* must go, and another attempt may go on with its job */
    WISH_STOP,      /* must go, and its job with it */
};

/* What was last done to make the client end. */
enum stop_step { STEP_NONE, STEP_CANCEL, STEP_TERM, STEP_KILL };

struct client_job {
    /* fixed after start */
    struct client_job_spec spec;
    unsigned grace_ms;
    void (*gone)(void *arg, const char *job_id, enum client_left left);
    void (*cookie)(void *arg, const char *job_id, const char *cookie);
    void *gone_arg;
    int64_t started_us;
    pid_t pid;
    int wake_fd; /* eventfd: a wish changed */
    pthread_t thread;

    /* the minding thread only */
    struct client_io io;
    struct cookie_box box; /* the client writes it; none when it has no session */
    uint32_t seen_cookie;  /* its generation when it was last read */
    struct event_stream stream;
    enum job_wish seen_wish;
    enum stop_step step;
    uint64_t deadline_ns; /* of the step, or UINT64_MAX */
    enum job_phase phase; /* last reported */
    enum client_left left;
    struct job_event
        result; /* held back until the client is gone: "ended" means no process */
    bool has_result;
    struct err breach; /* class != 0: the client broke the contract */

    /* under lock; the job's lock is the last one taken */
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum job_wish wish;
    struct event_log *log;
    bool has_hello;
    struct program_version hello;
    bool ended;
    uint64_t ended_ns;

    atomic_uint refs;
};

void *client_mind(void *job);

#endif
