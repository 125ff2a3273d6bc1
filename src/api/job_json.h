/* api/job_json.h - what restores and verifications show alike.               Layer 4. */
#ifndef SENDENSE_API_JOB_JSON_H
#define SENDENSE_API_JOB_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "api/api.h"

struct job_view {
    const char *state, *phase;
    uint64_t total, done;
};

/* status, current_phase, percent, bytes_total, bytes_done: live when the job runs, else
 * the row. */
void put_job_view(json_t *o, struct api *a, const char *job_id, const struct job_view *v);

#endif
