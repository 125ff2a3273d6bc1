#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "model/naming.h"
#include "os/child.h"

#define QEMU_IMG_TIMEOUT_MS 60000u

static int
format_qcow2(const char *path, uint64_t size, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    char size_text[24];
    const char *argv[] = {"qemu-img",   "create", "-q", "-f",      "qcow2", "-o",
                          "compat=1.1", "--",     path, size_text, NULL};

    snprintf(size_text, sizeof size_text, "%llu", (unsigned long long)size);
    return child_run(argv, NULL, 0, QEMU_IMG_TIMEOUT_MS, &out, err);
}

int
image_create(const char *path, const char *format, uint64_t size_bytes, struct err *err)
{
    uint64_t size = naming_round_up_512(size_bytes);
    CLEANUP_FD int fd =
        open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = 0;

    if (fd < 0) {
        int e = errno;

        err_errno(err, e, NULL, "create '%s'", path);
        if (e == EEXIST)
            err_recode(err, "target_exists");
        else if (err->class == ERR_NO_SPACE)
            err_recode(err, "target_full");
        return err->class;
    }
    if (strcmp(format, "qcow2") == 0)
        r = format_qcow2(path, size, err);
    else if (ftruncate(fd, (off_t)size) < 0)
        r = err_errno(err, errno, NULL, "size '%s'", path);
    if (r < 0) {
        (void)unlink(path);
        return err_prefix(err, "make image '%s'", path);
    }
    return 0;
}

int
image_finish(const char *path, const char *format, uint64_t size_bytes, struct err *err)
{
    if (strcmp(format, "raw") == 0 && truncate(path, (off_t)size_bytes) < 0)
        return err_errno(err, errno, NULL, "cut '%s' to the size of the disk", path);
    return fs_sync_path(path, err);
}
