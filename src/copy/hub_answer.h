/* copy/hub_answer.h - what push and parent share about talking to the hub.  Layer 2.
 * Internal to src/copy. */
#ifndef SENDENSE_COPY_HUB_ANSWER_H
#define SENDENSE_COPY_HUB_ANSWER_H

#include <jansson.h>
#include <stdint.h>

#include "base/err.h"
#include "model/jobspec.h"

/* "HUB/internal/v1/jobs/ID/disks/KEY/WHAT"; malloc'ed. */
char *hub_disk_url(const struct job_spec *spec, uint32_t key, const char *what);

/* The error of an answer other than 2xx: problem+json (@j), or whatever a proxy in
 * between says (@j NULL).  "the hub refused @what with status …".  Returns its class. */
int hub_refusal(const json_t *j, long status, const char *what, struct err *err);

#endif
