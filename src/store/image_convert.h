/* store/image_convert.h - formats that only qemu-img writes, from an export. Layer 2.
 * Blocking. */
#ifndef SENDENSE_STORE_IMAGE_CONVERT_H
#define SENDENSE_STORE_IMAGE_CONVERT_H

#include "base/err.h"
#include "os/child.h"
#include "store/image.h"

struct image_convert {
    const char *source_uri; /* NBD, of an export of ours */
    const char *path;       /* made here; must not exist */
    const struct image_format *format;
    int cancel_fd; /* readable = ERR_CANCELLED */
    /* Called once qemu-img runs; < 0 ends it. */
    int (*started)(void *arg, const struct child_id *id, struct err *err);
    void *arg;
    struct child_exit exit; /* out */
};

/* Nothing runs when it returns; the file may be there after a failure.  What was written
 * is to be compared: qemu-img exits 0 of sources that it could read only in part.
 * ERR_EXISTS "target_exists", ERR_NO_SPACE "target_full", ERR_CANCELLED "cancelled",
 * ERR_IO "program_failed". */
int image_convert_run(struct image_convert *c, struct err *err);

#endif
