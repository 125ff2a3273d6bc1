/* copy/parent.c - see parent.h. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "copy/hub_get.h"
#include "copy/parent.h"

#define URL_MAX (28u * 1024)

struct copy_parent {
    struct hub_get get;
};

int
copy_parent_new(const struct job_spec *spec, uint32_t key, struct copy_stop *stop,
                struct copy_parent **ret, struct err *err)
{
    struct copy_parent *p = xcalloc(1, sizeof(*p));

    if (hub_get_init(&p->get, spec, key, "parent-manifest",
                     "to tell what the parent holds", stop, err) < 0) {
        free(p);
        return err->class;
    }
    *ret = p;
    return 0;
}

void
copy_parent_free(struct copy_parent *p)
{
    if (!p)
        return;
    hub_get_done(&p->get);
    free(p);
}

static int
unexpected(uint64_t block, struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "hub_protocol",
                   "the hub's answer about the parent is not the one asked for, from "
                   "block %llu on",
                   (unsigned long long)block);
}

static void
put(struct delta_block *b, const struct manifest_record *r)
{
    b->data = r->state == MANIFEST_DATA;
    memcpy(b->hash, r->hash, MANIFEST_HASH_SIZE);
}

static size_t
count_of(const struct http_response *a)
{
    return a->body_len / MANIFEST_RECORD_SIZE;
}

static int
record(const struct http_response *a, size_t i, struct manifest_record *ret,
       struct err *err)
{
    const uint8_t *p = (const uint8_t *)a->body + i * MANIFEST_RECORD_SIZE;

    if (manifest_record_decode(p, ret, err) == 0)
        return 0;
    err->class = ERR_PROTOCOL;
    err_recode(err, "hub_protocol");
    return err_prefix(err, "the hub's answer about the parent");
}

static int
read_range(const struct http_response *a, uint64_t block, uint32_t n,
           struct delta_block *ret, struct err *err)
{
    uint64_t at = block, end = block + n;

    for (size_t i = 0; i < count_of(a); i++) {
        struct manifest_record r;

        if (record(a, i, &r, err) < 0)
            return err->class;
        if (r.block != at || r.count > end - at)
            return unexpected(at, err);
        for (; r.count > 0; r.count--)
            put(&ret[at++ - block], &r);
    }
    return at == end ? 0 : unexpected(at, err);
}

int
copy_parent_range(struct copy_parent *p, uint64_t block, uint32_t n,
                  struct delta_block *ret, struct err *err)
{
    struct http_response a;
    char query[64];
    int r;

    snprintf(query, sizeof(query), "block=%llu&count=%u", (unsigned long long)block, n);
    r = hub_get(&p->get, query, n, &a, err);
    if (r < 0)
        return r;
    r = read_range(&a, block, n, ret, err);
    http_response_done(&a);
    return r;
}

static int
read_list(const struct http_response *a, const uint64_t *blocks, size_t n,
          struct delta_block *ret, struct err *err)
{
    if (count_of(a) != n)
        return unexpected(blocks[0], err);
    for (size_t i = 0; i < n; i++) {
        struct manifest_record r;

        if (record(a, i, &r, err) < 0)
            return err->class;
        if (r.block != blocks[i] || r.count != 1)
            return unexpected(blocks[i], err);
        put(&ret[i], &r);
    }
    return 0;
}

int
copy_parent_list(struct copy_parent *p, const uint64_t *blocks, size_t n,
                 struct delta_block *ret, struct err *err)
{
    CLEANUP_BUF struct buf query = BUF_INIT(URL_MAX);
    struct http_response a;
    int r = 0;

    for (size_t i = 0; i < n && r == 0; i++)
        r = buf_printf(&query, err, "%s%llu",
                       i ? "," : "blocks=", (unsigned long long)blocks[i]);
    if (r == 0)
        r = hub_get(&p->get, query.data, n, &a, err);
    if (r < 0)
        return r;
    r = read_list(&a, blocks, n, ret, err);
    http_response_done(&a);
    return r;
}

static int
read_sample(const struct http_response *a, uint64_t *ret_blocks, struct delta_block *ret,
            struct err *err)
{
    for (size_t i = 0; i < count_of(a); i++) {
        struct manifest_record r;

        if (record(a, i, &r, err) < 0)
            return err->class;
        if (r.state != MANIFEST_DATA || (i > 0 && r.block <= ret_blocks[i - 1]))
            return unexpected(r.block, err);
        ret_blocks[i] = r.block;
        put(&ret[i], &r);
    }
    return 0;
}

int
copy_parent_sample(struct copy_parent *p, size_t n, uint64_t seed, uint64_t *ret_blocks,
                   struct delta_block *ret, size_t *ret_n, struct err *err)
{
    struct http_response a;
    char query[64];
    int r;

    snprintf(query, sizeof(query), "sample=%zu&seed=%llu", n,
             (unsigned long long)(seed & INT64_MAX));
    r = hub_get(&p->get, query, n, &a, err);
    if (r < 0)
        return r;
    r = read_sample(&a, ret_blocks, ret, err);
    *ret_n = count_of(&a);
    http_response_done(&a);
    return r;
}
