/* store/manifest_file.c - reads a sealed manifest record by record; see manifest_file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/manifest_file.h"

#define CHUNK_RECORDS 1600u /* 64,000 bytes at a time */

struct manifest_file {
    char *path;
    int fd;
    struct manifest_header header;
    struct manifest_trailer trailer;
    struct manifest_check *check; /* order, range and root of what was read */
    bool whole;                   /* read from the first record on: the root counts */
    uint64_t next;                /* number of the record that is given out next */
    uint64_t chunk_at;            /* number of the first record in chunk */
    unsigned chunk_n;
    uint8_t chunk[CHUNK_RECORDS * MANIFEST_RECORD_SIZE];
};

void
cleanup_manifest_file(struct manifest_file **f)
{
    manifest_file_free(*f);
}

static int
corrupt(const struct manifest_file *f, struct err *err)
{
    /* The model calls a bad record the sender's mistake; on disk it is damage. */
    if (err->class == ERR_INVALID) {
        err->class = ERR_CORRUPT;
        err_recode(err, "manifest_corrupt");
    }
    return err_prefix(err, "manifest '%s'", f->path);
}

static int
read_ends(struct manifest_file *f, uint64_t size, struct err *err)
{
    uint8_t head[MANIFEST_HEADER_SIZE], tail[MANIFEST_TRAILER_SIZE];

    if (size < sizeof(head) + sizeof(tail) ||
        (size - sizeof(head) - sizeof(tail)) % MANIFEST_RECORD_SIZE != 0)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "%llu bytes are no whole manifest", (unsigned long long)size);
    if (fs_pread_full(f->fd, head, sizeof(head), 0, err) < 0 ||
        manifest_header_decode(head, &f->header, err) < 0)
        return err->class;
    if (fs_pread_full(f->fd, tail, sizeof(tail), size - sizeof(tail), err) < 0 ||
        manifest_trailer_decode(tail, &f->trailer, err) < 0)
        return err->class;
    if (f->trailer.count != (size - sizeof(head) - sizeof(tail)) / MANIFEST_RECORD_SIZE)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "the trailer counts %llu records, the file has another length",
                       (unsigned long long)f->trailer.count);
    return 0;
}

int
manifest_file_open(const char *path, struct manifest_file **ret, struct err *err)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *f = xcalloc(1, sizeof(*f));
    struct stat st;

    f->path = xstrdup(path);
    f->fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (f->fd < 0)
        return err_errno(err, errno, NULL, "open manifest '%s'", path);
    if (fstat(f->fd, &st) < 0)
        return err_errno(err, errno, NULL, "stat manifest '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_CORRUPT, "manifest_corrupt", "'%s' is no regular file",
                       path);
    if (read_ends(f, (uint64_t)st.st_size, err) < 0 || manifest_file_rewind(f, err) < 0)
        return corrupt(f, err);
    *ret = take_ptr(&f);
    return 0;
}

void
manifest_file_free(struct manifest_file *f)
{
    if (f == NULL)
        return;
    if (f->fd >= 0)
        close(f->fd);
    manifest_check_free(f->check);
    free(f->path);
    free(f);
}

const struct manifest_header *
manifest_file_header(const struct manifest_file *f)
{
    return &f->header;
}

uint64_t
manifest_file_count(const struct manifest_file *f)
{
    return f->trailer.count;
}

const uint8_t *
manifest_file_root(const struct manifest_file *f)
{
    return f->trailer.layer_root;
}

int
manifest_file_rewind(struct manifest_file *f, struct err *err)
{
    struct manifest_check *fresh = NULL;

    if (manifest_check_new(&f->header, &fresh, err) < 0)
        return err->class;
    manifest_check_free(f->check);
    f->check = fresh;
    f->whole = true;
    f->next = f->chunk_at = 0;
    f->chunk_n = 0;
    return 0;
}

/* Of @*n records in the chunk, those before the first bad one; it is an error when there
 * are none.  So all that can be read of a damaged manifest is given out. */
static int
check_records(struct manifest_file *f, unsigned *n, struct err *err)
{
    unsigned good = 0;

    if (manifest_check_add_raw(f->check, f->chunk, *n, err) >= 0)
        return 0;
    err_clear(err);
    while (good < *n &&
           manifest_check_add_raw(f->check, f->chunk + good * MANIFEST_RECORD_SIZE, 1,
                                  err) >= 0)
        good++;
    if (good == 0)
        return err->class;
    err_clear(err);
    *n = good;
    return 0;
}

