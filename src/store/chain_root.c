/* store/chain_root.c - see chain_root.h. */
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "store/chain_root.h"
#include "store/manifest_file.h"

#define GROUP ((uint64_t)CONTENT_ROOT_GROUP)
#define NO_GROUP UINT64_MAX

struct update {
    const struct chain_root *c;
    struct manifest_file *tip, **below;
    size_t n_below;
    uint64_t old_blocks, blocks; /* of the disk, at the parent's point and now */
    uint64_t grown;              /* a group that got longer and was not looked at yet */
    struct content_root *root;
    /* the parent's groups: the next one */
    struct group_roots *parent;
    bool has_next;
    uint64_t next;
    uint8_t next_digest[MANIFEST_HASH_SIZE];
    /* the group that is worked on */
    uint64_t group;
    uint8_t hashes[CONTENT_ROOT_GROUP][MANIFEST_HASH_SIZE];
};

/* --- what is left for the next backup --- */

struct chain_root_keep {
    struct group_roots_writer *writer;
    struct err why; /* the first failure: nothing is written any more */
};

static int
keep_group(void *arg, uint64_t group, const uint8_t digest[MANIFEST_HASH_SIZE],
           struct err *err)
{
    struct chain_root_keep *k = arg;

    (void)err;
    if (k->why.class == 0)
        (void)group_roots_put(k->writer, group, digest, &k->why);
    return 0;
}

int
chain_root_keep(const char *path, const struct manifest_header *tip,
                struct content_root *root, struct chain_root_keep **ret, struct err *err)
{
    struct group_roots_id id = {.disk_size = tip->disk_size};
    struct chain_root_keep *k = xcalloc(1, sizeof(*k));

    memcpy(id.layer_id, tip->layer_id, sizeof(id.layer_id));
    memcpy(id.disk_uuid, tip->disk_uuid, sizeof(id.disk_uuid));
    *ret = NULL;
    if (group_roots_create(path, &id, &k->writer, err) < 0) {
        free(k);
        return err->class;
    }
    content_root_on_group(root, keep_group, k);
    *ret = k;
    return 0;
}

int
chain_root_keep_end(struct chain_root_keep *k, const uint8_t *content_root,
                    struct err *err)
{
    if (!k)
        return 0;
    if (k->why.class == 0 && content_root)
        (void)group_roots_seal(k->writer, content_root, &k->why);
    *err = k->why;
    group_roots_writer_free(k->writer);
    free(k);
    return err->class;
}

/* --- the parent's groups --- */

/* All of it gives the content root of the parent's point, or none of it counts. */
static int
open_parent_groups(struct update *u, const struct manifest_header *below, struct err *err)
{
    struct group_roots_id id = {.disk_size = below->disk_size};

    memcpy(id.layer_id, below->layer_id, sizeof(id.layer_id));
    memcpy(id.disk_uuid, below->disk_uuid, sizeof(id.disk_uuid));
    return group_roots_open_checked(u->c->parent_roots, &id, u->c->parent_content_root,
                                    &u->parent, err);
}

static int
next_parent_group(struct update *u, struct err *err)
{
    int r = group_roots_next(u->parent, &u->next, u->next_digest, err);

    u->has_next = r > 0;
    return r < 0 ? group_roots_unusable(err) : 0;
}

/* --- one group --- */

static void
lay_over(struct update *u, const struct manifest_record *r)
{
    uint64_t start = u->group * GROUP, end = start + GROUP;
    uint64_t from = r->block > start ? r->block : start;
    uint64_t to = r->block + r->count < end ? r->block + r->count : end;

    for (; from < to; from++)
        memcpy(u->hashes[from - start],
               r->state == MANIFEST_DATA ? r->hash : manifest_zero_hash,
               MANIFEST_HASH_SIZE);
}

static int
lay_file_over(struct update *u, struct manifest_file *f, struct err *err)
{
    uint64_t end = (u->group + 1) * GROUP;
    struct manifest_record rec;
    int r = manifest_file_seek(f, u->group * GROUP, err);

    while (r >= 0 && (r = manifest_file_next(f, &rec, err)) > 0) {
        if (rec.block >= end)
            return 0;
        lay_over(u, &rec);
    }
    return r;
}

static bool
is_zero(const struct update *u, uint64_t n)
{
    for (uint64_t i = 0; i < n; i++)
        if (memcmp(u->hashes[i], manifest_zero_hash, MANIFEST_HASH_SIZE) != 0)
            return false;
    return true;
}

/* The records below that were read are those that the parent's point was made of. */
static int
check_old(struct update *u, struct err *err)
{
    uint64_t n = content_root_group_blocks(u->old_blocks, u->group);
    uint8_t digest[MANIFEST_HASH_SIZE];
    bool stored = u->has_next && u->next == u->group, good;

    if (!EVP_Digest(u->hashes, (size_t)n * MANIFEST_HASH_SIZE, digest, NULL, EVP_sha256(),
                    NULL))
        return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
    good =
        stored ? memcmp(digest, u->next_digest, sizeof(digest)) == 0 : is_zero(u, GROUP);
    if (!good)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "the records of blocks %llu to %llu below '%s' are not those of "
                       "its parent's restore point",
                       (unsigned long long)(u->group * GROUP),
                       (unsigned long long)(u->group * GROUP + n - 1),
                       u->c->manifests[u->c->n - 1]);
    return stored ? next_parent_group(u, err) : 0;
}

