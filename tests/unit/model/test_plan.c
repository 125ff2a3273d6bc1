/* tests/unit/model/test_plan.c - every reason of a plan, in both stages, and which of two
 * wins. */
#include <string.h>

#include "base/cleanup.h"
#include "model/plan.h"
#include "model_test.h"

#define GIB (1ull << 30)

static const struct plan_parent sound = {.exists = true,
                                         .size_bytes = 8 * GIB,
                                         .source_uuid = "6000C29a",
                                         .datastore = "ds1",
                                         .change_id = "52 3e 9a/7",
                                         .chain_length = 3};
static const struct plan_source same = {.can_track = true,
                                        .tracking_on = true,
                                        .size_bytes = 8 * GIB,
                                        .source_uuid = "6000C29a",
                                        .datastore = "ds1"};

/* What differs from the sound parent, the same disk and no wish. */
struct stage1 {
    const char *name;
    bool no_parent, damaged, full, no_track, off;
    uint64_t size;
    const char *uuid, *datastore, *change_id; /* NULL = as it was */
    uint32_t length, max;
    enum read_mode mode;
    enum reason reason;
    const char *then; /* uuid of the parent; NULL = the same */
    bool apart;
};

static const struct stage1 stage1[] = {
    {.name = "all is well", .mode = READ_CHANGED, .reason = REASON_NONE},
    {.name = "no parent",
     .no_parent = true,
     .mode = READ_ALL,
     .reason = REASON_NO_PARENT},
    {.name = "no parent, and asked",
     .no_parent = true,
     .full = true,
     .mode = READ_ALL,
     .reason = REASON_NO_PARENT},
    {.name = "asked", .full = true, .mode = READ_ALL, .reason = REASON_USER_REQUEST},
    {.name = "asked, and damaged",
     .full = true,
     .damaged = true,
     .mode = READ_ALL,
     .reason = REASON_USER_REQUEST},
    {.name = "its uuid was not known then",
     .then = "",
     .mode = READ_COMPARE,
     .reason = REASON_HISTORY_UNKNOWN},
    {.name = "a disk that was elsewhere",
     .apart = true,
     .mode = READ_COMPARE,
     .reason = REASON_HISTORY_UNKNOWN},
    {.name = "elsewhere, and grown",
     .apart = true,
     .size = 9 * GIB,
     .mode = READ_COMPARE,
     .reason = REASON_CAPACITY_CHANGED},
    {.name = "another disk",
     .uuid = "6000C29b",
     .mode = READ_ALL,
     .reason = REASON_DISK_UUID_DIFFERS},
    {.name = "another disk, and smaller",
     .uuid = "6000C29b",
     .size = 4 * GIB,
     .mode = READ_ALL,
     .reason = REASON_DISK_UUID_DIFFERS},
    {.name = "its uuid is gone",
     .uuid = "",
     .mode = READ_ALL,
     .reason = REASON_DISK_UUID_DIFFERS},
    {.name = "damaged",
     .damaged = true,
     .mode = READ_ALL,
     .reason = REASON_PARENT_DAMAGED},
    {.name = "shrunk",
     .size = 8 * GIB - 512,
     .mode = READ_ALL,
     .reason = REASON_CAPACITY_CHANGED},
    {.name = "shrunk, no tracking",
     .size = 4 * GIB,
     .no_track = true,
     .mode = READ_ALL,
     .reason = REASON_CAPACITY_CHANGED},
    {.name = "too long",
     .length = 7,
     .max = 7,
     .mode = READ_ALL,
     .reason = REASON_CHAIN_TOO_LONG},
    {.name = "one is left",
     .length = 6,
     .max = 7,
     .mode = READ_CHANGED,
     .reason = REASON_NONE},
    {.name = "too long by default",
     .length = PLAN_CHAIN_MAX_DEFAULT,
     .mode = READ_ALL,
     .reason = REASON_CHAIN_TOO_LONG},
    {.name = "a source that cannot track",
     .no_track = true,
     .mode = READ_COMPARE,
     .reason = REASON_CBT_OFF},
    {.name = "tracking is off",
     .off = true,
     .mode = READ_COMPARE,
     .reason = REASON_CBT_OFF},
    {.name = "grown",
     .size = 9 * GIB,
     .mode = READ_COMPARE,
     .reason = REASON_CAPACITY_CHANGED},
    {.name = "grown, no tracking",
     .size = 9 * GIB,
     .no_track = true,
     .mode = READ_COMPARE,
     .reason = REASON_CBT_OFF},
    {.name = "moved",
     .datastore = "ds2",
     .mode = READ_COMPARE,
     .reason = REASON_DATASTORE_CHANGED},
    {.name = "place unknown", .datastore = "", .mode = READ_CHANGED},
    {.name = "no change id then",
     .change_id = "",
     .mode = READ_COMPARE,
     .reason = REASON_CHANGE_ID_EMPTY},
};

