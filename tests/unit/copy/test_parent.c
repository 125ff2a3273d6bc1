/* What the parent holds, from a hub that is well, not well, or talks nonsense; and pages
 * fetched ahead. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "copy/ahead.h"
#include "os/http_server.h"

#define TOKEN "the-token"
#define RECORD MANIFEST_RECORD_SIZE

/* A hub whose parent holds data in every third block.  What is wrong with it: */
enum fault {
    WELL,
    SHORT,   /* the last record is missing */
    GAP,     /* the first one is */
    LONG,    /* a record more than asked for */
    TORN,    /* no whole records */
    STATE,   /* a record that is none */
    OTHER,   /* about another block */
    CUT,     /* the answer breaks off; the second time it is whole */
    DAMAGED, /* 422 */
    NOT_NOW, /* 503; the third time it is well */
};

struct hub {
    struct http_server *server;
    pthread_mutex_t lock;
    enum fault fault;
    unsigned calls;
};

struct answer {
    struct manifest_record recs[4096];
    size_t n, at, bytes;
    bool cut;
};

static void
add(struct answer *a, uint64_t block, uint64_t count, bool data)
{
    struct manifest_record *r = &a->recs[a->n++];

    *r = (struct manifest_record){.block = block,
                                  .state = data ? MANIFEST_DATA : MANIFEST_ZERO,
                                  .count = data ? 1 : count};
    if (data)
        memset(r->hash, (int)block & 0xff, sizeof(r->hash));
}

static void
answer_range(struct answer *a, uint64_t block, uint64_t count)
{
    uint64_t end = block + count;

    for (; block < end; block++) {
        uint64_t n = 3 - block % 3 < end - block ? 3 - block % 3 : end - block;

        add(a, block, n, block % 3 == 0);
        if (block % 3)
            block += n - 1;
    }
}

static void
answer_list(struct answer *a, const char *text)
{
    CLEANUP_FREE char *copy = xstrdup(text);
    char *at = copy, *word;

    while ((word = strsep(&at, ",")))
        add(a, strtoull(word, NULL, 10), 1, strtoull(word, NULL, 10) % 3 == 0);
}

static ssize_t
stream(void *arg, char *p, size_t n)
{
    struct answer *a = arg;
    uint8_t raw[RECORD];

    if (a->at == a->n)
        return a->cut ? -2 : -1;
    if (n < RECORD)
        return -2;
    manifest_record_encode(&a->recs[a->at++], raw);
    if (a->bytes)
        raw[7] = 9; /* no state */
    memcpy(p, raw, RECORD);
    return a->at == a->n && a->bytes == 2 ? RECORD - 1 : RECORD;
}

static int
spoil(struct hub *h, struct answer *a, struct err *err)
{
    h->calls++;
    switch (h->fault) {
    case WELL:
        break;
    case SHORT:
        a->n--;
        break;
    case GAP:
        a->at = 1;
        break;
    case LONG:
        add(a, 1 << 20, 1, true);
        break;
    case TORN:
        a->bytes = 2;
        break;
    case STATE:
        a->bytes = 1;
        break;
    case OTHER:
        a->recs[0].block++;
        break;
    case CUT:
        a->cut = h->calls == 1;
        break;
    case DAMAGED:
        return err_set(err, ERR_CORRUPT, "parent_damaged", "it is broken");
    case NOT_NOW:
        if (h->calls < 3)
            return err_set(err, ERR_UNAVAILABLE, "not_now", "not now");
    }
    return 0;
}

static int
handle(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    struct hub *h = app;
    struct answer *a = xcalloc(1, sizeof(*a));
    uint64_t block, count, sample;
    LOCK_SCOPE(&h->lock);

    reply->stream = stream;
    reply->stream_arg = a;
    reply->stream_free = free;
    if (http_call_query_u64(call, "block", 0, INT64_MAX, &block, err) < 0 ||
        http_call_query_u64(call, "count", 0, 4096, &count, err) < 0 ||
        http_call_query_u64(call, "sample", 0, 4096, &sample, err) < 0)
        return err->class;
    if (http_call_query(call, "blocks"))
        answer_list(a, http_call_query(call, "blocks"));
    else if (sample)
        for (uint64_t i = 0; i < sample; i++)
            add(a, 3 * i, 1, true);
    else
        answer_range(a, block, count);
    if (spoil(h, a, err) == ERR_CORRUPT)
        reply->status = 422;
    return err->class;
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
    {.method = "GET",
     .pattern = "/internal/v1/jobs/{id}/disks/{key}/parent-manifest",
     .scope = "job",
     .handle = handle},
    {.method = NULL},
};

