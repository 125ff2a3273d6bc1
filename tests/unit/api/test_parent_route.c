/* tests/unit/api/test_parent_route.c - who may ask what a disk's parent holds, and what
 * an earlier attempt sent, and what is answered to questions that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/api.h"
#include "api/handlers.h"
#include "base/json.h"
#include "base/mem.h"
#include "job/env.h"
#include "job/live.h"
#include "job/manifest_in.h"
#include "os/http_client.h"
#include "store/manifest_file.h"

#define DISK "018f0000-0000-7000-8000-0000000000d1"
#define FULL 2000u    /* a disk that stands on nothing */
#define OVERLAY 2001u /* a disk that stands on data in blocks 3, 4 and 9 */
#define BLOCKS 20u

static const struct http_route routes[] = {
    {"PUT", "/internal/v1/jobs/{job_id}/disks/{key}/manifest", "job", HTTP_BODY_STREAM, 0,
     api_manifest_put, api_manifest_body},
    {"GET", "/internal/v1/jobs/{job_id}/disks/{key}/manifest", "job", HTTP_BODY_NONE, 0,
     api_manifest_get, NULL},
    {"GET", "/internal/v1/jobs/{job_id}/disks/{key}/parent-manifest", "job",
     HTTP_BODY_NONE, 0, api_parent_manifest_get, NULL},
    {.method = NULL},
};

static struct world {
    char dir[64], token[TOKEN_STR_SIZE], job_id[UUID_STR_SIZE], other_id[UUID_STR_SIZE];
    struct job_env env;
    struct api api;
    struct http_server *server;
    struct http_client *http;
    struct live_job *live;
    struct manifest_in *manifests;
    struct http_response got;
    json_t *problem;
    struct err err;
} w;

static int
authorize(void *app, const char *token, const char *scope, struct http_call *call,
          struct err *err)
{
    (void)app;
    (void)scope;
    (void)call;
    return token ? 0 : err_set(err, ERR_AUTH, NULL, "no token");
}

static void
ok(int r)
{
    if (r < 0)
        fail_msg("%s (%s)", w.err.msg, w.err.code);
}

static void
make_parent(struct chain *c)
{
    static const uint64_t data[] = {3, 4, 9};
    struct manifest_header h = {.disk_size = BLOCKS * MANIFEST_BLOCK_SIZE - 5};
    CLEANUP_MANIFEST_WRITER struct manifest_writer *m = NULL;
    struct chain_layer *l = xcalloc(1, sizeof(*l));

    *c = (struct chain){.v = l, .n = 1};
    snprintf(c->disk_uuid, UUID_STR_SIZE, "%s", DISK);
    l->manifest = xasprintf("%s/000001.manifest", w.dir);
    l->size_bytes = h.disk_size;
    uuid_make(l->layer_id);
    manifest_id_from_str(l->layer_id, h.layer_id);
    manifest_id_from_str(DISK, h.disk_uuid);
    ok(manifest_writer_create(l->manifest, &h, &m, &w.err));
    for (size_t i = 0; i < ARRAY_LEN(data); i++) {
        struct manifest_record r = {.block = data[i], .state = MANIFEST_DATA, .count = 1};
        uint8_t raw[MANIFEST_RECORD_SIZE];
        uint64_t total;

        memset(r.hash, (int)data[i], sizeof(r.hash));
        manifest_record_encode(&r, raw);
        ok(manifest_writer_append(m, i, raw, sizeof(raw), &total, &w.err));
    }
    ok(manifest_writer_seal(m, l->layer_root, &w.err));
}

static void
add_disk(uint32_t key, struct chain *parent)
{
    struct manifest_header h = {.disk_size = BLOCKS * MANIFEST_BLOCK_SIZE};
    CLEANUP_FREE char *path = xasprintf("%s/%u.manifest", w.dir, key);

    h.layer_id[0] = (uint8_t)key;
    h.disk_uuid[0] = 1;
    h.parent_layer_id[0] = parent != NULL;
    ok(manifest_in_add(w.manifests, key, path, &h, &w.err));
    if (parent)
        ok(manifest_in_set_parent(w.manifests, key, parent, &w.err));
}

