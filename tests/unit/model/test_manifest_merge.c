/* tests/unit/model/test_manifest_merge.c - two layers merged into one, against a naive
 * model over many seeds; and the two small files of a merge. */
#include "model_test.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/manifest_merge.h"
#include "model/merge_note.h"

#define SEEDS 4000
#define BLOCKS_MAX 700u

struct list {
    struct manifest_record recs[BLOCKS_MAX];
    size_t n, at;
};

struct cell {
    enum manifest_state state; /* 0 = not recorded */
    uint8_t hash[MANIFEST_HASH_SIZE];
};

static struct list lower, upper, merged;
static struct cell cells[BLOCKS_MAX];

static int
next_record(void *arg, struct manifest_record *ret, struct err *err)
{
    struct list *l = arg;

    if (l->at == l->n)
        return 0;
    *ret = l->recs[l->at++];
    return 1;
}

/* Zero runs hide data of the layer below, lie side by side, and may reach the end. */
static void
random_layer(struct list *l, bool full, uint64_t blocks, uint64_t *seed)
{
    uint64_t gap = 1 + rnd(seed) % (rnd(seed) % 3 ? 6 : 200), b = rnd(seed) % gap;

    l->n = l->at = 0;
    while (b < blocks) {
        struct manifest_record r = {.block = b, .state = MANIFEST_DATA, .count = 1};

        if (!full && rnd(seed) % 3 == 0) {
            r.state = MANIFEST_ZERO;
            r.count = 1 + rnd(seed) % 20;
            if (r.count > blocks - b)
                r.count = blocks - b;
        } else {
            for (size_t i = 0; i < sizeof r.hash; i++)
                r.hash[i] = (uint8_t)rnd(seed);
        }
        l->recs[l->n++] = r;
        for (uint64_t i = 0; i < r.count; i++) {
            cells[b + i].state = r.state;
            memcpy(cells[b + i].hash, r.hash, sizeof r.hash);
        }
        b += r.count + (rnd(seed) % 2 ? 0 : rnd(seed) % gap);
    }
}

static void
collect(bool full, uint64_t blocks)
{
    const struct resolve_layer low = {next_record, &lower}, up = {next_record, &upper};
    CLEANUP_MANIFEST_MERGE struct manifest_merge *m = NULL;
    CLEANUP_MANIFEST_CHECK struct manifest_check *check = NULL;
    struct manifest_header h = {.disk_size = blocks * MANIFEST_BLOCK_SIZE};
    struct manifest_record r;
    struct err err = ERR_INIT;
    int got;

    if (!full)
        h.parent_layer_id[0] = 1;
    assert_int_equal(manifest_check_new(&h, &check, &err), 0);
    assert_int_equal(manifest_merge_new(&low, &up, full, &m, &err), 0);
    merged.n = 0;
    while ((got = manifest_merge_next(m, &r, &err)) > 0) {
        if (manifest_check_add(check, &r, &err) < 0)
            fail_msg("%s", err.msg);
        assert_true(merged.n < BLOCKS_MAX);
        if (merged.n > 0 && r.state == MANIFEST_ZERO) {
            const struct manifest_record *last = &merged.recs[merged.n - 1];

            assert_false(last->state == MANIFEST_ZERO &&
                         last->block + last->count == r.block);
        }
        merged.recs[merged.n++] = r;
    }
    assert_int_equal(got, 0);
}

static void
compare(bool full, uint64_t blocks, uint64_t seed)
{
    size_t at = 0;

    for (uint64_t b = 0; b < blocks; b++) {
        bool recorded = cells[b].state != 0 && !(full && cells[b].state == MANIFEST_ZERO);
        const struct manifest_record *r;

        while (at < merged.n && merged.recs[at].block + merged.recs[at].count <= b)
            at++;
        r = at < merged.n && merged.recs[at].block <= b ? &merged.recs[at] : NULL;
        if ((r != NULL) != recorded || (r && r->state != cells[b].state) ||
            (r && r->state == MANIFEST_DATA &&
             memcmp(r->hash, cells[b].hash, sizeof r->hash) != 0))
            fail_msg("seed %llu: block %llu", (unsigned long long)seed,
                     (unsigned long long)b);
    }
}

