/* https/delta.c - see delta.h. */
#include <string.h>

#include "delta.h"
#include "vmdk/vmdk_cowd.h"
#include "vmdk/vmdk_sesparse.h"

void
delta_init(struct delta *f, const struct layout_extent *e, enum layout_format format,
           struct fetch_pool *pool, struct tables *tables)
{
    f->file.url = e->url;
    f->format = format;
    f->length = e->length;
    f->pool = pool;
    f->tables = tables;
    pthread_mutex_init(&f->lock, NULL);
}

void
delta_done(struct delta *f)
{
    pthread_mutex_destroy(&f->lock);
}

static int
open_cowd(struct delta *f, struct err *err)
{
    uint8_t head[VMDK_COWD_HEADER];
    int r = fetch_read(f->pool, &f->file, 0, sizeof(head), head, err);

    return r < 0 ? r
                 : vmdk_cowd_decode(head, atomic_load(&f->file.size),
                                    f->length / VMDK_SECTOR, &f->d, err);
}

static int
open_sesparse(struct delta *f, struct err *err)
{
    uint8_t head[VMDK_SESPARSE_HEADER];
    int r = fetch_read(f->pool, &f->file, 0, sizeof(head), head, err);

    if (r == 0)
        r = vmdk_sesparse_decode(head, atomic_load(&f->file.size),
                                 f->length / VMDK_SECTOR, &f->d, err);
    if (r == 0)
        r = fetch_read(f->pool, &f->file, f->d.volatile_offset, sizeof(head), head, err);
    if (r == 0)
        r = vmdk_sesparse_volatile(head, err);
    return r;
}

static int
open_once(struct delta *f, struct err *err)
{
    LOCK_SCOPE(&f->lock);
    int r;

    if (f->open)
        return 0;
    if (f->refused.class != 0) {
        *err = f->refused;
        return err->class;
    }
    r = f->format == LAYOUT_COWD ? open_cowd(f, err) : open_sesparse(f, err);
    f->open = r == 0;
    if (r == ERR_CORRUPT) {
        err_prefix(err, "'%.300s'", f->file.url);
        f->refused = *err;
    }
    return r;
}

static int
load(void *arg, uint64_t offset, uint32_t size, uint8_t *buf, struct err *err)
{
    struct delta *f = arg;

    return fetch_read(f->pool, &f->file, offset, size, buf, err);
}

/* The directory's entry for disk offset @at. */
static int
read_dir_entry(struct delta *f, uint64_t at, uint8_t entry[8], struct err *err)
{
    const struct vmdk_delta *d = &f->d;
    uint64_t within = vmdk_delta_dir_entry(d, at) - d->dir_offset;
    uint64_t piece = within - within % TABLES_PIECE_MAX;
    uint64_t size = d->dir_size - piece;
    uint8_t buf[TABLES_PIECE_MAX];
    int r;

    if (size > TABLES_PIECE_MAX)
        size = TABLES_PIECE_MAX;
    r = tables_get(f->tables, f, d->dir_offset + piece, (uint32_t)size, load, buf, err);
    if (r < 0)
        return r;
    memcpy(entry, buf + (within - piece), d->ops->entry_size);
    return 0;
}

/* Makes @c the table of disk offset @at. */
static int
read_table(struct delta *f, struct delta_cursor *c, uint64_t at, struct err *err)
{
    uint64_t index = at / vmdk_delta_table_span(&f->d), table;
    uint8_t entry[8];
    int r;

    if (c->valid && c->index == index)
        return 0;
    c->valid = false;
    r = read_dir_entry(f, at, entry, err);
    if (r == 0)
        r = f->d.ops->table_at(&f->d, entry, &table, err);
    if (r == 0 && table != 0)
        r = tables_get(f->tables, f, table, vmdk_delta_table_size(&f->d), load, c->table,
                       err);
    if (r < 0)
        return r;
    c->none = table == 0;
    c->index = index;
    c->valid = true;
    return 0;
}

static int
find(struct delta *f, struct delta_cursor *c, uint64_t at, uint64_t max,
     struct vmdk_grain *ret, uint64_t *ret_length, struct err *err)
{
    const struct vmdk_delta *d = &f->d;
    uint64_t span = vmdk_delta_table_span(d), in_grain = at % d->grain_size;
    uint64_t left = span - at % span; /* within this table */
    struct vmdk_grain first = {VMDK_GRAIN_PARENT, 0}, next;
    uint64_t len = left;
    int r = read_table(f, c, at, err);

    if (r < 0)
        return r;
    if (left > max)
        left = max;
    if (!c->none) {
        r = d->ops->grain(d, c->table + vmdk_delta_table_entry(d, at), &first, err);
        len = d->grain_size - in_grain;
        while (r == 0 && len < left) {
            r = d->ops->grain(d, c->table + vmdk_delta_table_entry(d, at + len), &next,
                              err);
            if (r == 0 && (next.state != first.state ||
                           (first.state == VMDK_GRAIN_DATA &&
                            next.offset != first.offset + in_grain + len)))
                break;
            len += d->grain_size;
        }
    }
    if (r < 0)
        return r;
    first.offset += in_grain;
    *ret = first;
    *ret_length = len < left ? len : left;
    return 0;
}

int
delta_find(struct delta *f, struct delta_cursor *c, uint64_t at, uint64_t max,
           struct vmdk_grain *ret, uint64_t *ret_length, struct err *err)
{
    int r = open_once(f, err);

    if (r < 0)
        return r;
    r = find(f, c, at, max, ret, ret_length, err);
    if (r == ERR_CORRUPT)
        err_prefix(err, "'%.300s'", f->file.url);
    return r;
}
