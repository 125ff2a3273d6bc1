/* tests/fuzz/fuzz_vmdk_cowd.c - a whole COWD delta as hostile input. */
#include "vmdk/vmdk_cowd.h"
#include "fuzz_vmdk_delta.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t head[VMDK_COWD_HEADER] = {0};
    struct vmdk_delta d;
    struct err err = ERR_INIT;
    uint32_t sectors;

    memcpy(head, data, size < sizeof(head) ? size : sizeof(head));
    /* Believe what it says of the disk, or hardly any input would get further. */
    memcpy(&sectors, head + 12, sizeof(sectors));
    if (vmdk_cowd_decode(head, size, le32toh(sectors), &d, &err) < 0)
        MUST(err.class == ERR_CORRUPT && strcmp(err.code, "source_unreadable") == 0);
    else
        fuzz_delta_walk(&d, data, size);
    return 0;
}