static struct world {
    struct hub hub;
    struct job_spec spec;
    struct copy_stop *stop;
    struct copy_parent *parent;
    struct err err;
    struct delta_block got[DELTA_PAGE_BLOCKS];
} w;

static int
set_up(void **state)
{
    struct http_server_options o = {
        .listen = "127.0.0.1:0", .routes = routes, .app = &w.hub, .authorize = authorize};

    (void)state;
    memset(&w, 0, sizeof(w));
    pthread_mutex_init(&w.hub.lock, NULL);
    assert_int_equal(http_server_start(&o, &w.hub.server, &w.err), 0);
    w.spec.hub_url = xasprintf("http://%s/", http_server_address(w.hub.server));
    w.spec.job_token = secret_new(TOKEN, strlen(TOKEN));
    w.spec.deadlines = spec_deadlines_default;
    uuid_make(w.spec.job_id);
    assert_int_equal(copy_stop_new(&w.stop, &w.err), 0);
    assert_int_equal(copy_parent_new(&w.spec, 2000, w.stop, &w.parent, &w.err), 0);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    copy_parent_free(w.parent);
    copy_stop_free(w.stop);
    http_server_stop(w.hub.server);
    secret_free(w.spec.job_token);
    free(w.spec.hub_url);
    return 0;
}

static void
check_blocks(const struct delta_block *b, uint64_t first, size_t n)
{
    for (uint64_t i = 0; i < n; i++) {
        assert_int_equal(b[i].data, (first + i) % 3 == 0);
        if (b[i].data)
            assert_int_equal(b[i].hash[5], (first + i) & 0xff);
    }
}

static void
all_questions(void **state)
{
    uint64_t blocks[PARENT_ASK_MAX];
    size_t n = 0;

    (void)state;
    assert_int_equal(copy_parent_range(w.parent, 4, 700, w.got, &w.err), 0);
    check_blocks(w.got, 4, 700);
    assert_int_equal(copy_parent_range(w.parent, 5, 1, w.got, &w.err), 0);
    check_blocks(w.got, 5, 1);
    /* The longest list there is: blocks of the largest disk. */
    for (size_t i = 0; i < PARENT_ASK_MAX; i++)
        blocks[i] = 34359000000ull + i;
    if (copy_parent_list(w.parent, blocks, PARENT_ASK_MAX, w.got, &w.err) < 0)
        fail_msg("%s", w.err.msg);
    check_blocks(w.got, blocks[0], PARENT_ASK_MAX);
    assert_int_equal(
        copy_parent_sample(w.parent, 50, UINT64_MAX, blocks, w.got, &n, &w.err), 0);
    assert_int_equal(n, 50);
    for (size_t i = 0; i < n; i++)
        check_blocks(&w.got[i], blocks[i], 1);
}

static void
nonsense(void **state)
{
    static const enum fault faults[] = {SHORT, GAP, LONG, TORN, STATE, OTHER};
    const uint64_t blocks[] = {3, 6, 9};
    uint64_t drawn[PARENT_ASK_MAX];
    size_t n;

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        w.hub.fault = faults[i];
        for (unsigned question = 0; question < 3; question++) {
            int r;

            err_clear(&w.err);
            w.hub.calls = 0;
            if (question == 0)
                r = copy_parent_range(w.parent, 3, 10, w.got, &w.err);
            else if (question == 1)
                r = copy_parent_list(w.parent, blocks, 3, w.got, &w.err);
            else
                r = copy_parent_sample(w.parent, 5, 1, drawn, w.got, &n, &w.err);
            /* Fewer, later or other blocks are a good sample. */
            if (question == 2 &&
                (faults[i] == SHORT || faults[i] == GAP || faults[i] == OTHER)) {
                assert_int_equal(r, 0);
                continue;
            }
            if (r != ERR_PROTOCOL)
                fail_msg("fault %zu, question %u: %d %s", i, question, r, w.err.msg);
            assert_string_equal(w.err.code, "hub_protocol");
            assert_int_equal(w.hub.calls, 1);
        }
    }
}

static void
passes_by_itself(void **state)
{
    (void)state;
    w.hub.fault = CUT;
    assert_int_equal(copy_parent_range(w.parent, 0, 100, w.got, &w.err), 0);
    check_blocks(w.got, 0, 100);
    assert_int_equal(w.hub.calls, 2);
    w.hub.calls = 0;
    w.hub.fault = NOT_NOW;
    assert_int_equal(copy_parent_range(w.parent, 0, 100, w.got, &w.err), 0);
    check_blocks(w.got, 0, 100);
    assert_int_equal(w.hub.calls, 3);
}

