/* vmdk/vmdk_sesparse.h - headers and tables of an SESparse delta ("-sesparse.vmdk").
 * Layer 1.  Pure.  Type SESPARSE of a descriptor.  Facts as in QEMU block/vmdk.c: the
 * format is not published, so whatever is unknown is refused. */
#ifndef SENDENSE_VMDK_SESPARSE_H
#define SENDENSE_VMDK_SESPARSE_H

#include "vmdk/vmdk_delta.h"

#define VMDK_SESPARSE_HEADER 512u /* bytes of either header */

/* The constant header, at the start of the file.  @sectors is what the descriptor says.
 * Then the caller reads VMDK_SESPARSE_HEADER bytes at ret->volatile_offset and calls
 * vmdk_sesparse_volatile().  ERR_CORRUPT "source_unreadable". */
int vmdk_sesparse_decode(const uint8_t head[VMDK_SESPARSE_HEADER], uint64_t file_size,
                         uint64_t sectors, struct vmdk_delta *ret, struct err *err);

/* The volatile header.  One whose journal waits to be replayed has tables that are not
 * yet what they will be: refused. */
int vmdk_sesparse_volatile(const uint8_t head[VMDK_SESPARSE_HEADER], struct err *err);

#endif
