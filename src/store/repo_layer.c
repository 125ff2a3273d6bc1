/* store/repo_layer.c - layers of the local engine: qcow2 files made by qemu-img.
 * qemu is given paths; before each time the headers were read from descriptors and
 * accepted. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "model/naming.h"
#include "os/child.h"
#include "store/layer.h"
#include "store/qcow2_header.h"
#include "store/store_priv.h"

#define QEMU_IMG_TIMEOUT_MS 60000
#define QEMU_CHECK_TIMEOUT_MS 1800000 /* reads all tables */
#define CREATE_OPTIONS "compat=1.1,cluster_size=65536,lazy_refcounts=off"

static char qemu_img[REPO_PATH_SIZE] = "qemu-img";

void
layer_set_qemu_img(const char *path)
{
    snprintf(qemu_img, sizeof(qemu_img), "%s", path);
}

const char *
layer_qemu_img(void)
{
    return qemu_img;
}

static char *
file_of(const char *locator)
{
    return xasprintf("%s.qcow2", locator);
}

static int
open_layer(struct repo *r, const char *locator, struct err *err)
{
    CLEANUP_FREE char *name = file_of(locator);

    return dirwalk_file(r->root_fd, name, O_RDONLY, err);
}

static int
wrong_size(const char *locator, uint64_t is, uint64_t expected, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "layer_header",
                   "layer '%s' has a virtual size of %llu bytes instead of %llu", locator,
                   (unsigned long long)is, (unsigned long long)expected);
}

/* Numbers fall from layer to layer, so the walk ends. */
int
layer_check_chain(struct repo *r, const char *locator, uint64_t size_bytes,
                  struct err *err)
{
    char at[NAMING_LOCATOR_SIZE];
    struct naming_locator l;
    uint64_t above = 0;

    if (!repo_locator_is_valid(locator))
        return err_set(err, ERR_INVALID, "repo_name", "not a locator of a layer");
    snprintf(at, sizeof(at), "%s", locator);
    for (unsigned depth = 0; depth < LAYER_CHAIN_MAX; depth++) {
        CLEANUP_FD int fd = open_layer(r, at, err);
        struct qcow2_header h;

        if (fd < 0)
            return err->class;
        (void)naming_locator_parse(at, &l); /* built from a valid one */
        if (qcow2_header_read(fd, l.seq, &h, err) < 0)
            return err_prefix(err, "layer '%s'", at);
        if (depth == 0 && size_bytes != 0 &&
            h.virtual_size != naming_round_up_512(size_bytes))
            return wrong_size(at, h.virtual_size, naming_round_up_512(size_bytes), err);
        /* What the lower one has beyond the end would come back when a disk grows. */
        if (depth > 0 && h.virtual_size > above)
            return err_set(err, ERR_CORRUPT, "layer_header",
                           "layer '%s' is larger than the one that stands on it", at);
        above = h.virtual_size;
        if (h.backing[0] == '\0')
            return 0;
        naming_locator_build(l.vm_uuid, l.disk_uuid, h.backing_seq, at);
    }
    return err_set(err, ERR_LIMIT, NULL, "layer '%s' has more than %u layers below it",
                   locator, LAYER_CHAIN_MAX);
}

int
layer_parent(struct repo *r, const char *locator, char ret[NAMING_LOCATOR_SIZE],
             struct err *err)
{
    struct naming_locator l;
    struct qcow2_header h;
    CLEANUP_FD int fd = -1;

    if (!repo_locator_is_valid(locator) || naming_locator_parse(locator, &l) < 0)
        return err_set(err, ERR_INVALID, "repo_name", "not a locator of a layer");
    fd = open_layer(r, locator, err);
    if (fd < 0)
        return err->class;
    if (qcow2_header_read(fd, l.seq, &h, err) < 0)
        return err_prefix(err, "layer '%s'", locator);
    if (h.backing[0])
        naming_locator_build(l.vm_uuid, l.disk_uuid, h.backing_seq, ret);
    else
        ret[0] = '\0';
    return 0;
}

