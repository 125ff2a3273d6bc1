/* copy/push.c - see push.h. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "copy/hub_answer.h"
#include "copy/push.h"
#include "os/http_client.h"

#define TRIES_MAX 6
#define PAUSE_FIRST_MS 200
#define PAUSE_MAX_MS 5000
#define PUT_TIMEOUT_MS 60000
#define PUT_RECORDS_MAX (256u * 1024) /* 10 MiB a request */

struct batch {
    uint8_t *bytes;
    size_t alloc; /* records */
    uint64_t first, block;
    size_t n;
};

struct copy_push {
    const struct job_spec *spec;
    struct copy_stop *stop;
    struct http_client *http;
    char *base; /* URL without the query */
    uint64_t next;
    struct batch before; /* the last batch that the hub acknowledged */
};

/* What one request came to: the hub's word, or where it wants us to go back to. */
struct outcome {
    struct push_answer answer;
    bool gap;
    uint64_t expected;
};

int
copy_push_new(const struct job_spec *spec, uint32_t key, uint64_t first,
              struct copy_stop *stop, struct copy_push **ret, struct err *err)
{
    struct copy_push *p = xcalloc(1, sizeof(*p));
    int r = http_client_new(&p->http, err);

    if (r < 0) {
        free(p);
        return r;
    }
    p->spec = spec;
    p->stop = stop;
    p->base = hub_disk_url(spec, key, "manifest");
    p->next = first;
    *ret = p;
    return 0;
}

void
copy_push_free(struct copy_push *p)
{
    if (!p)
        return;
    http_client_free(p->http);
    free(p->base);
    free(p->before.bytes);
    free(p);
}

static int
read_answer(const json_t *j, bool final, struct push_answer *ret, struct err *err)
{
    struct jreader rd;
    const char *root;

    jreader_init(&rd, j, "answer of the hub", err);
    ret->records = jget_u64(&rd, "records");
    root = jopt_str(&rd, "layer_root", NULL);
    if (jreader_end_lax(&rd) < 0)
        return err_set(err, ERR_PROTOCOL, "hub_protocol",
                       "the hub's answer is not understood");
    ret->has_root = root != NULL;
    if (root && text_unhex(root, ret->root, sizeof(ret->root)) < 0)
        return err_set(err, ERR_PROTOCOL, "hub_protocol",
                       "the hub's layer root is malformed");
    if (final && !root)
        return err_set(err, ERR_PROTOCOL, "hub_protocol", "the hub gave no layer root");
    return 0;
}

/* A gap is no failure yet. */
static int
read_refusal(const json_t *j, long status, struct outcome *ret, struct err *err)
{
    const char *code = json_string_value(json_object_get(j, "code"));
    const json_t *expected = json_object_get(j, "expected");

    if (code && status == 409 && strcmp(code, "manifest_gap") == 0 &&
        json_is_integer(expected) && json_integer_value(expected) >= 0) {
        ret->gap = true;
        ret->expected = (uint64_t)json_integer_value(expected);
    }
    return hub_refusal(j, status, "manifest records", err);
}

static int
put_once(struct copy_push *p, const char *url, const struct push_part *part,
         struct outcome *ret, struct err *err)
{
    struct http_request req = {.method = "PUT",
                               .url = url,
                               .bearer = p->spec->job_token,
                               .body = part->n > 0 ? (const void *)part->records : "",
                               .body_len = part->n * MANIFEST_RECORD_SIZE,
                               .content_type = "application/octet-stream",
                               .connect_timeout_ms = p->spec->deadlines.connect_s * 1000,
                               .timeout_ms = PUT_TIMEOUT_MS,
                               .max_response = 64 * 1024,
                               .cancel_fd = copy_stop_fd(p->stop)};
    struct http_response resp = {0};
    CLEANUP_JSON json_t *j = NULL;
    struct err ignored = ERR_INIT;
    int r = http_do(p->http, &req, &resp, err);

    if (r < 0)
        return r;
    if (resp.body)
        (void)json_parse(resp.body, resp.body_len, &j, &ignored);
    if (resp.status >= 200 && resp.status < 300)
        r = read_answer(j, part->final, &ret->answer, err);
    else
        r = read_refusal(j, resp.status, ret, err);
    http_response_done(&resp);
    return r;
}

static int
put_retrying(struct copy_push *p, uint64_t first, const struct push_part *part,
             struct outcome *ret, struct err *err)
{
    CLEANUP_FREE char *url =
        xasprintf("%s?checkpoint=%llu&record=%llu&block=%llu%s", p->base,
                  (unsigned long long)part->checkpoint, (unsigned long long)first,
                  (unsigned long long)part->block, part->final ? "&final=1" : "");
    unsigned pause_ms = PAUSE_FIRST_MS;

