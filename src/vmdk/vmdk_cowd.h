/* vmdk/vmdk_cowd.h - header and tables of a COWD delta ("-delta.vmdk").     Layer 1.
 * Pure. Type VMFSSPARSE of a descriptor.  Facts as in QEMU block/vmdk.c. */
#ifndef SENDENSE_VMDK_COWD_H
#define SENDENSE_VMDK_COWD_H

#include "vmdk/vmdk_delta.h"

#define VMDK_COWD_HEADER 2048u /* bytes to read from the start of the file */

/* @sectors is what the descriptor says.  ERR_CORRUPT "source_unreadable". */
int vmdk_cowd_decode(const uint8_t head[VMDK_COWD_HEADER], uint64_t file_size,
                     uint64_t sectors, struct vmdk_delta *ret, struct err *err);

#endif
