/* Manifest records on their way to a hub that forgets, refuses, or is not well. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "copy/earlier.h"
#include "copy/push.h"
#include "os/http_server.h"

#define TOKEN "the-token"

/* A hub that keeps a count only. */
struct hub {
    struct http_server *server;
    pthread_mutex_t lock;
    uint64_t records, calls, block, given;
    enum { WELL, SHORT, OTHER } fault; /* of what it gives back */
    unsigned fail;                     /* so many calls are answered with 503 */
    bool conflict, lie;
};

static int
on_body(struct http_call *call, void *app, const void *p, size_t n, struct err *err)
{
    size_t *total = http_call_state(call);

    (void)app;
    (void)p;
    (void)err;
    if (!total) {
        total = xcalloc(1, sizeof(*total));
        http_call_set_state(call, total, free);
    }
    *total += n;
    return 0;
}

static int
handle(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct hub *h = app;
    const size_t *total = http_call_state(call);
    uint64_t n = total ? *total / MANIFEST_RECORD_SIZE : 0, first = 0;
    char root[2 * MANIFEST_HASH_SIZE + 1];
    LOCK_SCOPE(&h->lock);

    h->calls++;
    if (http_call_query_u64(call, "record", 0, UINT64_MAX / 2, &first, err) < 0 ||
        http_call_query_u64(call, "block", 0, UINT64_MAX / 2, &h->block, err) < 0)
        return err->class;
    if (h->fail > 0) {
        h->fail--;
        return err_set(err, ERR_UNAVAILABLE, "not_now", "not now");
    }
    if (h->conflict)
        return err_set(err, ERR_EXISTS, "manifest_conflict", "other records are stored");
    if (first > h->records) {
        reply->extra_problem = json_pack("{s:I}", "expected", (json_int_t)h->records);
        return err_set(err, ERR_EXISTS, "manifest_gap", "records are missing");
    }
    if (first + n > h->records)
        h->records = first + n;
    reply->json = json_pack("{s:I}", "records", (json_int_t)(h->records + h->lie));
    memset(root, 'a', sizeof(root) - 1);
    root[sizeof(root) - 1] = '\0';
    if (http_call_query(call, "final"))
        json_object_set_new(reply->json, "layer_root", json_string(root));
    return 0;
}

/* Record number N is of block 2 N. */
static ssize_t
stream(void *arg, char *p, size_t n)
{
    uint64_t *at = arg;
    size_t done = 0;

    for (; at[0] < at[1] && n - done >= MANIFEST_RECORD_SIZE; at[0]++) {
        struct manifest_record r = {
            .block = 2 * at[0], .state = MANIFEST_DATA, .count = 1};

        manifest_record_encode(&r, (uint8_t *)p + done);
        done += MANIFEST_RECORD_SIZE;
    }
    return done ? (ssize_t)done : -1;
}

static int
give(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct hub *h = app;
    uint64_t first = 0, count = 0;
    uint64_t *at;
    LOCK_SCOPE(&h->lock);

    h->calls++;
    if (http_call_query_u64(call, "record", 0, UINT64_MAX / 2, &first, err) < 0 ||
        http_call_query_u64(call, "count", 0, UINT64_MAX / 2, &count, err) < 0)
        return err->class;
    if (h->fail > 0) {
        h->fail--;
        return err_set(err, ERR_UNAVAILABLE, "not_now", "not now");
    }
    at = xcalloc(2, sizeof(*at));
    at[0] = first - (h->fault == OTHER && first > 0);
    at[1] = at[0] + count - (h->fault == SHORT);
    h->given += at[1] - at[0];
    reply->stream = stream;
    reply->stream_arg = at;
    reply->stream_free = free;
    return 0;
}

static int
authorize(void *app, const char *token, const char *scope, struct http_call *call,
          struct err *err)
{
    (void)app;
    (void)scope;
    (void)call;
    return token && strcmp(token, TOKEN) == 0 ? 0 : err_set(err, ERR_AUTH, NULL, "no");
}

