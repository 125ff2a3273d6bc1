/* api/routes_internal.c - manifests from and to clients (docs/design/protocol.md 5). */
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "job/live.h"
#include "job/manifest_in.h"
#include "job/parent_manifest.h"
#include "model/naming.h"

#define RECORD MANIFEST_RECORD_SIZE
#define BATCH (RECORD * 1024u)

/* One push.  Records are put together over the pieces in which the body comes. */
struct push {
    struct live_job *live;
    uint32_t key;
    uint64_t next;     /* number of the first record in buf */
    uint64_t expected; /* what the hub has; told on a gap */
    bool gap, repeat;
    uint64_t block; /* the client dealt with all before it; 0 = it does not say */
    size_t n;
    unsigned char buf[BATCH];
};

static void
push_free(void *arg)
{
    struct push *p = arg;

    live_unref(p->live);
    free(p);
}

static int
not_found(struct err *err)
{
    return err_set(err, ERR_NOT_FOUND, "job_not_found", "this job receives no manifest");
}

/* The token is the job's own: the route's scope lets every token through to here. */
static int
check_token_locked(struct http_call *call, struct manifest_in *m, uint32_t key,
                   struct err *err)
{
    const char *header = http_call_header(call, "Authorization");
    const char *token =
        header && strncasecmp(header, "Bearer ", 7) == 0 ? header + 7 : NULL;

    return m ? manifest_in_check(m, token, key, err) : not_found(err);
}

static int
check_token(struct http_call *call, struct push *p, struct err *err)
{
    struct manifest_in *m = live_manifests_lock(p->live);
    int r = check_token_locked(call, m, p->key, err);

    if (r >= 0) {
        p->expected = manifest_in_count(m, p->key);
        p->repeat = p->next < p->expected;
    }
    live_manifests_unlock(p->live);
    return r;
}

static int
begin(struct http_call *call, struct api *a, struct push **ret, struct err *err)
{
    static const char *const known[] = {"checkpoint", "record", "block", "final", NULL};
    uint64_t record, checkpoint, block, final;
    struct push *p;
    uint32_t key;

    *ret = http_call_state(call);
    if (*ret)
        return 0;
    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "record", 0, INT64_MAX / RECORD, &record, err) < 0 ||
        http_call_query_u64(call, "checkpoint", 0, INT64_MAX, &checkpoint, err) < 0 ||
        http_call_query_u64(call, "block", 0, INT64_MAX, &block, err) < 0 ||
        http_call_query_u64(call, "final", 0, 1, &final, err) < 0)
        return err->class;
    if (naming_key_from_str(http_call_param(call, "key"), &key) < 0)
        return err_set(err, ERR_NOT_FOUND, "disk_not_found", "no disk has such a key");
    p = xcalloc(1, sizeof *p);
    http_call_set_state(call, p, push_free);
    p->key = key;
    p->next = record;
    p->block = block;
    p->live = live_find(a->env->live, http_call_param(call, "job_id"));
    if (!p->live)
        return not_found(err);
    *ret = p;
    return check_token(call, p, err);
}

/* Each time with the token: another attempt, which has another one, may have begun since
 * this push did. */
static int
flush(struct http_call *call, struct push *p, struct err *err)
{
    struct manifest_in *m = live_manifests_lock(p->live);
    int r = check_token_locked(call, m, p->key, err);

    if (r >= 0)
        r = manifest_in_append(m, p->key, p->next, p->buf, p->n, &p->expected, err);
    live_manifests_unlock(p->live);
    if (r < 0) {
        p->gap = strcmp(err->code, "manifest_gap") == 0;
        return r;
    }
    p->next += p->n / RECORD;
    p->n = 0;
    return 0;
}

int
api_manifest_body(struct http_call *call, void *app, const void *data, size_t n,
                  struct err *err)
{
    const unsigned char *at = data;
    struct push *p;

    if (begin(call, app, &p, err) < 0)
        return err->class;
    while (n > 0 && !p->gap) {
        size_t take = BATCH - p->n < n ? BATCH - p->n : n;

        memcpy(p->buf + p->n, at, take);
        p->n += take;
        at += take;
        n -= take;
        if (p->n < BATCH || flush(call, p, err) >= 0)
            continue;
        if (!p->gap)
            return err->class;
        /* The answer to a gap says what is expected: it is made at the end of the body.
         */
        err_clear(err);
    }
    return 0;
}

