/* nbd/nbd_conn.h - one NBD connection with a deadline on every stage (libnbd).   Layer 1.
 * Blocking.
 *
 * A connection belongs to one thread at a time.  No call waits longer than its deadline,
 * whatever the peer does (refuse, accept and stay silent, stop in the middle of a reply):
 * resolving and connecting run on libnbd's asynchronous calls under poll(2). Messages
 * name the stage: "resolve 'host'", "connect to 'URI'", "handshake with 'URI'", "flush",
 * "read 65536 bytes at 0", "block status of ...".
 *
 * Codes: nbd_uri (ERR_INVALID: not an allowed NBD URI), nbd_resolve, nbd_connect,
 * nbd_handshake, nbd_export_not_found (ERR_NOT_FOUND), nbd_timeout (ERR_TIMEOUT), nbd_io
 * (ERR_IO), no_space (ERR_NO_SPACE: full, or a quota), nbd_disconnected
 * (ERR_UNAVAILABLE), cancelled (ERR_CANCELLED). */
#ifndef SENDENSE_NBD_NBD_CONN_H
#define SENDENSE_NBD_NBD_CONN_H

#include <libnbd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define NBD_URI_MAX 2048
#define NBD_DESCRIPTION_MAX 256

struct nbd_conn;
#define CLEANUP_NBD_CONN CLEANUP(cleanup_nbd_conn)
void cleanup_nbd_conn(struct nbd_conn **c);

struct nbd_conn_opts {
    const char *uri;    /* nbd:// (TCP) or nbd+unix://; copied */
    unsigned connect_s; /* resolve + connect + handshake together; 0 = 10 */
    unsigned io_s;      /* each synchronous call: no progress for so long; 0 = 60 */
    bool want_map;      /* ask for base:allocation */
    bool want_depth;    /* ask for qemu:allocation-depth */
    /* Each read is answered in one piece.  qemu closes the connection when reading fails
     * in the middle of an answer in pieces; so it tells of the error instead.  Excludes
     * want_map and want_depth. */
    bool whole_reads;
    const char *tls_psk_file; /* TLS with a pre-shared key of this file; NULL = none */
    const char *tls_user;     /* whose key */
    int cancel_fd; /* <= 0 = none; readable = ERR_CANCELLED.  Not read, not closed */
};

/* What the handshake told.  A missing description is "". */
struct nbd_conn_info {
    uint64_t size_bytes;
    uint32_t max_request; /* largest read or write the server takes; at least 64 KiB */
    char description[NBD_DESCRIPTION_MAX];
    bool read_only;
    bool can_flush;
    bool can_zero;
    bool can_multi_conn; /* a flush on one connection covers all of them */
    bool has_map;        /* base:allocation was negotiated */
    bool has_depth;
};

enum nbd_context { NBD_CONTEXT_MAP, NBD_CONTEXT_DEPTH };

/* MAP: LIBNBD_STATE_HOLE | LIBNBD_STATE_ZERO; DEPTH: 0 = not allocated, 1 = in the top
 * image, … */
typedef int (*nbd_extent_fn)(void *arg, uint64_t off, uint64_t len, uint32_t flags,
                             struct err *err);

int nbd_conn_open(const struct nbd_conn_opts *opts, struct nbd_conn **ret,
                  struct err *err);
void
nbd_conn_free(struct nbd_conn *c); /* NULL ok; says goodbye when that does not block */

/* Closes the socket at once; commands in flight are forgotten.  Every later call fails
 * with nbd_disconnected; nbd_conn_free() is still to be called. */
void nbd_conn_abandon(struct nbd_conn *c);

const struct nbd_conn_info *nbd_conn_info(const struct nbd_conn *c);
const char *nbd_conn_uri(const struct nbd_conn *c);
/* Owned by @c; NULL once abandoned. */
struct nbd_handle *nbd_conn_handle(struct nbd_conn *c);

/* Synchronous calls.  Commands of nbd_slots may be in flight on the same connection (same
 * thread): they make progress and complete meanwhile.  @n may be larger than max_request.
 */
int nbd_conn_pread(struct nbd_conn *c, void *p, size_t n, uint64_t off, struct err *err);
int nbd_conn_pwrite(struct nbd_conn *c, const void *p, size_t n, uint64_t off,
                    struct err *err);
int nbd_conn_zero(struct nbd_conn *c, uint64_t n, uint64_t off, struct err *err);
int nbd_conn_flush(struct nbd_conn *c, struct err *err);

/* Calls @fn for each extent of [@off, @off + @len): ascending, contiguous, clipped to the
 * range, neighbours of equal flags of one page not joined.  Asks page by page (at most 2
 * GiB each).  A negative return of @fn ends it and is returned.  @fn may use the
 * connection.  ERR_INVALID "nbd_no_context" when the context was not negotiated;
 * ERR_PROTOCOL when the server makes no headway. */
int nbd_conn_extents(struct nbd_conn *c, enum nbd_context context, uint64_t off,
                     uint64_t len, nbd_extent_fn fn, void *arg, struct err *err);

/* ERR_* class of an errno that libnbd or the server reported, with code nbd_io (or
 * no_space, nbd_disconnected): the one place that maps them.  Returns the class. */
int nbd_conn_io_error(struct err *err, int e, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
