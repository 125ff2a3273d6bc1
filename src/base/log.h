/* base/log.h - one event, one line, to stderr.                            Layer 0.
 * logfmt: ts=… level=… prog=… msg="…" key=value; control characters are escaped, so that
 * a VM name cannot forge a line.  Each failure is logged once, where it is handled. Never
 * pass a secret: struct secret has no format function. */
#ifndef SENDENSE_BASE_LOG_H
#define SENDENSE_BASE_LOG_H

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

void log_setup(const char *prog, enum log_level level);           /* once, in main() */
int log_level_from_str(const char *s, enum log_level *ret_level); /* 0 or -1 */

/* Appends to every line of this thread, e.g. job='…'; "" or NULL clears.  Copied. */
void log_set_context(const char *context);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
