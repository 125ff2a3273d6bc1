/* model/manifest_check.c - order and root of a manifest's records.  See manifest.h. */
#include <openssl/evp.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/bytes.h"
#include "model/manifest.h"

struct order {
    uint64_t next_block; /* the first that may be named */
    uint64_t data_blocks;
};

struct manifest_check {
    uint64_t blocks; /* of the disk */
    bool full;       /* no parent: no zero records */
    struct order order;
    uint64_t count;
    EVP_MD_CTX *sha;
};

void
manifest_check_free(struct manifest_check *c)
{
    if (!c)
        return;
    EVP_MD_CTX_free(c->sha);
    free(c);
}

void
cleanup_manifest_check(struct manifest_check **c)
{
    manifest_check_free(*c);
}

static int
sha_failed(struct err *err)
{
    return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
}

int
manifest_check_new(const struct manifest_header *h, struct manifest_check **ret,
                   struct err *err)
{
    CLEANUP_MANIFEST_CHECK struct manifest_check *c = NULL;
    uint8_t raw[MANIFEST_HEADER_SIZE];

    if (h->disk_size == 0 || h->disk_size > MANIFEST_DISK_SIZE_MAX)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "disk size %llu is out of range",
                       (unsigned long long)h->disk_size);
    c = xcalloc(1, sizeof(*c));
    c->blocks = manifest_blocks(h->disk_size);
    c->full = bytes_are_zero(h->parent_layer_id, MANIFEST_ID_SIZE);
    c->sha = EVP_MD_CTX_new();
    manifest_header_encode(h, raw);
    if (!c->sha || !EVP_DigestInit_ex(c->sha, EVP_sha256(), NULL) ||
        !EVP_DigestUpdate(c->sha, raw, sizeof(raw)))
        return sha_failed(err);
    *ret = take_ptr(&c);
    return 0;
}

static int
check_one(const struct manifest_check *c, struct order *o,
          const struct manifest_record *r, struct err *err)
{
    unsigned long long block = r->block;

    if (r->state == MANIFEST_ZERO && c->full)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "zero run at block %llu in a full, which has none", block);
    if (r->block < o->next_block)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "block %llu is out of order, at least %llu was expected", block,
                       (unsigned long long)o->next_block);
    if (r->count == 0 || r->block >= c->blocks || r->count > c->blocks - r->block)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "block %llu (%llu blocks) is not within the disk's %llu", block,
                       (unsigned long long)r->count, (unsigned long long)c->blocks);
    o->next_block = r->block + r->count;
    o->data_blocks += r->state == MANIFEST_DATA;
    return 0;
}

int
manifest_check_add_raw(struct manifest_check *c, const uint8_t *records, size_t n,
                       struct err *err)
{
    struct order o = c->order;

    for (size_t i = 0; i < n; i++) {
        struct manifest_record r;

        if (manifest_record_decode(records + i * MANIFEST_RECORD_SIZE, &r, err) < 0 ||
            check_one(c, &o, &r, err) < 0)
            return err_prefix(err, "record %llu", (unsigned long long)(c->count + i));
    }
    if (!EVP_DigestUpdate(c->sha, records, n * MANIFEST_RECORD_SIZE))
        return sha_failed(err);
    c->order = o;
    c->count += n;
    return 0;
}

int
manifest_check_add(struct manifest_check *c, const struct manifest_record *r,
                   struct err *err)
{
    uint8_t raw[MANIFEST_RECORD_SIZE];

    /* A block number over 56 bits would change the state. */
    if (r->block >= c->blocks || (r->state == MANIFEST_DATA && r->count != 1))
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "record %llu: block %llu (%llu blocks) cannot be recorded",
                       (unsigned long long)c->count, (unsigned long long)r->block,
                       (unsigned long long)r->count);
    manifest_record_encode(r, raw);
    return manifest_check_add_raw(c, raw, 1, err);
}

uint64_t
manifest_check_count(const struct manifest_check *c)
{
    return c->count;
}

uint64_t
manifest_check_data_blocks(const struct manifest_check *c)
{
    return c->order.data_blocks;
}

uint64_t
manifest_check_next_block(const struct manifest_check *c)
{
    return c->order.next_block;
}

int
manifest_check_root(const struct manifest_check *c, uint8_t ret_root[MANIFEST_HASH_SIZE],
                    struct err *err)
{
    EVP_MD_CTX *copy = EVP_MD_CTX_new();
    int ok = copy && EVP_MD_CTX_copy_ex(copy, c->sha) &&
             EVP_DigestFinal_ex(copy, ret_root, NULL);

    EVP_MD_CTX_free(copy);
    return ok ? 0 : sha_failed(err);
}
