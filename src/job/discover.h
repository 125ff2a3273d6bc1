/* job/discover.h - VMs of a vCenter or ESXi host: what is there, and taking them into the
 * inventory.  Layer 3.  Blocking.
 *
 * A VM is known by its instance uuid within its credential; its reference only helps to
 * find it.  Its disks are known by job/disk_identity.h: a disk that stays the same keeps
 * our uuid, and with it its chain of backups, whatever happened to its key and its place.
 */
#ifndef SENDENSE_JOB_DISCOVER_H
#define SENDENSE_JOB_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "catalog/cat_vm.h"
#include "job/credentials.h"

/* All VMs of the server, without their disks.  Caller: vsphere_answer_done. */
int discover_list(struct vsphere_door *door, struct vsphere_answer *ret, struct err *err);

/* The VM's id in the inventory, "" when it is not there. */
int discover_known(struct job_env *env, const char *credential_id,
                   const char *instance_uuid, char ret_id[UUID_STR_SIZE],
                   struct err *err);

/* The VM of @list with that name.  ERR_NOT_FOUND "vcenter_vm_not_found"; ERR_EXISTS
 * "vm_ambiguous" when several have it. */
int discover_by_name(const struct vsphere_answer *list, const char *name,
                     const struct vsphere_vm **ret, struct err *err);
int discover_by_ref(const struct vsphere_answer *list, const char *ref,
                    const struct vsphere_vm **ret, struct err *err);

/* Asks for one VM of the server with its disks and adds it, or refreshes it, or adopts it
 * (a VM of an import that no credential has yet). ret_added may be NULL. Those of
 * vsphere_ask(); ERR_UNAVAILABLE "vm_not_connected" when the server does not tell its
 * instance uuid. */
int discover_vm(struct vsphere_door *door, const struct vsphere_vm *what,
                const char *actor, char ret_id[UUID_STR_SIZE], bool *ret_added,
                struct err *err);

/* For the start of a backup: asks for @vm, which the inventory has, and stores what it is
 * now.  Caller: vsphere_answer_done. */
int discover_refresh(struct vsphere_door *door, const struct cat_vm *vm,
                     struct vsphere_answer *ret, struct err *err);

#endif
