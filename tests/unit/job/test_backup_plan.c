/* tests/unit/job/test_backup_plan.c - what each disk of a backup stands on: a repository
 * with layers, manifests and points as a hub leaves them, and the catalog that an import
 * makes of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../base/tmpdir.h"
#include "base/json.h"
#include "base/mem.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_backup_update.h"
#include "catalog/cat_node.h"
#include "catalog/catalog.h"
#include "job/backup_plan.h"
#include "job/bus.h"
#include "job/condemn.h"
#include "job/import.h"
#include "job/journal.h"
#include "job/pins.h"
#include "job/point_files.h"
#include "job/repo_set.h"
#include "model/point.h"
#include "store/layer.h"
#include "store/manifest_file.h"

#define VM "0198c0de-0000-7000-8000-000000000001"
#define SIZE (4u << 20)
#define DISKS 2
#define BACKUPS 6

static const char *const disk_uuids[DISKS] = {"0198c0de-0000-7000-8000-0000000000d0",
                                              "0198c0de-0000-7000-8000-0000000000d1"};

#define OK(call)                                                                         \
    do {                                                                                 \
        struct err e_ = ERR_INIT;                                                        \
        struct err *err = &e_;                                                           \
        if ((call) < 0)                                                                  \
            fail_msg("%s: %s: %s", #call, e_.code, e_.msg);                              \
    } while (0)

struct world {
    char dir[TMPDIR_SIZE], repo_id[CAT_ID_SIZE];
    struct job_env env;
    struct repo *repo;
    uint32_t seq;
    char tip[DISKS][NAMING_LOCATOR_SIZE], layer[DISKS][UUID_STR_SIZE];
    char locators[BACKUPS][DISKS][NAMING_LOCATOR_SIZE]; /* by seq - 1 */
    const char *source_uuid;                            /* of what is stored next */
    bool hold_import;                                   /* of what is stored next */
};

static int
setup(void **state)
{
    struct world *w = xcalloc(1, sizeof *w);
    CLEANUP_FREE char *catalog = NULL, *folder = NULL;

    struct cat_node node = {.name = "near",
                            .url = "http://127.0.0.1:1",
                            .sealed_token = "c2VhbA==",
                            .created_us = 1};

    tmpdir_make(w->dir);
    catalog = xasprintf("%s/catalog.db", w->dir);
    folder = xasprintf("%s/repository", w->dir);
    uuid_make(w->env.hub_uuid);
    w->env.repos = repo_set_new();
    w->env.bus = bus_new();
    OK(catalog_open(catalog, true, &w->env.catalog, err));
    OK(cat_node_add(w->env.catalog, &node, w->repo_id, err));
    OK(repo_set_add(&w->env, "main", folder, w->repo_id, err));
    OK(repo_set_get(&w->env, w->repo_id, &w->repo, err));
    w->source_uuid = "6000C29a";
    *state = w;
    return 0;
}

static int
teardown(void **state)
{
    struct world *w = *state;

    repo_set_free(w->env.repos);
    catalog_close(w->env.catalog);
    bus_free(w->env.bus);
    tmpdir_remove(w->dir);
    free(w);
    return 0;
}

