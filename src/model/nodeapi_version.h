/* model/nodeapi_version.h - version, commit and build id in messages.     Internal to
 * model. */
#ifndef SENDENSE_MODEL_NODEAPI_VERSION_H
#define SENDENSE_MODEL_NODEAPI_VERSION_H

#include "base/json.h"
#include "model/nodeapi.h"

void nodeapi_version_get(struct jreader *r, struct program_version *v);
void nodeapi_version_put(json_t *o, const struct program_version *v);
void nodeapi_version_done(struct program_version *v);

#endif
