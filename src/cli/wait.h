/* cli/wait.h - stays with a job until it has ended.                       Layer 5.
 * Blocking. */
#ifndef SENDENSE_CLI_WAIT_H
#define SENDENSE_CLI_WAIT_H

#include <jansson.h>

#include "base/err.h"

struct cli;

struct wait_job {
    const char *path;   /* "/backups/ID": its object has "status" and "current_phase" */
    const char *what;   /* "backup pgtest1-…": for words */
    const char *watch;  /* command that goes on watching */
    const char *cancel; /* command that stops the job; NULL = there is none */
};

/* Shows progress and gives the last object (owned by the caller).  The job goes on when
 * this fails: ERR_CANCELLED after Ctrl-C, ERR_TIMEOUT after --timeout, ERR_UNAVAILABLE
 * when the hub stays silent. */
int wait_for_job(struct cli *c, const struct wait_job *w, json_t **ret, struct err *err);

/* Exit code of an ended job, after one sentence about how it ended. */
int wait_report(const struct cli *c, const char *what, const json_t *job);

#endif
