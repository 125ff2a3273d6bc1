/* job/parent_manifest.c - see parent_manifest.h. */
#include "job/parent_manifest.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "model/resolve.h"
#include "store/manifest_file.h"

#define GROUP ((uint64_t)CONTENT_ROOT_GROUP)
#define NO_GROUP UINT64_MAX
#define BLOCKS_MAX (MANIFEST_DISK_SIZE_MAX / MANIFEST_BLOCK_SIZE)
/* A sample of few records is drawn from all of them; else tries may hit records that a
 * newer layer hides, and are made again. */
#define FEW_RECORDS(n) (8 * (uint64_t)(n))
#define TRIES(n) (64 * (n) + 1000)

struct parent_manifest {
    struct manifest_file **files; /* base first */
    size_t n;
    struct parent_check *check;
    /* range */
    bool of_range;    /* else the answer is the list */
    uint64_t at, end; /* blocks still to be told */
    uint64_t group;   /* whose hashes are loaded, and checked */
    struct parent_hashes hashes;
    struct resolve *resolve; /* stands at the start of group `next`; NULL = nowhere */
    uint64_t next;
    bool has_item, ended;
    struct resolve_item item;
    /* list, sample */
    struct manifest_record list[PARENT_LIST_MAX];
    size_t list_n, list_at;
};

void
parent_manifest_free(struct parent_manifest *p)
{
    if (!p)
        return;
    resolve_free(p->resolve);
    parent_check_unref(p->check);
    for (size_t i = 0; i < p->n; i++)
        manifest_file_free(p->files[i]);
    free(p->files);
    free(p);
}

void
cleanup_parent_manifest(struct parent_manifest **p)
{
    parent_manifest_free(*p);
}

static int
check_header(const struct chain *c, size_t i, const struct manifest_file *f,
             struct err *err)
{
    const struct manifest_header *h = manifest_file_header(f);
    const struct chain_layer *l = &c->v[i];
    char layer[UUID_STR_SIZE], parent[UUID_STR_SIZE], disk[UUID_STR_SIZE];

    manifest_id_to_str(h->layer_id, layer);
    manifest_id_to_str(h->parent_layer_id, parent);
    manifest_id_to_str(h->disk_uuid, disk);
    if (strcmp(layer, l->layer_id) == 0 && strcmp(disk, c->disk_uuid) == 0 &&
        strcmp(parent, i ? c->v[i - 1].layer_id : "") == 0 &&
        h->disk_size == l->size_bytes &&
        memcmp(manifest_file_root(f), l->layer_root, MANIFEST_HASH_SIZE) == 0)
        return 0;
    return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                   "manifest '%s' is not the one that its restore point names",
                   l->manifest);
}

static int
missing_is_damage(struct err *err)
{
    if (err->class == ERR_NOT_FOUND) {
        err->class = ERR_CORRUPT;
        err_recode(err, "manifest_corrupt");
    }
    return err->class;
}

int
parent_manifest_open(const struct chain *chain, struct parent_check *check,
                     struct parent_manifest **ret, struct err *err)
{
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;

    if (chain->n == 0 || chain->n > RESOLVE_LAYERS_MAX)
        return err_set(err, ERR_INVALID, "chain_too_long",
                       "a chain of %zu layers, 1 to %u", chain->n, RESOLVE_LAYERS_MAX);
    p = xcalloc(1, sizeof *p);
    p->files = xcalloc(chain->n, sizeof *p->files);
    p->check = check ? parent_check_ref(check) : parent_check_new(chain);
    p->group = NO_GROUP;
    for (size_t i = 0; i < chain->n; i++) {
        if (manifest_file_open(chain->v[i].manifest, &p->files[i], err) < 0)
            return missing_is_damage(err);
        p->n++;
        if (check_header(chain, i, p->files[i], err) < 0)
            return err->class;
    }
    *ret = take_ptr(&p);
    return 0;
}

static int
refuse(const char *what, struct err *err)
{
    return err_set(err, ERR_INVALID, "invalid_parameter", "%s", what);
}

static void
forget(struct parent_manifest *p)
{
    resolve_free(p->resolve);
    p->resolve = NULL;
    p->list_n = p->list_at = 0;
    p->of_range = p->has_item = p->ended = false;
    p->group = NO_GROUP;
}

