/* job/parent_check.c - see parent_check.h. */
#include "job/parent_check.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/group_roots.h"

#define GROUP ((uint64_t)CONTENT_ROOT_GROUP)
#define NO_GROUP UINT64_MAX

struct parent_check {
    /* fixed */
    char *path; /* of the digests; they may be missing */
    struct group_roots_id id;
    uint8_t content_root[MANIFEST_HASH_SIZE];
    uint64_t blocks; /* of the disk at the parent's point */
    char locator[NAMING_LOCATOR_SIZE];
    atomic_uint refs;
    pthread_mutex_t lock;
    /* under lock */
    bool begun;
    struct group_roots *groups; /* NULL once begun = the manifests were read whole */
    struct err damage;          /* class 0 = none was found */
    uint64_t group;             /* found good last */
    struct parent_hashes hashes;
};

struct parent_check *
parent_check_new(const struct chain *chain)
{
    const struct chain_layer *tip = &chain->v[chain->n - 1];
    const char *dot = strrchr(tip->manifest, '.');
    size_t stem = dot ? (size_t)(dot - tip->manifest) : strlen(tip->manifest);
    struct parent_check *c = xcalloc(1, sizeof(*c));

    c->path = xasprintf("%.*s" GROUP_ROOTS_SUFFIX, (int)stem, tip->manifest);
    c->id.disk_size = tip->size_bytes;
    /* Ids that are none match no file. */
    (void)manifest_id_from_str(tip->layer_id, c->id.layer_id);
    (void)manifest_id_from_str(chain->disk_uuid, c->id.disk_uuid);
    memcpy(c->content_root, tip->content_root, sizeof(c->content_root));
    memcpy(c->locator, tip->locator, sizeof(c->locator));
    c->blocks = manifest_blocks(tip->size_bytes);
    c->group = NO_GROUP;
    atomic_init(&c->refs, 1);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

struct parent_check *
parent_check_ref(struct parent_check *c)
{
    atomic_fetch_add(&c->refs, 1);
    return c;
}

void
parent_check_unref(struct parent_check *c)
{
    if (!c || atomic_fetch_sub(&c->refs, 1) > 1)
        return;
    pthread_mutex_destroy(&c->lock);
    group_roots_free(c->groups);
    free(c->path);
    free(c);
}

static void
note_locked(struct parent_check *c, const struct err *e)
{
    if (e->class == ERR_CORRUPT && c->damage.class == 0)
        c->damage = *e;
}

void
parent_check_note(struct parent_check *c, const struct err *damage)
{
    LOCK_SCOPE(&c->lock);

    note_locked(c, damage);
}

/* Every record, so that the root of each layer is computed. */
static int
read_whole(struct manifest_file **files, size_t n, struct err *err)
{
    struct manifest_record rec;

    for (size_t i = 0; i < n; i++) {
        int r = manifest_file_rewind(files[i], err);

        while (r >= 0 && (r = manifest_file_next(files[i], &rec, err)) > 0)
            ;
        if (r < 0)
            return r;
    }
    return 0;
}

int
parent_check_begin(struct parent_check *c, struct manifest_file **files, size_t n,
                   struct err *err)
{
    LOCK_SCOPE(&c->lock);

    if (c->damage.class == 0 && !c->begun &&
        group_roots_open_checked(c->path, &c->id, c->content_root, &c->groups, err) < 0) {
        if (err->class != ERR_EXISTS)
            return err->class;
        err_clear(err);
        if (read_whole(files, n, err) < 0) {
            note_locked(c, err);
            return err->class;
        }
    }
    c->begun = true;
    if (c->damage.class != 0)
        *err = c->damage;
    return err->class;
}

bool
parent_check_recall(struct parent_check *c, uint64_t group, struct parent_hashes *ret)
{
    LOCK_SCOPE(&c->lock);

    if (c->group != group)
        return false;
    *ret = c->hashes;
    return true;
}

static bool
is_zero_from(const struct parent_hashes *h, uint64_t i)
{
    for (; i < GROUP; i++)
        if (memcmp(h->v[i], manifest_zero_hash, MANIFEST_HASH_SIZE) != 0)
            return false;
    return true;
}

/* 1 = they are the parent's. */
static int
matches_locked(struct parent_check *c, uint64_t group, const struct parent_hashes *h,
               struct err *err)
{
    uint64_t n = content_root_group_blocks(c->blocks, group);
    uint8_t want[MANIFEST_HASH_SIZE], digest[MANIFEST_HASH_SIZE];
    int r = group_roots_find(c->groups, group, want, err);

    if (r < 0)
        return r;
    if (r == 0)
        return is_zero_from(h, 0);
    if (!EVP_Digest(h->v, (size_t)n * MANIFEST_HASH_SIZE, digest, NULL, EVP_sha256(),
                    NULL))
        return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
    return memcmp(digest, want, sizeof(want)) == 0 && is_zero_from(h, n);
}

int
parent_check_group(struct parent_check *c, uint64_t group, const struct parent_hashes *h,
                   struct err *err)
{
    LOCK_SCOPE(&c->lock);
    int r = c->groups ? matches_locked(c, group, h, err) : 1;

    if (r < 0)
        return r;
    if (r == 0) {
        err_set(err, ERR_CORRUPT, "manifest_corrupt",
                "the records of blocks %llu to %llu in or below layer '%s' are not those "
                "of its restore point",
                (unsigned long long)(group * GROUP),
                (unsigned long long)(group * GROUP + GROUP - 1), c->locator);
        note_locked(c, err);
        return err->class;
    }
    c->group = group;
    c->hashes = *h;
    return 0;
}
