/* store/vmdk_name.h - the name of itself that a sparse vmdk holds.        Layer 2.
 * Blocking.  The descriptor inside of a one-file vmdk names the file; VMware's programs
 * look for a file of that name, so a vmdk that is renamed must be told. */
#ifndef SENDENSE_STORE_VMDK_NAME_H
#define SENDENSE_STORE_VMDK_NAME_H

#include "base/err.h"

/* @path is the file, its descriptor names it; afterwards it names the last part of
 * @final_path, which must not be longer.  Not durable.  ERR_PROTOCOL "vmdk_form" when the
 * file is not what qemu-img makes. */
int vmdk_name_set(const char *path, const char *final_path, struct err *err);

#endif
