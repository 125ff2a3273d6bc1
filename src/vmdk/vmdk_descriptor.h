/* vmdk/vmdk_descriptor.h - the text that describes a disk of a VM ("NAME.vmdk"). Layer 1.
 * Pure.  What a file is, is decided by this text, never by size or name of a file.  A
 * descriptor comes from outside: limits on everything.  Errors have the code
 * "source_unreadable": ERR_CORRUPT what is no descriptor, ERR_INVALID what is one that
 * cannot be read over HTTPS. */
#ifndef SENDENSE_VMDK_DESCRIPTOR_H
#define SENDENSE_VMDK_DESCRIPTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define VMDK_DESCRIPTOR_MAX 65536u /* bytes */
#define VMDK_EXTENTS_MAX 1024u
#define VMDK_NAME_MAX 1024u        /* bytes of a file name */
#define VMDK_NO_PARENT 0xffffffffu /* parentCID of a base */

enum vmdk_access { VMDK_RW, VMDK_RDONLY, VMDK_NOACCESS };

enum vmdk_extent_type {
    VMDK_FLAT,
    VMDK_VMFS,
    VMDK_VMFSSPARSE,
    VMDK_SESPARSE,
    VMDK_VMFSRDM,
    VMDK_VMFSRAWDM,
    VMDK_ZERO,
    VMDK_SPARSE,
};

struct vmdk_extent {
    enum vmdk_access access;
    enum vmdk_extent_type type;
    uint64_t sectors;
    uint64_t offset_sectors; /* in the file, FLAT only */
    char *file;              /* as written; NULL for ZERO */
};

struct vmdk_descriptor {
    char create_type[64];
    uint32_t cid, parent_cid;
    char *parent_hint; /* parentFileNameHint as written, NULL = none */
    bool encrypted;
    struct vmdk_extent *extents;
    unsigned n_extents;
    uint64_t sectors; /* of the disk: the sum */
};

/* @n bytes at @text. */
int vmdk_descriptor_parse(const char *text, size_t n, struct vmdk_descriptor *ret,
                          struct err *err);
void vmdk_descriptor_done(struct vmdk_descriptor *d);
#define CLEANUP_VMDK_DESCRIPTOR CLEANUP(vmdk_descriptor_done)

const char *vmdk_extent_type_str(enum vmdk_extent_type t); /* "VMFS", … */

enum vmdk_kind { VMDK_KIND_FLAT, VMDK_KIND_COWD, VMDK_KIND_SESPARSE };

/* What is behind the descriptor: FLAT (a base: FLAT, VMFS and ZERO extents), or a delta.
 * Else ERR_INVALID "source_unreadable" with the reason: raw device, vSAN or vVol object,
 * encrypted, hosted sparse format, mixed, or a delta without parent. */
int vmdk_descriptor_classify(const struct vmdk_descriptor *d, enum vmdk_kind *ret,
                             struct err *err);

struct vmdk_place {
    char *datastore; /* name, or the id that /vmfs/volumes names it by */
    char *path;      /* within it, no '/' at the start */
};

void vmdk_place_done(struct vmdk_place *p);
#define CLEANUP_VMDK_PLACE CLEANUP(vmdk_place_done)

/* Where @file of an extent or parent hint lies: "/vmfs/volumes/NAME/DIR/FILE", or
 * relative to the folder of the descriptor @base.  "..", empty parts and other absolute
 * paths are refused. */
int vmdk_locate(const struct vmdk_place *base, const char *file, struct vmdk_place *ret,
                struct err *err);

#endif
