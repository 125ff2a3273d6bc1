/* cli/exitcode.h - the exit codes of `sendense`, and the only place that chooses one.
 * Layer 5. */
#ifndef SENDENSE_CLI_EXITCODE_H
#define SENDENSE_CLI_EXITCODE_H

#include "base/err.h"

enum cli_exit {
    EXIT_OK = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_PARTIAL = 3,
    EXIT_NOT_FOUND = 4,
    EXIT_CONFLICT = 5,
    EXIT_AUTH = 6,
    EXIT_VERIFY = 7,
    EXIT_UNREACHABLE = 8,
    EXIT_TIMEOUT = 124,
    EXIT_CANCELLED = 130,
};

/* HTTP status to error class; 0 for 2xx. */
int exit_class_of_status(long status);

/* The stable code of the API decides where it is known, else the class. */
enum cli_exit exit_from_err(const struct err *err);

/* A job that has ended: its status and the code of its error (NULL = none). */
enum cli_exit exit_from_job(const char *status, const char *code);

#endif
