/* copy/parent.c - see parent.h. */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "copy/hub_answer.h"
#include "copy/parent.h"
#include "os/http_client.h"

#define TRIES_MAX 6
#define PAUSE_FIRST_MS 200
#define PAUSE_MAX_MS 5000
#define GET_TIMEOUT_MS 60000
#define URL_MAX (28u * 1024)

struct copy_parent {
    const struct job_spec *spec;
    struct copy_stop *stop;
    struct http_client *http;
    char *base; /* URL without the query */
};

int
copy_parent_new(const struct job_spec *spec, uint32_t key, struct copy_stop *stop,
                struct copy_parent **ret, struct err *err)
{
    struct copy_parent *p = xcalloc(1, sizeof(*p));
    int r = http_client_new(&p->http, err);

    if (r < 0) {
        free(p);
        return r;
    }
    p->spec = spec;
    p->stop = stop;
    p->base = hub_disk_url(spec, key, "parent-manifest");
    *ret = p;
    return 0;
}

void
copy_parent_free(struct copy_parent *p)
{
    if (!p)
        return;
    http_client_free(p->http);
    free(p->base);
    free(p);
}

static int
get_once(struct copy_parent *p, const char *url, size_t max, struct http_response *ret,
         struct err *err)
{
    struct http_request req = {.method = "GET",
                               .url = url,
                               .bearer = p->spec->job_token,
                               .accept = "application/octet-stream",
                               .connect_timeout_ms = p->spec->deadlines.connect_s * 1000,
                               .timeout_ms = GET_TIMEOUT_MS,
                               /* A refusal is text. */
                               .max_response = max < 65536 ? 65536 : max,
                               .cancel_fd = copy_stop_fd(p->stop)};
    CLEANUP_JSON json_t *j = NULL;
    struct err ignored = ERR_INIT;
    int r = http_do(p->http, &req, ret, err);

    if (r < 0)
        return r;
    if (ret->status < 200 || ret->status >= 300) {
        if (ret->body)
            (void)json_parse(ret->body, ret->body_len, &j, &ignored);
        hub_refusal(j, ret->status, "to tell what the parent holds", err);
    } else if (ret->body_len % MANIFEST_RECORD_SIZE || ret->body_len > max) {
        err_set(err, ERR_PROTOCOL, "hub_protocol",
                "the hub's answer of %zu bytes is not made of the records asked for",
                ret->body_len);
    }
    if (err->class != 0)
        http_response_done(ret);
    return err->class;
}

/* At most @max records. */
static int
get(struct copy_parent *p, const char *query, size_t max, struct http_response *ret,
    struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s?%s", p->base, query);
    unsigned pause_ms = PAUSE_FIRST_MS;

    for (unsigned try = 1;; try++) {
        int r;

        err_clear(err);
        *ret = (struct http_response){0};
        r = get_once(p, url, max * MANIFEST_RECORD_SIZE, ret, err);
        if (r >= 0 || !err_is_transient(r))
            return r;
        if (try == TRIES_MAX)
            return err_prefix(err, "ask the hub for the parent, %d tries", TRIES_MAX);
        r = copy_stop_pause(p->stop, pause_ms, err);
        if (r < 0)
            return r;
        pause_ms = pause_ms * 3 < PAUSE_MAX_MS ? pause_ms * 3 : PAUSE_MAX_MS;
    }
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
    r = get(p, query, n, &a, err);
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
        r = get(p, query.data, n, &a, err);
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
    r = get(p, query, n, &a, err);
    if (r < 0)
        return r;
    r = read_sample(&a, ret_blocks, ret, err);
    *ret_n = count_of(&a);
    http_response_done(&a);
    return r;
}
