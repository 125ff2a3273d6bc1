/* model/manifest.h - the list of blocks that one layer wrote.             Layer 1.  Pure,
 * no I/O. Format: docs/design/repository.md section 3, byte for byte.  Units: block =
 * 65,536 bytes. Records are sorted by block, disjoint, within the disk. */
#ifndef SENDENSE_MODEL_MANIFEST_H
#define SENDENSE_MODEL_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/text.h"

#define MANIFEST_BLOCK_SIZE 65536u
#define MANIFEST_HEADER_SIZE 4096u
#define MANIFEST_RECORD_SIZE 40u
#define MANIFEST_TRAILER_SIZE 64u
#define MANIFEST_HASH_SIZE 32u
#define MANIFEST_ID_SIZE 16u
/* The largest qcow2 with 64 KiB clusters: qemu allows 32 MiB of L1 table, 512 MiB an
 * entry. */
#define MANIFEST_DISK_SIZE_MAX (1ull << 51)

enum manifest_state { MANIFEST_DATA = 1, MANIFEST_ZERO = 2 };

struct manifest_header {
    uint64_t disk_size; /* bytes, the true size, 1..MANIFEST_DISK_SIZE_MAX */
    uint8_t layer_id[MANIFEST_ID_SIZE];
    uint8_t parent_layer_id[MANIFEST_ID_SIZE]; /* all zero = none: a full */
    uint8_t disk_uuid[MANIFEST_ID_SIZE];
};

struct manifest_record {
    uint64_t block;
    enum manifest_state state;
    uint64_t count; /* blocks covered: 1 for data, >= 1 for a zero run */
    uint8_t hash[MANIFEST_HASH_SIZE]; /* data only; zero otherwise */
};

struct manifest_trailer {
    uint64_t count; /* records */
    uint8_t layer_root[MANIFEST_HASH_SIZE];
};

/* SHA-256 of 65,536 zero bytes. */
extern const uint8_t manifest_zero_hash[MANIFEST_HASH_SIZE];

uint64_t
manifest_blocks(uint64_t disk_size); /* number of blocks, the last may be short */
uint64_t manifest_file_size(uint64_t record_count); /* of a sealed manifest */
/* Raw bytes of a UUID string and back; "" and all zero stand for each other.  0 or -1. */
int manifest_id_from_str(const char *uuid, uint8_t out[MANIFEST_ID_SIZE]);
void manifest_id_to_str(const uint8_t id[MANIFEST_ID_SIZE], char out[UUID_STR_SIZE]);

/* Hash of one block of @n (1..65,536) bytes, as if padded with zero bytes.  For single
 * blocks; hot paths keep their own digest context. */
int manifest_block_hash(const void *p, size_t n, uint8_t out[MANIFEST_HASH_SIZE],
                        struct err *err);

void manifest_header_encode(const struct manifest_header *h,
                            uint8_t out[MANIFEST_HEADER_SIZE]);
void manifest_record_encode(const struct manifest_record *r,
                            uint8_t out[MANIFEST_RECORD_SIZE]);
void manifest_trailer_encode(const struct manifest_trailer *t,
                             uint8_t out[MANIFEST_TRAILER_SIZE]);

/* The decoders refuse with ERR_CORRUPT "manifest_corrupt"; a version, block size, hash or
 * flag that we do not know is ERR_CORRUPT "manifest_unsupported". */
int manifest_header_decode(const uint8_t in[MANIFEST_HEADER_SIZE],
                           struct manifest_header *ret, struct err *err);
int manifest_trailer_decode(const uint8_t in[MANIFEST_TRAILER_SIZE],
                            struct manifest_trailer *ret, struct err *err);
/* One record by itself (state, padding, count).  ERR_INVALID "manifest_invalid". */
int manifest_record_decode(const uint8_t in[MANIFEST_RECORD_SIZE],
                           struct manifest_record *ret, struct err *err);

/* Checks records in order and computes the layer root on the way.  Used by whoever makes
 * a manifest (client), receives one (hub) or reads one.  ERR_INVALID "manifest_invalid":
 * out of order, overlapping, outside of the disk, unknown state, a zero record in a full.
 */
struct manifest_check;
#define CLEANUP_MANIFEST_CHECK CLEANUP(cleanup_manifest_check)
int manifest_check_new(const struct manifest_header *h, struct manifest_check **ret,
                       struct err *err);
void manifest_check_free(struct manifest_check *c);
void cleanup_manifest_check(struct manifest_check **c);
/* @n encoded records, taken all or - when one is refused - none: the check is as before
 * the call. */
int manifest_check_add_raw(struct manifest_check *c, const uint8_t *records, size_t n,
                           struct err *err);
int manifest_check_add(struct manifest_check *c, const struct manifest_record *r,
                       struct err *err);
uint64_t manifest_check_count(const struct manifest_check *c);       /* records so far */
uint64_t manifest_check_data_blocks(const struct manifest_check *c); /* state 1 so far */
/* First block that the next record may name. */
uint64_t manifest_check_next_block(const struct manifest_check *c);
/* The root over what was added so far; more may be added afterwards. */
int manifest_check_root(const struct manifest_check *c,
                        uint8_t ret_root[MANIFEST_HASH_SIZE], struct err *err);

/* A whole sealed manifest in chunks of any size, in order.  Everything that the format
 * forbids is ERR_CORRUPT ("manifest_corrupt" or "manifest_unsupported"). */
struct manifest_reader;
#define CLEANUP_MANIFEST_READER CLEANUP(cleanup_manifest_reader)
/* Return < 0 with err set to stop. */
typedef int (*manifest_record_fn)(void *arg, const struct manifest_record *r,
                                  struct err *err);
/* @file_size tells where the records end. */
int manifest_reader_new(uint64_t file_size, manifest_record_fn fn, void *arg,
                        struct manifest_reader **ret, struct err *err);
void manifest_reader_free(struct manifest_reader *r);
void cleanup_manifest_reader(struct manifest_reader **r);
int manifest_reader_feed(struct manifest_reader *r, const void *p, size_t n,
                         struct err *err);
/* NULL until the header was fed. */
const struct manifest_header *manifest_reader_header(const struct manifest_reader *r);
/* After the last byte: count and root agree with the trailer.  @ret gets the trailer. */
int manifest_reader_end(struct manifest_reader *r, struct manifest_trailer *ret,
                        struct err *err);

#endif
