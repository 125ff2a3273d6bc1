/* store/manifest_writer.c - receives a manifest and seals it; see manifest_file.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/manifest_file.h"
#include "store/store_priv.h"

#define COMPARE_RECORDS 1024u

struct manifest_writer {
    char *path, *part;
    int fd; /* -1 after the seal */
    struct manifest_check *check;
};

void
cleanup_manifest_writer(struct manifest_writer **w)
{
    manifest_writer_free(*w);
}

static uint64_t
offset_of(uint64_t record)
{
    return MANIFEST_HEADER_SIZE + record * MANIFEST_RECORD_SIZE;
}

static int
writer_new(const char *path, const struct manifest_header *h,
           struct manifest_writer **ret, struct err *err)
{
    struct manifest_writer *w = xcalloc(1, sizeof(*w));

    *ret = w;
    w->fd = -1;
    w->path = xstrdup(path);
    w->part = xasprintf("%s.part", path);
    if (manifest_check_new(h, &w->check, err) < 0)
        return err->class;
    if (fs_exists(path))
        return err_set(err, ERR_EXISTS, "manifest_exists", "manifest '%s' exists", path);
    return 0;
}

int
manifest_writer_create(const char *path, const struct manifest_header *h,
                       struct manifest_writer **ret, struct err *err)
{
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = NULL;
    uint8_t header[MANIFEST_HEADER_SIZE];

    if (writer_new(path, h, &w, err) < 0)
        return err->class;
    w->fd = open(w->part, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (w->fd < 0)
        return err_errno(err, errno,
                         errno == EEXIST ? "manifest_exists" : store_code(errno),
                         "create manifest '%s'", w->part);
    manifest_header_encode(h, header);
    if (fs_pwrite_full(w->fd, header, sizeof(header), 0, err) < 0) {
        (void)unlink(w->part);
        (void)store_recode(err);
        return err_prefix(err, "manifest '%s'", w->part);
    }
    *ret = take_ptr(&w);
    return 0;
}

static int
damaged(const struct manifest_writer *w, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "manifest_corrupt", "manifest '%s' %s", w->part,
                   what);
}

