/* vmdk/vmdk_sesparse.c - see vmdk_sesparse.h.
 * Constant header, little-endian u64: magic, version, sectors of the disk, sectors of a
 * grain (8) and of a table (64), flags, 4 reserved, then (sector, sectors) of the
 * volatile header, journal header, journal, directory, tables, free bitmap, back map,
 * grains. Directory entry: 0, or 1 in the top nibble and the number of a table.  Grain
 * entry: the top nibble is the state, the number of the grain is turned by 12 bits. */
#include <inttypes.h>

#include "vmdk/vmdk_le.h"
#include "vmdk/vmdk_sesparse.h"

#define CONST_MAGIC 0xcafebabeull
#define VOLATILE_MAGIC 0xcafecafeull
#define VERSION 0x200000001ull
#define GRAIN_SECTORS 8u
#define TABLE_SECTORS 64u
#define SECTORS_MAX (1ull << 53) /* of any place: times 512 stays below 2^63 */

/* Offsets of the header's fields. */
enum {
    AT_VERSION = 8,
    AT_CAPACITY = 16,
    AT_GRAIN_SIZE = 24,
    AT_TABLE_SIZE = 32,
    AT_FLAGS = 40,
    AT_RESERVED = 48,
    AT_VOLATILE = 80,
    AT_DIR = 128,
    AT_TABLES = 144,
    AT_GRAINS = 192,
    AT_PAD = 208,
    AT_REPLAY = 24, /* of the volatile header */
    AT_VOLATILE_PAD = 32,
};

static int
corrupt(struct err *err, const char *what, uint64_t value)
{
    return err_set(err, ERR_CORRUPT, "source_unreadable",
                   "the SESparse delta is damaged: %s (0x%" PRIx64 ")", what, value);
}

static int
table_at(const struct vmdk_delta *d, const uint8_t *entry, uint64_t *ret, struct err *err)
{
    uint64_t e = vmdk_le64(entry), n = e & 0xffffffff, size = vmdk_delta_table_size(d);

    if (e == 0) {
        *ret = 0;
        return 0;
    }
    if (e >> 32 != 0x10000000)
        return corrupt(err, "an unknown entry of the grain directory", e);
    if (n >= (d->tables_end - d->tables_offset) / size)
        return corrupt(err, "a grain table that is not there", e);
    *ret = d->tables_offset + n * size;
    return 0;
}

static int
grain(const struct vmdk_delta *d, const uint8_t *entry, struct vmdk_grain *ret,
      struct err *err)
{
    uint64_t e = vmdk_le64(entry);
    uint64_t n = (e & 0xffffffffffffull) << 12 | (e >> 48 & 0xfff);

    switch (e >> 60) {
    case 0:
        if (e != 0)
            return corrupt(err, "an unknown grain entry", e);
        *ret = (struct vmdk_grain){.state = VMDK_GRAIN_PARENT};
        return 0;
    case 1: /* given back by the guest: it reads as zeros */
    case 2:
        *ret = (struct vmdk_grain){.state = VMDK_GRAIN_ZERO};
        return 0;
    case 3:
        if (d->file_size < d->data_offset ||
            n >= (d->file_size - d->data_offset) / d->grain_size)
            return corrupt(err, "a grain that is not in the file", e);
        *ret = (struct vmdk_grain){.state = VMDK_GRAIN_DATA,
                                   .offset = d->data_offset + n * d->grain_size};
        return 0;
    default:
        return corrupt(err, "an unknown state of a grain", e);
    }
}

static const struct vmdk_delta_ops sesparse_ops = {
    .entry_size = 8, .table_at = table_at, .grain = grain};

struct region {
    uint64_t offset, size; /* bytes */
};

/* One (sector, sectors) pair; within the file and behind the constant header. */
static int
get_region(const uint8_t *p, const char *what, uint64_t file_size, struct region *ret,
           struct err *err)
{
    uint64_t at = vmdk_le64(p), n = vmdk_le64(p + 8);

    if (at == 0 || n == 0 || at > SECTORS_MAX || n > SECTORS_MAX ||
        at * VMDK_SECTOR > file_size || n * VMDK_SECTOR > file_size - at * VMDK_SECTOR)
        return err_set(err, ERR_CORRUPT, "source_unreadable",
                       "the SESparse delta is damaged: its %s is not within the file",
                       what);
    *ret = (struct region){at * VMDK_SECTOR, n * VMDK_SECTOR};
    return 0;
}

