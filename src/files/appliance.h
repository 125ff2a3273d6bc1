/* files/appliance.h - the libguestfs appliance of one session.            Layer 5.
 * Blocking.  It reads the file systems of a guest in a small virtual machine of its own:
 * the kernel of this machine never sees them.  One call at a time; only pump.c calls from
 * another thread, and then nobody else does. */
#ifndef SENDENSE_FILES_APPLIANCE_H
#define SENDENSE_FILES_APPLIANCE_H

#include <guestfs.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct appliance_fs {
    char *fs; /* mountable of libguestfs: "/dev/sda1", "/dev/vg/lv" */
    char *type, *label, *uuid;
    uint64_t size_bytes; /* 0 = unknown */
    int64_t key;         /* device key of its disk, -1 = spread over several */
    bool readable;
};

struct appliance {
    guestfs_h *g;
    uint32_t *keys; /* of the disks, in the order of their devices */
    size_t n_keys;
    struct appliance_fs *fs;
    size_t n_fs;
    const struct appliance_fs *mounted; /* NULL = nothing */
    bool accelerated;
    unsigned boot_ms, look_ms; /* until it ran; until its file systems were known */
};

/* @spec: the members of `open`.  ERR_UNAVAILABLE "appliance_unavailable" when the
 * appliance cannot start; the message says what may be missing. */
int appliance_open(const json_t *spec, struct appliance **ret, struct err *err);
void appliance_close(struct appliance *a); /* NULL ok */
json_t *appliance_describe(const struct appliance *a);

/* Mounts @fs (NULL = the only readable one) read-only at "/".  ERR_INVALID "fs_required";
 * ERR_NOT_FOUND "fs_not_found"; ERR_IO "fs_unreadable". */
int appliance_mount(struct appliance *a, const char *fs, struct err *err);

/* The last failure of the library; @code is for those that say nothing more exact. */
int appliance_err(struct appliance *a, struct err *err, const char *code,
                  const char *what);
/* The same, from what was kept of it. */
int appliance_err_from(struct err *err, int e, const char *message, const char *code,
                       const char *what);
bool appliance_is_dead(const struct appliance *a);

#endif