static void
damaged(void **state)
{
    (void)state;
    w.hub.fault = DAMAGED;
    assert_int_equal(copy_parent_range(w.parent, 0, 100, w.got, &w.err), ERR_CORRUPT);
    assert_string_equal(w.err.code, "parent_damaged");
    assert_non_null(strstr(w.err.msg, "it is broken"));
    assert_int_equal(w.hub.calls, 1);
}

/* --- ahead --- */

static pthread_mutex_t wake_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t woken = PTHREAD_COND_INITIALIZER;
static unsigned wakes;

static void
wake(void *arg)
{
    (void)arg;
    pthread_mutex_lock(&wake_lock);
    wakes++;
    pthread_cond_broadcast(&woken);
    pthread_mutex_unlock(&wake_lock);
}

/* As a worker does: a NOT_YET is followed by a wake. */
static int
take(struct copy_ahead *a, const struct ahead_page **ret)
{
    for (;;) {
        unsigned seen;
        int r;

        pthread_mutex_lock(&wake_lock);
        seen = wakes;
        pthread_mutex_unlock(&wake_lock);
        r = copy_ahead_take(a, ret, &w.err);
        if (r != AHEAD_NOT_YET)
            return r;
        pthread_mutex_lock(&wake_lock);
        while (wakes == seen)
            pthread_cond_wait(&woken, &wake_lock);
        pthread_mutex_unlock(&wake_lock);
    }
}

static void
pages_in_order(void **state)
{
    static const struct delta_run runs[] = {
        {5, 10}, {12, 13}, {3000, 3010}, {9000, 9500}, {20000, 20001}};
    static const struct delta_run want[] = {
        {5, 13}, {3000, 3010}, {9000, 9500}, {20000, 20001}};
    struct copy_ahead_opts o = {.parent = w.parent,
                                .blocks = 30000,
                                .runs = runs,
                                .n_runs = ARRAY_LEN(runs),
                                .wake = wake};
    const struct ahead_page *page;
    struct copy_ahead *a;

    (void)state;
    assert_int_equal(copy_ahead_new(&o, &a, &w.err), 0);
    assert_int_equal(copy_ahead_take(a, &page, &w.err), AHEAD_NOT_YET);
    assert_int_equal(copy_ahead_start(a, &w.err), 0);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(take(a, &page), AHEAD_PAGE);
        assert_int_equal(page->first, want[i].start);
        assert_int_equal(page->n, want[i].end - want[i].start);
        check_blocks(page->blocks, page->first, page->n);
    }
    assert_int_equal(take(a, &page), AHEAD_END);
    assert_int_equal(take(a, &page), AHEAD_END);
    assert_int_equal(w.hub.calls, ARRAY_LEN(want)); /* cost follows what changed */
    copy_ahead_stop(a);
    copy_ahead_free(a);
}

static void
ahead_fails_and_stops(void **state)
{
    struct delta_run runs[40];
    struct copy_ahead_opts o = {
        .parent = w.parent, .blocks = 1 << 20, .runs = runs, .n_runs = 40, .wake = wake};
    const struct ahead_page *page;
    struct copy_ahead *a;

    (void)state;
    for (uint64_t i = 0; i < 40; i++)
        runs[i] = (struct delta_run){i * 5000, i * 5000 + 7};
    /* Nobody takes: two pages are fetched and no more; it can be ended all the same. */
    assert_int_equal(copy_ahead_new(&o, &a, &w.err), 0);
    assert_int_equal(copy_ahead_start(a, &w.err), 0);
    assert_int_equal(take(a, &page), AHEAD_PAGE);
    copy_ahead_stop(a);
    assert_in_range(w.hub.calls, 1, 3);
    copy_ahead_free(a);
    w.hub.fault = GAP;
    assert_int_equal(copy_ahead_new(&o, &a, &w.err), 0);
    assert_int_equal(copy_ahead_start(a, &w.err), 0);
    assert_int_equal(take(a, &page), ERR_PROTOCOL);
    assert_string_equal(w.err.code, "hub_protocol");
    copy_ahead_stop(a);
    copy_ahead_free(a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T(all_questions), T(nonsense),       T(passes_by_itself),
        T(damaged),       T(pages_in_order), T(ahead_fails_and_stops),
    };

    return cmocka_run_group_tests_name("parent", tests, NULL, NULL);
}
