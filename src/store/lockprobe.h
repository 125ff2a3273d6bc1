/* store/lockprobe.h - does a qemu program have this image open?           Layer 2.
 * qemu marks the permissions that it holds as read locks on single bytes of the file (OFD
 * locks): 100 + n = permission n is used, 200 + n = permission n is denied to others;
 * QEMU block/file-posix.c.  A probe never takes a lock itself. */
#ifndef SENDENSE_STORE_LOCKPROBE_H
#define SENDENSE_STORE_LOCKPROBE_H

#include <stdbool.h>

#include "base/err.h"

struct lockprobe {
    bool in_use;  /* somebody has it open: reader or writer */
    bool written; /* by somebody who may write */
};

/* ERR_NOT_FOUND, ERR_IO, ERR_INVALID (no regular file). */
int lockprobe_file(const char *path, struct lockprobe *ret, struct err *err);

#endif