static const struct http_route routes[] = {
    {.method = "PUT",
     .pattern = "/internal/v1/jobs/{id}/disks/{key}/manifest",
     .scope = "job",
     .body = HTTP_BODY_STREAM,
     .handle = handle,
     .on_body = on_body},
    {.method = "GET",
     .pattern = "/internal/v1/jobs/{id}/disks/{key}/manifest",
     .scope = "job",
     .body = HTTP_BODY_NONE,
     .handle = give},
    {.method = NULL},
};

struct world {
    struct hub hub;
    struct job_spec spec;
    struct copy_stop *stop;
    struct copy_push *push;
    struct push_answer answer;
    struct err err;
    uint8_t records[100 * MANIFEST_RECORD_SIZE];
};

static void
open_push(struct world *w, const char *token)
{
    struct http_server_options o = {.listen = "127.0.0.1:0",
                                    .routes = routes,
                                    .app = &w->hub,
                                    .authorize = authorize};

    assert_int_equal(http_server_start(&o, &w->hub.server, &w->err), 0);
    w->spec.hub_url = xasprintf("http://%s/", http_server_address(w->hub.server));
    w->spec.job_token = secret_new(token, strlen(token));
    w->spec.deadlines = spec_deadlines_default;
    uuid_make(w->spec.job_id);
    assert_int_equal(copy_stop_new(&w->stop, &w->err), 0);
    assert_int_equal(copy_push_new(&w->spec, 2000, 0, w->stop, &w->push, &w->err), 0);
}

static int
setup(void **state)
{
    struct world *w = xcalloc(1, sizeof(*w));

    pthread_mutex_init(&w->hub.lock, NULL);
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    copy_push_free(w->push);
    http_server_stop(w->hub.server);
    copy_stop_free(w->stop);
    secret_free(w->spec.job_token);
    free(w->spec.hub_url);
    free(w);
    return 0;
}

static int
push(struct world *w, uint64_t checkpoint, size_t n, bool final)
{
    struct push_part part = {.checkpoint = checkpoint,
                             .records = w->records,
                             .n = n,
                             .block = 100,
                             .final = final};

    return copy_push_send(w->push, &part, &w->answer, &w->err);
}

static void
in_order(void **state)
{
    struct world *w = *state;

    open_push(w, TOKEN);
    assert_int_equal(push(w, 1, 10, false), 0);
    assert_int_equal(w->answer.records, 10);
    assert_false(w->answer.has_root);
    w->hub.fail = 1; /* tried again */
    assert_int_equal(push(w, 2, 5, false), 0);
    assert_int_equal(push(w, 3, 0, true), 0);
    assert_int_equal(w->answer.records, 15);
    assert_true(w->answer.has_root);
    assert_int_equal(w->answer.root[31], 0xaa);
    assert_int_equal(w->hub.calls, 4);
}

static void
gap(void **state)
{
    struct world *w = *state;

    open_push(w, TOKEN);
    assert_int_equal(push(w, 1, 10, false), 0);
    assert_int_equal(push(w, 2, 10, false), 0);
    w->hub.records = 13; /* lost the end of the last batch */
    assert_int_equal(push(w, 3, 10, false), 0);
    assert_int_equal(w->hub.records, 30);
    w->hub.records = 3; /* lost more than is remembered */
    assert_int_equal(push(w, 4, 10, false), ERR_EXISTS);
    assert_string_equal(w->err.code, "manifest_gap");
}

static void
refusals(void **state)
{
    struct world *w = *state;

    open_push(w, TOKEN);
    w->hub.lie = true;
    assert_int_equal(push(w, 1, 10, false), ERR_PROTOCOL);
    assert_string_equal(w->err.code, "hub_protocol");
    w->hub.conflict = true;
    assert_int_equal(push(w, 1, 10, false), ERR_EXISTS);
    assert_string_equal(w->err.code, "manifest_conflict");
}

