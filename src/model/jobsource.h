/* model/jobsource.h - members "source" and "snapshot" of a job spec.  Internal to model.
 */
#ifndef SENDENSE_MODEL_JOBSOURCE_H
#define SENDENSE_MODEL_JOBSOURCE_H

#include "model/codec.h"
#include "model/jobspec.h"

/* Sets source_type, vsphere and snapshot of @s. */
void job_source_get(struct jreader *r, struct job_spec *s);
void job_source_put(json_t *o, const struct job_spec *s);

void job_vsphere_free(struct job_vsphere *v);   /* NULL ok */
void job_snapshot_free(struct job_snapshot *s); /* NULL ok */

#endif
