/* model/filesproto.h - frames between hub and sendense-files.      Layer 1.  Pure.
 * docs/design/protocol.md 7. */
#ifndef SENDENSE_MODEL_FILESPROTO_H
#define SENDENSE_MODEL_FILESPROTO_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define FILES_VERSION 1
#define FILES_HEAD 5u              /* bytes before the payload */
#define FILES_FRAME_MAX (1u << 20) /* of a payload */
#define FILES_DATA_MAX (1u << 20)  /* of the payload of one D */
#define FILES_READ_MAX (2u << 20)  /* bytes that one `read` may ask for */
#define FILES_LS_MAX 500u
#define FILES_PATHS_MAX 1000u
#define FILES_OPEN_S 300u /* so long may `open` go on without a frame */

enum files_frame {
    FILES_REQUEST = 'Q',
    FILES_CANCEL = 'C',
    FILES_DATA = 'D',
    FILES_ALIVE = 'K',
    FILES_ANSWER = 'A',
    FILES_ERROR = 'E',
};

void files_head_encode(enum files_frame type, size_t n, unsigned char out[FILES_HEAD]);
/* ERR_PROTOCOL "files_protocol": no such type, or longer than FILES_FRAME_MAX. */
int files_head_decode(const unsigned char head[FILES_HEAD], enum files_frame *ret_type,
                      size_t *ret_n, struct err *err);

/* The payload of an E; the text of a guest in it is made printable. */
json_t *files_error_encode(const struct err *why);
/* Always fails: with what the frame says, or ERR_PROTOCOL "files_protocol". */
int files_error_decode(const char *text, size_t n, struct err *err);

#endif