static void
wrong_token(void **state)
{
    struct world *w = *state;

    open_push(w, "other");
    assert_int_equal(push(w, 1, 1, false), ERR_AUTH);
    assert_int_equal(w->hub.calls, 0);
}

static void
stopped(void **state)
{
    struct world *w = *state;
    struct err why = ERR_INIT;

    open_push(w, TOKEN);
    w->hub.fail = 100;
    err_set(&why, ERR_CANCELLED, "cancelled", "cancelled");
    copy_stop_set(w->stop, -1, &why);
    assert_int_equal(push(w, 1, 1, false), ERR_CANCELLED);
}

/* Many parts: only the last one goes as far as the whole does. */
static void
goes_on_in_parts(void **state)
{
    struct world *w = *state;
    const size_t n = 256 * 1024 + 3;
    uint8_t *all = xcalloc(n, MANIFEST_RECORD_SIZE);
    struct push_part part = {.checkpoint = 1, .records = all, .n = n, .block = 9000000};

    for (size_t i = 0; i < n; i++) {
        struct manifest_record r = {.block = 100 + i, .state = MANIFEST_DATA, .count = 1};

        manifest_record_encode(&r, all + i * MANIFEST_RECORD_SIZE);
    }
    open_push(w, TOKEN);
    copy_push_free(w->push);
    w->hub.records = 70;
    assert_int_equal(copy_push_new(&w->spec, 2000, 70, w->stop, &w->push, &w->err), 0);
    assert_int_equal(copy_push_send(w->push, &part, &w->answer, &w->err), 0);
    assert_int_equal(w->hub.records, 70 + n);
    assert_int_equal(w->hub.calls, 2);
    assert_int_equal(w->hub.block, 9000000);
    part.n = 0; /* only that more was dealt with */
    part.block++;
    assert_int_equal(copy_push_send(w->push, &part, &w->answer, &w->err), 0);
    assert_int_equal(w->hub.block, 9000001);
    free(all);
}

static int
take_earlier(struct world *w, uint64_t block, uint64_t records,
             struct manifest_check **ret)
{
    struct job_spec_disk d = {.key = 2000,
                              .size_bytes = 1ull << 40,
                              .resume = {.block = block, .records = records}};
    struct manifest_header h = {.disk_size = d.size_bytes};

    manifest_check_free(*ret);
    *ret = NULL;
    err_clear(&w->err);
    assert_int_equal(manifest_check_new(&h, ret, &w->err), 0);
    return copy_earlier_take(&w->spec, &d, w->stop, *ret, &w->err);
}

static void
earlier_records(void **state)
{
    struct world *w = *state;
    CLEANUP_MANIFEST_CHECK struct manifest_check *c = NULL;

    open_push(w, TOKEN);
    w->hub.fail = 1; /* tried again */
    assert_int_equal(take_earlier(w, 200000, 70000, &c), 0);
    assert_int_equal(manifest_check_count(c), 70000);
    assert_int_equal(manifest_check_next_block(c), 2 * 69999 + 1);
    assert_int_equal(w->hub.given, 70000);
    assert_int_equal(w->hub.calls, 3);
    assert_int_equal(take_earlier(w, 5, 0, &c), 0);
    assert_int_equal(take_earlier(w, 19, 10, &c), 0);
    /* More than was dealt with: they are not of this checkpoint. */
    assert_int_equal(take_earlier(w, 18, 10, &c), ERR_PROTOCOL);
    assert_string_equal(w->err.code, "hub_protocol");
    w->hub.fault = SHORT;
    assert_int_equal(take_earlier(w, 19, 10, &c), ERR_PROTOCOL);
    assert_string_equal(w->err.code, "hub_protocol");
    w->hub.fault = OTHER; /* the second page begins with what the first ended with */
    assert_int_equal(take_earlier(w, 200000, 70000, &c), ERR_PROTOCOL);
    assert_string_equal(w->err.code, "hub_protocol");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {T(in_order),       T(gap),     T(refusals),
                                       T(wrong_token),    T(stopped), T(goes_on_in_parts),
                                       T(earlier_records)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
