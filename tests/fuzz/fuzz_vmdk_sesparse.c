/* tests/fuzz/fuzz_vmdk_sesparse.c - a whole SESparse delta as hostile input. */
#include "vmdk/vmdk_sesparse.h"
#include "fuzz_vmdk_delta.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[VMDK_SESPARSE_HEADER] = {0};
    struct vmdk_delta d;
    struct err err = ERR_INIT;
    uint64_t sectors;

    memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
    memcpy(&sectors, head + 16, sizeof(sectors));
    if (vmdk_sesparse_decode(head, size, le64toh(sectors), &d, &err) < 0) {
        MUST(err.class == ERR_CORRUPT && strcmp(err.code, "source_unreadable") == 0);
        return 0;
    }
    MUST(d.volatile_offset + VMDK_SESPARSE_HEADER <= size);
    if (vmdk_sesparse_volatile(data + d.volatile_offset, &err) < 0)
        MUST(err.class == ERR_CORRUPT);
    fuzz_delta_walk(&d, data, size);
    return 0;
}