    for (unsigned try = 1;; try++) {
        int r;

        err_clear(err);
        *ret = (struct outcome){0};
        r = put_once(p, url, part, ret, err);
        if (r >= 0 || ret->gap || !err_is_transient(r))
            return r;
        if (try == TRIES_MAX) {
            if (strcmp(err->code, err_class_word(r)) == 0)
                err_recode(err, "hub_unavailable");
            return err_prefix(err, "push to the hub, %d tries", TRIES_MAX);
        }
        r = copy_stop_pause(p->stop, pause_ms, err);
        if (r < 0)
            return r;
        pause_ms = pause_ms * 3 < PAUSE_MAX_MS ? pause_ms * 3 : PAUSE_MAX_MS;
    }
}

/* What the hub has must be what was sent, or it would be found out only at the end. */
static int
check_count(const struct outcome *o, uint64_t want, struct err *err)
{
    if (o->answer.records == want)
        return 0;
    return err_set(err, ERR_PROTOCOL, "hub_protocol",
                   "the hub has %llu records after a push up to %llu",
                   (unsigned long long)o->answer.records, (unsigned long long)want);
}

static int
close_gap(struct copy_push *p, uint64_t checkpoint, uint64_t expected, struct err *err)
{
    const struct batch *b = &p->before;
    struct push_part again = {.checkpoint = checkpoint, .block = b->block};
    struct outcome o;
    size_t skip;
    int r;

    if (expected < b->first || expected >= b->first + b->n)
        return err_set(err, ERR_EXISTS, "manifest_gap",
                       "the hub lost manifest records: it has %llu of %llu",
                       (unsigned long long)expected, (unsigned long long)p->next);
    err_clear(err);
    skip = (size_t)(expected - b->first);
    again.records = b->bytes + skip * MANIFEST_RECORD_SIZE;
    again.n = b->n - skip;
    r = put_retrying(p, expected, &again, &o, err);
    return r < 0 ? r : check_count(&o, p->next, err);
}

static int
remember(struct copy_push *p, const struct push_part *part, struct err *err)
{
    struct batch *b = &p->before;

    if (part->n == 0)
        return 0;
    if (part->n > b->alloc) {
        uint8_t *more = realloc(b->bytes, part->n * MANIFEST_RECORD_SIZE);

        if (!more)
            return err_set(err, ERR_LIMIT, NULL, "no memory for %zu records", part->n);
        b->bytes = more;
        b->alloc = part->n;
    }
    memcpy(b->bytes, part->records, part->n * MANIFEST_RECORD_SIZE);
    b->first = p->next;
    b->block = part->block;
    b->n = part->n;
    return 0;
}

static int
send_one(struct copy_push *p, const struct push_part *part, struct outcome *ret,
         struct err *err)
{
    int r = put_retrying(p, p->next, part, ret, err);

    if (r < 0 && ret->gap) {
        r = close_gap(p, part->checkpoint, ret->expected, err);
        if (r == 0)
            r = put_retrying(p, p->next, part, ret, err);
    }
    if (r == 0)
        r = check_count(ret, p->next + part->n, err);
    if (r == 0)
        r = remember(p, part, err);
    if (r == 0)
        p->next += part->n;
    return r;
}

/* What is left of @all after its first records, too many for one request, in *ret. */
static int
cut(const struct push_part *all, size_t from, struct push_part *ret, struct err *err)
{
    struct manifest_record last;

    *ret = *all;
    ret->records += from * MANIFEST_RECORD_SIZE;
    ret->n -= from;
    if (ret->n <= PUT_RECORDS_MAX)
        return 0;
    ret->n = PUT_RECORDS_MAX;
    ret->final = false;
    /* Only the last one goes as far as the whole. */
    if (manifest_record_decode(ret->records + (ret->n - 1) * MANIFEST_RECORD_SIZE, &last,
                               err) < 0)
        return err->class;
    ret->block = last.block + last.count;
    return 0;
}

int
copy_push_send(struct copy_push *p, const struct push_part *part, struct push_answer *ret,
               struct err *err)
{
    struct outcome o = {0};
    size_t sent = 0;

    do {
        struct push_part now;

        if (cut(part, sent, &now, err) < 0 || send_one(p, &now, &o, err) < 0)
            return err->class;
        sent += now.n;
    } while (sent < part->n);
    *ret = o.answer;
    return 0;
}