static int
next_record(void *arg, struct manifest_record *ret, struct err *err)
{
    return manifest_file_next(arg, ret, err);
}

static int
open_resolve(struct parent_manifest *p, uint64_t block, struct err *err)
{
    CLEANUP_FREE struct resolve_layer *layers = xcalloc(p->n, sizeof *layers);

    for (size_t i = 0; i < p->n; i++) {
        if (manifest_file_seek(p->files[i], block, err) < 0)
            return err->class;
        layers[i] = (struct resolve_layer){.next = next_record, .arg = p->files[i]};
    }
    return resolve_new(layers, p->n, &p->resolve, err);
}

/* --- ranges: a group at a time --- */

/* The walk goes on where it stands at the group, else it begins there. */
static int
walk_to(struct parent_manifest *p, uint64_t group, struct err *err)
{
    if (p->resolve && p->next == group)
        return 0;
    resolve_free(p->resolve);
    p->resolve = NULL;
    p->has_item = p->ended = false;
    return open_resolve(p, group * GROUP, err);
}

static int
resolve_group(struct parent_manifest *p, uint64_t group, struct err *err)
{
    uint64_t start = group * GROUP, end = start + GROUP;

    for (size_t i = 0; i < CONTENT_ROOT_GROUP; i++)
        memcpy(p->hashes.v[i], manifest_zero_hash, MANIFEST_HASH_SIZE);
    if (walk_to(p, group, err) < 0)
        return err->class;
    while (!p->ended) {
        if (!p->has_item) {
            int r = resolve_next(p->resolve, &p->item, err);

            if (r < 0)
                return r;
            p->has_item = r > 0;
            p->ended = r == 0;
            continue;
        }
        if (p->item.block >= end)
            break;
        if (p->item.state == MANIFEST_DATA && p->item.block >= start)
            memcpy(p->hashes.v[p->item.block - start], p->item.hash, MANIFEST_HASH_SIZE);
        if (p->item.block + p->item.count > end) /* a run of zeroes */
            break;
        p->has_item = false;
    }
    p->next = group + 1;
    return 0;
}

/* What is told of a block is what was checked, not what another reading says. */
static int
load_group(struct parent_manifest *p, uint64_t group, struct err *err)
{
    if (p->group == group)
        return 0;
    p->group = NO_GROUP;
    if (!parent_check_recall(p->check, group, &p->hashes) &&
        (resolve_group(p, group, err) < 0 ||
         parent_check_group(p->check, group, &p->hashes, err) < 0)) {
        parent_check_note(p->check, err);
        return err->class;
    }
    p->group = group;
    return 0;
}

int
parent_manifest_range(struct parent_manifest *p, uint64_t block, uint64_t count,
                      struct err *err)
{
    forget(p);
    if (block >= BLOCKS_MAX || count == 0 || count > BLOCKS_MAX - block)
        return refuse("the range is empty or beyond any disk", err);
    if (parent_check_begin(p->check, p->files, p->n, err) < 0 ||
        load_group(p, block / GROUP, err) < 0)
        return err->class;
    p->of_range = true;
    p->at = block;
    p->end = block + count;
    return 0;
}

/* What the chain holds at @block, as a record of one block. */
static int
look_up(struct parent_manifest *p, uint64_t block, struct manifest_record *ret,
        struct err *err)
{
    int r = 0;

    *ret = (struct manifest_record){.state = MANIFEST_ZERO};
    for (size_t i = p->n; r == 0 && i-- > 0;)
        r = manifest_file_find(p->files[i], block, ret, err);
    ret->block = block;
    ret->count = 1;
    return r < 0 ? r : 0;
}

int
parent_manifest_list(struct parent_manifest *p, const uint64_t *blocks, size_t n,
                     struct err *err)
{
    forget(p);
    if (n == 0 || n > PARENT_LIST_MAX)
        return refuse("a list has 1 to 1024 blocks", err);
    for (size_t i = 0; i < n; i++) {
        if (blocks[i] >= BLOCKS_MAX || (i > 0 && blocks[i] <= blocks[i - 1]))
            return refuse("the blocks must ascend and be those of a disk", err);
        if (look_up(p, blocks[i], &p->list[i], err) < 0)
            return err->class;
    }
    p->list_n = n;
    return 0;
}

/* --- samples --- */

