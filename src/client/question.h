/* client/question.h - a run of the client that answers one question: a line of JSON on
 * stdin, a line of JSON on stdout.                                            Layer 5. */
#ifndef SENDENSE_CLIENT_QUESTION_H
#define SENDENSE_CLIENT_QUESTION_H

#include <jansson.h>

#include "copy/control.h"

/* *ret: the answer, taken.  c->stop tells when nobody waits for it any more. */
typedef int (*question_fn)(const json_t *question, struct control *c, json_t **ret,
                           struct err *err);

/* Blocking; @what names the question in the log.  The exit status. */
int question_run(int signal_fd, const char *what, question_fn answer);

#endif