static int
begin_group(struct update *u, uint64_t group, struct err *err)
{
    u->group = group;
    if (u->grown == group)
        u->grown = NO_GROUP;
    for (size_t i = 0; i < CONTENT_ROOT_GROUP; i++)
        memcpy(u->hashes[i], manifest_zero_hash, MANIFEST_HASH_SIZE);
    for (size_t i = 0; i < u->n_below; i++)
        if (lay_file_over(u, u->below[i], err) < 0)
            return err->class;
    if (u->c->beat && u->c->beat(u->c->arg, err) < 0)
        return err->class;
    return check_old(u, err);
}

static int
end_group(struct update *u, struct err *err)
{
    uint64_t start = u->group * GROUP;
    uint64_t n =
        u->group == NO_GROUP ? 0 : content_root_group_blocks(u->blocks, u->group);

    u->group = NO_GROUP;
    for (uint64_t i = 0; i < n; i++)
        if (memcmp(u->hashes[i], manifest_zero_hash, MANIFEST_HASH_SIZE) != 0 &&
            content_root_add(u->root, start + i, u->hashes[i], err) < 0)
            return err->class;
    return 0;
}

/* Groups below @group that nobody touched are as they were. */
static int
pass(struct update *u, uint64_t group, struct err *err)
{
    while (u->has_next && u->next < group && u->next != u->grown)
        if (content_root_add_group(u->root, u->next, u->next_digest, err) < 0 ||
            next_parent_group(u, err) < 0)
            return err->class;
    if (u->grown >= group)
        return 0;
    if (begin_group(u, u->grown, err) < 0 || end_group(u, err) < 0)
        return err->class;
    return pass(u, group, err); /* once: it is not grown any more */
}

/* @group becomes zero as a whole, so what it was is not looked at. */
static int
drop_group(struct update *u, uint64_t group, struct err *err)
{
    if (u->grown == group)
        u->grown = NO_GROUP;
    return u->has_next && u->next == group ? next_parent_group(u, err) : 0;
}

/* --- the walk over what the tip touched --- */

static int
take(struct update *u, struct manifest_record rec, struct err *err)
{
    while (rec.count > 0) {
        uint64_t group = rec.block / GROUP, end = (group + 1) * GROUP;
        uint64_t n = rec.count < end - rec.block ? rec.count : end - rec.block;
        struct manifest_record part = rec;
        bool whole = rec.state == MANIFEST_ZERO &&
                     n == content_root_group_blocks(u->blocks, group);

        part.count = n;
        if (group != u->group &&
            (end_group(u, err) < 0 || pass(u, group, err) < 0 ||
             (whole ? drop_group(u, group, err) : begin_group(u, group, err)) < 0))
            return err->class;
        if (!whole)
            lay_over(u, &part);
        rec.block += n;
        rec.count -= n;
    }
    return 0;
}

static int
walk(struct update *u, struct err *err)
{
    struct manifest_record rec;
    int r = next_parent_group(u, err);

    while (r >= 0 && (r = manifest_file_next(u->tip, &rec, err)) > 0)
        r = take(u, rec, err);
    if (r < 0 || end_group(u, err) < 0)
        return err->class;
    return pass(u, NO_GROUP, err);
}

static int
open_all(struct update *u, struct err *err)
{
    const struct chain_root *c = u->c;
    const struct manifest_header *tip, *below;

    if (c->n < 2)
        return err_set(err, ERR_INTERNAL, NULL, "a full has no parent");
    u->below = xcalloc(c->n - 1, sizeof(*u->below));
    for (; u->n_below < c->n - 1; u->n_below++)
        if (manifest_file_open(c->manifests[u->n_below], &u->below[u->n_below], err) < 0)
            return err->class;
    if (manifest_file_open(c->manifests[c->n - 1], &u->tip, err) < 0)
        return err->class;
    tip = manifest_file_header(u->tip);
    below = manifest_file_header(u->below[c->n - 2]);
    u->blocks = manifest_blocks(tip->disk_size);
    u->old_blocks = manifest_blocks(below->disk_size);
    if (u->old_blocks > u->blocks)
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "manifest '%s' is of a smaller disk than its parent",
                       c->manifests[c->n - 1]);
    if (u->old_blocks < u->blocks && u->old_blocks % GROUP != 0)
        u->grown = u->old_blocks / GROUP;
    if (open_parent_groups(u, below, err) < 0)
        return err->class;
    return content_root_new(tip->disk_size, &u->root, err);
}

/* What could not be left costs the next backup time, not this one its success. */
static int
run(struct update *u, uint8_t ret[MANIFEST_HASH_SIZE], struct err *err)
{
    struct chain_root_keep *keep = NULL;
    struct err ignored = ERR_INIT;
    bool ok;

    if (u->c->roots)
        (void)chain_root_keep(u->c->roots, manifest_file_header(u->tip), u->root, &keep,
                              &ignored);
    err_clear(&ignored);
    ok = walk(u, err) >= 0 && content_root_finish(u->root, ret, err) >= 0;
    (void)chain_root_keep_end(keep, ok ? ret : NULL, &ignored);
    return ok ? 0 : err->class;
}

int
chain_root_update(const struct chain_root *c, uint8_t ret[MANIFEST_HASH_SIZE],
                  struct err *err)
{
    struct update *u = xcalloc(1, sizeof(*u));
    int r;

    u->c = c;
    u->grown = u->group = NO_GROUP;
    r = open_all(u, err);
    if (r >= 0)
        r = run(u, ret, err);
    group_roots_free(u->parent);
    content_root_free(u->root);
    manifest_file_free(u->tip);
    for (size_t i = 0; i < u->n_below; i++)
        manifest_file_free(u->below[i]);
    free(u->below);
    free(u);
    return r;
}