static int
set_up(void **state)
{
    struct http_server_options o = {
        .listen = "127.0.0.1:0", .routes = routes, .app = &w.api, .authorize = authorize};
    const struct live_disk disks[] = {{.key = FULL, .size_bytes = 1},
                                      {.key = OVERLAY, .size_bytes = 1}};
    char hash[TOKEN_HASH_SIZE];
    struct chain parent;

    (void)state;
    memset(&w, 0, sizeof(w));
    snprintf(w.dir, sizeof(w.dir), "/tmp/parent-route-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    token_make(w.token);
    token_hash(w.token, hash);
    uuid_make(w.job_id);
    uuid_make(w.other_id);
    w.env.live = live_set_new();
    w.manifests = manifest_in_new(hash);
    make_parent(&parent);
    add_disk(FULL, NULL);
    add_disk(OVERLAY, &parent);
    ok(live_start(w.env.live, LIVE_BACKUP, w.job_id, disks, 2, &w.live, &w.err));
    live_set_manifests(w.live, w.manifests);
    api_init(&w.api, &w.env);
    ok(http_server_start(&o, &w.server, &w.err));
    ok(http_client_new(&w.http, &w.err));
    return 0;
}

static int
tear_down(void **state)
{
    static const char *const files[] = {"000001.manifest", "2000.manifest.part",
                                        "2001.manifest.part"};

    (void)state;
    json_decref(w.problem);
    http_response_done(&w.got);
    http_client_free(w.http);
    http_server_stop(w.server);
    api_done(&w.api);
    live_set_manifests(w.live, NULL);
    live_end(w.live);
    live_set_free(w.env.live);
    manifest_in_free(w.manifests);
    for (size_t i = 0; i < ARRAY_LEN(files); i++) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", w.dir, files[i]);

        (void)unlink(path);
    }
    rmdir(w.dir);
    return 0;
}

/* w.got is the answer. */
static void
call_as(const char *token, struct http_request req, const char *job_id, const char *key,
        const char *what)
{
    CLEANUP_FREE char *url = xasprintf("http://%s/internal/v1/jobs/%s/disks/%s/%s",
                                       http_server_address(w.server), job_id, key, what);
    struct secret *secret = token ? secret_new(token, strlen(token)) : NULL;
    struct err ignored = ERR_INIT;

    req.url = url;
    req.bearer = secret;

    http_response_done(&w.got);
    json_decref(w.problem);
    w.problem = NULL;
    w.got = (struct http_response){0};
    ok(http_do(w.http, &req, &w.got, &w.err));
    if (w.got.status >= 300)
        (void)json_parse(w.got.body, w.got.body_len, &w.problem, &ignored);
    secret_free(secret);
}

static void
ask_as(const char *token, const char *job_id, const char *key, const char *query)
{
    CLEANUP_FREE char *what = xasprintf("parent-manifest%s", query);

    call_as(token, (struct http_request){.method = "GET"}, job_id, key, what);
}

/* Records of the blocks @from to @to - 1 of the full. */
static void
push_blocks(const char *query, uint64_t from, uint64_t to)
{
    uint8_t raw[BLOCKS * MANIFEST_RECORD_SIZE];
    CLEANUP_FREE char *what = xasprintf("manifest?checkpoint=1&%s", query);

    for (uint64_t b = from; b < to; b++) {
        struct manifest_record r = {.block = b, .state = MANIFEST_DATA, .count = 1};

        memset(r.hash, (int)b, sizeof(r.hash));
        manifest_record_encode(&r, raw + (b - from) * MANIFEST_RECORD_SIZE);
    }
    call_as(w.token,
            (struct http_request){.method = "PUT",
                                  .body = raw,
                                  .body_len = (to - from) * MANIFEST_RECORD_SIZE,
                                  .content_type = "application/octet-stream"},
            w.job_id, "2000", what);
}

static void
get_records(const char *query)
{
    CLEANUP_FREE char *what = xasprintf("manifest?%s", query);

    call_as(w.token, (struct http_request){.method = "GET"}, w.job_id, "2000", what);
}

static void
refused(long status, const char *code)
{
    const char *told = json_string_value(json_object_get(w.problem, "code"));

    if (w.got.status != status || !told || strcmp(told, code) != 0)
        fail_msg("want %ld %s, got %ld %s", status, code, w.got.status,
                 told ? told : "-");
}

