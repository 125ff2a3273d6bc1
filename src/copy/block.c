/* copy/block.c - see block.h. */
#include <string.h>

#include "copy/block.h"

bool
block_is_zero(const unsigned char *p, size_t n)
{
    size_t head = n < 16 ? n : 16;

    for (size_t i = 0; i < head; i++)
        if (p[i])
            return false;
    /* The first 16 bytes are zero and every byte equals the one 16 before it. */
    return n <= 16 || memcmp(p, p + 16, n - 16) == 0;
}

int
block_hasher_init(struct block_hasher *h, struct err *err)
{
    h->md = EVP_MD_fetch(NULL, "SHA256", NULL);
    h->ctx = EVP_MD_CTX_new();
    if (!h->md || !h->ctx || EVP_DigestInit_ex2(h->ctx, h->md, NULL) != 1)
        return err_set(err, ERR_INTERNAL, NULL, "SHA-256 is not available");
    return 0;
}

void
block_hasher_done(struct block_hasher *h)
{
    EVP_MD_CTX_free(h->ctx);
    EVP_MD_free(h->md);
    *h = (struct block_hasher){0};
}

int
block_hash(struct block_hasher *h, const unsigned char *p,
           uint8_t out[MANIFEST_HASH_SIZE], struct err *err)
{
    if (EVP_DigestInit_ex2(h->ctx, NULL, NULL) != 1 ||
        EVP_DigestUpdate(h->ctx, p, MANIFEST_BLOCK_SIZE) != 1 ||
        EVP_DigestFinal_ex(h->ctx, out, NULL) != 1)
        return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
    return 0;
}
