/* os/child_id.h - what os/child.c needs of os/child_id.c.                 Layer 1,
 * private. */
#ifndef SENDENSE_OS_CHILD_ID_H
#define SENDENSE_OS_CHILD_ID_H

#include "os/child.h"

/* Identity of the process that has the number @pid now.  ERR_NOT_FOUND, ERR_IO. */
int child_id_fill(struct child_id *ret, pid_t pid, struct err *err);

#endif
