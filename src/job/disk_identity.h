/* job/disk_identity.h - which disk that a server shows is which one of ours.   Layer 3.
 * Pure. */
#ifndef SENDENSE_JOB_DISK_IDENTITY_H
#define SENDENSE_JOB_DISK_IDENTITY_H

#include <stddef.h>

#include "catalog/cat_vm.h"
#include "model/vsphere.h"

/* For each of the @n disks that the server shows the index of the known disk that it is,
 * or -1: a new one.  What decides is the uuid of the backing; the file below all
 * snapshots where several have that uuid (a disk was copied) or one of both sides has
 * none.  Keys, places and sizes decide nothing.  No known disk is given twice. */
void disk_identity_match(const struct cat_vm_disk *known, size_t n_known,
                         const struct vsphere_disk *seen, size_t n, int *ret);

#endif
