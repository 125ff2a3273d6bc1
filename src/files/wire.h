/* files/wire.h - frames on stdin and stdout.                               Layer 5.
 * Blocking.  docs/design/protocol.md 7. */
#ifndef SENDENSE_FILES_WIRE_H
#define SENDENSE_FILES_WIRE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"
#include "model/filesproto.h"

/* Takes descriptors 0 and 1 for the frames: nothing else may read or write there. */
int wire_open(struct err *err);
/* The next request; 1, or 0 at the end of the input.  ERR_PROTOCOL, ERR_IO. */
int wire_request(json_t **ret, struct err *err);
/* Did the hub say that it does not want the answer any more? */
bool wire_cancelled(void);
int wire_send(enum files_frame type, const void *p, size_t n, struct err *err);
int wire_send_json(enum files_frame type, const json_t *j, struct err *err);

#endif
