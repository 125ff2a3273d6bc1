#include "job/manifest_in.h"

#include <sodium.h>
#include <stdbool.h>
#include <string.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/mem.h"
#include "store/manifest_file.h"

struct disk_in {
    uint32_t key;
    struct manifest_writer *writer;
    bool final;
    uint64_t blocks;     /* of the disk */
    uint64_t block;      /* all below were dealt with, as the client said last */
    struct chain parent; /* no layer = a full */
    struct parent_check *check;
};

struct manifest_in {
    char token_hash[TOKEN_HASH_SIZE];
    struct disk_in *disks;
    size_t n;
};

struct records_out {
    int fd;
    uint64_t next, end; /* numbers of records */
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
        parent_check_unref(m->disks[i].check);
    }
    free(m->disks);
    free(m);
}

static void
add(struct manifest_in *m, uint32_t key, const struct manifest_header *h,
    struct manifest_writer *w, uint64_t block)
{
    m->disks = xreallocarray(m->disks, m->n + 1, sizeof *m->disks);
    m->disks[m->n++] = (struct disk_in){
        .key = key, .writer = w, .blocks = manifest_blocks(h->disk_size), .block = block};
}

int
manifest_in_add(struct manifest_in *m, uint32_t key, const char *path,
                const struct manifest_header *h, struct err *err)
{
    struct manifest_writer *w = NULL;

    if (manifest_writer_create(path, h, &w, err) < 0)
        return err->class;
    add(m, key, h, w, 0);
    return 0;
}

int
manifest_in_reopen(struct manifest_in *m, uint32_t key, const char *path,
                   const struct manifest_header *h, uint64_t records, uint64_t block,
                   struct err *err)
{
    struct manifest_writer *w = NULL;

    if (block > manifest_blocks(h->disk_size))
        return err_set(err, ERR_CORRUPT, "manifest_corrupt",
                       "block %llu is beyond the disk", (unsigned long long)block);
    if (manifest_writer_reopen(path, h, records, &w, err) < 0)
        return err->class;
    add(m, key, h, w, block);
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
    parent_check_unref(d->check);
    d->parent = *chain;
    d->check = d->parent.n > 0 ? parent_check_new(&d->parent) : NULL;
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
    return parent_manifest_open(&d->parent, d->check, ret, err);
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
manifest_in_set_block(struct manifest_in *m, uint32_t key, uint64_t block,
                      struct err *err)
{
    struct disk_in *d = find(m, key, err);

    if (!d)
        return err->class;
    if (block > d->blocks)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "block %llu is beyond the disk's %llu", (unsigned long long)block,
                       (unsigned long long)d->blocks);
    if (block > d->block)
        d->block = block;
    return 0;
}

/* Records come in order: what is before the last one was dealt with. */
static uint64_t
block_of(const struct disk_in *d)
{
    uint64_t recorded = manifest_writer_next_block(d->writer);

    return recorded > d->block ? recorded : d->block;
}

uint64_t
manifest_in_block(struct manifest_in *m, uint32_t key)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->disks[i].key == key)
            return block_of(&m->disks[i]);
    return 0;
}

int
manifest_in_checkpoint(struct manifest_in *m, uint32_t key, uint64_t *ret_block,
                       uint64_t *ret_records, struct err *err)
{
    struct disk_in *d = find(m, key, err);

    if (!d || manifest_writer_sync(d->writer, err) < 0)
        return err->class;
    *ret_block = block_of(d);
    *ret_records = manifest_writer_count(d->writer);
    return 0;
}

int
manifest_in_open_records(struct manifest_in *m, uint32_t key, uint64_t first,
                         uint64_t count, struct records_out **ret, struct err *err)
{
    struct disk_in *d = find(m, key, err);
    struct records_out *o;
    uint64_t have;
    int fd;

    if (!d)
        return err->class;
    have = manifest_writer_count(d->writer);
    if (first > have || count > have - first)
        return err_set(err, ERR_INVALID, "invalid_parameter",
                       "%llu records from %llu on were asked for, there are %llu",
                       (unsigned long long)count, (unsigned long long)first,
                       (unsigned long long)have);
    fd = manifest_writer_read_fd(d->writer, err);
    if (fd < 0)
        return err->class;
    o = xcalloc(1, sizeof *o);
    *o = (struct records_out){.fd = fd, .next = first, .end = first + count};
    *ret = o;
    return 0;
}

int
records_out_read(struct records_out *o, void *p, size_t n, size_t *ret_n, struct err *err)
{
    uint64_t left = o->end - o->next, now = n / MANIFEST_RECORD_SIZE;

    if (now > left)
        now = left;
    if (fs_pread_full(o->fd, p, (size_t)now * MANIFEST_RECORD_SIZE,
                      MANIFEST_HEADER_SIZE + o->next * MANIFEST_RECORD_SIZE, err) < 0)
        return err->class;
    o->next += now;
    *ret_n = (size_t)now * MANIFEST_RECORD_SIZE;
    return 0;
}

void
records_out_free(struct records_out *o)
{
    if (!o)
        return;
    cleanup_fd(&o->fd);
    free(o);
}

void
cleanup_records_out(struct records_out **o)
{
    records_out_free(*o);
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