static int
load_chunk(struct manifest_file *f, struct err *err)
{
    uint64_t left = f->trailer.count - f->next;
    unsigned n = left < CHUNK_RECORDS ? (unsigned)left : CHUNK_RECORDS;

    f->chunk_n = 0;
    if (fs_pread_full(f->fd, f->chunk, (size_t)n * MANIFEST_RECORD_SIZE,
                      MANIFEST_HEADER_SIZE + f->next * MANIFEST_RECORD_SIZE, err) < 0 ||
        check_records(f, &n, err) < 0)
        return corrupt(f, err);
    f->chunk_at = f->next;
    f->chunk_n = n;
    return 0;
}

static int
check_end(struct manifest_file *f, struct err *err)
{
    uint8_t root[MANIFEST_ROOT_SIZE];

    if (!f->whole)
        return 0;
    if (manifest_check_root(f->check, root, err) < 0)
        return err->class;
    if (memcmp(root, f->trailer.layer_root, sizeof(root)) != 0)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "manifest '%s': the records do not give the root of the trailer",
                       f->path);
    return 0;
}

int
manifest_file_next(struct manifest_file *f, struct manifest_record *ret, struct err *err)
{
    int r = 0;

    if (f->next >= f->trailer.count)
        return check_end(f, err);
    if (f->next >= f->chunk_at + f->chunk_n)
        r = load_chunk(f, err);
    if (r == 0)
        r = manifest_record_decode(
            f->chunk + (f->next - f->chunk_at) * MANIFEST_RECORD_SIZE, ret, err);
    if (r < 0)
        return r;
    f->next++;
    return 1;
}

int
manifest_file_at(struct manifest_file *f, uint64_t number, struct manifest_record *ret,
                 struct err *err)
{
    uint8_t raw[MANIFEST_RECORD_SIZE];

    if (number >= f->trailer.count)
        return err_set(err, ERR_INTERNAL, NULL, "record %llu of %llu",
                       (unsigned long long)number, (unsigned long long)f->trailer.count);
    if (fs_pread_full(f->fd, raw, sizeof(raw),
                      MANIFEST_HEADER_SIZE + number * MANIFEST_RECORD_SIZE, err) < 0 ||
        manifest_record_decode(raw, ret, err) < 0)
        return corrupt(f, err);
    return 0;
}

/* Number of the first record that ends after @block; the count when there is none. */
static int
lower_bound(struct manifest_file *f, uint64_t block, uint64_t *ret, struct err *err)
{
    uint64_t low = 0, high = f->trailer.count;

    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        struct manifest_record r;

        if (manifest_file_at(f, mid, &r, err) < 0)
            return err->class;
        if (r.block <= block && block - r.block >= r.count)
            low = mid + 1;
        else
            high = mid;
    }
    *ret = low;
    return 0;
}

int
manifest_file_seek(struct manifest_file *f, uint64_t block, struct err *err)
{
    uint64_t at;

    if (lower_bound(f, block, &at, err) < 0 || manifest_file_rewind(f, err) < 0)
        return err->class;
    f->whole = at == 0;
    f->next = f->chunk_at = at;
    return 0;
}

int
manifest_file_find(struct manifest_file *f, uint64_t block, struct manifest_record *ret,
                   struct err *err)
{
    struct manifest_record r;
    uint64_t at;

    if (lower_bound(f, block, &at, err) < 0)
        return err->class;
    if (at == f->trailer.count)
        return 0;
    if (manifest_file_at(f, at, &r, err) < 0)
        return err->class;
    if (r.block > block)
        return 0;
    *ret = r;
    return 1;
}

int
manifest_file_check(const char *path, uint8_t ret_root[MANIFEST_ROOT_SIZE],
                    struct err *err)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
    struct manifest_record record;
    int r = manifest_file_open(path, &f, err);

    if (r < 0)
        return r;
    do {
        r = manifest_file_next(f, &record, err);
    } while (r > 0);
    if (r == 0 && ret_root != NULL)
        memcpy(ret_root, f->trailer.layer_root, MANIFEST_ROOT_SIZE);
    return r;
}
