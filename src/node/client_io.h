/* node/client_io.h - one running client: its pipes, without ever waiting inside one.
 * Layer 5.
 *
 * stdin: what is sent is queued and written as the client reads; it stays open, because
 * its end tells the client that the node is gone.  stdout: lines of limited length.
 * stderr: goes to the node's log, line by line, so many a second and no
 * more.  One owner thread. */
#ifndef SENDENSE_NODE_CLIENT_IO_H
#define SENDENSE_NODE_CLIENT_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "node/log_budget.h"
#include "os/child.h"
#include "os/pipe_io.h"

struct client_io {
    struct child *child;
    struct buf in;
    size_t in_sent;
    struct line_reader out;
    struct line_reader diag;
    struct log_budget budget;
    bool in_open, out_open, diag_open;
};
#define CLEANUP_CLIENT_IO CLEANUP(client_io_done)

/* Starts @client with @args (at most CLIENT_ARGS_MAX, ended by NULL; or NULL), whose
 * lines have at most @line_max bytes.  It inherits @keep_fd under the same number; < 0 =
 * none. ERR_UNAVAILABLE "client_not_started". */
#define CLIENT_ARGS_MAX 2u
int client_io_start(struct client_io *io, const char *client, const char *const *args,
                    int keep_fd, size_t line_max, struct err *err);
/* Ends and reaps what still runs; wipes what was queued. */
void client_io_done(struct client_io *io);

/* Queues @n bytes for stdin; ERR_LIMIT.  Dropped silently once the client closed its
 * stdin. */
int client_io_send(struct client_io *io, const char *p, size_t n, struct err *err);

enum {
    CLIENT_IO_OUT = 1,     /* stdout brought something: take lines until there are none */
    CLIENT_IO_OUT_END = 2, /* stdout ended; reported once */
    CLIENT_IO_EXIT = 4,    /* the process ended; not yet reaped */
    CLIENT_IO_WAKE = 8,    /* @wake_fd is readable */
};
/* Blocking until something happens or @deadline_ns: a mask of the above, 0 = deadline, <
 * 0. */
int client_io_poll(struct client_io *io, int wake_fd, uint64_t deadline_ns,
                   struct err *err);
/* After the exit: one more piece of what waits in the pipes, as client_io_poll(); 0 =
 * nothing. */
int client_io_drain(struct client_io *io, struct err *err);

#endif
