/* client/vsphere_chain.c - see vsphere_chain.h. */
#include <openssl/evp.h>
#include <string.h>

#include "base/mem.h"
#include "client/vsphere_chain.h"

#define HASH_SIZE (SPEC_CHAIN_MAX / 2)

/* With its end, so that two words never look like another two. */
static bool
add(EVP_MD_CTX *sha, const char *word)
{
    return EVP_DigestUpdate(sha, word, strlen(word) + 1);
}

static bool
add_disk(EVP_MD_CTX *sha, const struct vim_disk *d)
{
    CLEANUP_FREE char *head = xasprintf(
        "disk %u %llu %zu", d->key, (unsigned long long)d->capacity_bytes, d->n_parents);
    bool ok = add(sha, head) && add(sha, d->uuid) && add(sha, d->file);

    for (size_t i = 0; i < d->n_parents && ok; i++)
        ok = add(sha, d->parents[i]);
    return ok;
}

int
vsphere_chain(const struct vsphere_job *job, char out[SPEC_CHAIN_MAX + 1],
              struct err *err)
{
    EVP_MD_CTX *sha = EVP_MD_CTX_new();
    uint8_t hash[HASH_SIZE];
    bool ok = sha && EVP_DigestInit_ex(sha, EVP_sha256(), NULL);

    for (size_t i = 0; i < job->spec->n_disks && ok; i++)
        ok = add_disk(sha, vsphere_disk(job, job->spec->disks[i].key));
    ok = ok && EVP_DigestFinal_ex(sha, hash, NULL);
    EVP_MD_CTX_free(sha);
    if (!ok)
        return err_set(err, ERR_INTERNAL, NULL, "SHA-256 failed");
    text_hex(hash, sizeof(hash), out);
    return 0;
}
