/* node/lease_keeper.h - sees to it that no snapshot outlives its job.         Layer 5.
 * Thread-safe.  A few threads remove what has ended or expired and whose client is gone,
 * one snapshot of a VM at a time, again and again until it worked, also after a restart.
 */
#ifndef SENDENSE_NODE_LEASE_KEEPER_H
#define SENDENSE_NODE_LEASE_KEEPER_H

#include "base/err.h"
#include "model/vsphere.h"
#include "node/asker.h"
#include "node/client_job.h"

struct lease_keeper;

/* Reads the leases of an earlier run and starts the threads.  A state folder that cannot
 * be used is logged: jobs without a snapshot do not need it.  @dir, @asker: kept. */
int lease_keeper_start(const char *dir, struct asker *asker, struct lease_keeper **ret,
                       struct err *err);
/* No more removals are started.  The caller stops the asker too. */
void lease_keeper_stop(struct lease_keeper *k);
void lease_keeper_free(struct lease_keeper *k); /* after stop; NULL ok */

/* Before the client of @spec (which has a snapshot) starts: durable on return.  An older
 * attempt's lease of this job goes on.  *ret_session: a session that an older attempt's
 * client left, for the new one to go on with; as it was when there is none.
 * ERR_UNAVAILABLE "no_lease_store"; ERR_EXISTS "lease_ended": its snapshot is just being
 * removed. */
int lease_keeper_add(struct lease_keeper *k, const struct job_spec *spec,
                     struct secret **ret_session, struct err *err);

/* The session of the job's client is @cookie, "" = it has logged out; durable on return.
 * A session that is left when the client is gone is ended together with the lease. */
void lease_keeper_session(struct lease_keeper *k, const char *job_id, const char *cookie);

/* The client of the job is gone, or was never started.  Unknown ids are fine. */
void lease_keeper_client_gone(struct lease_keeper *k, const char *job_id,
                              enum client_left left);

/* ERR_NOT_FOUND "lease_not_found"; renewing: ERR_EXISTS "lease_ended". */
int lease_keeper_renew(struct lease_keeper *k, const char *job_id, uint32_t lease_s,
                       struct err *err);
/* Ended: removed as soon as no client lives. */
int lease_keeper_end(struct lease_keeper *k, const char *job_id, struct err *err);
void lease_keeper_list(struct lease_keeper *k, struct leases *ret);

#endif
