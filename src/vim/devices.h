/* vim/devices.h - the virtual hardware of a VM: controllers and disks.       Layer 2.
 * No I/O.  Decodes config.hardware.device of a VM or of a snapshot. */
#ifndef SENDENSE_VIM_DEVICES_H
#define SENDENSE_VIM_DEVICES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/xml.h"
#include "vim/soap.h"

#define VIM_DISKS_MAX 512 /* vSphere allows fewer */

/* How a controller is known; the rank is the order of disks in lists. */
enum vim_bus { VIM_IDE, VIM_SCSI, VIM_SATA, VIM_NVME, VIM_OTHER_BUS };
const char *vim_bus_to_str(enum vim_bus b); /* "ide", "scsi", "sata", "nvme", "other" */

struct vim_controller {
    int32_t key;
    enum vim_bus bus;
    uint32_t bus_number;
    bool shared; /* sharedBus other than noSharing: no snapshot holds its disks */
};

/* Why a disk cannot be part of a snapshot. */
enum vim_unprotected {
    VIM_PROTECTED,
    VIM_INDEPENDENT,  /* disk mode independent_* or nonpersistent */
    VIM_PHYSICAL_RDM, /* raw device mapping in physical mode */
    VIM_MULTI_WRITER,
    VIM_SHARED_BUS,
    VIM_UNKNOWN_BACKING, /* a kind of disk this program does not know */
};
/* "independent", …; NULL for VIM_PROTECTED. */
const char *vim_unprotected_to_str(enum vim_unprotected u);
/* A sentence for people; NULL for VIM_PROTECTED. */
const char *vim_unprotected_advice(enum vim_unprotected u);

/* All strings are owned; "" when the server gave none. */
struct vim_disk {
    uint32_t key; /* as the server says; never computed */
    char *label;
    const struct vim_controller *controller; /* NULL when it names none that is there */
    uint32_t unit;
    uint64_t capacity_bytes;
    char *backing;   /* "FlatVer2", "SeSparse", "RawDiskMappingVer1", … */
    char *file;      /* "[datastore] folder/name.vmdk" of the running disk, or of the
                        snapshot's frozen one */
    char *base_file; /* the end of the chain of parents; file when there is none */
    char **parents;  /* files of the chain, newest first; the last is base_file */
    size_t n_parents;
    struct moref datastore;
    char *mode;
    char *uuid;
    char *change_id;
    bool thin, encrypted;
    enum vim_unprotected unprotected;
};

struct vim_devices {
    struct vim_controller *controllers;
    size_t n_controllers;
    struct vim_disk
        *disks; /* by bus, bus number, unit, key: the order that people expect */
    size_t n_disks;
};
#define CLEANUP_VIM_DEVICES CLEANUP(vim_devices_done)
void vim_devices_done(struct vim_devices *d);

/* @val: the value of config.hardware.device, whose children are the devices; NULL = none.
 * ERR_PROTOCOL "vcenter_protocol": a disk without key or capacity, a key twice, more than
 * VIM_DISKS_MAX, a chain of parents that is too long. */
int vim_devices_decode(const struct xml_node *val, struct vim_devices *ret,
                       struct err *err);

#endif
