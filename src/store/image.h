/* store/image.h - image files outside of repositories: targets of a restore.   Layer 2.
 * Blocking. */
#ifndef SENDENSE_STORE_IMAGE_H
#define SENDENSE_STORE_IMAGE_H

#include <stdint.h>

#include "base/err.h"

/* A new empty image at @path, mode 0600, virtual size @size_bytes rounded up to 512.
 * @format: "raw" or "qcow2".  Nothing is left when it fails.  ERR_EXISTS "target_exists",
 * ERR_NO_SPACE "target_full", ERR_NOT_FOUND (no folder), ERR_IO. */
int image_create(const char *path, const char *format, uint64_t size_bytes,
                 struct err *err);

/* Cuts a raw image to the true size of its disk, makes the file durable.  @size_bytes is
 * ignored for qcow2, whose size stays a multiple of 512. */
int image_finish(const char *path, const char *format, uint64_t size_bytes,
                 struct err *err);

#endif
