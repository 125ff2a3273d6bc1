/* catalog/cat_vm.h - tables vms and vm_disks.                          Layer 2. Blocking.
 * Names are labels: two VMs may share one.  Ids decide. */
#ifndef SENDENSE_CATALOG_CAT_VM_H
#define SENDENSE_CATALOG_CAT_VM_H

#include "catalog/catalog.h"

struct cat_vm_disk {
    const char *disk_uuid;
    const char *vm_id;  /* add fills it in from the VM */
    int64_t device_key; /* unique in its VM: 2000, 2001, ... */
    int64_t disk_index; /* 0, 1, ...: unique in its VM */
    const char *label;
    const char *source_url; /* vsphere: the file, for people */
    uint64_t size_bytes;
    /* vsphere only, else NULL and -1 (add and refresh put -1 when bus is NULL) */
    const char *source_uuid; /* of the backing; NULL when the server gives none */
    const char *bus;
    int64_t bus_number, unit_number;
    const char *backing, *file, *base_file, *datastore;
    const char *not_protected;         /* a word; NULL = its contents can be saved */
    const char *not_protected_message; /* a sentence; NULL with the word */
};

struct cat_vm {
    const char *id; /* UUID */
    const char *name;
    const char *source_type; /* "nbd", "vsphere" */
    const char *node_id;     /* NULL = none */
    int64_t created_us;
    /* vsphere only, else NULL and 0 */
    const char *credential_id; /* NULL: imported, not yet found on a server */
    const char *moref;
    const char *instance_uuid; /* the server's identity of the VM */
    const char *platform;      /* JSON text: what discovery said */
    int64_t discovered_us;
    struct cat_vm_disk *disks; /* sorted by disk_index */
    size_t n_disks;
};

struct cat_vms {
    struct cat_vm *v;
    size_t n;
    bool more;
};

void cat_vm_done(struct cat_vm *vm);
void cat_vms_done(struct cat_vms *l);

/* VM and disks, all or nothing.  ERR_EXISTS "vm_exists" (id, disk uuid, key or index is
 * taken), ERR_NOT_FOUND "node_not_found" (or its credential is). */
int cat_vm_add(struct catalog *c, const struct cat_vm *vm, struct err *err);

/* With disks.  ERR_NOT_FOUND "vm_not_found". */
int cat_vm_get(struct catalog *c, const char *id, struct cat_vm *ret, struct err *err);

/* All VMs of that name with their disks, sorted by id, at most CATALOG_PAGE_MAX; none is
 * not an error. */
int cat_vm_find_by_name(struct catalog *c, const char *name, struct cat_vms *ret,
                        struct err *err);

/* With disks, sorted by id. */
int cat_vm_list(struct catalog *c, const struct cat_page *page, struct cat_vms *ret,
                struct err *err);

/* What a refresh of the source found.  ERR_NOT_FOUND "disk_not_found". */
int cat_vm_set_disk_size(struct catalog *c, const char *disk_uuid, uint64_t size_bytes,
                         struct err *err);

/* The VMs with that instance uuid that belong to @credential_id or, with NULL, to none.
 * With their disks, sorted by id; none is not an error. */
int cat_vm_find_by_instance(struct catalog *c, const char *credential_id,
                            const char *instance_uuid, struct cat_vms *ret,
                            struct err *err);

/* What a discovery found of a known VM: all but id, source type and creation is replaced,
 * the disks as a whole, so that keys and positions may be exchanged.  All or nothing.
 * ERR_NOT_FOUND "vm_not_found", ERR_EXISTS "vm_exists". */
int cat_vm_refresh(struct catalog *c, const struct cat_vm *vm, struct err *err);

/* With its disks.  ERR_EXISTS "vm_in_use" while any backup job names it; ERR_NOT_FOUND.
 */
int cat_vm_remove(struct catalog *c, const char *id, struct err *err);

#endif
