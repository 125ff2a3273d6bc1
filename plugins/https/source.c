/* https/source.c - see source.h.
 * A layer is asked for a piece of the disk; a delta asks the next one for what it does
 * not have, in runs as long as the tables allow: each run is one request. */
#include <string.h>

#include "base/mem.h"
#include "delta.h"
#include "source.h"

struct extent {
    const struct layout_extent *e;
    struct fetch_file file; /* of a flat one */
    struct delta delta;     /* of a delta */
};

struct layer {
    enum layout_format format;
    struct extent *extents;
    size_t n_extents;
};

struct source {
    struct fetch_pool *pool;
    struct tables *tables;
    struct layer *layers;
    size_t n_layers;
};

struct source *
source_new(const struct layout *layout, struct fetch_pool *pool)
{
    struct source *s = xcalloc(1, sizeof(*s));

    s->pool = pool;
    s->tables = tables_new();
    s->layers = xcalloc(layout->n_layers, sizeof(*s->layers));
    s->n_layers = layout->n_layers;
    for (size_t i = 0; i < s->n_layers; i++) {
        const struct layout_layer *from = &layout->layers[i];
        struct layer *l = &s->layers[i];

        l->format = from->format;
        l->n_extents = from->n_extents;
        l->extents = xcalloc(from->n_extents + 1, sizeof(*l->extents));
        for (size_t k = 0; k < l->n_extents; k++) {
            l->extents[k].e = &from->extents[k];
            l->extents[k].file.url = from->extents[k].url;
            delta_init(&l->extents[k].delta, &from->extents[k], l->format, pool,
                       s->tables);
        }
    }
    return s;
}

void
source_free(struct source *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_layers; i++) {
        for (size_t k = 0; k < s->layers[i].n_extents; k++)
            delta_done(&s->layers[i].extents[k].delta);
        free(s->layers[i].extents);
    }
    free(s->layers);
    tables_free(s->tables);
    free(s);
}

static int layer_read(struct source *s, size_t i, uint64_t at, uint64_t length,
                      uint8_t *buf, struct err *err);

/* A run of grains of one kind: bytes [at, at + length) of the disk. */
struct run {
    struct vmdk_grain grain;
    uint64_t at, length;
    uint8_t *buf;
};

static int
read_run(struct source *s, size_t i, struct extent *x, const struct run *run,
         struct err *err)
{
    if (run->length == 0)
        return 0;
    switch (run->grain.state) {
    case VMDK_GRAIN_PARENT:
        return layer_read(s, i + 1, run->at, run->length, run->buf, err);
    case VMDK_GRAIN_DATA:
        return fetch_read(s->pool, &x->delta.file, run->grain.offset, run->length,
                          run->buf, err);
    case VMDK_GRAIN_ZERO:
        break;
    }
    memset(run->buf, 0, run->length);
    return 0;
}

/* Does @next go on where @run ends, also across tables? */
static bool
continues(const struct run *run, const struct vmdk_grain *next)
{
    return run->length > 0 && run->grain.state == next->state &&
           (next->state != VMDK_GRAIN_DATA ||
            next->offset == run->grain.offset + run->length);
}

static int
delta_read(struct source *s, size_t i, struct extent *x, uint64_t at, uint64_t length,
           uint8_t *buf, struct err *err)
{
    CLEANUP_FREE struct delta_cursor *cursor = xcalloc(1, sizeof(*cursor));
    struct run run = {.at = at, .buf = buf};
    uint64_t end = at + length;
    int r = 0;

    while (r == 0 && run.at + run.length < end) {
        uint64_t next_at = run.at + run.length, n = 0;
        struct vmdk_grain next = {VMDK_GRAIN_PARENT, 0};

        r = delta_find(&x->delta, cursor, next_at - x->e->start, end - next_at, &next, &n,
                       err);
        if (r == 0 && !continues(&run, &next)) {
            r = read_run(s, i, x, &run, err);
            run = (struct run){.grain = next, .at = next_at, .buf = buf + (next_at - at)};
        }
        run.length += n;
    }
    return r < 0 ? r : read_run(s, i, x, &run, err);
}

static int
extent_read(struct source *s, size_t i, struct extent *x, uint64_t at, uint64_t length,
            uint8_t *buf, struct err *err)
{
    if (s->layers[i].format != LAYOUT_FLAT)
        return delta_read(s, i, x, at, length, buf, err);
    if (x->e->url)
        return fetch_read(s->pool, &x->file, x->e->offset + (at - x->e->start), length,
                          buf, err);
    memset(buf, 0, length);
    return 0;
}

static int
layer_read(struct source *s, size_t i, uint64_t at, uint64_t length, uint8_t *buf,
           struct err *err)
{
    /* Below the last delta, and of a layer of zeros. */
    if (i == s->n_layers || s->layers[i].format == LAYOUT_ZERO) {
        memset(buf, 0, length);
        return 0;
    }
    for (size_t k = 0; length > 0 && k < s->layers[i].n_extents; k++) {
        struct extent *x = &s->layers[i].extents[k];
        uint64_t end = x->e->start + x->e->length, n = length;
        int r;

        if (at >= end)
            continue;
        if (n > end - at)
            n = end - at;
        r = extent_read(s, i, x, at, n, buf, err);
        if (r < 0)
            return r;
        at += n;
        buf += n;
        length -= n;
    }
    return length == 0 ? 0
                       : err_set(err, ERR_INTERNAL, NULL, "a read outside of the disk");
}

int
source_read(struct source *s, uint64_t at, uint64_t length, uint8_t *buf, struct err *err)
{
    return layer_read(s, 0, at, length, buf, err);
}
