/* nbd/nbd_resolve.h - host names of NBD URIs under a deadline.        Layer 1.  Blocking.
 * libnbd and getaddrinfo(3) have no deadline; so names become addresses before libnbd
 * sees the URI. */
#ifndef SENDENSE_NBD_NBD_RESOLVE_H
#define SENDENSE_NBD_NBD_RESOLVE_H

#include <stdint.h>

#include "base/err.h"
#include "nbd/nbd_conn.h"

#define NBD_RESOLVE_MAX 8

struct nbd_resolved {
    unsigned n;
    char uris[NBD_RESOLVE_MAX][NBD_URI_MAX + 64]; /* each with a numeric host */
};

/* @uri is checked (length, scheme): ERR_INVALID "nbd_uri".  nbd+unix:// gives itself.
 * Else ERR_NOT_FOUND "nbd_resolve", ERR_TIMEOUT "nbd_timeout" or ERR_CANCELLED
 * "cancelled". */
int nbd_resolve(const char *uri, uint64_t deadline_ns, int cancel_fd,
                struct nbd_resolved *ret, struct err *err);

#endif