/* The lower layer may be of a time when the disk was smaller. */
static void
test_against_model(void **state)
{
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        uint64_t s = seed * 0x9e3779b97f4a7c15ull;
        uint64_t blocks = 1 + rnd(&s) % BLOCKS_MAX, before = blocks;
        bool full = rnd(&s) % 2;

        if (rnd(&s) % 2)
            before = 1 + rnd(&s) % blocks;
        memset(cells, 0, sizeof cells);
        random_layer(&lower, full, before, &s);
        random_layer(&upper, false, blocks, &s);
        collect(full, blocks);
        compare(full, blocks, seed);
    }
}

static void
test_unsorted(void **state)
{
    const struct resolve_layer low = {next_record, &lower}, up = {next_record, &upper};
    CLEANUP_MANIFEST_MERGE struct manifest_merge *m = NULL;
    struct manifest_record r;
    struct err err = ERR_INIT;
    int got;

    lower = (struct list){.n = 2};
    lower.recs[0] =
        (struct manifest_record){.block = 5, .state = MANIFEST_DATA, .count = 1};
    lower.recs[1] =
        (struct manifest_record){.block = 4, .state = MANIFEST_DATA, .count = 1};
    upper.n = upper.at = 0;
    assert_int_equal(manifest_merge_new(&low, &up, false, &m, &err), 0);
    while ((got = manifest_merge_next(m, &r, &err)) > 0)
        ;
    assert_int_equal(got, ERR_CORRUPT);
    assert_string_equal(err.code, "manifest_corrupt");
}

#define UUID_P "11111111-1111-4111-8111-111111111111"
#define UUID_C "22222222-2222-4222-8222-222222222222"

static void
note_refused(const char *text)
{
    struct merge_note m;
    struct err err = ERR_INIT;

    assert_int_equal(merge_note_decode(text, strlen(text), &m, &err), ERR_CORRUPT);
    assert_string_equal(err.code, "merge_corrupt");
}

#define LAYERS(P, C)                                                                     \
    "\"job_id\":\"" UUID_P "\",\"backup_id\":\"b\",\"parent\":{\"seq\":" P               \
    ",\"layer_id\":\"" UUID_P "\"},\"child\":{\"seq\":" C ",\"layer_id\":\"" UUID_C      \
    "\",\"size_bytes\":5}}"

static void
test_note(void **state)
{
    struct merge_note m = {.job_id = UUID_P,
                           .backup_id = "backup-a-1",
                           .parent_seq = 6,
                           .child_seq = 7,
                           .parent_layer_id = UUID_P,
                           .child_layer_id = UUID_C,
                           .size_bytes = 123456},
                      back = {.parent_seq = 0};
    CLEANUP_JSON json_t *j = merge_note_encode(&m);
    CLEANUP_FREE char *text = json_line(j);
    struct err err = ERR_INIT;

    assert_int_equal(merge_note_decode(text, strlen(text), &back, &err), 0);
    assert_memory_equal(&m, &back, sizeof m);
    note_refused("");
    note_refused("{}");
    note_refused("{\"format\":2,\"incompat\":[]," LAYERS("6", "7"));
    note_refused("{\"format\":1,\"incompat\":[\"x\"]," LAYERS("6", "7"));
    note_refused("{\"format\":1,\"incompat\":[]," LAYERS("7", "7"));
    note_refused("{\"format\":1,\"incompat\":[]," LAYERS("0", "7"));
}

static void
test_merged_layer(void **state)
{
    struct merged_layer m = {.layer_id = UUID_C, .layer_root = {1, 2, 3}, .records = 9},
                        back = {.records = 0};
    CLEANUP_JSON json_t *j = merged_layer_encode(&m);
    CLEANUP_FREE char *text = json_line(j);
    struct err err = ERR_INIT;

    assert_int_equal(merged_layer_decode(text, strlen(text), &back, &err), 0);
    assert_memory_equal(&m, &back, sizeof m);
    json_object_set_new(j, "parent_layer_id", json_string(UUID_C));
    free(text);
    text = json_line(j);
    assert_int_equal(merged_layer_decode(text, strlen(text), &back, &err), ERR_CORRUPT);
    err_clear(&err);
    json_object_set_new(j, "parent_layer_id", json_string(UUID_P));
    free(text);
    text = json_line(j);
    assert_int_equal(merged_layer_decode(text, strlen(text), &back, &err), 0);
    assert_string_equal(back.parent_layer_id, UUID_P);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_model), cmocka_unit_test(test_unsorted),
        cmocka_unit_test(test_note), cmocka_unit_test(test_merged_layer)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
