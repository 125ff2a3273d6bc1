/* vmdk/vmdk_cowd.c - see vmdk_cowd.h.
 * Header, little-endian u32: magic "COWD", version 1, flags 3, sectors of the disk,
 * sectors of a grain, sector of the directory, entries of the directory, next free
 * sector.  Entries are sector numbers; 0 = none (the parent's), of a grain 1 = zeros. */
#include <inttypes.h>

#include "vmdk/vmdk_cowd.h"
#include "vmdk/vmdk_le.h"

#define VERSION 1u
#define FLAGS 3u
#define GRAIN_SECTORS_MAX 2048u /* 1 MiB */

static int
corrupt(struct err *err, const char *what, uint64_t value)
{
    return err_set(err, ERR_CORRUPT, "source_unreadable",
                   "the COWD delta is damaged: %s (%" PRIu64 ")", what, value);
}

/* Does [@at, @at + @len) lie in the file, behind the header, and beside the directory? */
static bool
is_sound(const struct vmdk_delta *d, uint64_t at, uint64_t len)
{
    if (at < VMDK_COWD_HEADER || at > d->file_size || len > d->file_size - at)
        return false;
    return at >= d->dir_offset + d->dir_size || at + len <= d->dir_offset;
}

static int
table_at(const struct vmdk_delta *d, const uint8_t *entry, uint64_t *ret, struct err *err)
{
    uint64_t at = (uint64_t)vmdk_le32(entry) * VMDK_SECTOR;

    if (at != 0 && !is_sound(d, at, vmdk_delta_table_size(d)))
        return corrupt(err, "a grain table at an impossible place", at);
    *ret = at;
    return 0;
}

static int
grain(const struct vmdk_delta *d, const uint8_t *entry, struct vmdk_grain *ret,
      struct err *err)
{
    uint64_t sector = vmdk_le32(entry), at = sector * VMDK_SECTOR;

    if (sector <= 1) {
        *ret = (struct vmdk_grain){.state = sector ? VMDK_GRAIN_ZERO : VMDK_GRAIN_PARENT};
        return 0;
    }
    if (!is_sound(d, at, d->grain_size))
        return corrupt(err, "a grain at an impossible place", at);
    *ret = (struct vmdk_grain){.state = VMDK_GRAIN_DATA, .offset = at};
    return 0;
}

static const struct vmdk_delta_ops cowd_ops = {
    .entry_size = 4, .table_at = table_at, .grain = grain};

int
vmdk_cowd_decode(const uint8_t head[VMDK_COWD_HEADER], uint64_t file_size,
                 uint64_t sectors, struct vmdk_delta *ret, struct err *err)
{
    uint32_t grain_sectors = vmdk_le32(head + 16), entries = vmdk_le32(head + 24);
    struct vmdk_delta d = {.ops = &cowd_ops, .file_size = file_size};
    uint64_t tables;

    if (file_size < VMDK_COWD_HEADER || memcmp(head, "COWD", 4) != 0)
        return corrupt(err, "it has no COWD header; length", file_size);
    if (vmdk_le32(head + 4) != VERSION)
        return corrupt(err, "unknown version", vmdk_le32(head + 4));
    if (vmdk_le32(head + 8) != FLAGS)
        return corrupt(err, "unknown flags", vmdk_le32(head + 8));
    if (vmdk_le32(head + 12) != sectors || sectors == 0)
        return corrupt(err, "its sectors are not those of the descriptor",
                       vmdk_le32(head + 12));
    if (grain_sectors == 0 || grain_sectors > GRAIN_SECTORS_MAX ||
        (grain_sectors & (grain_sectors - 1)) != 0)
        return corrupt(err, "impossible grain size", grain_sectors);
    d.capacity = sectors * VMDK_SECTOR;
    d.grain_size = (uint64_t)grain_sectors * VMDK_SECTOR;
    tables = (d.capacity - 1) / vmdk_delta_table_span(&d) + 1;
    d.dir_offset = (uint64_t)vmdk_le32(head + 20) * VMDK_SECTOR;
    d.dir_size = tables * cowd_ops.entry_size;
    if (entries < tables)
        return corrupt(err, "the grain directory does not cover the disk", entries);
    if (d.dir_offset < VMDK_COWD_HEADER || d.dir_offset > file_size ||
        (uint64_t)entries * cowd_ops.entry_size > file_size - d.dir_offset)
        return corrupt(err, "the grain directory is not within the file", d.dir_offset);
    d.tables_offset = d.data_offset = VMDK_COWD_HEADER;
    d.tables_end = file_size;
    *ret = d;
    return 0;
}