/* A layer with its manifest, of one block. */
static void
make_disk(struct world *w, int i, struct point_disk *p)
{
    CLEANUP_MANIFEST_WRITER struct manifest_writer *m = NULL;
    struct manifest_record r = {.block = w->seq, .state = MANIFEST_DATA, .count = 1};
    struct manifest_header h = {.disk_size = SIZE};
    uint8_t raw[MANIFEST_RECORD_SIZE];
    char path[REPO_PATH_SIZE];
    CLEANUP_FREE char *name = NULL, *image = NULL;
    uint64_t total;

    *p = (struct point_disk){.key = 2000 + (uint32_t)i,
                             .index = (uint32_t)i,
                             .label = xstrdup(""),
                             .source_url = xstrdup(""),
                             .size_bytes = SIZE,
                             .records = 1,
                             .change_id = xasprintf("52 aa/%u", w->seq),
                             .datastore = xstrdup("ds1"),
                             .frozen_file = xstrdup("[ds1] a.vmdk"),
                             .read_mode = w->tip[i][0] ? READ_CHANGED : READ_ALL,
                             .reason = w->tip[i][0] ? REASON_NONE : REASON_NO_PARENT};
    p->source_uuid = w->source_uuid ? xstrdup(w->source_uuid) : NULL;
    memcpy(p->disk_uuid, disk_uuids[i], UUID_STR_SIZE);
    memcpy(p->parent_layer_id, w->layer[i], UUID_STR_SIZE);
    uuid_make(p->layer_id);
    naming_locator_build(VM, disk_uuids[i], w->seq, p->locator);
    OK(layer_create(w->repo,
                    &(struct repo_layer_spec){.locator = p->locator,
                                              .parent = w->tip[i][0] ? w->tip[i] : NULL,
                                              .size_bytes = SIZE},
                    err));
    /* Room for the block that nothing here reads. */
    image = xasprintf("%s.qcow2", p->locator);
    OK(repo_path(w->repo, image, path, err));
    assert_int_equal(truncate(path, 1 << 20), 0);
    manifest_id_from_str(p->layer_id, h.layer_id);
    manifest_id_from_str(p->parent_layer_id, h.parent_layer_id);
    manifest_id_from_str(p->disk_uuid, h.disk_uuid);
    name = xasprintf("%s.manifest", p->locator);
    OK(repo_path(w->repo, name, path, err));
    OK(manifest_writer_create(path, &h, &m, err));
    manifest_record_encode(&r, raw);
    OK(manifest_writer_append(m, 0, raw, sizeof raw, &total, err));
    OK(manifest_writer_seal(m, p->layer_root, err));
    memcpy(w->tip[i], p->locator, NAMING_LOCATOR_SIZE);
    memcpy(w->layer[i], p->layer_id, UUID_STR_SIZE);
    memcpy(w->locators[w->seq - 1][i], p->locator, NAMING_LOCATOR_SIZE);
}

static void
import(struct world *w)
{
    struct import_report report;

    OK(import_repository(&w->env, w->repo_id, "test", &report, err));
    import_report_done(&report);
}

/* A verified backup of the disks of @mask, on those before it. */
static void
back_up(struct world *w, unsigned mask)
{
    CLEANUP_POINT struct point p = {.seq = ++w->seq,
                                    .time_us = 1000000,
                                    .type = BACKUP_INCREMENTAL,
                                    .created_us = w->seq,
                                    .started_us = w->seq,
                                    .completed_us = w->seq,
                                    .verification = VERIFICATION_VERIFIED,
                                    .readback = READBACK_MEDIA};
    CLEANUP_FREE char *name = point_files_name(VM, w->seq), *text = NULL;
    CLEANUP_JSON json_t *j = NULL;

    assert_true(w->seq <= BACKUPS);
    p.backup_id = xasprintf("backup-%u", w->seq);
    p.vm_name = xstrdup("pg");
    p.source_type = xstrdup("vsphere");
    p.instance_uuid = xstrdup("5012");
    uuid_make(p.point_id);
    uuid_make(p.job_id);
    memcpy(p.vm_uuid, VM, sizeof p.vm_uuid);
    p.disks = xcalloc(DISKS, sizeof *p.disks);
    for (int i = 0; i < DISKS; i++)
        if (mask & 1u << i)
            make_disk(w, i, &p.disks[p.n_disks++]);
    j = point_encode(&p);
    text = json_line(j);
    OK(repo_put(w->repo, name, text, strlen(text), err));
    if (!w->hold_import)
        import(w);
}

static int
plan(struct world *w, struct cat_vm_disk d, struct plan_wish wish, struct disk_plan *ret,
     struct err *err)
{
    struct cat_vm vm = {.id = VM,
                        .name = "pg",
                        .platform = "{\"cbt_supported\":true,\"cbt_enabled\":true}"};
    struct plan_question q = {.env = &w->env,
                              .repo = w->repo,
                              .repository_id = w->repo_id,
                              .vm = &vm,
                              .wish = wish};

    return backup_plan_disk(&q, &d, ret, err);
}

static struct cat_vm_disk
disk(int i)
{
    return (struct cat_vm_disk){.disk_uuid = disk_uuids[i],
                                .device_key = 2000 + i,
                                .size_bytes = SIZE,
                                .source_uuid = "6000C29a",
                                .datastore = "ds1"};
}

