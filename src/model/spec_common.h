/* model/spec_common.h - the parts that both specs and the node API have.  Internal to
 * model. */
#ifndef SENDENSE_MODEL_SPEC_COMMON_H
#define SENDENSE_MODEL_SPEC_COMMON_H

#include "model/codec.h"
#include "model/jobspec.h"

/* Members "limits" and "deadlines" of @r's object. */
void spec_get_limits(struct jreader *r, struct spec_limits *ret);
void spec_get_deadlines(struct jreader *r, struct spec_deadlines *ret);
/* {"type": "nbd"}: the type; NULL after a failure. */
char *spec_get_source(struct jreader *r);

json_t *spec_put_limits(const struct spec_limits *l);
json_t *spec_put_deadlines(const struct spec_deadlines *d);
json_t *spec_put_source(const char *type);

/* Refuses what a message may not have twice; @what_twice: "disk uuid". */
int spec_twins(struct err *err, const char *what, const char *what_twice);

#endif
