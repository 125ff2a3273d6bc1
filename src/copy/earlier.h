/* copy/earlier.h - the records that earlier attempts sent, back from the hub.  Layer 2.
 * Blocking.  Internal to src/copy. */
#ifndef SENDENSE_COPY_EARLIER_H
#define SENDENSE_COPY_EARLIER_H

#include "copy/stop.h"
#include "model/jobspec.h"

/* The first resume.records records of @disk into @check, which is fresh: so the layer's
 * root is right at the end.  They must end at or before resume.block.  Errors of
 * hub_get(); "hub_protocol" (ERR_PROTOCOL) for records that cannot be those. */
int copy_earlier_take(const struct job_spec *spec, const struct job_spec_disk *disk,
                      struct copy_stop *stop, struct manifest_check *check,
                      struct err *err);

#endif