/* @damage NULL = none. */
static void
expect(struct world *w, struct cat_vm_disk d, enum read_mode mode, enum reason reason,
       const char *damage)
{
    int i = (int)(d.device_key - 2000);
    struct disk_plan p;

    OK(plan(w, d, (struct plan_wish){.full = false}, &p, err));
    if (p.how.mode != mode || p.how.reason != reason)
        fail_msg("disk %d: %s %s (%s)", i, read_mode_to_str(p.how.mode),
                 reason_to_str(p.how.reason), p.damage.msg);
    assert_string_equal(p.parent_layer_id, mode == READ_ALL ? "" : w->layer[i]);
    assert_int_equal(p.pinned != NULL, mode != READ_ALL);
    assert_int_equal(p.damage.class != 0, damage != NULL);
    if (damage)
        assert_string_equal(p.damage.code, damage);
    disk_plan_done(&p);
}

/* A file of the repository is away while @damage is expected. */
static void
without(struct world *w, const char *name, const char *damage)
{
    char path[REPO_PATH_SIZE];
    CLEANUP_FREE char *away = NULL;

    OK(repo_path(w->repo, name, path, err));
    away = xasprintf("%s.away", path);
    assert_int_equal(rename(path, away), 0);
    expect(w, disk(0), READ_ALL, REASON_PARENT_DAMAGED, damage);
    assert_int_equal(rename(away, path), 0);
    expect(w, disk(0), READ_CHANGED, REASON_NONE, NULL);
}

static void
test_parents(void **state)
{
    struct world *w = *state;
    struct cat_vm_disk d = disk(0);
    struct disk_plan p;

    expect(w, d, READ_ALL, REASON_NO_PARENT, NULL);
    back_up(w, 3);
    expect(w, d, READ_CHANGED, REASON_NONE, NULL);
    back_up(w, 3);
    back_up(w, 3);
    expect(w, d, READ_CHANGED, REASON_NONE, NULL);
    OK(plan(w, d, (struct plan_wish){.full = true}, &p, err));
    assert_int_equal(p.how.reason, REASON_USER_REQUEST);
    assert_null(p.pinned);
    OK(plan(w, d, (struct plan_wish){.chain_max = 3}, &p, err));
    assert_int_equal(p.how.reason, REASON_CHAIN_TOO_LONG);
    OK(plan(w, d, (struct plan_wish){.chain_max = 4}, &p, err));
    assert_int_equal(p.how.mode, READ_CHANGED);
    assert_string_equal(p.pinned, "backup-3");
    disk_plan_done(&p);
    d.disk_uuid = "0198c0de-0000-7000-8000-0000000000df";
    expect(w, d, READ_ALL, REASON_DISK_UUID_DIFFERS, NULL);
}

/* What was elsewhere, or is not known to be the same, is compared. */
static void
test_history(void **state)
{
    struct world *w = *state;
    struct cat_vm_disk d = disk(0);

    w->source_uuid = NULL;
    back_up(w, 3);
    expect(w, d, READ_COMPARE, REASON_HISTORY_UNKNOWN, NULL);
    w->source_uuid = "6000C29a";
    back_up(w, 1);
    expect(w, d, READ_CHANGED, REASON_NONE, NULL);
    d.source_uuid = "6000C29b";
    expect(w, d, READ_ALL, REASON_DISK_UUID_DIFFERS, NULL);
    back_up(w, 3);
    expect(w, disk(1), READ_CHANGED, REASON_NONE, NULL);
    back_up(w, 1);
    expect(w, disk(0), READ_CHANGED, REASON_NONE, NULL);
    expect(w, disk(1), READ_COMPARE, REASON_HISTORY_UNKNOWN, NULL);
    back_up(w, 3);
    expect(w, disk(1), READ_CHANGED, REASON_NONE, NULL);
}

static void
test_damage(void **state)
{
    struct world *w = *state;
    CLEANUP_FREE char *name = NULL, *point = point_files_name(VM, 1);
    struct cat_verification v = {.verification = "pending", .verified_us = 1};
    struct cat_backup b;

    back_up(w, 3);
    back_up(w, 3);
    back_up(w, 3);
    for (int i = 0; i < 3; i++) {
        CLEANUP_FREE char *manifest = xasprintf("%s.manifest", w->locators[i][0]);
        CLEANUP_FREE char *image = xasprintf("%s.qcow2", w->locators[i][0]);
        CLEANUP_FREE char *json = point_files_name(VM, i + 1);

        without(w, manifest, "manifest_corrupt");
        without(w, image, "chain_broken");
        without(w, json, "chain_broken");
    }
    /* Whatever the files say: one that was not verified. */
    OK(cat_backup_get(w->env.catalog, "backup-1", &b, err));
    OK(cat_backup_set_verification(w->env.catalog, b.job_id, &v, err));
    expect(w, disk(1), READ_ALL, REASON_PARENT_DAMAGED, "chain_broken");
    v.verification = "verified";
    OK(cat_backup_set_verification(w->env.catalog, b.job_id, &v, err));
    cat_backup_done(&b);
    expect(w, disk(1), READ_CHANGED, REASON_NONE, NULL);
}

