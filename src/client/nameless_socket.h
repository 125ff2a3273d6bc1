/* client/nameless_socket.h - a listening socket that only this process can hand on.
 * Layer 5.
 *
 * A name in the file system would be left by a process that is killed, an abstract name
 * is everybody's.  So it has a name, in a folder of this user alone, only until this call
 * returns: between bind(2) and unlink(2) nothing waits. */
#ifndef SENDENSE_CLIENT_NAMELESS_SOCKET_H
#define SENDENSE_CLIENT_NAMELESS_SOCKET_H

#include "base/err.h"

/* *ret_listen: for the server.  *ret_path: O_PATH; connect(2) to /proc/self/fd/N of it
 * reaches the server for as long as that has *ret_listen open.  Caller closes both. */
int nameless_socket(int *ret_listen, int *ret_path, struct err *err);

#endif
