/* model/manifest_reader.c - a sealed manifest, fed in chunks.  See manifest.h. */
#include "base/cleanup.h"
#include "base/mem.h"
#include "model/bytes.h"
#include "model/manifest.h"

struct manifest_reader {
    manifest_record_fn fn;
    void *arg;
    uint64_t records;             /* that the file has, by its size */
    uint64_t pos;                 /* bytes taken */
    struct manifest_check *check; /* NULL until the header is complete */
    struct manifest_header header;
    struct manifest_trailer trailer;
    size_t n_part; /* bytes of the incomplete piece in part */
    uint8_t part[MANIFEST_HEADER_SIZE];
};

void
manifest_reader_free(struct manifest_reader *r)
{
    if (!r)
        return;
    manifest_check_free(r->check);
    free(r);
}

void
cleanup_manifest_reader(struct manifest_reader **r)
{
    manifest_reader_free(*r);
}

static int
corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "manifest_corrupt", "manifest: %s", what);
}

int
manifest_reader_new(uint64_t file_size, manifest_record_fn fn, void *arg,
                    struct manifest_reader **ret, struct err *err)
{
    uint64_t fixed = manifest_file_size(0);
    struct manifest_reader *r;

    if (file_size < fixed || (file_size - fixed) % MANIFEST_RECORD_SIZE != 0)
        return corrupt(err, "the file's length is wrong (cut, or not sealed)");
    r = xcalloc(1, sizeof(*r));
    r->fn = fn;
    r->arg = arg;
    r->records = (file_size - fixed) / MANIFEST_RECORD_SIZE;
    *ret = r;
    return 0;
}

const struct manifest_header *
manifest_reader_header(const struct manifest_reader *r)
{
    return r->check ? &r->header : NULL;
}

static int
take_header(struct manifest_reader *r, const uint8_t *p, struct err *err)
{
    if (manifest_header_decode(p, &r->header, err) < 0)
        return err->class;
    return manifest_check_new(&r->header, &r->check, err);
}

static int
take_records(struct manifest_reader *r, const uint8_t *p, size_t n, struct err *err)
{
    if (manifest_check_add_raw(r->check, p, n, err) < 0) {
        /* The same words mean a peer's mistake elsewhere; in a stored file they are
         * damage. */
        if (err->class == ERR_INVALID) {
            err->class = ERR_CORRUPT;
            err_recode(err, "manifest_corrupt");
        }
        return err_prefix(err, "manifest");
    }
    for (size_t i = 0; r->fn && i < n; i++) {
        struct manifest_record rec;

        if (manifest_record_decode(p + i * MANIFEST_RECORD_SIZE, &rec, err) < 0 ||
            r->fn(r->arg, &rec, err) < 0)
            return err->class;
    }
    return 0;
}

/* The size of the piece that starts at @pos; pieces are header, one record, trailer. */
static size_t
piece_size(const struct manifest_reader *r)
{
    if (!r->check)
        return MANIFEST_HEADER_SIZE;
    return manifest_check_count(r->check) < r->records ? MANIFEST_RECORD_SIZE
                                                       : MANIFEST_TRAILER_SIZE;
}

static int
take_piece(struct manifest_reader *r, const uint8_t *p, size_t n, struct err *err)
{
    if (!r->check)
        return take_header(r, p, err);
    if (manifest_check_count(r->check) < r->records)
        return take_records(r, p, n / MANIFEST_RECORD_SIZE, err);
    return manifest_trailer_decode(p, &r->trailer, err);
}

int
manifest_reader_feed(struct manifest_reader *r, const void *data, size_t n,
                     struct err *err)
{
    const uint8_t *p = data;

    if (n > manifest_file_size(r->records) - r->pos)
        return corrupt(err, "there are bytes after the trailer");
    r->pos += n;
    while (n > 0) {
        size_t size = piece_size(r), take;

        if (r->n_part > 0 || n < size) {
            take = size - r->n_part < n ? size - r->n_part : n;
            memcpy(r->part + r->n_part, p, take);
            r->n_part += take;
            if (r->n_part == size) {
                r->n_part = 0;
                if (take_piece(r, r->part, size, err) < 0)
                    return err->class;
            }
        } else {
            take = size;
            if (size == MANIFEST_RECORD_SIZE) {
                uint64_t left = r->records - manifest_check_count(r->check);

                take = n / size < left ? n - n % size : (size_t)left * size;
            }
            if (take_piece(r, p, take, err) < 0)
                return err->class;
        }
        p += take;
        n -= take;
    }
    return 0;
}

int
manifest_reader_end(struct manifest_reader *r, struct manifest_trailer *ret,
                    struct err *err)
{
    uint8_t root[MANIFEST_HASH_SIZE];

    if (r->pos != manifest_file_size(r->records))
        return corrupt(err, "the file ends too early");
    if (r->trailer.count != r->records)
        return corrupt(err, "the trailer's count is not the number of records");
    if (manifest_check_root(r->check, root, err) < 0)
        return err->class;
    if (memcmp(root, r->trailer.layer_root, sizeof(root)) != 0)
        return corrupt(err, "the root is not that of its records");
    *ret = r->trailer;
    return 0;
}
