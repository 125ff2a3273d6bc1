#include "store/image.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/fs.h"
#include "model/naming.h"
#include "os/child.h"
#include "store/lockprobe.h"
#include "store/qcow2_header.h"
#include "store/vmdk_name.h"

#define QEMU_IMG_TIMEOUT_MS 60000u
#define QEMU_IMG_CHECK_TIMEOUT_MS 3600000u

/* vmdk and vhdx keep tables of their own that nothing of ours has looked at. */
static const struct image_format formats[] = {
    {"raw", "raw", .in_place = true, .resumable = true},
    {"qcow2", "qcow2", .in_place = true, .resumable = true},
    {"vmdk", "vmdk", .in_place = true, .read_back = true},
    {"vmdk-stream", "vmdk", .read_back = true},
    {"vhdx", "vhdx", .in_place = true, .read_back = true},
};

static const struct {
    const char *qemu, *options;
} create_options[] = {
    {"qcow2", "compat=1.1,cluster_size=65536,lazy_refcounts=off"},
    {"vmdk", "subformat=monolithicSparse,adapter_type=lsilogic"},
    {"vhdx", "subformat=dynamic"},
};

const struct image_format *
image_format_find(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++)
        if (strcmp(formats[i].name, name) == 0)
            return &formats[i];
    return NULL;
}

static int
run_create(const char *path, const char *qemu, uint64_t size, struct err *err)
{
    CLEANUP_BUF struct buf out = BUF_INIT(4096);
    const char *options = "";
    char size_text[24];

    for (size_t i = 0; i < ARRAY_LEN(create_options); i++)
        if (strcmp(create_options[i].qemu, qemu) == 0)
            options = create_options[i].options;
    const char *argv[] = {"qemu-img", "create", "-q", "-f",      qemu, "-o",
                          options,    "--",     path, size_text, NULL};

    snprintf(size_text, sizeof size_text, "%llu", (unsigned long long)size);
    return child_run(argv, NULL, 0, QEMU_IMG_TIMEOUT_MS, &out, err);
}

int
image_create(const char *path, const struct image_format *format, uint64_t size_bytes,
             struct err *err)
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
    if (strcmp(format->qemu, "raw") != 0)
        r = run_create(path, format->qemu, size, err);
    else if (ftruncate(fd, (off_t)size) < 0)
        r = err_errno(err, errno, NULL, "size '%s'", path);
    if (r < 0) {
        (void)unlink(path);
        return err_prefix(err, "make image '%s'", path);
    }
    return 0;
}

static int
not_ours(const char *path, const char *what, struct err *err)
{
    return err_set(err, ERR_EXISTS, "resume_mismatch",
                   "'%.300s' is not a half-written restore of this disk: it %s", path,
                   what);
}

/* A restore has no backing file: number 0 refuses every name of one. */
static int
check_qcow2(const char *path, int fd, uint64_t size, struct err *err)
{
    const char *argv[] = {"qemu-img", "check", "-q", "-r", "leaks",
                          "-f",       "qcow2", "--", path, NULL};
    struct qcow2_header h;
    struct err why = ERR_INIT;

    if (qcow2_header_read(fd, 0, &h, &why) < 0)
        return not_ours(path, why.msg, err);
    if (h.virtual_size != size)
        return not_ours(path, "is of another size", err);
    if (child_run(argv, NULL, 0, QEMU_IMG_CHECK_TIMEOUT_MS, NULL, &why) < 0)
        return not_ours(path, why.msg, err);
    return 0;
}

int
image_reopen(const char *path, const struct image_format *format, uint64_t size_bytes,
             struct err *err)
{
    uint64_t size = naming_round_up_512(size_bytes);
    CLEANUP_FD int fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    struct lockprobe probe;
    struct stat st;

    if (fd < 0)
        return err_errno(err, errno, NULL, "open '%s' again", path);
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "look at '%s'", path);
    if (!S_ISREG(st.st_mode) || st.st_nlink != 1)
        return not_ours(path, "is no file of one name", err);
    if (lockprobe_file(path, &probe, err) < 0)
        return err->class;
    if (probe.in_use)
        return err_set(err, ERR_UNAVAILABLE, "image_locked",
                       "'%.300s' is open in another program", path);
    if (strcmp(format->qemu, "qcow2") == 0)
        return check_qcow2(path, fd, size, err);
    return (uint64_t)st.st_size == size ? 0 : not_ours(path, "is of another size", err);
}

int
image_finish(const char *path, const char *final_path, const struct image_format *format,
             uint64_t size_bytes, struct err *err)
{
    if (strcmp(format->qemu, "raw") == 0 && truncate(path, (off_t)size_bytes) < 0)
        return err_errno(err, errno, NULL, "cut '%s' to the size of the disk", path);
    if (strcmp(format->qemu, "vmdk") == 0 && vmdk_name_set(path, final_path, err) < 0)
        return err->class;
    return fs_sync_path(path, err);
}