/* The name is ours before qemu-img, which would overwrite any file, sees it. */
static int
reserve(int dir, const char *base, struct err *err)
{
    int fd =
        openat(dir, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return err_errno(err, errno, errno == EEXIST ? "layer_exists" : store_code(errno),
                         "create layer '%s'", base);
    close(fd);
    return 0;
}

static int
run_create(struct repo *r, const char *path, const char *parent, uint64_t size,
           struct err *err)
{
    CLEANUP_FREE char *size_text = xasprintf("%llu", (unsigned long long)size);
    CLEANUP_FREE char *backing =
        parent ? xasprintf("%s.qcow2", strrchr(parent, '/') + 1) : NULL;
    const char *argv[16] = {qemu_img, "create", "-q",          "-f",
                            "qcow2",  "-o",     CREATE_OPTIONS};
    unsigned n = 7;

    if (backing != NULL) {
        /* -u: the layers below were looked at by layer_check_chain(); qemu-img opening
         * all of them takes a second at a depth of 300. */
        argv[n++] = "-u";
        argv[n++] = "-b";
        argv[n++] = backing;
        argv[n++] = "-F";
        argv[n++] = "qcow2";
    }
    argv[n++] = path;
    argv[n] = size_text;
    /* A writer: it holds the repository's lock as long as it lives. */
    if (child_run(argv, &r->lock_fd, 1, QEMU_IMG_TIMEOUT_MS, NULL, err) >= 0)
        return 0;
    if (strstr(err->msg, "No space left") || strstr(err->msg, "Disk quota exceeded")) {
        err->class = ERR_NO_SPACE;
        err_recode(err, "repo_full");
    }
    return err->class;
}

static int
make_durable(struct repo *r, int dir, const char *locator, uint64_t size, struct err *err)
{
    CLEANUP_FD int fd = -1;

    if (layer_check_chain(r, locator, size, err) < 0)
        return err->class;
    fd = open_layer(r, locator, err);
    if (fd < 0)
        return err->class;
    if (fsync(fd) < 0)
        return err_errno(err, errno, store_code(errno), "fsync layer '%s'", locator);
    return dirwalk_sync(dir, locator, err);
}

static int
check_parent(struct repo *r, const struct repo_layer_spec *spec, struct err *err)
{
    struct naming_locator l;
    struct qcow2_header h;
    CLEANUP_FD int fd = -1;

    if (layer_check_chain(r, spec->parent, 0, err) < 0)
        return err->class;
    (void)naming_locator_parse(spec->parent, &l); /* seen to be valid */
    fd = open_layer(r, spec->parent, err);
    if (fd < 0 || qcow2_header_read(fd, l.seq, &h, err) < 0)
        return err->class;
    if (h.virtual_size > naming_round_up_512(spec->size_bytes))
        return err_set(err, ERR_INVALID, "layer_shrinks",
                       "it has %llu bytes, more than the %llu of the new layer",
                       (unsigned long long)h.virtual_size,
                       (unsigned long long)naming_round_up_512(spec->size_bytes));
    return 0;
}

int
local_create_layer(struct repo *r, const struct repo_layer_spec *spec, struct err *err)
{
    CLEANUP_FREE char *name = file_of(spec->locator);
    CLEANUP_FD int dir = -1;
    char path[REPO_PATH_SIZE];
    const char *base;

    if (spec->parent != NULL && check_parent(r, spec, err) < 0)
        return err_prefix(err, "parent");
    dir = dirwalk_parent(r->root_fd, name, true, &base, err);
    if (dir < 0 || repo_path(r, name, path, err) < 0 || reserve(dir, base, err) < 0)
        return err->class;
    if (run_create(r, path, spec->parent, naming_round_up_512(spec->size_bytes), err) <
            0 ||
        make_durable(r, dir, spec->locator, spec->size_bytes, err) < 0) {
        (void)unlinkat(dir, base, 0);
        return err_prefix(err, "create layer '%s'", spec->locator);
    }
    return 0;
}

int
layer_overlay(struct repo *r, const char *locator, uint64_t size_bytes, const char *path,
              struct err *err)
{
    CLEANUP_FREE char *name = file_of(locator);
    CLEANUP_FREE char *size =
        xasprintf("%llu", (unsigned long long)naming_round_up_512(size_bytes));
    char backing[REPO_PATH_SIZE];
    /* -u: as in run_create(); the export that follows opens all of them. */
    const char *argv[] = {qemu_img, "create", "-q",           "-u", "-f",
                          "qcow2",  "-o",     CREATE_OPTIONS, "-F", "qcow2",
                          "-b",     backing,  path,           size, NULL};
    int fd;

    if (layer_check_chain(r, locator, size_bytes, err) < 0 ||
        repo_path(r, name, backing, err) < 0)
        return err->class;
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, NULL, "create '%s'", path);
    close(fd);
    if (child_run(argv, NULL, 0, QEMU_IMG_TIMEOUT_MS, NULL, err) >= 0)
        return 0;
    (void)unlink(path);
    return err->class;
}

