/* base/err.h - the one error convention of Sendense.                      Layer 0.
 *
 * Every function that can fail returns int: >= 0 success, < 0 one of the ERR_* classes
 * below, and takes a `struct err *err` as its last parameter, never NULL.  The callee
 * that detects a failure sets the error once, with one phrase for humans and, where the
 * API promises one, a stable code; callers add context with err_prefix().  Only programs,
 * the job runner and the route table report. Thread-safe: an err belongs to its caller's
 * stack. */
#ifndef SENDENSE_BASE_ERR_H
#define SENDENSE_BASE_ERR_H

#include <stdbool.h>

enum {
    ERR_INVALID = -1,      /* the caller's input is wrong; do not retry */
    ERR_NOT_FOUND = -2,    /* named thing does not exist */
    ERR_EXISTS = -3,       /* exists already, or in use: conflict */
    ERR_IO = -4,           /* disk, network, peer failed */
    ERR_TIMEOUT = -5,      /* a deadline passed */
    ERR_NO_SPACE = -6,     /* ENOSPC, EDQUOT */
    ERR_AUTH = -7,         /* not authenticated or not allowed */
    ERR_PROTOCOL = -8,     /* a peer sent what the contract forbids */
    ERR_CORRUPT = -9,      /* stored data is not what was written */
    ERR_CANCELLED = -10,   /* somebody asked us to stop */
    ERR_LIMIT = -11,       /* a limit of ours was reached */
    ERR_UNAVAILABLE = -12, /* peer or resource is not there now; may come back */
    ERR_INTERNAL = -13,    /* our own bug */
};

#define ERR_CODE_SIZE 48
#define ERR_MSG_SIZE 768

struct err {
    int class;                /* one of ERR_*, 0 = none */
    char code[ERR_CODE_SIZE]; /* stable snake_case word of the API, e.g. "repo_full" */
    char msg[ERR_MSG_SIZE];   /* one phrase, no newline, no secret */
};

#define ERR_INIT                                                                         \
    {                                                                                    \
        0                                                                                \
    }

/* Sets class, code (NULL = the default word of the class) and message; returns @class, so
 * that `return err_set(err, ERR_IO, "repo_io", "read '%s': %s", path, strerror(e));`
 * reads well. */
int err_set(struct err *err, int class, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* The same, with the class chosen from an errno value @e; appends ": strerror(e)". */
int err_errno(struct err *err, int e, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "context: " before the message; keeps class and code; returns err->class. */
int err_prefix(struct err *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Replaces the stable code only; returns err->class. */
int err_recode(struct err *err, const char *code);

/* True for classes that may pass by themselves (IO, TIMEOUT, UNAVAILABLE). */
bool err_is_transient(int class);

/* "io", "not_found", ...: the default code word of a class. */
const char *err_class_word(int class);

void err_clear(struct err *err);

#endif