/* A repeat says what was true before; else a client that contradicts itself is ended. */
static int
take_block_locked(struct push *p, struct manifest_in *m, struct err *err)
{
    uint64_t known = manifest_in_block(m, p->key);

    if (p->block == 0)
        return 0;
    if (p->block < known && !p->repeat)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "all blocks below %llu were said to be done, %llu are",
                       (unsigned long long)p->block, (unsigned long long)known);
    return manifest_in_set_block(m, p->key, p->block, err);
}

static int
finish(struct http_call *call, struct push *p, bool final, struct http_reply *reply,
       struct err *err)
{
    uint8_t root[MANIFEST_HASH_SIZE];
    char hex[2 * MANIFEST_HASH_SIZE + 1];
    struct manifest_in *m = live_manifests_lock(p->live);
    uint64_t records = m ? manifest_in_count(m, p->key) : 0;
    int r = check_token_locked(call, m, p->key, err);

    if (r >= 0)
        r = take_block_locked(p, m, err);
    if (r >= 0 && final)
        r = manifest_in_final(m, p->key, root, err);
    live_manifests_unlock(p->live);
    if (r < 0)
        return r;
    reply->json = json_object();
    put_u64(reply->json, "records", records);
    if (final) {
        text_hex(root, sizeof root, hex);
        put_str(reply->json, "layer_root", hex);
    }
    return 0;
}

static int
answer_gap(struct push *p, struct http_reply *reply, struct err *err)
{
    json_t *extra = json_object();

    put_u64(extra, "expected", p->expected);
    reply->extra_problem = extra;
    return err_set(err, ERR_EXISTS, "manifest_gap",
                   "records from %llu on were announced, the hub has %llu",
                   (unsigned long long)p->next, (unsigned long long)p->expected);
}

int
api_manifest_put(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    uint64_t final;
    struct push *p = NULL;

    if (begin(call, app, &p, err) < 0 ||
        http_call_query_u64(call, "final", 0, 1, &final, err) < 0)
        return err->class;
    if (p->n % RECORD != 0)
        return err_set(err, ERR_INVALID, "manifest_invalid",
                       "the body is not made of whole records of %u bytes", RECORD);
    /* A push without records is a question too: where do you stand? */
    if (p->gap || (p->n == 0 && p->next > p->expected))
        return answer_gap(p, reply, err);
    if (p->n > 0 && flush(call, p, err) < 0)
        return p->gap ? answer_gap(p, reply, err) : err->class;
    return finish(call, p, final == 1, reply, err);
}

/* Does @fn with the manifests of the job and the disk that the call names. */
static int
with_manifests(struct http_call *call, struct api *a,
               int (*fn)(struct manifest_in *m, uint32_t key, void *arg, struct err *err),
               void *arg, struct err *err)
{
    CLEANUP_LIVE struct live_job *live = NULL;
    struct manifest_in *m;
    uint32_t key;
    int r;

    if (naming_key_from_str(http_call_param(call, "key"), &key) < 0)
        return err_set(err, ERR_NOT_FOUND, "disk_not_found", "no disk has such a key");
    live = live_find(a->env->live, http_call_param(call, "job_id"));
    if (!live)
        return not_found(err);
    m = live_manifests_lock(live);
    r = check_token_locked(call, m, key, err);
    if (r >= 0)
        r = fn(m, key, arg, err);
    live_manifests_unlock(live);
    return r;
}

/* --- what an earlier attempt sent --- */

struct records_ask {
    uint64_t first, count;
    struct records_out *out;
};

static int
open_records_locked(struct manifest_in *m, uint32_t key, void *arg, struct err *err)
{
    struct records_ask *q = arg;

    return manifest_in_open_records(m, key, q->first, q->count, &q->out, err);
}

/* What fails on the way cuts the answer, which the client sees. */
static ssize_t
records_stream(void *arg, char *p, size_t n)
{
    struct err err = ERR_INIT;
    size_t done = 0;

    if (records_out_read(arg, p, n, &done, &err) < 0) {
        log_error("records of a manifest: %s", err.msg);
        return -2;
    }
    return done > 0 ? (ssize_t)done : -1;
}

