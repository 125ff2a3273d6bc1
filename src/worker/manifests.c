/* worker/manifests.c - see manifests.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/content_root.h"
#include "store/chain_root.h"
#include "store/manifest_file.h"
#include "worker/manifests.h"

#define RECORDS_PER_BEAT 4096u /* 160 KiB of manifest */

static int
wrong(const struct worker_spec_layer *l, const char *what, struct err *err)
{
    return err_set(err, ERR_CORRUPT, "manifest_corrupt", "manifest '%s': %s", l->manifest,
                   what);
}

static int
check_header(const struct worker_spec_disk *d, size_t i, const struct manifest_header *h,
             struct err *err)
{
    const struct worker_spec_layer *l = &d->layers[i];
    char layer[UUID_STR_SIZE], parent[UUID_STR_SIZE], disk[UUID_STR_SIZE];

    manifest_id_to_str(h->layer_id, layer);
    manifest_id_to_str(h->parent_layer_id, parent);
    manifest_id_to_str(h->disk_uuid, disk);
    if (strcmp(layer, l->layer_id) != 0)
        return wrong(l, "it is of another layer", err);
    if (strcmp(disk, d->disk_uuid) != 0)
        return wrong(l, "it is of another disk", err);
    if (strcmp(parent, i == 0 ? "" : d->layers[i - 1].layer_id) != 0)
        return wrong(l, "it stands on another layer", err);
    /* A layer below may be of a time when the disk was smaller. */
    if (i + 1 == d->n_layers ? h->disk_size != d->size_bytes
                             : h->disk_size > d->size_bytes)
        return wrong(l, "it is of a disk of another size", err);
    return 0;
}

static int
check_root(const struct worker_spec_layer *l, const struct manifest_file *f,
           struct err *err)
{
    if (memcmp(manifest_file_root(f), l->layer_root, MANIFEST_HASH_SIZE) == 0)
        return 0;
    return wrong(l, "its root is not the one that the backup recorded", err);
}

static int
check_ends(const struct worker_spec_disk *d, size_t i, struct err *err)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;

    if (manifest_file_open(d->layers[i].manifest, &f, err) < 0 ||
        check_header(d, i, manifest_file_header(f), err) < 0)
        return err->class;
    return check_root(&d->layers[i], f, err);
}

static int
check_one(const struct worker_spec_disk *d, size_t i, struct pulse *pulse,
          uint64_t *ret_records, struct err *err)
{
    CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
    const struct worker_spec_layer *l = &d->layers[i];
    struct manifest_record rec;
    uint64_t n = 0;
    int r = manifest_file_open(l->manifest, &f, err);

    if (r == 0)
        r = check_header(d, i, manifest_file_header(f), err);
    while (r == 0) {
        int more = manifest_file_next(f, &rec, err);

        if (more < 0)
            return more;
        if (more == 0)
            break;
        if (++n % RECORDS_PER_BEAT == 0)
            r = pulse_beat(pulse, err);
    }
    if (r == 0)
        r = check_root(l, f, err);
    if (r == 0)
        *ret_records = manifest_file_count(f);
    return r;
}

int
manifests_check(const struct worker_spec_disk *d, struct pulse *pulse,
                uint64_t *ret_records, struct err *err)
{
    for (size_t i = 0; i < d->n_layers; i++)
        if (check_one(d, i, pulse, ret_records, err) < 0)
            return err->class;
    return 0;
}

static int
beat(void *arg, struct err *err)
{
    return pulse_beat(arg, err);
}

int
manifests_update(const struct worker_spec_disk *d, struct pulse *pulse,
                 uint64_t *ret_records, uint8_t ret_root[MANIFEST_HASH_SIZE],
                 struct err *err)
{
    CLEANUP_FREE const char **paths = xcalloc(d->n_layers, sizeof *paths);
    const struct chain_root c = {.manifests = paths,
                                 .n = d->n_layers,
                                 .parent_roots = d->parent_roots,
                                 .parent_content_root = d->parent_content_root,
                                 .roots = d->roots,
                                 .beat = beat,
                                 .arg = pulse};

    for (size_t i = 0; i < d->n_layers; i++)
        paths[i] = d->layers[i].manifest;
    for (size_t i = 0; i + 1 < d->n_layers; i++)
        if (check_ends(d, i, err) < 0)
            return err->class;
    if (check_one(d, d->n_layers - 1, pulse, ret_records, err) < 0)
        return err->class;
    return chain_root_update(&c, ret_root, err);
}

/* One layer on the walk. */
struct walk_layer {
    struct manifest_file *file;
    uint64_t given; /* records */
    uint64_t next;  /* the block behind the last one */
    bool cut;       /* damaged before its end */
};

struct walk {
    struct walk_layer *layers;
    size_t n;
    struct resolve *resolve;
};

void
cleanup_walk(struct walk **w)
{
    walk_free(*w);
}

void
walk_free(struct walk *w)
{
    if (!w)
        return;
    resolve_free(w->resolve);
    for (size_t i = 0; i < w->n; i++)
        manifest_file_free(w->layers[i].file);
    free(w->layers);
    free(w);
}

