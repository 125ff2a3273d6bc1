#include "job/manifest_in.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/mem.h"
#include "store/manifest_file.h"

struct disk_in {
    uint32_t key;
    struct manifest_writer *writer;
    bool final;
    struct chain parent; /* no layer = a full */
};

struct manifest_in {
    char token_hash[TOKEN_HASH_SIZE];
    struct disk_in *disks;
    size_t n;
};

struct manifest_in *
manifest_in_new(const char *token_hash)
{
    struct manifest_in *m = xcalloc(1, sizeof *m);

    strncpy(m->token_hash, token_hash, sizeof m->token_hash - 1);
    return m;
}

void
manifest_in_free(struct manifest_in *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->n; i++) {
        manifest_writer_free(m->disks[i].writer);
        chain_done(&m->disks[i].parent);
    }
    free(m->disks);
    free(m);
}

int
manifest_in_add(struct manifest_in *m, uint32_t key, const char *path,
                const struct manifest_header *h, struct err *err)
{
    struct manifest_writer *w = NULL;

    if (manifest_writer_create(path, h, &w, err) < 0)
        return err->class;
    m->disks = xreallocarray(m->disks, m->n + 1, sizeof *m->disks);
    m->disks[m->n++] = (struct disk_in){.key = key, .writer = w};
    return 0;
}

static struct disk_in *
find(struct manifest_in *m, uint32_t key, struct err *err)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->disks[i].key == key)
            return &m->disks[i];
    err_set(err, ERR_NOT_FOUND, "disk_not_found", "this job has no disk %u", key);
    return NULL;
}

int
manifest_in_set_parent(struct manifest_in *m, uint32_t key, struct chain *chain,
                       struct err *err)
{
    struct disk_in *d = find(m, key, err);

    if (!d)
        return err->class;
    chain_done(&d->parent);
    d->parent = *chain;
    *chain = (struct chain){.n = 0};
    return 0;
}

int
manifest_in_open_parent(struct manifest_in *m, uint32_t key, struct parent_manifest **ret,
                        struct err *err)
{
    struct disk_in *d = find(m, key, err);

    if (!d)
        return err->class;
    if (d->parent.n == 0)
        return err_set(err, ERR_NOT_FOUND, "no_parent",
                       "disk %u is backed up in full: it has no parent", key);
    return parent_manifest_open(&d->parent, ret, err);
}

int
manifest_in_check(struct manifest_in *m, const char *token, uint32_t key, struct err *err)
{
    char hash[TOKEN_HASH_SIZE];

    token_hash(token ? token : "", hash);
    if (!token || sodium_memcmp(hash, m->token_hash, sizeof hash) != 0)
        return err_set(err, ERR_AUTH, "forbidden", "this token is not the job's");
    return find(m, key, err) ? 0 : err->class;
}

int
manifest_in_append(struct manifest_in *m, uint32_t key, uint64_t first, const void *p,
                   size_t n, uint64_t *ret_total, struct err *err)
{
    struct disk_in *d = find(m, key, err);

    *ret_total = 0;
    if (!d)
        return err->class;
    *ret_total = manifest_writer_count(d->writer);
    if (d->final && first + n / MANIFEST_RECORD_SIZE > *ret_total)
        return err_set(err, ERR_EXISTS, "manifest_closed",
                       "the manifest of disk %u has had its last record", key);
    FAILPOINT(MANIFEST_APPEND);
    return manifest_writer_append(d->writer, first, p, n, ret_total, err);
}

uint64_t
manifest_in_count(struct manifest_in *m, uint32_t key)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->disks[i].key == key)
            return manifest_writer_count(m->disks[i].writer);
    return 0;
}

int
manifest_in_final(struct manifest_in *m, uint32_t key,
                  uint8_t ret_root[MANIFEST_HASH_SIZE], struct err *err)
{
    struct disk_in *d = find(m, key, err);

    if (!d)
        return err->class;
    if (manifest_writer_root(d->writer, ret_root, err) < 0)
        return err->class;
    d->final = true;
    return 0;
}

int
manifest_in_seal(struct manifest_in *m, uint32_t key,
                 uint8_t ret_root[MANIFEST_HASH_SIZE], uint64_t *ret_records,
                 struct err *err)
{
    struct disk_in *d = find(m, key, err);

    if (!d)
        return err->class;
    if (!d->final)
        return err_set(
            err, ERR_PROTOCOL, "manifest_incomplete",
            "the client ended without the last part of the manifest of disk %u", key);
    *ret_records = manifest_writer_count(d->writer);
    return manifest_writer_seal(d->writer, ret_root, err);
}