/* SplitMix64, as in copy/reservoir.c. */
static uint64_t
rng_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static int
by_block(const void *a, const void *b)
{
    uint64_t x = ((const struct manifest_record *)a)->block;
    uint64_t y = ((const struct manifest_record *)b)->block;

    return x < y ? -1 : x > y;
}

/* Of all data blocks, one pass: each of them is in the sample with equal probability. */
static int
sample_all(struct parent_manifest *p, size_t n, uint64_t *rng, struct err *err)
{
    struct resolve_item it;
    uint64_t seen = 0;
    int r = open_resolve(p, 0, err);

    while (r >= 0 && (r = resolve_next(p->resolve, &it, err)) > 0) {
        uint64_t to = p->list_n;

        if (it.state != MANIFEST_DATA)
            continue;
        seen++;
        if (p->list_n < n)
            p->list_n++;
        else
            to = rng_next(rng) % seen;
        if (to >= n)
            continue;
        p->list[to] = (struct manifest_record){
            .block = it.block, .state = MANIFEST_DATA, .count = 1};
        memcpy(p->list[to].hash, it.hash, MANIFEST_HASH_SIZE);
    }
    resolve_free(p->resolve);
    p->resolve = NULL;
    return r;
}

static bool
listed(const struct parent_manifest *p, uint64_t block)
{
    for (size_t i = 0; i < p->list_n; i++)
        if (p->list[i].block == block)
            return true;
    return false;
}

/* Record number @number of all layers.  Taken when it is data and no newer layer hides
 * it: so each live block is hit with the same probability. */
static int
try_record(struct parent_manifest *p, uint64_t number, struct err *err)
{
    struct manifest_record r, newer;
    size_t layer = 0;
    int hidden = 0;

    while (number >= manifest_file_count(p->files[layer]))
        number -= manifest_file_count(p->files[layer++]);
    if (manifest_file_at(p->files[layer], number, &r, err) < 0)
        return err->class;
    if (r.state != MANIFEST_DATA || listed(p, r.block))
        return 0;
    for (size_t i = layer + 1; hidden == 0 && i < p->n; i++)
        hidden = manifest_file_find(p->files[i], r.block, &newer, err);
    if (hidden == 0)
        p->list[p->list_n++] = r;
    return hidden < 0 ? hidden : 0;
}

int
parent_manifest_sample(struct parent_manifest *p, size_t n, uint64_t seed,
                       struct err *err)
{
    uint64_t total = 0, rng = seed;
    int r = 0;

    forget(p);
    if (n == 0 || n > PARENT_LIST_MAX)
        return refuse("a sample has 1 to 1024 blocks", err);
    for (size_t i = 0; i < p->n; i++)
        total += manifest_file_count(p->files[i]);
    if (total <= FEW_RECORDS(n))
        r = sample_all(p, n, &rng, err);
    else
        for (size_t i = 0; r == 0 && p->list_n < n && i < TRIES(n); i++)
            r = try_record(p, rng_next(&rng) % total, err);
    if (r < 0) {
        p->list_n = 0;
        return r;
    }
    qsort(p->list, p->list_n, sizeof *p->list, by_block);
    return 0;
}

/* --- telling --- */

static int
next_of_range(struct parent_manifest *p, struct manifest_record *ret, struct err *err)
{
    uint64_t start = p->at;
    const uint8_t *hash = NULL;

    /* Zero blocks, recorded or not, until the next data. */
    for (; p->at < p->end; p->at++) {
        if (load_group(p, p->at / GROUP, err) < 0)
            return err->class;
        hash = p->hashes.v[p->at % GROUP];
        if (memcmp(hash, manifest_zero_hash, MANIFEST_HASH_SIZE) != 0)
            break;
    }
    if (p->at > start) {
        *ret = (struct manifest_record){
            .block = start, .state = MANIFEST_ZERO, .count = p->at - start};
        return 1;
    }
    if (p->at == p->end)
        return 0;
    *ret = (struct manifest_record){.block = p->at++, .state = MANIFEST_DATA, .count = 1};
    memcpy(ret->hash, hash, MANIFEST_HASH_SIZE);
    return 1;
}

int
parent_manifest_next(struct parent_manifest *p, struct manifest_record *ret,
                     struct err *err)
{
    if (p->of_range)
        return next_of_range(p, ret, err);
    if (p->list_at == p->list_n)
        return 0;
    *ret = p->list[p->list_at++];
    return 1;
}