/* A deletion is no damage: who comes while it goes on is told so. */
static void
test_deletion(void **state)
{
    struct world *w = *state;
    struct err err = ERR_INIT;
    struct disk_plan p = {.pinned = NULL};

    back_up(w, 3);
    back_up(w, 3);
    {
        struct err ignored = ERR_INIT;

        assert_int_equal(pins_claim("backup-2", &ignored), 0);
    }
    assert_int_equal(plan(w, disk(0), (struct plan_wish){.full = false}, &p, &err),
                     ERR_EXISTS);
    assert_string_equal(err.code, "backup_in_use");
    pins_unclaim("backup-2");
    err_clear(&err);
    assert_int_equal(plan(w, disk(0), (struct plan_wish){.full = false}, &p, &err), 0);
    assert_int_equal(p.how.mode, READ_CHANGED);
    assert_int_equal(pins_claim("backup-2", &err), ERR_EXISTS);
    disk_plan_done(&p);
    err_clear(&err);
    assert_int_equal(pins_claim("backup-2", &err), 0);
    pins_unclaim("backup-2");
}

/* One that a crash cut off has no claim, but an entry: nothing new stands on the tip, and
 * a full, which does not, is not held up.  A deletion of what is below does not matter.
 */
static void
test_deletion_left(void **state)
{
    struct world *w = *state;
    CLEANUP_FREE char *tip = point_files_name(VM, 2), *below = point_files_name(VM, 1);
    CLEANUP_FREE char *tip_key = xasprintf("%s:%s", w->repo_id, tip);
    CLEANUP_FREE char *below_key = xasprintf("%s:%s", w->repo_id, below);
    struct err e = ERR_INIT;
    struct disk_plan p = {.pinned = NULL};
    struct cat_backup b = {0};
    int64_t id, other;

    back_up(w, 3);
    back_up(w, 3);
    OK(cat_backup_get(w->env.catalog, "backup-2", &b, err));
    OK(journal_intent(&w->env, b.job_id, RES_DELETE, tip_key, &id, err));
    for (int i = 0; i < DISKS; i++) {
        assert_int_equal(plan(w, disk(i), (struct plan_wish){.full = false}, &p, &e),
                         ERR_EXISTS);
        assert_string_equal(e.code, "backup_in_use");
        err_clear(&e);
    }
    assert_int_equal(pins_claim("backup-2", &e), 0); /* no pin is left of it */
    pins_unclaim("backup-2");
    OK(plan(w, disk(0), (struct plan_wish){.full = true}, &p, err));
    assert_int_equal(p.how.mode, READ_ALL);
    disk_plan_done(&p);
    journal_released(&w->env, b.job_id, &id);
    OK(journal_intent(&w->env, b.job_id, RES_DELETE, below_key, &other, err));
    expect(w, disk(0), READ_CHANGED, REASON_NONE, NULL);
    cat_backup_done(&b);
}

static void
check_verdicts(struct world *w, const char *const *want, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP_FREE char *id = xasprintf("backup-%zu", i + 1);
        struct cat_backup b;

        OK(cat_backup_get(w->env.catalog, id, &b, err));
        if (strcmp(b.verification, want[i]) != 0)
            fail_msg("%s is %s", id, b.verification);
        if (i > 1 && strcmp(want[i], "failed") == 0) {
            assert_string_equal(b.error_code, "parent_damaged");
            assert_non_null(strstr(b.error_message, "backup-2"));
        } else {
            assert_null(b.error_code);
        }
        cat_backup_done(&b);
    }
}

