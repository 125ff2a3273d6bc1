/* copy/block.h - one 64 KiB block: zero or not, and its hash.             Layer 2.  Pure.
 */
#ifndef SENDENSE_COPY_BLOCK_H
#define SENDENSE_COPY_BLOCK_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "model/manifest.h"

/* @n >= 1. */
bool block_is_zero(const unsigned char *p, size_t n);

/* A SHA-256 context that is set up once and used for every block of one thread. */
struct block_hasher {
    EVP_MD *md;
    EVP_MD_CTX *ctx;
};

int block_hasher_init(struct block_hasher *h, struct err *err);
void block_hasher_done(struct block_hasher *h);
/* @p holds a whole block (the caller padded the last one of a disk). */
int block_hash(struct block_hasher *h, const unsigned char *p,
               uint8_t out[MANIFEST_HASH_SIZE], struct err *err);

#endif
