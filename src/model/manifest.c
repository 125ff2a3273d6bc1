/* model/manifest.c - the three parts of a manifest, byte for byte.  See manifest.h. */
#include <openssl/evp.h>

#include "model/bytes.h"
#include "model/manifest.h"

#define HEADER_MAGIC "SDNMANIF"
#define TRAILER_MAGIC "SDNMEND."
#define MAGIC_SIZE 8
#define VERSION 1u
#define HASH_SHA256 1u
#define HEADER_CHECKSUM_OFF 4064
#define BLOCK_BITS 56

/* Offsets of the header's fields, repository.md section 3. */
enum {
    H_VERSION = 8,
    H_HEADER_SIZE = 12,
    H_BLOCK_SIZE = 16,
    H_HASH = 20,
    H_DISK_SIZE = 24,
    H_INCOMPAT = 32,
    H_LAYER_ID = 40,
    H_PARENT_ID = 56,
    H_DISK_UUID = 72,
    H_ZERO = 88,
};

const uint8_t manifest_zero_hash[MANIFEST_HASH_SIZE] = {
    0xde, 0x2f, 0x25, 0x60, 0x64, 0xa0, 0xaf, 0x79, 0x77, 0x47, 0xc2,
    0xb9, 0x75, 0x05, 0xdc, 0x0b, 0x9f, 0x3d, 0xf0, 0xde, 0x4f, 0x48,
    0x9e, 0xac, 0x73, 0x1c, 0x23, 0xae, 0x9c, 0xa9, 0xcc, 0x31,
};

uint64_t
manifest_blocks(uint64_t disk_size)
{
    return disk_size / MANIFEST_BLOCK_SIZE + (disk_size % MANIFEST_BLOCK_SIZE != 0);
}

uint64_t
manifest_file_size(uint64_t record_count)
{
    return MANIFEST_HEADER_SIZE + record_count * MANIFEST_RECORD_SIZE +
           MANIFEST_TRAILER_SIZE;
}

int
manifest_id_from_str(const char *uuid, uint8_t out[MANIFEST_ID_SIZE])
{
    char hex[2 * MANIFEST_ID_SIZE + 1];
    size_t n = 0;

    if (uuid[0] == '\0') {
        memset(out, 0, MANIFEST_ID_SIZE);
        return 0;
    }
    if (!uuid_is_valid(uuid))
        return -1;
    for (; *uuid; uuid++)
        if (*uuid != '-')
            hex[n++] = *uuid;
    hex[n] = '\0';
    return text_unhex(hex, out, MANIFEST_ID_SIZE);
}

void
manifest_id_to_str(const uint8_t id[MANIFEST_ID_SIZE], char out[UUID_STR_SIZE])
{
    char hex[2 * MANIFEST_ID_SIZE + 1];
    const char *h = hex;

    if (bytes_are_zero(id, MANIFEST_ID_SIZE)) {
        out[0] = '\0';
        return;
    }
    text_hex(id, MANIFEST_ID_SIZE, hex);
    for (size_t i = 0; i < UUID_STR_SIZE - 1; i++)
        out[i] = i == 8 || i == 13 || i == 18 || i == 23 ? '-' : *h++;
    out[UUID_STR_SIZE - 1] = '\0';
}

int
manifest_block_hash(const void *p, size_t n, uint8_t out[MANIFEST_HASH_SIZE],
                    struct err *err)
{
    static const uint8_t zeros[MANIFEST_BLOCK_SIZE];
    EVP_MD_CTX *ctx;
    int ok;

    if (n == 0 || n > MANIFEST_BLOCK_SIZE)
        return err_set(err, ERR_INTERNAL, NULL, "block of %zu bytes", n);
    ctx = EVP_MD_CTX_new();
    ok = ctx && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) &&
         EVP_DigestUpdate(ctx, p, n) &&
         EVP_DigestUpdate(ctx, zeros, MANIFEST_BLOCK_SIZE - n) &&
         EVP_DigestFinal_ex(ctx, out, NULL);
    EVP_MD_CTX_free(ctx);
    return ok ? 0 : err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
}

void
manifest_header_encode(const struct manifest_header *h, uint8_t out[MANIFEST_HEADER_SIZE])
{
    memset(out, 0, MANIFEST_HEADER_SIZE);
    memcpy(out, HEADER_MAGIC, MAGIC_SIZE);
    bytes_put_u32(out + H_VERSION, VERSION);
    bytes_put_u32(out + H_HEADER_SIZE, MANIFEST_HEADER_SIZE);
    bytes_put_u32(out + H_BLOCK_SIZE, MANIFEST_BLOCK_SIZE);
    bytes_put_u32(out + H_HASH, HASH_SHA256);
    bytes_put_u64(out + H_DISK_SIZE, h->disk_size);
    memcpy(out + H_LAYER_ID, h->layer_id, MANIFEST_ID_SIZE);
    memcpy(out + H_PARENT_ID, h->parent_layer_id, MANIFEST_ID_SIZE);
    memcpy(out + H_DISK_UUID, h->disk_uuid, MANIFEST_ID_SIZE);
    EVP_Digest(out, HEADER_CHECKSUM_OFF, out + HEADER_CHECKSUM_OFF, NULL, EVP_sha256(),
               NULL);
}

static int
unsupported(struct err *err, const char *what, uint64_t v)
{
    return err_set(err, ERR_CORRUPT, "manifest_unsupported",
                   "manifest has %s %llu, which this program does not know", what,
                   (unsigned long long)v);
}

