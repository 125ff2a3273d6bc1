/* tests/fuzz/fuzz_vmdk_delta.h - an input as a whole delta file: every table that the
 * decoder points to must be within it, and every grain. */
#ifndef SENDENSE_TESTS_FUZZ_VMDK_DELTA_H
#define SENDENSE_TESTS_FUZZ_VMDK_DELTA_H

#include <endian.h>
#include <string.h>

#include "vmdk/vmdk_delta.h"
#include "fuzz.h"

static inline void
fuzz_delta_walk(const struct vmdk_delta *d, const uint8_t *data, size_t size)
{
    const uint64_t span = vmdk_delta_table_span(d);

    MUST(d->capacity > 0 && d->capacity <= VMDK_CAPACITY_MAX);
    for (uint64_t at = 0; at < d->capacity; at += span) {
        uint64_t dir = vmdk_delta_dir_entry(d, at), table;
        struct err err = ERR_INIT;

        MUST(dir + d->ops->entry_size <= size);
        if (d->ops->table_at(d, data + dir, &table, &err) < 0) {
            MUST(err.class == ERR_CORRUPT);
            continue;
        }
        if (table == 0)
            continue;
        MUST(table + vmdk_delta_table_size(d) <= size);
        for (uint64_t g = at; g < d->capacity && g < at + span; g += d->grain_size) {
            struct vmdk_grain ret = {VMDK_GRAIN_PARENT, 0};

            if (d->ops->grain(d, data + table + vmdk_delta_table_entry(d, g), &ret,
                              &err) < 0)
                MUST(err.class == ERR_CORRUPT);
            else if (ret.state == VMDK_GRAIN_DATA)
                MUST(ret.offset >= 512 && ret.offset + d->grain_size <= size);
        }
    }
}

#endif
