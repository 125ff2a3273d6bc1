/* client/modes.h - the ways to run the client.                      Layer 5. */
#ifndef SENDENSE_CLIENT_MODES_H
#define SENDENSE_CLIENT_MODES_H

#include <stdint.h>

#define CLIENT_PROG "sendense-backup-client"

/* Each returns the exit status of the program. */
/* Spec on stdin, events on stdout: protocol.md 3.1 and 4.  @cookie_fd: memory of whoever
 * started us that a session's cookie is put in, taken; < 0 = none. */
int mode_job(int signal_fd, int cookie_fd);
int mode_probe(int signal_fd); /* question on stdin, answer on stdout: protocol.md 2 */

int mode_vsphere(int signal_fd); /* the same: protocol.md 2.1 */

struct by_hand {
    const char *sources, *targets;                 /* KEY:URI,… */
    const char *manifest_dir;                      /* or NULL */
    uint64_t connections, requests, request_bytes; /* 0 = default */
};
int mode_by_hand(const struct by_hand *h, int signal_fd);

#endif
