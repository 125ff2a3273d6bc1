/* model/explain.h - a disk's read mode and reason in words for people.    Layer 1.  Pure.
 * Sentences without a name of disk or VM; static texts. */
#ifndef SENDENSE_MODEL_EXPLAIN_H
#define SENDENSE_MODEL_EXPLAIN_H

#include "model/jobstate.h"

/* What was read and stored. */
const char *explain_mode(enum read_mode mode);
/* Why it was not less; of REASON_NONE, why it could be so little. */
const char *explain_reason(enum reason reason);
/* What would make the next backup of the disk cheaper; "" = nothing has to be done. */
const char *explain_advice(enum reason reason);

#endif