static int
corrupt(struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "manifest_corrupt", "manifest: %s", what);
}

int
manifest_header_decode(const uint8_t in[MANIFEST_HEADER_SIZE],
                       struct manifest_header *ret, struct err *err)
{
    uint8_t sum[MANIFEST_HASH_SIZE];
    struct manifest_header h = {.disk_size = bytes_get_u64(in + H_DISK_SIZE)};

    if (memcmp(in, HEADER_MAGIC, MAGIC_SIZE) != 0)
        return corrupt(err, "this is no manifest (magic)");
    if (!EVP_Digest(in, HEADER_CHECKSUM_OFF, sum, NULL, EVP_sha256(), NULL))
        return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
    if (memcmp(sum, in + HEADER_CHECKSUM_OFF, sizeof(sum)) != 0)
        return corrupt(err, "the header's checksum is wrong");
    if (bytes_get_u32(in + H_VERSION) != VERSION)
        return unsupported(err, "version", bytes_get_u32(in + H_VERSION));
    if (bytes_get_u64(in + H_INCOMPAT) != 0)
        return unsupported(err, "flags", bytes_get_u64(in + H_INCOMPAT));
    if (bytes_get_u32(in + H_HEADER_SIZE) != MANIFEST_HEADER_SIZE)
        return unsupported(err, "header size", bytes_get_u32(in + H_HEADER_SIZE));
    if (bytes_get_u32(in + H_BLOCK_SIZE) != MANIFEST_BLOCK_SIZE)
        return unsupported(err, "block size", bytes_get_u32(in + H_BLOCK_SIZE));
    if (bytes_get_u32(in + H_HASH) != HASH_SHA256)
        return unsupported(err, "hash", bytes_get_u32(in + H_HASH));
    if (h.disk_size == 0 || h.disk_size > MANIFEST_DISK_SIZE_MAX)
        return corrupt(err, "the disk size is out of range");
    if (!bytes_are_zero(in + H_ZERO, HEADER_CHECKSUM_OFF - H_ZERO))
        return corrupt(err, "the header's unused bytes are not zero");
    memcpy(h.layer_id, in + H_LAYER_ID, MANIFEST_ID_SIZE);
    memcpy(h.parent_layer_id, in + H_PARENT_ID, MANIFEST_ID_SIZE);
    memcpy(h.disk_uuid, in + H_DISK_UUID, MANIFEST_ID_SIZE);
    if (bytes_are_zero(h.layer_id, MANIFEST_ID_SIZE) ||
        bytes_are_zero(h.disk_uuid, MANIFEST_ID_SIZE))
        return corrupt(err, "the layer id or the disk uuid is missing");
    *ret = h;
    return 0;
}

void
manifest_record_encode(const struct manifest_record *r, uint8_t out[MANIFEST_RECORD_SIZE])
{
    memset(out, 0, MANIFEST_RECORD_SIZE);
    bytes_put_u64(out, r->block | (uint64_t)r->state << BLOCK_BITS);
    if (r->state == MANIFEST_DATA)
        memcpy(out + 8, r->hash, MANIFEST_HASH_SIZE);
    else
        bytes_put_u64(out + 8, r->count);
}

int
manifest_record_decode(const uint8_t in[MANIFEST_RECORD_SIZE],
                       struct manifest_record *ret, struct err *err)
{
    uint64_t word = bytes_get_u64(in);
    struct manifest_record r = {.block = word & ((1ull << BLOCK_BITS) - 1), .count = 1};
    unsigned state = (unsigned)(word >> BLOCK_BITS);

    if (state == MANIFEST_DATA) {
        r.state = MANIFEST_DATA;
        memcpy(r.hash, in + 8, MANIFEST_HASH_SIZE);
    } else if (state == MANIFEST_ZERO) {
        r.state = MANIFEST_ZERO;
        r.count = bytes_get_u64(in + 8);
        if (r.count == 0 || !bytes_are_zero(in + 16, MANIFEST_RECORD_SIZE - 16))
            return err_set(err, ERR_INVALID, "manifest_invalid",
                           "zero run at block %llu is malformed",
                           (unsigned long long)r.block);
    } else {
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "record of block %llu has the unknown state %u",
                       (unsigned long long)r.block, state);
    }
    *ret = r;
    return 0;
}

void
manifest_trailer_encode(const struct manifest_trailer *t,
                        uint8_t out[MANIFEST_TRAILER_SIZE])
{
    memset(out, 0, MANIFEST_TRAILER_SIZE);
    memcpy(out, TRAILER_MAGIC, MAGIC_SIZE);
    bytes_put_u64(out + 8, t->count);
    memcpy(out + 16, t->layer_root, MANIFEST_HASH_SIZE);
}

int
manifest_trailer_decode(const uint8_t in[MANIFEST_TRAILER_SIZE],
                        struct manifest_trailer *ret, struct err *err)
{
    if (memcmp(in, TRAILER_MAGIC, MAGIC_SIZE) != 0)
        return corrupt(err, "the trailer is missing (not sealed, or cut)");
    if (!bytes_are_zero(in + 48, MANIFEST_TRAILER_SIZE - 48))
        return corrupt(err, "the trailer's unused bytes are not zero");
    ret->count = bytes_get_u64(in + 8);
    memcpy(ret->layer_root, in + 16, MANIFEST_HASH_SIZE);
    return 0;
}