static void
who_may_ask(void **state)
{
    (void)state;
    ask_as("sendense_other", w.job_id, "2001", "?block=0&count=1");
    refused(403, "forbidden");
    ask_as(NULL, w.job_id, "2001", "?block=0&count=1");
    assert_int_equal(w.got.status, 401);
    ask_as(w.token, w.other_id, "2001", "?block=0&count=1");
    refused(404, "job_not_found");
    ask_as(w.token, w.job_id, "2002", "?block=0&count=1");
    refused(404, "disk_not_found");
    ask_as(w.token, w.job_id, "x", "?block=0&count=1");
    refused(404, "disk_not_found");
    ask_as(w.token, w.job_id, "2000", "?block=0&count=1");
    refused(404, "no_parent");
    live_set_manifests(w.live, NULL); /* the transfer is over */
    ask_as(w.token, w.job_id, "2001", "?block=0&count=1");
    refused(404, "job_not_found");
}

static void
no_questions(void **state)
{
    static const char *const bad[] = {"",
                                      "?block=3",
                                      "?count=0",
                                      "?block=0&count=5&sample=1",
                                      "?blocks=1&count=1",
                                      "?blocks=",
                                      "?blocks=1,",
                                      "?blocks=2,1",
                                      "?blocks=1,x",
                                      "?blocks=-1",
                                      "?sample=1025",
                                      "?block=99999999999999&count=1",
                                      "?block=1&count=99999999999999"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        ask_as(w.token, w.job_id, "2001", bad[i]);
        if (w.got.status != 400)
            fail_msg("'%s': %ld", bad[i], w.got.status);
        refused(400, "invalid_parameter");
    }
    ask_as(w.token, w.job_id, "2001", "?block=0&count=1&x=1");
    refused(400, "unknown_parameter");
}

static void
answers(const char *query, size_t n, const struct manifest_record *want)
{
    ask_as(w.token, w.job_id, "2001", query);
    assert_int_equal(w.got.status, 200);
    assert_string_equal(w.got.content_type, "application/octet-stream");
    assert_int_equal(w.got.body_len, n * MANIFEST_RECORD_SIZE);
    for (size_t i = 0; i < n; i++) {
        struct manifest_record r;

        ok(manifest_record_decode((const uint8_t *)w.got.body + i * MANIFEST_RECORD_SIZE,
                                  &r, &w.err));
        assert_int_equal(r.block, want[i].block);
        assert_int_equal(r.state, want[i].state);
        assert_int_equal(r.count, want[i].count);
        if (r.state == MANIFEST_DATA)
            assert_int_equal(r.hash[7], r.block);
    }
}

static void
questions(void **state)
{
    static const struct manifest_record range[] = {
        {2, MANIFEST_ZERO, 1, {0}}, {3, MANIFEST_DATA, 1, {0}},
        {4, MANIFEST_DATA, 1, {0}}, {5, MANIFEST_ZERO, 4, {0}},
        {9, MANIFEST_DATA, 1, {0}}, {10, MANIFEST_ZERO, 92, {0}}};
    static const struct manifest_record list[] = {{4, MANIFEST_DATA, 1, {0}},
                                                  {5, MANIFEST_ZERO, 1, {0}},
                                                  {4000, MANIFEST_ZERO, 1, {0}}};
    static const struct manifest_record sample[] = {{3, MANIFEST_DATA, 1, {0}},
                                                    {4, MANIFEST_DATA, 1, {0}},
                                                    {9, MANIFEST_DATA, 1, {0}}};

    (void)state;
    answers("?block=2&count=100", 6, range);
    answers("?blocks=4,5,4000", 3, list);
    answers("?sample=5&seed=9", 3, sample);
}

