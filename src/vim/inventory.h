/* vim/inventory.h - the VMs of a server.                         Layer 2.  Blocking. */
#ifndef SENDENSE_VIM_INVENTORY_H
#define SENDENSE_VIM_INVENTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vim/devices.h"
#include "vim/session.h"

#define VIM_VMS_MAX 50000
#define VIM_SNAPSHOTS_MAX 1024

struct vim_vm_item { /* what a list needs; cheap for the server.  Strings owned, "" =
                        unset */
    struct moref ref;
    char *name; /* %2f, %5c and %25 of the server undone */
    char *instance_uuid;
    char *power;      /* "poweredOn", "poweredOff", "suspended" */
    char *connection; /* "connected", … */
    bool is_template;
};
struct vim_vm_items {
    struct vim_vm_item *v; /* by name, then reference */
    size_t n;
};
#define CLEANUP_VIM_VM_ITEMS CLEANUP(vim_vm_items_done)
void vim_vm_items_done(struct vim_vm_items *l);

/* All pages.  A VM that vanishes meanwhile is left out.  More than VIM_VMS_MAX: ERR_LIMIT
 * "vcenter_vms". */
int vim_list_vms(struct vim_session *s, struct vim_vm_items *ret, struct err *err);

struct vim_snapshot_item {
    struct moref ref;
    char *name, *description;
    bool is_current, has_children, quiesced;
};

struct vim_vm {
    struct vim_vm_item item;
    char *datacenter; /* inventory path, as /folder?dcPath= wants it: "DC0", "folder/DC0";
                         "ha-datacenter" on an ESXi host.  A slash inside a name is %2f,
                         as the server writes it. */
    char *host;       /* reference of the host it runs on */
    char *guest_id, *version /* "vmx-19" */, *firmware /* "bios", "efi" */;
    char *nvram_file; /* "[ds] dir/x.nvram", "" = none */
    bool cbt_supported, cbt_enabled;
    bool consolidation_needed;
    bool tools_running;
    bool encrypted;           /* config.keyId is set */
    uint64_t allocated_bytes; /* on the datastores, all files of the VM; 0 = unknown */
    struct vim_devices devices;
    struct vim_snapshot_item *snapshots; /* the whole tree, parents first */
    size_t n_snapshots;
};
#define CLEANUP_VIM_VM CLEANUP(vim_vm_done)
void vim_vm_done(struct vim_vm *vm);

/* Snapshots whose names begin with a prefix, of every VM that has one; and every VM whose
 * disks need consolidation. */
struct vim_vm_snapshots {
    struct vim_vm_item item; /* power and connection are "" */
    bool consolidation_needed;
    struct vim_snapshot_item *snapshots; /* parents first */
    size_t n_snapshots;
};
struct vim_vm_snapshots_list {
    struct vim_vm_snapshots *v;
    size_t n;
};
#define CLEANUP_VIM_VM_SNAPSHOTS CLEANUP(vim_vm_snapshots_done)
void vim_vm_snapshots_done(struct vim_vm_snapshots_list *l);
/* As vim_list_vms(). */
int vim_list_snapshots(struct vim_session *s, const char *prefix,
                       struct vim_vm_snapshots_list *ret, struct err *err);

/* By reference when it is there and has @instance_uuid ("" = any), else by instance uuid:
 * a VM that was registered again has another reference.  ERR_NOT_FOUND
 * "vcenter_vm_not_found". */
int vim_find_vm(struct vim_session *s, const char *ref, const char *instance_uuid,
                struct moref *ret, struct err *err);
/* ERR_NOT_FOUND "vcenter_object_gone"; ERR_LIMIT "vcenter_snapshots". */
int vim_read_vm(struct vim_session *s, const struct moref *ref, struct vim_vm *ret,
                struct err *err);

#endif
