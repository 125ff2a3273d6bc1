/* https/fetch.h - ranges of files over HTTPS, with a bound on connections and patience.
 * Blocking, any number of threads.  Each connection is verified by the trust; an answer
 * must be exactly the range asked for.  What may pass (no connection, reset, timeouts,
 * 408, 429, 500, 502, 503, 504) is tried again with growing pauses, a refused cookie
 * (401, 403) once it was renewed; both for at most retry_s. */
#ifndef SENDENSE_HTTPS_FETCH_H
#define SENDENSE_HTTPS_FETCH_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "os/cookie_box.h"
#include "os/tls_trust.h"

/* One HTTP request.  The latency of a request dominates and a server takes longer ranges
 * better, but what fails is asked for anew as a whole and a slow line must get one
 * through within its timeout: 4 MiB. */
#define FETCH_MAX (4u << 20)

struct fetch_options {
    const struct tls_trust *trust;   /* outlives the pool */
    const struct cookie_box *cookie; /* outlives the pool */
    /* Write end of a pipe, not closed by the pool: one byte asks for another cookie. When
     * nobody has the read end any more, waiting ends: ERR_CANCELLED. */
    int renew_fd;
    unsigned connections, retry_s;
    /* Told, at most every few seconds, of a failure that is tried again.  May be NULL. */
    void (*on_trouble)(const char *text);
};

struct fetch_pool;

int fetch_pool_new(const struct fetch_options *opt, struct fetch_pool **ret,
                   struct err *err);
void fetch_pool_free(struct fetch_pool *p); /* no fetch may be under way */

/* A file, and how long it is once an answer told it.  Plain data. */
struct fetch_file {
    const char *url;
    _Atomic uint64_t size; /* 0 = not known yet; it must not change */
};

/* @length > 0 bytes at @offset into @buf.  The message names file and range.
 * ERR_NOT_FOUND (404), ERR_AUTH (certificate, or cookie not renewed in time),
 * ERR_PROTOCOL (the server does not give the range), ERR_UNAVAILABLE, ERR_TIMEOUT,
 * ERR_IO, ERR_CANCELLED. */
int fetch_read(struct fetch_pool *p, struct fetch_file *file, uint64_t offset,
               size_t length, void *buf, struct err *err);

#endif