static void
parent_gone(void **state)
{
    CLEANUP_FREE char *path = xasprintf("%s/000001.manifest", w.dir);

    (void)state;
    assert_int_equal(unlink(path), 0);
    ask_as(w.token, w.job_id, "2001", "?block=0&count=1");
    refused(422, "parent_damaged");
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

static void
block_is(uint64_t want)
{
    struct manifest_in *m = live_manifests_lock(w.live);
    uint64_t have = manifest_in_block(m, FULL);

    live_manifests_unlock(w.live);
    assert_int_equal(have, want);
}

/* What a client says of its progress only grows, and is never less than its records. */
static void
blocks_of_pushes(void **state)
{
    (void)state;
    push_blocks("record=0&block=6", 2, 5);
    assert_int_equal(w.got.status, 200);
    block_is(6);
    push_blocks("record=0&block=6", 2, 5); /* a repeat */
    assert_int_equal(w.got.status, 200);
    push_blocks("record=3&block=9", 0, 0); /* nothing to record on the way */
    assert_int_equal(w.got.status, 200);
    block_is(9);
    push_blocks("record=0&block=6", 2, 5); /* late, and harmless */
    assert_int_equal(w.got.status, 200);
    block_is(9);
    push_blocks("record=3&block=8", 0, 0);
    refused(400, "manifest_invalid");
    push_blocks("record=3&block=21", 0, 0);
    refused(400, "manifest_invalid");
    push_blocks("record=3&block=10", 10, 12); /* before the last record's end */
    refused(400, "manifest_invalid");
    block_is(12);
    push_blocks("record=5", 15, 16); /* by hand: without the number */
    assert_int_equal(w.got.status, 200);
    block_is(16);
    push_blocks("record=6&block=x", 16, 17);
    refused(400, "invalid_parameter");
    push_blocks("record=6&block=20&final=1", 19, 20);
    assert_int_equal(w.got.status, 200);
    block_is(20);
}

static void
records_come_back(void **state)
{
    struct manifest_record r;

    (void)state;
    push_blocks("record=0", 2, 12);
    get_records("record=0&count=10");
    assert_int_equal(w.got.status, 200);
    assert_int_equal(w.got.body_len, 10 * MANIFEST_RECORD_SIZE);
    get_records("record=3&count=2");
    assert_int_equal(w.got.body_len, 2 * MANIFEST_RECORD_SIZE);
    ok(manifest_record_decode((uint8_t *)w.got.body, &r, &w.err));
    assert_int_equal(r.block, 5);
    get_records("record=10&count=0");
    assert_int_equal(w.got.status, 200);
    assert_int_equal(w.got.body_len, 0);
    get_records("record=3&count=8");
    refused(400, "invalid_parameter");
    get_records("record=11&count=0");
    refused(400, "invalid_parameter");
    get_records("record=0&count=1&block=1");
    refused(400, "unknown_parameter");
    call_as("sendense_other", (struct http_request){.method = "GET"}, w.job_id, "2000",
            "manifest?record=0&count=1");
    refused(403, "forbidden");
    call_as(w.token, (struct http_request){.method = "GET"}, w.other_id, "2000",
            "manifest?record=0&count=1");
    refused(404, "job_not_found");
    call_as(w.token, (struct http_request){.method = "GET"}, w.job_id, "2002",
            "manifest?record=0&count=1");
    refused(404, "disk_not_found");
}

/* Another attempt of the job: the hub has forgotten everything but two numbers. */
static void
goes_on(void **state)
{
    struct manifest_header h = {.disk_size = BLOCKS * MANIFEST_BLOCK_SIZE};
    CLEANUP_FREE char *path = xasprintf("%s/2000.manifest", w.dir);
    uint64_t block = 0, records = 0;
    char hash[TOKEN_HASH_SIZE];
    struct err err = ERR_INIT;

    (void)state;
    h.layer_id[0] = (uint8_t)FULL;
    h.disk_uuid[0] = 1;
    push_blocks("record=0&block=9", 2, 5);
    ok(manifest_in_checkpoint(w.manifests, FULL, &block, &records, &w.err));
    assert_int_equal(block, 9);
    assert_int_equal(records, 3);
    push_blocks("record=3&block=12", 10, 12); /* these two were not told any more */
    live_set_manifests(w.live, NULL);
    manifest_in_free(w.manifests);
    token_hash(w.token, hash);
    w.manifests = manifest_in_new(hash);
    assert_int_equal(manifest_in_reopen(w.manifests, FULL, path, &h, 6, 9, &err),
                     ERR_CORRUPT);
    assert_int_equal(manifest_in_reopen(w.manifests, FULL, path, &h, 3, 21, &err),
                     ERR_CORRUPT);
    ok(manifest_in_reopen(w.manifests, FULL, path, &h, records, block, &w.err));
    live_set_manifests(w.live, w.manifests);
    /* What was not told is not there, and comes again. */
    assert_int_equal(manifest_in_count(w.manifests, FULL), 3);
    block_is(9);
    push_blocks("record=3&block=12", 10, 12);
    push_blocks("record=5&block=20&final=1", 0, 0);
    assert_int_equal(w.got.status, 200);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(who_may_ask),      T(no_questions),      T(questions), T(parent_gone),
        T(blocks_of_pushes), T(records_come_back), T(goes_on),
    };

    return cmocka_run_group_tests_name("parent_route", tests, NULL, NULL);
}
