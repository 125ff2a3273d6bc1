/* client/vsphere_chain.h - of which files a snapshot is made.              Layer 5. Pure.
 */
#ifndef SENDENSE_CLIENT_VSPHERE_CHAIN_H
#define SENDENSE_CLIENT_VSPHERE_CHAIN_H

#include "client/vsphere_job_priv.h"

/* A hash over all that vsphere_snapshot_still() compares, of each disk of the spec, in
 * hex: the same word means that nobody merged or moved anything.  After the comparison
 * with the plan.  ERR_INTERNAL. */
int vsphere_chain(const struct vsphere_job *job, char out[SPEC_CHAIN_MAX + 1],
                  struct err *err);

#endif
