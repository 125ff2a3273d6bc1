/* copy/result.h - how a job ended: the last event and the exit status.  Layer 2. */
#ifndef SENDENSE_COPY_RESULT_H
#define SENDENSE_COPY_RESULT_H

#include <stdbool.h>

#include "copy/output.h"

/* May another attempt do what this one could not?  The one place that decides it: class
 * and the exceptions by code (docs/design/protocol.md 5.3). */
bool result_is_retryable(int class, const char *code);

/* @class 0 = ok; @disk < 0 = none.  Only the first result is written. */
void result_emit(struct output *o, int class, int64_t disk, const struct err *err);

int result_exit_status(int class); /* 0, 1, or 130 for ERR_CANCELLED */

#endif