/* Of each disk of a backup, in their order. */
static void
check_disks(struct world *w, int backup, const char *want)
{
    CLEANUP_FREE char *id = xasprintf("backup-%d", backup);
    CLEANUP_FREE char *got = xstrdup("");
    struct cat_backup b;

    OK(cat_backup_get(w->env.catalog, id, &b, err));
    for (size_t i = 0; i < b.n_disks; i++) {
        char *more = xasprintf("%s%s%s", got, i ? " " : "", b.disks[i].verification);

        free(got);
        got = more;
    }
    if (strcmp(got, want) != 0)
        fail_msg("%s: its disks are %s, not %s", id, got, want);
    cat_backup_done(&b);
}

/* Disk 1 is not in the third backup: what is wrong with its second layer is of no
 * consequence there.  Nor is it for disk 0, whose chain is another one. */
static void
test_condemn(void **state)
{
    static const char *const first[] = {"verified", "failed", "verified", "failed",
                                        "failed"},
                             *const both[] = {"verified", "failed", "failed", "failed",
                                              "failed"};
    struct world *w = *state;
    char layer[DISKS][UUID_STR_SIZE], id[NAMING_BACKUP_ID_SIZE];
    struct point p = {.n_disks = 1};
    struct point_disk on = {.key = 1};
    bool bad;

    back_up(w, 3);
    back_up(w, 3);
    memcpy(layer, w->layer, sizeof layer);
    back_up(w, 1);
    back_up(w, 3);
    back_up(w, 3);
    OK(condemn_layer(&w->env, layer[1], "media", id, err));
    assert_string_equal(id, "backup-2");
    check_verdicts(w, first, 5);
    check_disks(w, 1, "verified verified");
    check_disks(w, 2, "verified failed");
    check_disks(w, 3, "verified");
    check_disks(w, 4, "verified failed");
    check_disks(w, 5, "verified failed");
    expect(w, disk(0), READ_CHANGED, REASON_NONE, NULL);
    expect(w, disk(1), READ_ALL, REASON_PARENT_DAMAGED, "chain_broken");
    memcpy(on.parent_layer_id, w->layer[0], UUID_STR_SIZE);
    p.disks = &on;
    OK(condemn_if_below(&w->env, &p, &bad, err));
    assert_false(bad);
    OK(condemn_layer(&w->env, layer[0], NULL, id, err));
    check_verdicts(w, both, 5);
    check_disks(w, 1, "verified verified");
    check_disks(w, 3, "failed");
    check_disks(w, 5, "failed failed");
    expect(w, disk(0), READ_ALL, REASON_PARENT_DAMAGED, "chain_broken");
    OK(condemn_layer(&w->env, VM, NULL, id, err));
    assert_string_equal(id, "");
    /* One that ends after that. */
    memset(on.parent_layer_id, 0, UUID_STR_SIZE);
    OK(condemn_if_below(&w->env, &p, &bad, err));
    assert_false(bad);
    memcpy(on.parent_layer_id, w->layer[0], UUID_STR_SIZE);
    OK(condemn_if_below(&w->env, &p, &bad, err));
    assert_true(bad);
}

/* A lost catalog: of each point, which disk is damaged; it climbs in its own chain. */
static void
test_import_damage(void **state)
{
    struct world *w = *state;
    CLEANUP_FREE char *manifest = NULL;
    char path[REPO_PATH_SIZE];
    struct cat_backup b;

    back_up(w, 3);
    w->hold_import = true;
    back_up(w, 3);
    manifest = xasprintf("%s.manifest", w->locators[1][1]);
    OK(repo_path(w->repo, manifest, path, err));
    assert_int_equal(unlink(path), 0);
    w->hold_import = false;
    back_up(w, 3);
    check_disks(w, 1, "verified verified");
    check_disks(w, 2, "verified failed");
    check_disks(w, 3, "verified failed");
    OK(cat_backup_get(w->env.catalog, "backup-3", &b, err));
    assert_string_equal(b.verification, "failed");
    assert_int_equal(b.error_disk, 1);
    cat_backup_done(&b);
    expect(w, disk(0), READ_CHANGED, REASON_NONE, NULL);
    expect(w, disk(1), READ_ALL, REASON_PARENT_DAMAGED, "chain_broken");
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_parents),       T(test_history), T(test_damage),       T(test_deletion),
        T(test_deletion_left), T(test_condemn), T(test_import_damage)};

    return cmocka_run_group_tests_name("backup_plan", tests, NULL, NULL);
}
