/* client/source_server.h - an nbdkit for each disk, which serves a layout as NBD.
 * Layer 5.  Blocking.
 *
 * Neither an address nor a cookie is in argv: both are in descriptors that the server
 * inherits.  So is its socket, which has no name: nobody else can connect, and nothing is
 * left of a client that was killed.  What the
 * servers say on stderr is logged, and the last of it explains a failure. */
#ifndef SENDENSE_CLIENT_SOURCE_SERVER_H
#define SENDENSE_CLIENT_SOURCE_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "copy/stop.h"

struct source_servers;
#define CLEANUP_SOURCE_SERVERS CLEANUP(cleanup_source_servers)
void cleanup_source_servers(struct source_servers **s); /* source_servers_stop() */

struct source_servers_opts {
    size_t n;
    const struct source_disk {
        uint32_t key;
        int layout_fd; /* memfd with the layout */
    } * disks;
    int cookie_fd, renew_fd;
    struct copy_stop *stop; /* ends the waiting */
    unsigned connect_s;     /* until a handshake must have worked */
};

/* Starts all, returns when each answers.  ERR_NOT_FOUND "source_plugin" or
 * "source_program": not installed; ERR_IO "source_failed"; ERR_CANCELLED. */
int source_servers_start(const struct source_servers_opts *o, struct source_servers **ret,
                         struct err *err);
/* Ends and reaps them.  NULL ok. */
void source_servers_stop(struct source_servers *s);

/* The NBD URI of disk @i of the opts, for this process only; owned by @s. */
const char *source_servers_uri(const struct source_servers *s, size_t i);

/* When @err is a failed source of disk @key: becomes "source_failed" (class as it was),
 * with what the server said last.  True when it was. */
bool source_servers_explain(struct source_servers *s, int64_t key, struct err *err);

#endif