int
local_remove_layer(struct repo *r, const char *locator, struct err *err)
{
    CLEANUP_FREE char *name = file_of(locator);

    return r->ops->remove(r, name, true, err);
}

int
local_stored_bytes(struct repo *r, const char *locator, uint64_t *ret, struct err *err)
{
    CLEANUP_FD int fd = open_layer(r, locator, err);
    struct stat st;

    if (fd < 0)
        return err->class;
    if (fstat(fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat layer '%s'", locator);
    *ret = (uint64_t)st.st_blocks * 512;
    return 0;
}

int
local_sync_layer(struct repo *r, const char *locator, struct err *err)
{
    CLEANUP_FD int fd = open_layer(r, locator, err);
    int e;

    if (fd < 0)
        return err->class;
    if (fsync(fd) < 0)
        return err_errno(err, errno, store_code(errno), "fsync layer '%s'", locator);
    e = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    if (e != 0)
        return err_errno(err, e, NULL, "drop the cached pages of layer '%s'", locator);
    return 0;
}

int
local_repair_layer(struct repo *r, const char *locator, struct err *err)
{
    CLEANUP_FREE char *name = file_of(locator);
    char path[REPO_PATH_SIZE];
    const char *argv[] = {qemu_img, "check", "-q", "-r", "leaks",
                          "-f",     "qcow2", path, NULL};

    if (layer_check_chain(r, locator, 0, err) < 0 || repo_path(r, name, path, err) < 0)
        return err->class;
    if (child_run(argv, &r->lock_fd, 1, QEMU_CHECK_TIMEOUT_MS, NULL, err) >= 0)
        return 0;
    if (strcmp(err->code, "program_failed") == 0) {
        err->class = ERR_CORRUPT;
        err_recode(err, "layer_damaged");
    }
    return err_prefix(err, "layer '%s'", locator);
}

/* qemu-nbd may fail for want of a descriptor or of room for its socket: only when the
 * image does not open by itself either is the image to blame. */
static void
blame_layer(const char *path, struct err *err)
{
    const char *argv[] = {qemu_img, "info", "-f", "qcow2", "--", path, NULL};
    struct err why = ERR_INIT;

    if (strcmp(err->code, "export_failed") != 0)
        return;
    if (child_run(argv, NULL, 0, QEMU_IMG_TIMEOUT_MS, NULL, &why) >= 0 ||
        strcmp(why.code, "program_failed") != 0)
        return;
    err_clear(err);
    err_set(err, ERR_CORRUPT, "layer_unreadable", "%s", why.msg);
}

static int
export_layer(struct repo *r, const char *locator, const struct export_spec *wish,
             bool read_only, struct export **ret, struct err *err)
{
    CLEANUP_FREE char *name = file_of(locator);
    struct export_spec spec = *wish;
    char path[REPO_PATH_SIZE];

    spec.size_bytes = naming_round_up_512(wish->size_bytes);
    if (layer_check_chain(r, locator, spec.size_bytes, err) < 0 ||
        repo_path(r, name, path, err) < 0)
        return err->class;
    spec.path = path;
    spec.format = "qcow2";
    spec.read_only = read_only;
    spec.lock_fd = read_only ? 0 : r->lock_fd;
    if (export_start(&spec, ret, err) >= 0)
        return 0;
    if (read_only)
        blame_layer(path, err);
    return err->class;
}

int
local_export_rw(struct repo *r, const char *locator, const struct export_spec *spec,
                struct export **ret, struct err *err)
{
    return export_layer(r, locator, spec, false, ret, err);
}

int
local_export_ro(struct repo *r, const char *locator, const struct export_spec *spec,
                struct export **ret, struct err *err)
{
    return export_layer(r, locator, spec, true, ret, err);
}
