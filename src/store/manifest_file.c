/* store/manifest_file.c - reads a sealed manifest record by record; see manifest_file.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "store/manifest_file.h"

#define CHUNK_RECORDS 1600u /* 64,000 bytes at a time */
/* After a seek: who seeks may want little. */
#define CHUNK_FIRST_RECORDS 50u

static _Atomic uint64_t bytes_read;

struct manifest_file {
    char *path;
    int fd;
    struct manifest_header header;
    struct manifest_trailer trailer;
    struct manifest_check *check; /* order, range and root of what was read */
    bool whole;                   /* read from the first record on: the root counts */
    uint64_t next;                /* number of the record that is given out next */
    uint64_t chunk_at;            /* number of the first record in chunk */
    unsigned chunk_n, chunk_want;
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

uint64_t
manifest_file_bytes_read(void)
{
    return atomic_load_explicit(&bytes_read, memory_order_relaxed);
}

static int
read_at(struct manifest_file *f, void *p, size_t n, uint64_t off, struct err *err)
{
    atomic_fetch_add_explicit(&bytes_read, n, memory_order_relaxed);
    return fs_pread_full(f->fd, p, n, off, err);
}

static int
read_ends(struct manifest_file *f, uint64_t size, struct err *err)
{
    uint8_t head[MANIFEST_HEADER_SIZE], tail[MANIFEST_TRAILER_SIZE];

    if (size < sizeof(head) + sizeof(tail) ||
        (size - sizeof(head) - sizeof(tail)) % MANIFEST_RECORD_SIZE != 0)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "%llu bytes are no whole manifest", (unsigned long long)size);
    if (read_at(f, head, sizeof(head), 0, err) < 0 ||
        manifest_header_decode(head, &f->header, err) < 0)
        return err->class;
    if (read_at(f, tail, sizeof(tail), size - sizeof(tail), err) < 0 ||
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
    f->chunk_want = CHUNK_RECORDS;
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
    unsigned n = left < f->chunk_want ? (unsigned)left : f->chunk_want;

    f->chunk_n = 0;
    f->chunk_want = n * 2 < CHUNK_RECORDS ? n * 2 : CHUNK_RECORDS;
    if (read_at(f, f->chunk, (size_t)n * MANIFEST_RECORD_SIZE,
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
    if (number >= f->chunk_at && number < f->chunk_at + f->chunk_n)
        memcpy(raw, f->chunk + (number - f->chunk_at) * MANIFEST_RECORD_SIZE,
               sizeof(raw));
    else if (read_at(f, raw, sizeof(raw),
                     MANIFEST_HEADER_SIZE + number * MANIFEST_RECORD_SIZE, err) < 0)
        return corrupt(f, err);
    return manifest_record_decode(raw, ret, err) < 0 ? corrupt(f, err) : 0;
}

/* 1 when record @number ends at or before @block. */
static int
ends_before(struct manifest_file *f, uint64_t number, uint64_t block, struct err *err)
{
    struct manifest_record r;

    if (manifest_file_at(f, number, &r, err) < 0)
        return err->class;
    return r.block <= block && block - r.block >= r.count;
}

/* Number of the first record that ends after @block; the count when there is none.  From
 * where the reading stands steps grow, so a walk of many seeks upwards costs what it
 * passes over, and that only by its logarithm. */
static int
lower_bound(struct manifest_file *f, uint64_t block, uint64_t *ret, struct err *err)
{
    uint64_t low = 0, high = f->trailer.count, step = 1;
    bool onwards = false;

    if (f->next > 0) {
        int r = ends_before(f, f->next - 1, block, err);

        if (r < 0)
            return r;
        onwards = r > 0;
        *(onwards ? &low : &high) = onwards ? f->next : f->next - 1;
    }
    while (onwards && low < high) {
        uint64_t at = high - low > step ? low + step - 1 : high - 1;
        int r = ends_before(f, at, block, err);

        if (r < 0)
            return r;
        onwards = r > 0;
        *(onwards ? &low : &high) = onwards ? at + 1 : at;
        step *= 2;
    }
    while (low < high) {
        uint64_t mid = low + (high - low) / 2;
        int r = ends_before(f, mid, block, err);

        if (r < 0)
            return r;
        if (r > 0)
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
    uint64_t at, chunk_at = f->chunk_at;
    unsigned chunk_n = f->chunk_n;

    if (lower_bound(f, block, &at, err) < 0 || manifest_file_rewind(f, err) < 0)
        return err->class;
    f->whole = at == 0;
    f->next = at;
    f->chunk_want = CHUNK_FIRST_RECORDS;
    /* Of a chunk that is there only the rest counts as read: its order is checked anew
     * from here on. */
    if (at >= chunk_at && at < chunk_at + chunk_n) {
        unsigned skip = (unsigned)(at - chunk_at);

        memmove(f->chunk, f->chunk + (size_t)skip * MANIFEST_RECORD_SIZE,
                (size_t)(chunk_n - skip) * MANIFEST_RECORD_SIZE);
        f->chunk_n = chunk_n - skip;
        if (check_records(f, &f->chunk_n, err) < 0)
            return corrupt(f, err);
    }
    f->chunk_at = at;
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