static int
next_record(void *arg, struct manifest_record *ret, struct err *err)
{
    struct walk_layer *l = arg;
    struct err e = ERR_INIT;
    int r = manifest_file_next(l->file, ret, &e);

    if (r > 0) {
        l->given++;
        l->next = ret->block + ret->count;
    }
    /* What is damaged was told by manifests_check(); the walk ends where it cannot go on.
     */
    if (r < 0 && e.class == ERR_CORRUPT) {
        l->cut = l->given < manifest_file_count(l->file);
        return 0;
    }
    if (r < 0)
        *err = e;
    return r;
}

static uint64_t
walk_cut(const struct walk *w)
{
    uint64_t cut = UINT64_MAX;

    for (size_t i = 0; i < w->n; i++)
        if (w->layers[i].cut && w->layers[i].next < cut)
            cut = w->layers[i].next;
    return cut;
}

int
walk_new(const struct worker_spec_disk *d, bool tip_only, struct walk **ret,
         struct err *err)
{
    CLEANUP_WALK struct walk *w = xcalloc(1, sizeof *w);
    CLEANUP_FREE struct resolve_layer *layers = NULL;
    size_t first = tip_only ? d->n_layers - 1 : 0;

    w->layers = xcalloc(d->n_layers, sizeof *w->layers);
    layers = xcalloc(d->n_layers, sizeof *layers);
    for (size_t i = first; i < d->n_layers; i++) {
        struct walk_layer *l = &w->layers[w->n];

        if (manifest_file_open(d->layers[i].manifest, &l->file, err) < 0)
            return err->class;
        layers[w->n] = (struct resolve_layer){.next = next_record, .arg = l};
        w->n++;
    }
    if (resolve_new(layers, w->n, &w->resolve, err) < 0)
        return err->class;
    *ret = take_ptr(&w);
    return 0;
}

int
walk_new_delta(const struct worker_spec_disk *d, struct walk **ret, struct err *err)
{
    struct worker_spec_layer layer = {.manifest = d->delta};
    const struct worker_spec_disk alone = {.layers = &layer, .n_layers = 1};

    return walk_new(&alone, true, ret, err);
}

int
walk_next(struct walk *w, struct walk_item *ret, struct err *err)
{
    struct resolve_item item;
    int r = resolve_next(w->resolve, &item, err);

    if (r <= 0)
        return r;
    ret->block = item.block;
    ret->count = item.count;
    ret->data = item.state == MANIFEST_DATA;
    memcpy(ret->hash, item.hash, sizeof ret->hash);
    return 1;
}

void
manifests_layer_of(const struct worker_spec_disk *d, uint64_t block,
                   char out[MANIFESTS_LAYER_SIZE])
{
    out[0] = '\0';
    for (size_t i = d->n_layers; i-- > 0;) {
        CLEANUP_MANIFEST_FILE struct manifest_file *f = NULL;
        const char *path = d->layers[i].manifest, *name = strrchr(path, '/') + 1;
        struct manifest_record rec;
        struct err err = ERR_INIT;

        if (manifest_file_open(path, &f, &err) < 0 ||
            manifest_file_find(f, block, &rec, &err) <= 0)
            continue;
        snprintf(out, MANIFESTS_LAYER_SIZE, "%.*s", (int)strcspn(name, "."), name);
        return;
    }
}

/* The groups are left for the next backup.  Where they cannot be, that is slower. */
static struct chain_root_keep *
keep_groups(const struct worker_spec_disk *d, struct content_root *root,
            struct pulse *pulse)
{
    struct manifest_header h = {.disk_size = d->size_bytes};
    struct chain_root_keep *keep = NULL;
    struct err err = ERR_INIT;

    if (!d->roots)
        return NULL;
    if (manifest_id_from_str(d->layers[d->n_layers - 1].layer_id, h.layer_id) < 0 ||
        manifest_id_from_str(d->disk_uuid, h.disk_uuid) < 0)
        return NULL;
    if (chain_root_keep(d->roots, &h, root, &keep, &err) < 0)
        pulse_warn(pulse, &err);
    return keep;
}

int
manifests_content_root(const struct worker_spec_disk *d, struct pulse *pulse,
                       uint8_t ret[MANIFEST_HASH_SIZE], uint64_t *ret_cut,
                       struct err *err)
{
    CLEANUP_CONTENT_ROOT struct content_root *root = NULL;
    CLEANUP_WALK struct walk *w = NULL;
    struct chain_root_keep *keep = NULL;
    struct err ignored = ERR_INIT;
    struct walk_item item;
    uint64_t n = 0;
    int r = walk_new(d, false, &w, err);

    if (r == 0)
        r = content_root_new(d->size_bytes, &root, err);
    if (r == 0)
        keep = keep_groups(d, root, pulse);
    while (r >= 0 && (r = walk_next(w, &item, err)) > 0) {
        r = ++n % RECORDS_PER_BEAT == 0 ? pulse_beat(pulse, err) : 0;
        if (r == 0 && item.data)
            r = content_root_add(root, item.block, item.hash, err);
    }
    if (r >= 0)
        r = content_root_finish(root, ret, err);
    if (r >= 0)
        *ret_cut = walk_cut(w);
    (void)chain_root_keep_end(keep, r >= 0 && *ret_cut == UINT64_MAX ? ret : NULL,
                              &ignored);
    return r < 0 ? r : 0;
}