static bool
overlap(const struct region *a, const struct region *b)
{
    return a->offset < b->offset + b->size && b->offset < a->offset + a->size;
}

static int
check_constants(const uint8_t *head, uint64_t file_size, uint64_t sectors,
                struct err *err)
{
    if (file_size < VMDK_SESPARSE_HEADER || vmdk_le64(head) != CONST_MAGIC)
        return corrupt(err, "it has no SESparse header", vmdk_le64(head));
    if (vmdk_le64(head + AT_VERSION) != VERSION)
        return corrupt(err, "unknown version", vmdk_le64(head + AT_VERSION));
    if (vmdk_le64(head + AT_GRAIN_SIZE) != GRAIN_SECTORS)
        return corrupt(err, "unknown grain size", vmdk_le64(head + AT_GRAIN_SIZE));
    if (vmdk_le64(head + AT_TABLE_SIZE) != TABLE_SECTORS)
        return corrupt(err, "unknown table size", vmdk_le64(head + AT_TABLE_SIZE));
    if (vmdk_le64(head + AT_FLAGS) != 0)
        return corrupt(err, "unknown flags", vmdk_le64(head + AT_FLAGS));
    if (!vmdk_is_zero(head + AT_RESERVED, AT_VOLATILE - AT_RESERVED) ||
        !vmdk_is_zero(head + AT_PAD, VMDK_SESPARSE_HEADER - AT_PAD))
        return corrupt(err, "reserved fields are not zero", 0);
    if (vmdk_le64(head + AT_CAPACITY) != sectors || sectors == 0 ||
        sectors > VMDK_CAPACITY_MAX / VMDK_SECTOR)
        return corrupt(err, "its sectors are not those of the descriptor",
                       vmdk_le64(head + AT_CAPACITY));
    return 0;
}

int
vmdk_sesparse_decode(const uint8_t head[VMDK_SESPARSE_HEADER], uint64_t file_size,
                     uint64_t sectors, struct vmdk_delta *ret, struct err *err)
{
    struct vmdk_delta d = {.ops = &sesparse_ops,
                           .file_size = file_size,
                           .grain_size = GRAIN_SECTORS * VMDK_SECTOR};
    struct region vol, dir, tables, grains;
    int r = check_constants(head, file_size, sectors, err);

    if (r == 0)
        r = get_region(head + AT_VOLATILE, "volatile header", file_size, &vol, err);
    if (r == 0)
        r = get_region(head + AT_DIR, "grain directory", file_size, &dir, err);
    if (r == 0)
        r = get_region(head + AT_TABLES, "area of grain tables", file_size, &tables, err);
    if (r < 0)
        return r;
    d.capacity = sectors * VMDK_SECTOR;
    d.dir_size = ((d.capacity - 1) / vmdk_delta_table_span(&d) + 1) * 8;
    if (dir.size < d.dir_size)
        return corrupt(err, "the grain directory does not cover the disk", dir.size);
    /* The grains come last and the area may be larger than the file is yet; so only its
     * start is held against the others. */
    d.data_offset = vmdk_le64(head + AT_GRAINS);
    if (d.data_offset == 0 || d.data_offset > SECTORS_MAX)
        return corrupt(err, "impossible place of the grains", d.data_offset);
    d.data_offset *= VMDK_SECTOR;
    grains = (struct region){d.data_offset,
                             file_size > d.data_offset ? file_size - d.data_offset : 0};
    if (overlap(&vol, &dir) || overlap(&vol, &tables) || overlap(&dir, &tables) ||
        overlap(&grains, &vol) || overlap(&grains, &dir) || overlap(&grains, &tables))
        return corrupt(err, "its areas overlap", d.data_offset);
    d.volatile_offset = vol.offset;
    d.dir_offset = dir.offset;
    d.tables_offset = tables.offset;
    d.tables_end = tables.offset + tables.size;
    *ret = d;
    return 0;
}

int
vmdk_sesparse_volatile(const uint8_t head[VMDK_SESPARSE_HEADER], struct err *err)
{
    if (vmdk_le64(head) != VOLATILE_MAGIC)
        return corrupt(err, "it has no volatile header", vmdk_le64(head));
    if (vmdk_le64(head + AT_REPLAY) != 0)
        return corrupt(err, "its journal was not replayed", vmdk_le64(head + AT_REPLAY));
    if (!vmdk_is_zero(head + AT_VOLATILE_PAD, VMDK_SESPARSE_HEADER - AT_VOLATILE_PAD))
        return corrupt(err, "reserved fields are not zero", 0);
    return 0;
}
