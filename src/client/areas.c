/* client/areas.c - see areas.h. */
#include <stdlib.h>

#include "base/mem.h"
#include "client/areas.h"
#include "model/manifest.h"

void
areas_init(struct areas *a, uint64_t size, size_t max)
{
    *a = (struct areas){.size = size, .granule = MANIFEST_BLOCK_SIZE, .max = max};
}

void
areas_done(struct areas *a)
{
    free(a->v);
    *a = (struct areas){0};
}

/* Widened to whole granules; joined to the last one when they touch. */
static void
append(struct areas *a, uint64_t begin, uint64_t end)
{
    begin -= begin % a->granule;
    if (end % a->granule != 0)
        end += a->granule - end % a->granule;
    if (end > a->size)
        end = a->size;
    if (a->n > 0 && begin <= a->v[a->n - 1].end) {
        if (end > a->v[a->n - 1].end)
            a->v[a->n - 1].end = end;
        return;
    }
    if (a->n == a->room) {
        a->room = a->room ? a->room * 2 : 64;
        a->v = xreallocarray(a->v, a->room, sizeof(a->v[0]));
    }
    a->v[a->n++] = (struct area){begin, end};
}

static void
make_coarser(struct areas *a)
{
    size_t n = a->n;

    a->granule *= 2;
    a->n = 0;
    for (size_t i = 0; i < n; i++) /* what is written lies before what is read */
        append(a, a->v[i].begin, a->v[i].end);
}

void
areas_add(struct areas *a, uint64_t offset, uint64_t length)
{
    append(a, offset, offset + length);
    while (a->n > a->max)
        make_coarser(a);
}

json_t *
areas_encode(const struct areas *a)
{
    json_t *list = json_array();

    for (size_t i = 0; i < a->n; i++)
        json_array_append_new(list, json_pack("[I, I]", (json_int_t)a->v[i].begin,
                                              (json_int_t)(a->v[i].end - a->v[i].begin)));
    return list;
}
