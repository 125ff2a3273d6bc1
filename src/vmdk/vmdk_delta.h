/* vmdk/vmdk_delta.h - what COWD and SESparse delta extents have in common.  Layer 1.
 * Pure. A directory of entries, each for one table of 4,096 entries, each for one grain.
 * The decoders (vmdk_cowd.h, vmdk_sesparse.h) fill struct vmdk_delta from the header; the
 * caller reads directory and tables and has each entry judged here.  Nothing is believed:
 * what lies outside of the file or on top of headers and directory is ERR_CORRUPT
 * "source_unreadable".  Units: bytes, but where a name says sectors (512). */
#ifndef SENDENSE_VMDK_DELTA_H
#define SENDENSE_VMDK_DELTA_H

#include <stdint.h>

#include "base/err.h"

#define VMDK_SECTOR 512u
#define VMDK_TABLE_ENTRIES 4096u
/* No disk of vSphere is larger (62 TiB); keeps every sum below 2^63. */
#define VMDK_CAPACITY_MAX (1ull << 50)

enum vmdk_grain_state { VMDK_GRAIN_PARENT, VMDK_GRAIN_ZERO, VMDK_GRAIN_DATA };

struct vmdk_grain {
    enum vmdk_grain_state state;
    uint64_t offset; /* of the data in the file, for VMDK_GRAIN_DATA */
};

struct vmdk_delta;

struct vmdk_delta_ops {
    uint32_t entry_size; /* of directory and tables: 4 or 8 */
    /* Where the table of a directory's @entry lies; *ret 0 = there is none, all its
     * grains are the parent's. */
    int (*table_at)(const struct vmdk_delta *d, const uint8_t *entry, uint64_t *ret,
                    struct err *err);
    int (*grain)(const struct vmdk_delta *d, const uint8_t *entry, struct vmdk_grain *ret,
                 struct err *err);
};

struct vmdk_delta {
    const struct vmdk_delta_ops *ops;
    uint64_t file_size, capacity;
    uint64_t grain_size;                /* a power of two */
    uint64_t dir_offset, dir_size;      /* the directory; dir_size covers the capacity */
    uint64_t tables_offset, tables_end; /* tables lie within */
    uint64_t data_offset;               /* no grain lies before */
    uint64_t volatile_offset;           /* SESparse: of its second header */
};

/* Bytes of the disk that one table describes, and of the table itself. */
static inline uint64_t
vmdk_delta_table_span(const struct vmdk_delta *d)
{
    return d->grain_size * VMDK_TABLE_ENTRIES;
}

static inline uint32_t
vmdk_delta_table_size(const struct vmdk_delta *d)
{
    return d->ops->entry_size * VMDK_TABLE_ENTRIES;
}

/* Where in the file the directory's entry for disk offset @at lies (@at < capacity). */
static inline uint64_t
vmdk_delta_dir_entry(const struct vmdk_delta *d, uint64_t at)
{
    return d->dir_offset + at / vmdk_delta_table_span(d) * d->ops->entry_size;
}

/* The byte within its table of the entry for disk offset @at. */
static inline uint32_t
vmdk_delta_table_entry(const struct vmdk_delta *d, uint64_t at)
{
    return (uint32_t)(at / d->grain_size % VMDK_TABLE_ENTRIES) * d->ops->entry_size;
}

#endif
