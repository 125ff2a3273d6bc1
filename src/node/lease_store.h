/* node/lease_store.h - the leases on disk: DIR/lease.key, DIR/leases/JOB_ID.json.
 * Layer 5.  Blocking.  Not thread-safe.
 *
 * The folder belongs to one node at a time (DIR/lock) and to its user alone (mode 0700).
 */
#ifndef SENDENSE_NODE_LEASE_STORE_H
#define SENDENSE_NODE_LEASE_STORE_H

#include "base/err.h"
#include "node/lease.h"

struct lease_store;

struct lease_store *lease_store_new(const char *dir); /* kept by reference; no I/O */
void lease_store_free(struct lease_store *s);         /* NULL ok */

/* Makes what is missing; does nothing when it is open.  Every failure is ERR_UNAVAILABLE
 * "no_lease_store": an administrator can mend it. */
int lease_store_open(struct lease_store *s, struct err *err);
/* Was there a store before?  Then it is to be opened at the start. */
bool lease_store_exists(const struct lease_store *s);

/* Durable when it returns.  The store must be open. */
int lease_store_write(struct lease_store *s, const struct node_lease *l, struct err *err);
int lease_store_remove(struct lease_store *s, const char *job_id, struct err *err);
/* Calls @found for each lease (which takes it).  What cannot be read is logged, kept and
 * left alone. */
int lease_store_load(struct lease_store *s,
                     void (*found)(void *arg, struct node_lease *l), void *arg,
                     struct err *err);

#endif
