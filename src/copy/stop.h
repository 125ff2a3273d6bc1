/* copy/stop.h - the one first-error slot of a job, and the descriptor that ends all
 * waits.  Layer 2. Thread-safe. */
#ifndef SENDENSE_COPY_STOP_H
#define SENDENSE_COPY_STOP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

struct copy_stop;
#define CLEANUP_COPY_STOP CLEANUP(cleanup_copy_stop)
void cleanup_copy_stop(struct copy_stop **s);

int copy_stop_new(struct copy_stop **ret, struct err *err);
void copy_stop_free(struct copy_stop *s); /* NULL ok */

/* The first call wins; later ones change nothing (a failed disk makes the others fail
 * with "cancelled").  @disk < 0: the job as a whole. */
void copy_stop_set(struct copy_stop *s, int64_t disk, const struct err *why);

/* For a caller that knows more of the reason: replaces the first error, keeps its disk.
 * Nothing when there is none. */
void copy_stop_amend(struct copy_stop *s, const struct err *why);

int copy_stop_fd(const struct copy_stop *s); /* readable once set, for ever */
bool copy_stop_is_set(const struct copy_stop *s);

/* Class of the first error, or 0 when there is none; @ret_disk may be NULL. */
int copy_stop_get(struct copy_stop *s, int64_t *ret_disk, struct err *err);

/* Waits @ms, or less when the job is stopped: ERR_CANCELLED then. */
int copy_stop_pause(struct copy_stop *s, unsigned ms, struct err *err);

#endif
