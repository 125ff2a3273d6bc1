/* node/client_version.h - which client would be started.                    Layer 5.
 * `CLIENT --version` is run once for each change of the file.  Thread-safe. */
#ifndef SENDENSE_NODE_CLIENT_VERSION_H
#define SENDENSE_NODE_CLIENT_VERSION_H

#include "base/err.h"
#include "model/nodeapi.h"

struct client_version;

struct client_version *client_version_new(const char *client); /* kept by reference */
void client_version_free(struct client_version *v);            /* NULL ok */

/* Blocking: may run the client.  Members of *ret are the caller's; all "unknown" when the
 * client cannot tell (the reason is logged, and asked again after 10 s at the earliest).
 */
void client_version_get(struct client_version *v, struct program_version *ret);

/* Parses "PROG VERSION (commit COMMIT, build BUILD)", one line as version_print() writes
 * it. ERR_PROTOCOL. */
int client_version_parse(const char *text, struct program_version *ret, struct err *err);
void program_version_done(struct program_version *v);

#endif
