/* nbd/nbd_conn_priv.h - inside of a connection; for src/nbd only.         Layer 1. */
#ifndef SENDENSE_NBD_NBD_CONN_PRIV_H
#define SENDENSE_NBD_NBD_CONN_PRIV_H

#include "nbd/nbd_conn.h"

#define NBD_DEPTH_CONTEXT "qemu:allocation-depth"
#define NBD_MIN_MAX_REQUEST 65536u

struct nbd_conn {
    /* fixed after open */
    char *uri;
    int cancel_fd;
    uint64_t io_ns;
    struct nbd_conn_info info;
    /* owner thread */
    struct nbd_handle *h;
    /* The one synchronous command.  In here and not on the stack, because a command that
     * was given up at its deadline may still be answered before the handle is closed. */
    int cmd_error;
    bool cmd_done;
    const char *want_context;
    uint32_t *entries; /* {length, flags} pairs of the last page */
    size_t n_entries, entries_alloc;
};

short nbd_conn_poll_events(struct nbd_handle *h);
int nbd_conn_notify(struct nbd_handle *h, short revents); /* 0, -1 = nbd_get_errno() */

/* One poll round: 1 something moved, 0 nothing yet; ERR_TIMEOUT, ERR_CANCELLED, or the
 * connection is dead. */
int nbd_conn_step(struct nbd_handle *h, int cancel_fd, uint64_t deadline_ns,
                  struct err *err);

#endif
