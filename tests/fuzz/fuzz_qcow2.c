/* tests/fuzz/fuzz_qcow2.c - the qcow2 header parser on hostile input (libFuzzer).
 * What it accepts must be what docs/design/repository.md 2.3 says: checked here once
 * more, apart from the parser. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "store/qcow2_header.h"

#define SEQ 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qcow2_header h;
    struct err err = ERR_INIT;
    int r = qcow2_header_parse(data, size, SEQ, &h, &err);

    if (r < 0) {
        if (r != ERR_CORRUPT || err.class != r || strcmp(err.code, "layer_header") != 0)
            abort();
        return 0;
    }
    if (size < 104 || memcmp(data, "QFI\xfb\0\0\0\3", 8) != 0 ||
        h.virtual_size % 512 != 0)
        abort();
    if (memcmp(data + 72, "\0\0\0\0\0\0\0\0", 8) != 0) /* no incompatible feature */
        abort();
    if ((h.backing[0] == '\0') != (h.backing_seq == 0) || h.backing_seq >= SEQ)
        abort();
    if (h.backing[0] != '\0' &&
        (strlen(h.backing) != 12 || strcmp(h.backing + 6, ".qcow2") != 0))
        abort();
    return 0;
}
