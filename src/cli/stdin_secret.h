/* cli/stdin_secret.h - a secret typed, or piped in.                        Layer 5.
 * Blocking. */
#ifndef SENDENSE_CLI_STDIN_SECRET_H
#define SENDENSE_CLI_STDIN_SECRET_H

#include "base/err.h"
#include "base/secret.h"

struct cli;

/* One line of stdin; a terminal shows @prompt and not what is typed.  Characters of @trim
 * at its end are no part of it; it may be empty. */
int cli_stdin_secret(const struct cli *c, const char *prompt, const char *trim,
                     struct secret **ret, struct err *err);

#endif
