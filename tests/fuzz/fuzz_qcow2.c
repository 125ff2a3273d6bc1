/* tests/fuzz/fuzz_qcow2.c - the qcow2 header parser on hostile input.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given.
 * What it accepts must be what docs/design/repository.md 2.3 says: checked here once
 * more, apart from the parser. */
#include <string.h>

#include "store/qcow2_header.h"
#include "fuzz.h"

#define SEQ 100

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct qcow2_header h;
    struct err err = ERR_INIT;
    int r = qcow2_header_parse(data, size, SEQ, &h, &err);

    if (r < 0) {
        MUST(r == ERR_CORRUPT && err.class == r);
        MUST(strcmp(err.code, "layer_header") == 0);
        return 0;
    }
    MUST(size >= 104 && memcmp(data, "QFI\xfb\0\0\0\3", 8) == 0);
    MUST(h.virtual_size % 512 == 0);
    MUST(memcmp(data + 72, "\0\0\0\0\0\0\0", 8) == 0); /* no incompatible feature */
    MUST((h.backing[0] == '\0') == (h.backing_seq == 0) && h.backing_seq < SEQ);
    MUST(h.backing[0] == '\0' ||
         (strlen(h.backing) == 12 && strcmp(h.backing + 6, ".qcow2") == 0));
    return 0;
}
