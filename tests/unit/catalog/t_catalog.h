/* Shared by the catalog's tests: a catalog in a folder of its own, and rows to put into
 * it. */
#ifndef T_CATALOG_H
#define T_CATALOG_H

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "catalog/cat_backup.h"
#include "catalog/cat_backup_update.h"
#include "catalog/cat_node.h"
#include "catalog/cat_repository.h"
#include "catalog/cat_vm.h"
#include "catalog/catalog.h"

/* The macros below give each call an `err` of its own, also where the test has one. */
#pragma GCC diagnostic ignored "-Wshadow"

#define T_OK(call)                                                                       \
    do {                                                                                 \
        struct err err = ERR_INIT;                                                       \
        int t_rc = (call);                                                               \
        if (t_rc < 0)                                                                    \
            fail_msg("%s: %s: %s", #call, err.code, err.msg);                            \
    } while (0)

#define T_ERR(cls, word, call)                                                           \
    do {                                                                                 \
        struct err err = ERR_INIT;                                                       \
        assert_int_equal((call), (cls));                                                 \
        assert_int_equal(err.class, (cls));                                              \
        assert_string_equal(err.code, (word));                                           \
    } while (0)

struct t_env {
    char dir[64];
    char path[128];
    struct catalog *c;
};

static inline void
t_mkdir(struct t_env *e)
{
    snprintf(e->dir, sizeof(e->dir), "/tmp/sendense-catalog-XXXXXX");
    assert_non_null(mkdtemp(e->dir));
    snprintf(e->path, sizeof(e->path), "%s/catalog.db", e->dir);
}

static inline void
t_rmdir(struct t_env *e)
{
    static const char *const names[] = {"catalog.db",
                                        "catalog.db-wal",
                                        "catalog.db-shm",
                                        "catalog.db.before-0002",
                                        "catalog.db.before-0003",
                                        "catalog.db.before-0004",
                                        "catalog.db.before-0002.tmp",
                                        "copy.db",
                                        "copy.db.tmp"};
    char p[256];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(p, sizeof(p), "%s/%s", e->dir, names[i]);
        unlink(p);
    }
    assert_int_equal(rmdir(e->dir), 0); /* nothing else was left */
}

static inline int
t_setup(void **state)
{
    struct t_env *e = xcalloc(1, sizeof(*e));

    t_mkdir(e);
    T_OK(catalog_open(e->path, true, &e->c, &err));
    *state = e;
    return 0;
}

static inline int
t_teardown(void **state)
{
    struct t_env *e = *state;

    T_OK(catalog_check(e->c, &err));
    catalog_close(e->c);
    t_rmdir(e);
    free(e);
    return 0;
}

#define T_CASE(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

#define U(n) "00000000-0000-7000-8000-0000000000" n

/* Repository 1, node 1, VM U("01") with the disks 2000 and 2001. */
static inline void
t_fill(struct catalog *c)
{
    struct cat_repository r = {.name = "main",
                               .kind = "local",
                               .path = "/srv/repo",
                               .repository_uuid = U("aa"),
                               .probe = "{}",
                               .created_us = 1};
    struct cat_node n = {.name = "near",
                         .url = "http://127.0.0.1:8081",
                         .sealed_token = "c2VhbA==",
                         .created_us = 1};
    struct cat_vm_disk disks[] = {
        {.disk_uuid = U("d0"),
         .device_key = 2000,
         .disk_index = 0,
         .label = "a",
         .source_url = "nbd://127.0.0.1:1/a",
         .size_bytes = 109521666048},
        {.disk_uuid = U("d1"),
         .device_key = 2001,
         .disk_index = 1,
         .label = "b",
         .source_url = "nbd://127.0.0.1:1/b",
         .size_bytes = 5368709121},
    };
    struct cat_vm vm = {.id = U("01"),
                        .name = "pgtest1",
                        .source_type = "nbd",
                        .node_id = "1",
                        .created_us = 1,
                        .disks = disks,
                        .n_disks = 2};
    char id[CAT_ID_SIZE];

    T_OK(cat_repository_add(c, &r, id, &err));
    assert_string_equal(id, "1");
    T_OK(cat_node_add(c, &n, id, &err));
    assert_string_equal(id, "1");
    T_OK(cat_vm_add(c, &vm, &err));
}

/* A pending job of that VM: job U("1"seq), layers U("a"seq) and U("b"seq); @parent_seq 0
 * = full. */
static inline int
t_job(struct catalog *c, int seq, int parent_seq, struct err *err)
{
    char job[64], backup[64], layers[2][64], parents[2][64];
    struct cat_backup_disk d[2];
    struct cat_backup b = {.job_id = job,
                           .backup_id = backup,
                           .vm_id = U("01"),
                           .vm_name = "pgtest1",
                           .repository_id = "1",
                           .node_id = "1",
                           .backup_type = parent_seq ? "incremental" : "full",
                           .state = "pending",
                           .current_phase = "queued",
                           .verification = "pending",
                           .seq = seq,
                           .attempt = 1,
                           .requested_by = "admin",
                           .job_token_hash = "ab",
                           .created_us = 100 + seq,
                           .disks = d,
                           .n_disks = 2};

    snprintf(job, sizeof(job), "%s%d", U("1"), seq);
    snprintf(backup, sizeof(backup), "backup-pgtest1-%d", seq);
    for (int i = 0; i < 2; i++) {
        snprintf(layers[i], sizeof(layers[i]), "%s%d", i ? U("b") : U("a"), seq);
        snprintf(parents[i], sizeof(parents[i]), "%s%d", i ? U("b") : U("a"), parent_seq);
        d[i] = (struct cat_backup_disk){.disk_index = i,
                                        .device_key = 2000 + i,
                                        .disk_uuid = i ? U("d1") : U("d0"),
                                        .size_bytes = i ? 5368709121 : 109521666048,
                                        .label = "",
                                        .source_url = "nbd://x",
                                        .backup_type = b.backup_type,
                                        .read_mode = parent_seq ? "compare" : "all",
                                        .reason = "no_parent",
                                        .locator = "vms/x/disks/y/000001",
                                        .layer_id = layers[i],
                                        .parent_layer_id = parent_seq ? parents[i] : NULL,
                                        .audit_sampled = -1,
                                        .audit_bad = -1,
                                        .state = "pending"};
    }
    return cat_backup_insert(c, &b, err);
}

static inline int
t_complete(struct catalog *c, int seq, struct err *err)
{
    char job[64], point[64];
    struct cat_finish f = {.state = "completed",
                           .phase = "done",
                           .completed_us = 500 + seq,
                           .point_id = point};

    snprintf(job, sizeof(job), "%s%d", U("1"), seq);
    snprintf(point, sizeof(point), "%s%d", U("c"), seq);
    return cat_backup_finish(c, job, &f, err);
}

#endif
