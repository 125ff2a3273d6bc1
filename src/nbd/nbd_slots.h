/* nbd/nbd_slots.h - many requests in flight over a few connections, by one thread.
 * Layer 1.
 *
 * A pool of slots, each with one buffer, allocated and touched once.  The owner takes an
 * idle slot, starts one or more commands on it, and gets it back from nbd_slots_wait()
 * when all of them are done; then it starts the next commands on it or puts it back.
 * Shared by copy, verify and restore:
 *
 *     while ((slot = nbd_slots_get(s)) && have_work())
 *         nbd_slot_pread(slot, SOURCE, 0, n, off, err);
 *     r = nbd_slots_wait(s, -1, &slot, err);     1: slot is done (look at nbd_slot_result
 * first)
 *
 * Everything but nbd_slots_wake() belongs to the owner thread.  libnbd forbids to start
 * commands inside a completion callback; the callbacks here only mark the slot. */
#ifndef SENDENSE_NBD_NBD_SLOTS_H
#define SENDENSE_NBD_NBD_SLOTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "nbd/nbd_conn.h"

#define NBD_SLOTS_CONNS_MAX 4

struct nbd_slots;
#define CLEANUP_NBD_SLOTS CLEANUP(cleanup_nbd_slots)
void cleanup_nbd_slots(struct nbd_slots **s);

struct nbd_slot {
    /* fixed */
    unsigned char *data; /* slot_bytes, page-aligned */
    unsigned index;
    /* the owner's: what this slot is about; untouched by the pool */
    int state;
    uint64_t seq;
    uint64_t off;
    uint32_t len;
    void *user;
};

struct nbd_slots_opts {
    unsigned count;    /* 1-256 */
    size_t slot_bytes; /* 512-33,554,432 */
    unsigned io_s;     /* no progress on a connection with commands in flight; 0 = 60 */
    int cancel_fd;     /* <= 0 = none; readable = ERR_CANCELLED from nbd_slots_wait */
};

/* ERR_LIMIT when the buffers cannot be had, ERR_INVALID. */
int nbd_slots_new(const struct nbd_slots_opts *opts, struct nbd_slots **ret,
                  struct err *err);

/* Closes the attached connections that still have commands in flight (their buffers go
 * away), so free the pool before the connections.  NULL ok. */
void nbd_slots_free(struct nbd_slots *s);

/* Adds a connection, which stays the caller's and must outlive the pool.  @name
 * ("source", "target") goes into messages; literal.  Returns its number (0, 1, …) for the
 * calls below. */
int nbd_slots_attach(struct nbd_slots *s, struct nbd_conn *c, const char *name,
                     struct err *err);
/* Another deadline than that of the opts for what nbd_slots_attach() gave; > 0. */
void nbd_slots_set_io(struct nbd_slots *s, int conn, unsigned io_s);

struct nbd_slot *nbd_slots_get(struct nbd_slots *s); /* an idle slot, or NULL */
void nbd_slots_put(struct nbd_slots *s, struct nbd_slot *slot); /* no command in flight */
unsigned nbd_slots_busy(const struct nbd_slots *s); /* slots taken and not put back */

/* Start a command on @conn for [@off, @off + @n), to or from slot->data + @at.  Several
 * may be started on one slot before the next wait.  A failure to start is final for the
 * connection. */
int nbd_slot_pread(struct nbd_slots *s, struct nbd_slot *slot, int conn, size_t at,
                   uint32_t n, uint64_t off, struct err *err);
int nbd_slot_pwrite(struct nbd_slots *s, struct nbd_slot *slot, int conn, size_t at,
                    uint32_t n, uint64_t off, struct err *err);
int nbd_slot_zero(struct nbd_slots *s, struct nbd_slot *slot, int conn, uint32_t n,
                  uint64_t off, struct err *err);
int nbd_slot_flush(struct nbd_slots *s, struct nbd_slot *slot, int conn, struct err *err);

/* 1: *ret_slot has no command in flight any more (they come in order of completion); look
 * at nbd_slot_result(). 0: woken by nbd_slots_wake(), or @timeout_ms passed (< 0 = no
 * timeout of the caller's). ERR_TIMEOUT "nbd_timeout": a connection with commands in
 * flight was silent for io_s; the message names connection, command, offset and how many
 * wait.  ERR_UNAVAILABLE "nbd_disconnected", ERR_CANCELLED "cancelled". */
int nbd_slots_wait(struct nbd_slots *s, int timeout_ms, struct nbd_slot **ret_slot,
                   struct err *err);

/* 0, or the first failure of the slot's commands since it was last started from rest:
 * "read 1048576 bytes at 4194304 of source: Input/output error". */
int nbd_slot_result(struct nbd_slots *s, struct nbd_slot *slot, struct err *err);

/* Thread-safe: makes a nbd_slots_wait() that runs, or else the next, return 0. */
void nbd_slots_wake(struct nbd_slots *s);

#endif