static void
records_free(void *arg)
{
    records_out_free(arg);
}

int
api_manifest_get(struct http_call *call, void *app, struct http_reply *reply,
                 struct err *err)
{
    static const char *const known[] = {"record", "count", NULL};
    struct records_ask q = {.out = NULL};

    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "record", 0, INT64_MAX / RECORD, &q.first, err) < 0 ||
        http_call_query_u64(call, "count", 0, INT64_MAX / RECORD, &q.count, err) < 0 ||
        with_manifests(call, app, open_records_locked, &q, err) < 0)
        return err->class;
    reply->stream = records_stream;
    reply->stream_free = records_free;
    reply->stream_arg = q.out;
    return 0;
}

/* --- what a disk stands on --- */

static int
open_parent_locked(struct manifest_in *m, uint32_t key, void *ret, struct err *err)
{
    return manifest_in_open_parent(m, key, ret, err);
}

static int
open_parent(struct http_call *call, struct api *a, struct parent_manifest **ret,
            struct err *err)
{
    return with_manifests(call, a, open_parent_locked, ret, err);
}

/* "1,5,9" */
static int
ask_list(struct parent_manifest *p, const char *text, struct err *err)
{
    uint64_t blocks[PARENT_LIST_MAX];
    CLEANUP_FREE char *copy = xstrdup(text);
    char *at = copy, *word;
    size_t n = 0;

    while ((word = strsep(&at, ",")))
        if (n == PARENT_LIST_MAX || text_to_u64(word, &blocks[n++]) < 0)
            return err_set(err, ERR_INVALID, "invalid_parameter",
                           "'blocks' must be 1 to %u numbers", PARENT_LIST_MAX);
    return parent_manifest_list(p, blocks, n, err);
}

static int
ask(struct http_call *call, struct parent_manifest *p, struct err *err)
{
    static const char *const known[] = {"block",  "count", "blocks",
                                        "sample", "seed",  NULL};
    const char *list = http_call_query(call, "blocks");
    uint64_t block, count, sample, seed;

    if (http_call_query_only(call, known, err) < 0 ||
        http_call_query_u64(call, "block", 0, INT64_MAX, &block, err) < 0 ||
        http_call_query_u64(call, "count", 0, INT64_MAX, &count, err) < 0 ||
        http_call_query_u64(call, "sample", 0, PARENT_LIST_MAX, &sample, err) < 0 ||
        http_call_query_u64(call, "seed", 0, INT64_MAX, &seed, err) < 0)
        return err->class;
    if ((list != NULL) + (count > 0) + (sample > 0) != 1)
        return err_set(err, ERR_INVALID, "invalid_parameter",
                       "give one of 'count', 'blocks' and 'sample'");
    if (list)
        return ask_list(p, list, err);
    return count > 0 ? parent_manifest_range(p, block, count, err)
                     : parent_manifest_sample(p, (size_t)sample, seed, err);
}

/* Whole records only.  What fails on the way cuts the answer, which the client sees. */
static ssize_t
parent_stream(void *arg, char *p, size_t n)
{
    struct parent_manifest *pm = arg;
    struct manifest_record rec;
    struct err err = ERR_INIT;
    size_t done = 0;
    int r = 1;

    while (n - done >= RECORD && (r = parent_manifest_next(pm, &rec, &err)) > 0) {
        manifest_record_encode(&rec, (uint8_t *)p + done);
        done += RECORD;
    }
    if (r < 0) {
        log_error("parent manifest: %s", err.msg);
        return -2;
    }
    return done > 0 ? (ssize_t)done : -1;
}

static void
parent_free(void *arg)
{
    parent_manifest_free(arg);
}

int
api_parent_manifest_get(struct http_call *call, void *app, struct http_reply *reply,
                        struct err *err)
{
    CLEANUP_PARENT_MANIFEST struct parent_manifest *p = NULL;

    if (open_parent(call, app, &p, err) < 0 || ask(call, p, err) < 0) {
        /* Asking again does not help: the client is to give up at once, and say why. */
        if (err->class == ERR_CORRUPT) {
            err_recode(err, "parent_damaged");
            reply->status = 422;
        }
        return err->class;
    }
    reply->stream = parent_stream;
    reply->stream_free = parent_free;
    reply->stream_arg = take_ptr(&p);
    return 0;
}