static void
test_stage1(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(stage1); i++) {
        const struct stage1 *c = &stage1[i];
        struct plan_parent p = sound;
        struct plan_source s = same;
        struct plan_wish w = {.full = c->full, .chain_max = c->max};
        struct plan_result r;

        p.exists = !c->no_parent;
        p.damaged = c->damaged;
        p.apart = c->apart;
        p.source_uuid = c->then ? c->then : p.source_uuid;
        p.change_id = c->change_id ? c->change_id : p.change_id;
        p.chain_length = c->length ? c->length : p.chain_length;
        s.can_track = !c->no_track;
        s.tracking_on = !c->off;
        s.size_bytes = c->size ? c->size : s.size_bytes;
        s.source_uuid = c->uuid ? c->uuid : s.source_uuid;
        s.datastore = c->datastore ? c->datastore : s.datastore;
        r = plan_disk(&p, &s, &w);
        if (r.mode != c->mode || r.reason != c->reason)
            fail_msg("%s: %s, %s", c->name, read_mode_to_str(r.mode),
                     reason_to_str(r.reason));
    }
}

/* A source that names nothing (NBD): NULL and "" are the same nothing. */
static void
test_nameless(void **state)
{
    struct plan_parent p = {.exists = true, .size_bytes = GIB, .chain_length = 1};
    struct plan_source s = {.size_bytes = GIB, .source_uuid = ""};
    struct plan_wish w = {.full = false};
    struct plan_result r = plan_disk(&p, &s, &w);

    assert_int_equal(r.mode, READ_COMPARE);
    assert_int_equal(plan_backup_type(r.mode), BACKUP_INCREMENTAL);
    w.full = true;
    r = plan_disk(&p, &s, &w);
    assert_int_equal(r.mode, READ_ALL);
    assert_int_equal(plan_backup_type(r.mode), BACKUP_FULL);
    assert_int_equal(plan_backup_type(READ_CHANGED), BACKUP_INCREMENTAL);
}

static const struct stage2 {
    const char *name, *change_id, *datastore;
    bool off, reverted, fault;
    enum reason reason;
    bool left_behind, history_unknown;
} stage2[] = {
    {"all is well", "52 3e 9a/9", "ds1", false, false, false, REASON_NONE},
    {"nothing was written", "52 3e 9a/7", "ds1", false, false, false, REASON_NONE},
    {"opaque", "52 3e 9a/x", "ds1", false, false, false, REASON_NONE},
    {"off", "52 3e 9a/9", "ds1", true, false, false, REASON_CBT_OFF},
    {"off, no id", NULL, "ds1", true, false, false, REASON_CBT_OFF},
    {"no id", NULL, "ds1", false, false, false, REASON_CHANGE_ID_EMPTY},
    {"empty id", "", "ds1", false, false, true, REASON_CHANGE_ID_EMPTY},
    {"reset", "52 3e 9b/1", "ds1", false, false, true, REASON_CHANGE_ID_UUID_DIFFERS},
    {"longer", "52 3e 9a 0/9", "ds1", false, false, false, REASON_CHANGE_ID_UUID_DIFFERS},
    {"no slash", "52 3e 9a", "ds1", false, false, false, REASON_CHANGE_ID_UUID_DIFFERS},
    {"reverted", "52 3e 9a/9", "ds1", false, true, true, REASON_VM_REVERTED},
    {"the number fell", "52 3e 9a/6", "ds1", false, false, false, REASON_VM_REVERTED},
    {"left behind", "52 3e 9a/9", "ds1", false, false, false, REASON_SNAPSHOT_LEFT, true},
    {"moved", "52 3e 9a/9", "ds2", false, false, true, REASON_DATASTORE_CHANGED},
    {"moved, in other files", "52 3e 9a/9", "ds2", false, false, true,
     REASON_DATASTORE_CHANGED, false, true},
    {"other files", "52 3e 9a/9", "ds1", false, false, true, REASON_HISTORY_UNKNOWN,
     false, true},
    {"fault", "52 3e 9a/9", "ds1", false, false, true, REASON_SERVER_FAULT},
};

static void
test_stage2(void **state)
{
    const struct plan_result changed = {.mode = READ_CHANGED};

    for (size_t i = 0; i < ARRAY_LEN(stage2); i++) {
        struct plan_snapshot s = {.size_bytes = 8 * GIB,
                                  .source_uuid = "6000C29a",
                                  .datastore = stage2[i].datastore,
                                  .change_id = stage2[i].change_id,
                                  .tracking_off = stage2[i].off,
                                  .reverted = stage2[i].reverted,
                                  .left_behind = stage2[i].left_behind,
                                  .history_unknown = stage2[i].history_unknown,
                                  .fault = stage2[i].fault};
        struct plan_result r;
        struct err err = ERR_INIT;

        assert_int_equal(plan_refine(&changed, &same, sound.change_id, &s, &r, &err), 0);
        if (r.reason != stage2[i].reason ||
            r.mode != (r.reason == REASON_NONE ? READ_CHANGED : READ_COMPARE))
            fail_msg("%s: %s, %s", stage2[i].name, read_mode_to_str(r.mode),
                     reason_to_str(r.reason));
    }
}

