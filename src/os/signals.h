/* os/signals.h - SIGTERM/SIGINT as a readable descriptor.                 Layer 1. */
#ifndef SENDENSE_OS_SIGNALS_H
#define SENDENSE_OS_SIGNALS_H

#include "base/err.h"

/* Call first in main(), before any thread: blocks SIGTERM, SIGINT, SIGHUP for the whole
 * program, ignores SIGPIPE, and gives a signalfd.  Returns the descriptor or < 0. */
int signals_setup(struct err *err);
int signals_wait(int fd, struct err *err); /* Blocking; the signal number */

#endif
