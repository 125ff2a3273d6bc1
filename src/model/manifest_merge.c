/* model/manifest_merge.c - see manifest_merge.h. */
#include "model/manifest_merge.h"

#include <string.h>

#include "base/mem.h"

struct manifest_merge {
    struct resolve *resolve;
    bool full;
    bool has_held;
    struct resolve_item held; /* read ahead: the first that a zero run does not take in */
};

void
manifest_merge_free(struct manifest_merge *m)
{
    if (!m)
        return;
    resolve_free(m->resolve);
    free(m);
}

void
cleanup_manifest_merge(struct manifest_merge **m)
{
    manifest_merge_free(*m);
}

int
manifest_merge_new(const struct resolve_layer *lower, const struct resolve_layer *upper,
                   bool full, struct manifest_merge **ret, struct err *err)
{
    const struct resolve_layer layers[2] = {*lower, *upper};
    CLEANUP_MANIFEST_MERGE struct manifest_merge *m = xcalloc(1, sizeof *m);

    m->full = full;
    if (resolve_new(layers, ARRAY_LEN(layers), &m->resolve, err) < 0)
        return err->class;
    *ret = take_ptr(&m);
    return 0;
}

static int
next_item(struct manifest_merge *m, struct resolve_item *ret, struct err *err)
{
    int r = 1;

    if (m->has_held) {
        *ret = m->held;
        m->has_held = false;
        return 1;
    }
    do
        r = resolve_next(m->resolve, ret, err);
    while (r > 0 && m->full && ret->state == MANIFEST_ZERO);
    return r;
}

int
manifest_merge_next(struct manifest_merge *m, struct manifest_record *ret,
                    struct err *err)
{
    struct resolve_item it;
    int r = next_item(m, &it, err);

    if (r <= 0)
        return r;
    *ret =
        (struct manifest_record){.block = it.block, .state = it.state, .count = it.count};
    if (it.state == MANIFEST_DATA) {
        memcpy(ret->hash, it.hash, MANIFEST_HASH_SIZE);
        return 1;
    }
    while ((r = next_item(m, &it, err)) > 0) {
        if (it.state != MANIFEST_ZERO || it.block != ret->block + ret->count) {
            m->held = it;
            m->has_held = true;
            break;
        }
        ret->count += it.count;
    }
    return r < 0 ? r : 1;
}
