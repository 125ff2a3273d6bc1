/* A server with test routes, and a raw socket to talk to it byte by byte.  Used by the
 * tests of the HTTP server and client. */
#ifndef SENDENSE_TESTS_HTTP_RIG_H
#define SENDENSE_TESTS_HTTP_RIG_H

#include <stdatomic.h>

#include "base/buf.h"
#include "os/http_server.h"

struct rig {
    struct http_server *server;
    atomic_uint handled;      /* calls of handlers */
    atomic_uint states_freed; /* http_call_set_state() */
    atomic_uint streams_freed;
    atomic_ullong body_bytes; /* seen by on_body */
    int entered_w,
        entered_r; /* a byte for each waiting handler or silent stream that began */
};

/* @idle_s, @max_connections, @max_per_address: 0 = the server's defaults. */
void rig_start(struct rig *rig, unsigned idle_s, unsigned max_connections,
               unsigned max_per_address);
void rig_stop(struct rig *rig);
/* "http://ADDRESS" + @path; static buffer. */
const char *rig_url(const struct rig *rig, const char *path);
/* Blocking: until a handler or stream of /wait or /silent began. */
void rig_await_entered(struct rig *rig);

int rig_connect(const struct rig *rig);
void raw_send(int fd, const char *text);
/* Sends @request on a new connection and reads until the server closes it. */
char *raw_talk(const struct rig *rig, const char *request);
/* Reads to the end of file (or reset); fails the test after 20 s.  Caller frees. */
char *raw_read_all(int fd);
int raw_status(const char *answer); /* 0 when there is none */

#endif
