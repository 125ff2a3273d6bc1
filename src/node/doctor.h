/* node/doctor.h - what of this node is on its machine and belongs to nobody.  Layer 5.
 * Blocking.  docs/design/protocol.md 2.3. */
#ifndef SENDENSE_NODE_DOCTOR_H
#define SENDENSE_NODE_DOCTOR_H

#include "base/err.h"
#include "model/doctor.h"
#include "node/lease_keeper.h"

/* One look; @fix: mends what it can first.  @state: the folder of the leases.  The caller
 * looks again before it believes what may be on its way. */
int node_doctor(struct lease_keeper *leases, const char *state, bool fix,
                struct doctor_findings *ret, struct err *err);

#endif
