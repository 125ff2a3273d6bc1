/* files/pump.h - a call of the library that writes a file, read as a stream.  Layer 5.
 * The call runs in a thread of its own and writes into a pipe: whatever its length, no
 * more than the pipe is in memory.  Between pump_start() and pump_end() nobody else may
 * use the appliance. */
#ifndef SENDENSE_FILES_PUMP_H
#define SENDENSE_FILES_PUMP_H

#include <pthread.h>

#include "files/appliance.h"

struct pump {
    struct appliance *appliance;
    int (*call)(guestfs_h *g, const char *folder, const char *to);
    const char *folder; /* in the guest */
    int read_fd;        /* what the call writes */
    /* private */
    int write_fd, result, error;
    char message[512];
    pthread_t thread;
};

int pump_start(struct pump *p, struct err *err);
/* Closes @read_fd (a call that is not done then fails), waits for the call.  0 when it
 * succeeded, and then the stream was whole. */
int pump_end(struct pump *p, struct err *err);

int pump_names(guestfs_h *g, const char *folder, const char *to);
int pump_tree(guestfs_h *g, const char *folder, const char *to);

#endif