static int
open_part(struct manifest_writer *w, uint64_t *ret_size, struct err *err)
{
    struct stat st;

    w->fd = open(w->part, O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (w->fd < 0)
        return err_errno(err, errno, NULL, "open manifest '%s'", w->part);
    if (fstat(w->fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat manifest '%s'", w->part);
    if (!S_ISREG(st.st_mode))
        return damaged(w, "is no regular file", err);
    *ret_size = (uint64_t)st.st_size;
    return 0;
}

static int
check_header(struct manifest_writer *w, const struct manifest_header *h, uint64_t size,
             struct err *err)
{
    uint8_t want[MANIFEST_HEADER_SIZE], have[MANIFEST_HEADER_SIZE];
    struct manifest_header ignored;

    if (size < sizeof(have))
        return damaged(w, "has no header", err);
    if (fs_pread_full(w->fd, have, sizeof(have), 0, err) < 0)
        return err_prefix(err, "manifest '%s'", w->part);
    if (manifest_header_decode(have, &ignored, err) < 0)
        return err_prefix(err, "manifest '%s'", w->part);
    manifest_header_encode(h, want);
    return memcmp(want, have, sizeof(have)) == 0 ? 0
                                                 : damaged(w, "is of another layer", err);
}

/* The good ones of @n encoded records into the check; false at the first that is not. */
static bool
take_good(struct manifest_writer *w, const uint8_t *p, size_t n)
{
    struct err ignored = ERR_INIT;

    if (manifest_check_add_raw(w->check, p, n, &ignored) == 0)
        return true;
    for (; n > 0 && manifest_check_add_raw(w->check, p, 1, &ignored) == 0; n--)
        p += MANIFEST_RECORD_SIZE;
    return false;
}

static int
take_stored(struct manifest_writer *w, uint64_t n, struct err *err)
{
    uint8_t stored[COMPARE_RECORDS * MANIFEST_RECORD_SIZE];
    uint64_t at = 0;

    while (at < n) {
        size_t now = n - at < COMPARE_RECORDS ? (size_t)(n - at) : COMPARE_RECORDS;

        if (fs_pread_full(w->fd, stored, now * MANIFEST_RECORD_SIZE, offset_of(at), err) <
            0)
            return err_prefix(err, "manifest '%s'", w->part);
        if (!take_good(w, stored, now))
            break;
        at += now;
    }
    return 0;
}

int
manifest_writer_reopen(const char *path, const struct manifest_header *h,
                       uint64_t records, struct manifest_writer **ret, struct err *err)
{
    CLEANUP_MANIFEST_WRITER struct manifest_writer *w = NULL;
    uint64_t size = 0, stored, count;

    if (writer_new(path, h, &w, err) < 0 || open_part(w, &size, err) < 0 ||
        check_header(w, h, size, err) < 0)
        return err->class;
    stored = (size - MANIFEST_HEADER_SIZE) / MANIFEST_RECORD_SIZE;
    if (take_stored(w, stored < records ? stored : records, err) < 0)
        return err->class;
    count = manifest_writer_count(w);
    if (count < records)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "manifest '%s' has %llu good records, %llu were stored", w->part,
                       (unsigned long long)count, (unsigned long long)records);
    if (ftruncate(w->fd, (off_t)offset_of(count)) < 0)
        return err_errno(err, errno, store_code(errno), "cut manifest '%s'", w->part);
    *ret = take_ptr(&w);
    return 0;
}

void
manifest_writer_free(struct manifest_writer *w)
{
    if (w == NULL)
        return;
    if (w->fd >= 0)
        close(w->fd);
    manifest_check_free(w->check);
    free(w->path);
    free(w->part);
    free(w);
}

uint64_t
manifest_writer_count(const struct manifest_writer *w)
{
    return manifest_check_count(w->check);
}

uint64_t
manifest_writer_next_block(const struct manifest_writer *w)
{
    return manifest_check_next_block(w->check);
}

static int
check_open(const struct manifest_writer *w, struct err *err)
{
    if (w->fd < 0)
        return err_set(err, ERR_INTERNAL, NULL, "manifest '%s' is sealed already",
                       w->path);
    return 0;
}

int
manifest_writer_sync(struct manifest_writer *w, struct err *err)
{
    if (check_open(w, err) < 0)
        return err->class;
    if (fdatasync(w->fd) < 0)
        return err_errno(err, errno, store_code(errno), "fsync manifest '%s'", w->part);
    return 0;
}

int
manifest_writer_read_fd(const struct manifest_writer *w, struct err *err)
{
    int fd;

    if (check_open(w, err) < 0)
        return err->class;
    fd = fcntl(w->fd, F_DUPFD_CLOEXEC, 0);
    if (fd < 0)
        return err_errno(err, errno, NULL, "manifest '%s'", w->part);
    return fd;
}

/* A repeat of what is there is harmless only when it is the same. */
static int
compare_stored(struct manifest_writer *w, uint64_t first, const uint8_t *p, uint64_t n,
               struct err *err)
{
    uint8_t stored[COMPARE_RECORDS * MANIFEST_RECORD_SIZE];

    while (n > 0) {
        uint64_t now = n < COMPARE_RECORDS ? n : COMPARE_RECORDS;
        size_t bytes = (size_t)now * MANIFEST_RECORD_SIZE;

        if (fs_pread_full(w->fd, stored, bytes, offset_of(first), err) < 0)
            return err_prefix(err, "manifest '%s'", w->part);
        if (memcmp(stored, p, bytes) != 0)
            return err_set(err, ERR_EXISTS, "manifest_conflict",
                           "records from %llu on differ from those received before",
                           (unsigned long long)first);
        first += now;
        p += bytes;
        n -= now;
    }
    return 0;
}

/* Written first and counted afterwards: a refused or failed write is cut off again, and
 * the count never runs ahead of the file. */
static int
store_new(struct manifest_writer *w, const uint8_t *p, uint64_t n, struct err *err)
{
    uint64_t at = offset_of(manifest_writer_count(w));
    int r = fs_pwrite_full(w->fd, p, (size_t)n * MANIFEST_RECORD_SIZE, at, err);

    if (r < 0) {
        (void)store_recode(err);
        err_prefix(err, "manifest '%s'", w->part);
    } else {
        r = manifest_check_add_raw(w->check, p, (size_t)n, err);
    }
    if (r < 0)
        (void)!ftruncate(w->fd,
                         (off_t)at); /* the next write at @at overwrites it anyway */
    return r;
}

int
manifest_writer_append(struct manifest_writer *w, uint64_t first, const void *p, size_t n,
                       uint64_t *ret_total, struct err *err)
{
    uint64_t have = manifest_writer_count(w);
    uint64_t records = n / MANIFEST_RECORD_SIZE, repeated;
    const uint8_t *at = p;
    int r = check_open(w, err);

    *ret_total = have;
    if (r < 0)
        return r;
    if (n % MANIFEST_RECORD_SIZE != 0)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "%zu bytes are no whole records of %u", n, MANIFEST_RECORD_SIZE);
    if (first > have)
        return err_set(err, ERR_EXISTS, "manifest_gap",
                       "record %llu comes too early, the next one is %llu",
                       (unsigned long long)first, (unsigned long long)have);
    repeated = have - first < records ? have - first : records;
    r = compare_stored(w, first, at, repeated, err);
    if (r == 0 && repeated < records)
        r = store_new(w, at + repeated * MANIFEST_RECORD_SIZE, records - repeated, err);
    *ret_total = manifest_writer_count(w);
    return r < 0 ? r : 0;
}

int
manifest_writer_root(struct manifest_writer *w, uint8_t ret_root[MANIFEST_ROOT_SIZE],
                     struct err *err)
{
    return manifest_check_root(w->check, ret_root, err);
}

int
manifest_writer_seal(struct manifest_writer *w, uint8_t ret_root[MANIFEST_ROOT_SIZE],
                     struct err *err)
{
    struct manifest_trailer t = {.count = manifest_writer_count(w)};
    uint8_t raw[MANIFEST_TRAILER_SIZE];

    if (check_open(w, err) < 0 || manifest_check_root(w->check, t.layer_root, err) < 0)
        return err->class;
    manifest_trailer_encode(&t, raw);
    if (fs_pwrite_full(w->fd, raw, sizeof(raw), offset_of(t.count), err) < 0) {
        (void)store_recode(err);
        return err_prefix(err, "manifest '%s'", w->part);
    }
    /* A failed append may have left bytes that ftruncate could not cut. */
    if (ftruncate(w->fd, (off_t)manifest_file_size(t.count)) < 0 || fsync(w->fd) < 0)
        return err_errno(err, errno, store_code(errno), "fsync manifest '%s'", w->part);
    if (fs_rename_noreplace(w->part, w->path, err) < 0 ||
        fs_sync_parent(w->path, err) < 0)
        return err->class;
    close(w->fd);
    w->fd = -1;
    memcpy(ret_root, t.layer_root, MANIFEST_ROOT_SIZE);
    return 0;
}
