/* store/image.h - image files outside of repositories: targets of a restore.   Layer 2.
 * Blocking.  Only qemu's programs write them. */
#ifndef SENDENSE_STORE_IMAGE_H
#define SENDENSE_STORE_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct image_format {
    const char *name; /* as the API says: raw, qcow2, vmdk, vmdk-stream, vhdx */
    const char *qemu; /* its driver */
    bool in_place;    /* can be written through qemu-nbd; else it is converted into */
    bool resumable;   /* a half-written one can be gone on with */
    bool read_back;   /* its own reader must confirm what was written */
};
const struct image_format *image_format_find(const char *name); /* NULL = unknown */

/* A new empty image at @path, mode 0600, virtual size @size_bytes rounded up to 512; of a
 * format that is written in place.  Nothing is left when it fails.  ERR_EXISTS
 * "target_exists", ERR_NO_SPACE "target_full", ERR_NOT_FOUND (no folder), ERR_IO. */
int image_create(const char *path, const struct image_format *format, uint64_t size_bytes,
                 struct err *err);

/* A half-written one is taken up again: a regular file of this very form and size, that
 * names no other file (ERR_EXISTS "resume_mismatch") and that nobody has open
 * (ERR_UNAVAILABLE "image_locked").  Clusters that a crash left unused are freed. */
int image_reopen(const char *path, const struct image_format *format, uint64_t size_bytes,
                 struct err *err);

/* Cuts a raw image to the true size of its disk (the others keep a multiple of 512).  In
 * a vmdk the name that it will have, that of @final_path, is written.  Durable. */
int image_finish(const char *path, const char *final_path,
                 const struct image_format *format, uint64_t size_bytes, struct err *err);

#endif
