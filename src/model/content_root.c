/* model/content_root.c - see content_root.h. */
#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "model/content_root.h"

struct content_root {
    uint64_t blocks;
    uint64_t next;     /* first block not yet hashed */
    EVP_MD_CTX *group; /* over the hashes of the group that next is in */
    EVP_MD_CTX *top;   /* over the digests of the groups before it */
    bool open;         /* next is within a group that was begun */
    bool has_data;     /* that group */
    content_root_group_fn on_group;
    void *arg;
    /* each the digest of a whole group of zero blocks */
    uint8_t zero_groups[CONTENT_ROOT_GROUP][MANIFEST_HASH_SIZE];
    uint8_t zeros[CONTENT_ROOT_GROUP][MANIFEST_HASH_SIZE];
};

void
content_root_free(struct content_root *c)
{
    if (!c)
        return;
    EVP_MD_CTX_free(c->group);
    EVP_MD_CTX_free(c->top);
    free(c);
}

void
cleanup_content_root(struct content_root **c)
{
    content_root_free(*c);
}

static int
sha_failed(struct err *err)
{
    return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
}

int
content_root_new(uint64_t disk_size, struct content_root **ret, struct err *err)
{
    CLEANUP_CONTENT_ROOT struct content_root *c = NULL;

    if (disk_size == 0 || disk_size > MANIFEST_DISK_SIZE_MAX)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "disk size %llu is out of range", (unsigned long long)disk_size);
    c = xcalloc(1, sizeof(*c));
    c->blocks = manifest_blocks(disk_size);
    c->group = EVP_MD_CTX_new();
    c->top = EVP_MD_CTX_new();
    for (size_t i = 0; i < CONTENT_ROOT_GROUP; i++)
        memcpy(c->zeros[i], manifest_zero_hash, MANIFEST_HASH_SIZE);
    if (!c->group || !c->top || !EVP_DigestInit_ex(c->top, EVP_sha256(), NULL) ||
        !EVP_Digest(c->zeros, sizeof(c->zeros), c->zero_groups[0], NULL, EVP_sha256(),
                    NULL))
        return sha_failed(err);
    for (size_t i = 1; i < CONTENT_ROOT_GROUP; i++)
        memcpy(c->zero_groups[i], c->zero_groups[0], MANIFEST_HASH_SIZE);
    *ret = take_ptr(&c);
    return 0;
}

void
content_root_on_group(struct content_root *c, content_root_group_fn fn, void *arg)
{
    c->on_group = fn;
    c->arg = arg;
}

/* The group that ends before next goes into the top. */
static int
close_group(struct content_root *c, struct err *err)
{
    uint8_t digest[MANIFEST_HASH_SIZE];

    if (!EVP_DigestFinal_ex(c->group, digest, NULL) ||
        !EVP_DigestUpdate(c->top, digest, sizeof(digest)))
        return sha_failed(err);
    if (c->has_data && c->on_group &&
        c->on_group(c->arg, (c->next - 1) / CONTENT_ROOT_GROUP, digest, err) < 0)
        return err->class;
    c->has_data = c->open = false;
    return 0;
}

/* @n hashes that stay within one group. */
static int
put_hashes(struct content_root *c, const void *hashes, size_t n, struct err *err)
{
    if (c->next % CONTENT_ROOT_GROUP == 0 &&
        !EVP_DigestInit_ex(c->group, EVP_sha256(), NULL))
        return sha_failed(err);
    if (!EVP_DigestUpdate(c->group, hashes, n * MANIFEST_HASH_SIZE))
        return sha_failed(err);
    c->next += n;
    c->open = true;
    return c->next % CONTENT_ROOT_GROUP == 0 ? close_group(c, err) : 0;
}

/* Most of a large disk: many groups at a time. */
static int
fill_zero_groups(struct content_root *c, uint64_t n, struct err *err)
{
    c->next += n * CONTENT_ROOT_GROUP;
    while (n > 0) {
        uint64_t now = n < CONTENT_ROOT_GROUP ? n : CONTENT_ROOT_GROUP;

        if (!EVP_DigestUpdate(c->top, c->zero_groups, (size_t)now * MANIFEST_HASH_SIZE))
            return sha_failed(err);
        n -= now;
    }
    return 0;
}

static int
fill_zeros(struct content_root *c, uint64_t until, struct err *err)
{
    while (c->next < until) {
        uint64_t room = CONTENT_ROOT_GROUP - c->next % CONTENT_ROOT_GROUP;
        uint64_t n = until - c->next < room ? until - c->next : room;

        if (n == CONTENT_ROOT_GROUP) {
            if (fill_zero_groups(c, (until - c->next) / CONTENT_ROOT_GROUP, err) < 0)
                return err->class;
        } else if (put_hashes(c, c->zeros, (size_t)n, err) < 0) {
            return err->class;
        }
    }
    return 0;
}

int
content_root_add(struct content_root *c, uint64_t block,
                 const uint8_t hash[MANIFEST_HASH_SIZE], struct err *err)
{
    if (block < c->next || block >= c->blocks)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "content root: block %llu is out of order or not in the disk",
                       (unsigned long long)block);
    if (fill_zeros(c, block, err) < 0)
        return err->class;
    c->has_data = true;
    return put_hashes(c, hash, 1, err);
}

int
content_root_add_group(struct content_root *c, uint64_t group,
                       const uint8_t digest[MANIFEST_HASH_SIZE], struct err *err)
{
    uint64_t groups = (c->blocks + CONTENT_ROOT_GROUP - 1) / CONTENT_ROOT_GROUP;
    uint64_t start = group * CONTENT_ROOT_GROUP, end = start + CONTENT_ROOT_GROUP;

    if (group >= groups || start < c->next)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "content root: group %llu is out of order or not in the disk",
                       (unsigned long long)group);
    if (fill_zeros(c, start, err) < 0)
        return err->class;
    if (!EVP_DigestUpdate(c->top, digest, MANIFEST_HASH_SIZE))
        return sha_failed(err);
    c->next = end < c->blocks ? end : c->blocks;
    if (c->on_group)
        return c->on_group(c->arg, group, digest, err);
    return 0;
}

int
content_root_finish(struct content_root *c, uint8_t ret_root[MANIFEST_HASH_SIZE],
                    struct err *err)
{
    if (fill_zeros(c, c->blocks, err) < 0)
        return err->class;
    if (c->open && close_group(c, err) < 0)
        return err->class;
    return EVP_DigestFinal_ex(c->top, ret_root, NULL) ? 0 : sha_failed(err);
}
