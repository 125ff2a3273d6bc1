#include "model/filesproto.h"

#include <string.h>

#include "base/json.h"
#include "model/guestpath.h"

static const int classes[] = {ERR_INVALID, ERR_NOT_FOUND, ERR_EXISTS, ERR_IO,
                              ERR_TIMEOUT, ERR_NO_SPACE,  ERR_AUTH,   ERR_PROTOCOL,
                              ERR_CORRUPT, ERR_CANCELLED, ERR_LIMIT,  ERR_UNAVAILABLE,
                              ERR_INTERNAL};

void
files_head_encode(enum files_frame type, size_t n, unsigned char out[FILES_HEAD])
{
    out[0] = (unsigned char)type;
    for (int i = 0; i < 4; i++)
        out[1 + i] = (unsigned char)(n >> (24 - 8 * i));
}

int
files_head_decode(const unsigned char head[FILES_HEAD], enum files_frame *ret_type,
                  size_t *ret_n, struct err *err)
{
    uint32_t n = (uint32_t)head[1] << 24 | (uint32_t)head[2] << 16 |
                 (uint32_t)head[3] << 8 | head[4];

    if (!head[0] || !strchr("QCDKAE", head[0]) || n > FILES_FRAME_MAX)
        return err_set(err, ERR_PROTOCOL, "files_protocol",
                       "a frame of type %u with %u bytes is not in the contract", head[0],
                       n);
    *ret_type = (enum files_frame)head[0];
    *ret_n = n;
    return 0;
}

json_t *
files_error_encode(const struct err *why)
{
    CLEANUP_FREE char *message = guestpath_to_text(why->msg);

    return json_pack("{s:s, s:s, s:s}", "class", err_class_word(why->class), "code",
                     why->code, "message", message);
}

int
files_error_decode(const char *text, size_t n, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    const char *word, *code, *message;
    struct err bad = ERR_INIT;
    struct jreader r;

    if (json_parse(text, n, &j, &bad) == 0) {
        jreader_init(&r, j, "answer of the file session", &bad);
        word = jget_str(&r, "class");
        code = jget_str(&r, "code");
        message = jget_str(&r, "message");
        if (jreader_end(&r) == 0)
            for (size_t i = 0; i < ARRAY_LEN(classes); i++)
                if (strcmp(word, err_class_word(classes[i])) == 0)
                    return err_set(err, classes[i], code, "%s", message);
    }
    return err_set(err, ERR_PROTOCOL, "files_protocol",
                   "the file session answered with something that is no error");
}
