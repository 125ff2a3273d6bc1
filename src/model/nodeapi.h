/* model/nodeapi.h - messages between hub and node.                        Layer 1.  Pure.
 * docs/design/protocol.md section 2.  Decoding is strict, codes as in jobspec.h. */
#ifndef SENDENSE_MODEL_NODEAPI_H
#define SENDENSE_MODEL_NODEAPI_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/jobevent.h"
#include "model/jobspec.h"

#define NODEAPI_EVENTS_MAX 500u /* in one page */
#define NODEAPI_WAIT_MAX_S 30u
#define NODEAPI_JOBS_MAX 4096u

struct probe_request {
    char *source_type; /* "nbd" */
    struct probe_disk {
        uint32_t key;
        char *source_url;
    } * disks;
    size_t n_disks; /* 1..SPEC_DISKS_MAX, keys differ */
    struct spec_deadlines deadlines;
};
#define CLEANUP_PROBE_REQUEST CLEANUP(probe_request_done)
int probe_request_decode(const json_t *j, struct probe_request *ret, struct err *err);
json_t *probe_request_encode(const struct probe_request *r);
void probe_request_done(struct probe_request *r);

struct probe_answer {
    struct probe_result {
        uint32_t key;
        bool ok;
        uint64_t size_bytes;      /* ok */
        uint64_t allocated_bytes; /* ok: what may hold data, at most size_bytes */
        char *code;               /* not ok */
        char *message;            /* not ok */
    } * disks;
    size_t n_disks;
};
#define CLEANUP_PROBE_ANSWER CLEANUP(probe_answer_done)
int probe_answer_decode(const json_t *j, struct probe_answer *ret, struct err *err);
json_t *probe_answer_encode(const struct probe_answer *a);
void probe_answer_done(struct probe_answer *a);

struct program_version {
    char *version, *commit, *build_id;
};

struct node_version {
    struct program_version node, client;
};
#define CLEANUP_NODE_VERSION CLEANUP(node_version_done)
int node_version_decode(const json_t *j, struct node_version *ret, struct err *err);
json_t *node_version_encode(const struct node_version *v);
void node_version_done(struct node_version *v);

struct node_job {
    char job_id[UUID_STR_SIZE];
    uint32_t attempt;
    bool ended; /* "state": "ended", else "running" */
    uint32_t pid;
    int64_t started_us;
    bool has_client; /* the client said hello */
    struct program_version client;
    uint64_t last_seq;
};
#define CLEANUP_NODE_JOB CLEANUP(node_job_done)
int node_job_decode(const json_t *j, struct node_job *ret, struct err *err);
json_t *node_job_encode(const struct node_job *job);
void node_job_done(struct node_job *job);

struct node_jobs { /* {"jobs": [...]} */
    struct node_job *jobs;
    size_t n;
};
#define CLEANUP_NODE_JOBS CLEANUP(node_jobs_done)
int node_jobs_decode(const json_t *j, struct node_jobs *ret, struct err *err);
json_t *node_jobs_encode(const struct node_jobs *jobs);
void node_jobs_done(struct node_jobs *jobs);

struct events_page {
    uint32_t attempt;
    struct job_event *events; /* order is checked by event_stream, not here */
    size_t n;                 /* <= NODEAPI_EVENTS_MAX */
    bool ended;
};
#define CLEANUP_EVENTS_PAGE CLEANUP(events_page_done)
int events_page_decode(const json_t *j, struct events_page *ret, struct err *err);
json_t *events_page_encode(const struct events_page *p);
void events_page_done(struct events_page *p);

#endif