/* The second stage changes nothing of what the first one decided against tracking, and
 * never takes another disk for the planned one. */
static void
test_stage2_keeps(void **state)
{
    static const struct plan_result planned[] = {{READ_ALL, REASON_NO_PARENT},
                                                 {READ_COMPARE, REASON_CAPACITY_CHANGED}};
    struct plan_snapshot s = {
        .size_bytes = 8 * GIB, .source_uuid = "6000C29a", .tracking_off = true};
    struct plan_result r;
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(planned); i++) {
        assert_int_equal(plan_refine(&planned[i], &same, NULL, &s, &r, &err), 0);
        assert_int_equal(r.mode, planned[i].mode);
        assert_int_equal(r.reason, planned[i].reason);
    }
    s.size_bytes += 512;
    assert_int_equal(plan_refine(&planned[0], &same, NULL, &s, &r, &err), ERR_INVALID);
    assert_string_equal(err.code, "vm_changed");
    s.size_bytes -= 512;
    s.source_uuid = NULL;
    err_clear(&err);
    assert_int_equal(plan_refine(&planned[1], &same, NULL, &s, &r, &err), ERR_INVALID);
    assert_string_equal(err.code, "vm_changed");
}

static void
test_change_ids(void **state)
{
    bool fell = true;

    assert_true(plan_change_ids_match("a b/1", "a b/2", NULL));
    assert_true(plan_change_ids_match("a/b/10", "a/b/9", &fell));
    assert_true(fell);
    assert_true(plan_change_ids_match("a/x", "a/1", &fell));
    assert_false(fell);
    assert_false(plan_change_ids_match("a/1", "b/1", &fell));
    assert_false(plan_change_ids_match("/1", "/1", &fell));
    assert_false(plan_change_ids_match(NULL, "a/1", &fell));
    assert_false(plan_change_ids_match("a/1", "", &fell));
    assert_false(plan_change_ids_match("*", "*", &fell));
}

/* d.vmdk is the base, d-1.vmdk what is written to while a snapshot stands. */
static void
test_history(void **state)
{
    static char base[] = "[ds1] d/d.vmdk", first[] = "[ds1] d/d-1.vmdk",
                second[] = "[ds1] d/d-2.vmdk";
    static char *const nothing[] = {NULL}, *const on_base[] = {base},
                       *const on_first[] = {first, base};
    static const struct {
        const char *name, *file, *on;
        bool stands;
        const char *now;
        char *const *below;
        size_t n_below;
        enum plan_history_is is;
    } cases[] = {
        {"no snapshot, then and now", base, NULL, false, base, nothing, 0,
         HISTORY_GOES_ON},
        {"one since", base, "", false, first, on_base, 1, HISTORY_GOES_ON},
        {"two since", base, NULL, false, second, on_first, 2, HISTORY_GOES_ON},
        {"one, then and now", first, "s1", true, first, on_base, 1, HISTORY_UNKNOWN},
        {"one more since", first, "s1", true, second, on_first, 2, HISTORY_UNKNOWN},
        {"back to it", first, "s1", true, second, on_base, 1, HISTORY_REVERTED},
        {"back, from one that is gone", second, "s2", true, first, on_base, 1,
         HISTORY_REVERTED},
        {"removed", first, "s1", false, base, nothing, 0, HISTORY_UNKNOWN},
        {"another took its place", first, "s1", false, first, on_base, 1,
         HISTORY_UNKNOWN},
        {"another base", base, NULL, false, "[ds1] e/d.vmdk", nothing, 0,
         HISTORY_UNKNOWN},
        {"not known", NULL, NULL, false, base, nothing, 0, HISTORY_UNKNOWN},
        {"not known, on a snapshot", "", "s1", true, "", nothing, 0, HISTORY_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct plan_history h = {.parent_file = cases[i].file,
                                       .parent_on = cases[i].on,
                                       .parent_on_stands = cases[i].stands,
                                       .file = cases[i].now,
                                       .below = cases[i].below,
                                       .n_below = cases[i].n_below};

        if (plan_history(&h) != cases[i].is)
            fail_msg("%s: %d", cases[i].name, (int)plan_history(&h));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_stage1),     cmocka_unit_test(test_nameless),
        cmocka_unit_test(test_stage2),     cmocka_unit_test(test_stage2_keeps),
        cmocka_unit_test(test_change_ids), cmocka_unit_test(test_history),
    };

    return cmocka_run_group_tests_name("plan", tests, NULL, NULL);
}
