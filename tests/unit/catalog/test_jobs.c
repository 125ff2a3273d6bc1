/* The journal, restores, verifications, events. */
#include "t_catalog.h"

#include "catalog/cat_event.h"
#include "catalog/cat_resource.h"
#include "catalog/cat_export.h"
#include "catalog/cat_restore.h"
#include "catalog/cat_verify.h"

static void
test_resources(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_resource a = {.job_id = U("01"),
                             .kind = "port",
                             .res_key = "10100",
                             .detail = "{}",
                             .created_us = 1};
    struct cat_resource b = {
        .job_id = U("02"), .kind = "port", .res_key = "10100", .created_us = 2};
    struct cat_hold h = {.pid = 42, .start_ticks = 99, .boot_id = "boot", .now_us = 5};
    struct cat_resource got;
    struct cat_resources l = {0};
    struct err err = ERR_INIT;
    int64_t ia, ib;

    T_OK(cat_resource_intend(c, &a, &ia, &err));
    assert_int_equal(cat_resource_intend(c, &b, &ib, &err), ERR_EXISTS);
    assert_string_equal(err.code, "resource_taken");
    assert_non_null(strstr(err.msg, U("01")));
    b.kind = "file";
    T_OK(cat_resource_intend(c, &b, &ib, &err));
    assert_true(ib > ia);
    T_OK(cat_resource_hold(c, U("01"), ia, &h, &err));
    T_OK(cat_resource_find(c, "port", "10100", &got, &err));
    assert_string_equal(got.state, "held");
    assert_string_equal(got.detail, "{}");
    assert_int_equal(got.pid, 42);
    assert_int_equal(got.start_ticks, 99);
    assert_string_equal(got.boot_id, "boot");
    assert_int_equal(got.updated_us, 5);
    cat_resource_done(&got);
    T_ERR(ERR_NOT_FOUND, "resource_not_found",
          cat_resource_hold(c, U("02"), ia, &h, &err));
    T_ERR(ERR_NOT_FOUND, "resource_not_found",
          cat_resource_release(c, U("02"), ia, 6, &err)); /* not the owner */
    T_OK(cat_resource_list_open(c, &l, &err));
    assert_int_equal(l.n, 2);
    assert_int_equal(l.v[0].id, ia);
    assert_string_equal(l.v[1].state, "intent");
    cat_resources_done(&l);
    T_OK(cat_resource_list_job(c, U("02"), &l, &err));
    assert_int_equal(l.n, 1);
    cat_resources_done(&l);
    T_OK(cat_resource_release(c, U("01"), ia, 7, &err));
    T_OK(cat_resource_release(c, U("01"), ia, 8, &err)); /* idempotent */
    T_ERR(ERR_NOT_FOUND, "resource_not_found",
          cat_resource_hold(c, U("01"), ia, &h, &err));
    T_ERR(ERR_NOT_FOUND, "resource_not_found",
          cat_resource_find(c, "port", "10100", &got, &err));
    T_OK(cat_resource_list_job(c, U("01"), &l, &err));
    assert_int_equal(l.n, 0);
    cat_resources_done(&l);
    b.kind = "port"; /* free again, many times over */
    for (int i = 0; i < 3; i++) {
        T_OK(cat_resource_intend(c, &b, &ia, &err));
        T_OK(cat_resource_release(c, U("02"), ia, 9, &err));
    }
    assert_int_equal(cat_resource_prune(c, 9, &err),
                     1); /* the one of 7, not touched at 8 */
    assert_int_equal(cat_resource_prune(c, 100, &err), 3);
    T_OK(cat_resource_list_open(c, &l, &err));
    assert_int_equal(l.n, 1); /* open entries are never pruned */
    cat_resources_done(&l);
    T_OK(cat_resource_intend(c, &a, &ib, &err));
    assert_true(ib > ia); /* ids are not used twice */
}

static void
test_exports(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_export x = {.id = U("01"),
                           .backup_id = "backup-a-1",
                           .state = "opening",
                           .access = "scratch",
                           .listen = "127.0.0.1",
                           .disks = "[]",
                           .requested_by = "admin",
                           .created_us = 10,
                           .expires_us = 20};
    struct cat_export_end closed = {
        .state = "closed", .reason = "expired", .closed_us = 21};
    struct cat_export_end failed = {.state = "failed",
                                    .closed_us = 22,
                                    .error_code = "port_in_use",
                                    .error_message = "why"};
    struct cat_page page = {.limit = 1};
    struct cat_exports l = {0};
    struct cat_export got;

    T_OK(cat_export_insert(c, &x, &err));
    T_ERR(ERR_EXISTS, "already_exists", cat_export_insert(c, &x, &err));
    x.id = U("02");
    x.created_us = 11;
    T_OK(cat_export_insert(c, &x, &err));
    x.state = "ajar";
    x.id = U("03");
    assert_true(cat_export_insert(c, &x, &(struct err)ERR_INIT) < 0);
    T_OK(cat_export_set_open(c, U("01"), "[{\"nbd_port\": 1}]", &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_export_set_open(c, U("01"), "[]", &err));
    T_ERR(ERR_NOT_FOUND, "export_not_found", cat_export_set_open(c, U("09"), "[]", &err));
    T_OK(cat_export_list_open(c, &l, &err));
    assert_int_equal(l.n, 2);
    cat_exports_done(&l);
    T_OK(cat_export_finish(c, U("01"), &closed, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_export_finish(c, U("01"), &failed, &err));
    T_OK(cat_export_finish(c, U("02"), &failed, &err));
    T_OK(cat_export_get(c, U("01"), &got, &err));
    assert_string_equal(got.state, "closed");
    assert_string_equal(got.close_reason, "expired");
    assert_string_equal(got.disks, "[{\"nbd_port\": 1}]");
    assert_int_equal(got.closed_us, 21);
    assert_null(got.error_code);
    cat_export_done(&got);
    T_OK(cat_export_list(c, NULL, &page, &l, &err));
    assert_int_equal(l.n, 1);
    assert_true(l.more);
    assert_string_equal(l.v[0].id, U("02"));
    cat_exports_done(&l);
    T_OK(cat_export_list(c, "closed", &(struct cat_page){0}, &l, &err));
    assert_int_equal(l.n, 1);
    assert_string_equal(l.v[0].id, U("01"));
    cat_exports_done(&l);
}

static void
test_restores(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_restore r = {.id = U("01"),
                            .backup_id = "b'1",
                            .device_key = 2001,
                            .target_path = "/tmp/\"x",
                            .format = "qcow2",
                            .state = "pending",
                            .current_phase = "queued",
                            .requested_by = "admin",
                            .created_us = 10};
    struct cat_transition run = {"pending", "running", "copy", 20};
    struct cat_finish f = {.state = "failed",
                           .phase = "copy",
                           .completed_us = 30,
                           .error_code = "c",
                           .error_phase = "copy",
                           .error_message = "m"};
    struct cat_page page = {.limit = 1};
    struct cat_restores l = {0};
    struct cat_restore got;

    T_OK(cat_restore_insert(c, &r, &err));
    T_ERR(ERR_EXISTS, "restore_exists", cat_restore_insert(c, &r, &err));
    r.id = U("02");
    r.backup_id = "b2";
    T_OK(cat_restore_insert(c, &r, &err));
    T_OK(cat_restore_set_state(c, U("01"), &run, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_restore_set_state(c, U("01"), &run, &err));
    T_OK(cat_restore_set_progress(c, U("01"), 100, 60, &err));
    T_OK(cat_restore_set_bad_ranges(c, U("01"), "[{\"start\": 0}]", &err));
    T_ERR(ERR_NOT_FOUND, "restore_not_found",
          cat_restore_set_salvaged(c, U("09"), "[]", 5, &err));
    T_OK(cat_restore_set_salvaged(c, U("01"), "[{\"start\": 0}]", 5, &err));
    T_OK(cat_restore_list_open(c, &l, &err));
    assert_int_equal(l.n, 2);
    cat_restores_done(&l);
    T_OK(cat_restore_finish(c, U("01"), &f, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_restore_finish(c, U("01"), &f, &err));
    T_OK(cat_restore_get(c, U("01"), &got, &err));
    assert_int_equal(got.salvaged_us, 5);
    assert_string_equal(got.state, "failed");
    assert_string_equal(got.target_path, "/tmp/\"x");
    assert_int_equal(got.device_key, 2001);
    assert_int_equal(got.started_us, 20);
    assert_int_equal(got.completed_us, 30);
    assert_int_equal(got.bytes_total, 100);
    assert_int_equal(got.bytes_done, 60);
    assert_string_equal(got.bad_ranges, "[{\"start\": 0}]");
    assert_string_equal(got.error_code, "c");
    assert_string_equal(got.error_phase, "copy");
    assert_string_equal(got.error_message, "m");
    cat_restore_done(&got);
    T_OK(cat_restore_list(c, NULL, &page, &l, &err));
    assert_true(l.n == 1 && l.more);
    assert_string_equal(l.v[0].id, U("02"));
    page = (struct cat_page){.after_us = l.v[0].created_us, .after_id = U("02")};
    cat_restores_done(&l);
    T_OK(cat_restore_list(c, NULL, &page, &l, &err));
    assert_true(l.n == 1 && !l.more);
    cat_restores_done(&l);
    page = (struct cat_page){0};
    T_OK(cat_restore_list(c, "b'1", &page, &l, &err));
    assert_int_equal(l.n, 1);
    cat_restores_done(&l);
    T_ERR(ERR_NOT_FOUND, "restore_not_found", cat_restore_get(c, U("09"), &got, &err));
    T_ERR(ERR_NOT_FOUND, "restore_not_found", cat_restore_finish(c, U("09"), &f, &err));
    T_ERR(ERR_NOT_FOUND, "restore_not_found",
          cat_restore_set_state(c, U("09"), &run, &err));
    T_ERR(ERR_NOT_FOUND, "restore_not_found",
          cat_restore_set_progress(c, U("09"), 1, 1, &err));
    T_ERR(ERR_NOT_FOUND, "restore_not_found",
          cat_restore_set_bad_ranges(c, U("09"), "[]", &err));
}

static void
test_verifies(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_verify v = {.id = U("01"),
                           .backup_id = "b1",
                           .state = "pending",
                           .current_phase = "queued",
                           .requested_by = "admin",
                           .created_us = 10};
    struct cat_transition run = {"pending", "running", "read", 20};
    struct cat_finish f = {
        .from = "running", .state = "completed", .phase = "done", .completed_us = 30};
    struct cat_page page = {0};
    struct cat_verifies l = {0};
    struct cat_verify got;

    T_OK(cat_verify_insert(c, &v, &err));
    T_ERR(ERR_EXISTS, "verify_exists", cat_verify_insert(c, &v, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_verify_finish(c, U("01"), &f, &err));
    T_OK(cat_verify_set_state(c, U("01"), &run, &err));
    T_OK(cat_verify_set_progress(c, U("01"), 7, 6, &err));
    T_OK(cat_verify_set_bad_ranges(c, U("01"), "[{\"disk\": 0}]", &err));
    T_OK(cat_verify_list_open(c, &l, &err));
    assert_int_equal(l.n, 1);
    cat_verifies_done(&l);
    T_OK(cat_verify_finish(c, U("01"), &f, &err));
    T_OK(cat_verify_list_open(c, &l, &err));
    assert_int_equal(l.n, 0);
    cat_verifies_done(&l);
    T_OK(cat_verify_get(c, U("01"), &got, &err));
    assert_string_equal(got.state, "completed");
    assert_string_equal(got.bad_ranges, "[{\"disk\": 0}]");
    assert_int_equal(got.bytes_total, 7);
    assert_int_equal(got.bytes_done, 6);
    assert_null(got.error_code);
    cat_verify_done(&got);
    T_OK(cat_verify_list(c, "b1", &page, &l, &err));
    assert_int_equal(l.n, 1);
    cat_verifies_done(&l);
    T_OK(cat_verify_list(c, "b2", &page, &l, &err));
    assert_int_equal(l.n, 0);
    cat_verifies_done(&l);
    T_ERR(ERR_NOT_FOUND, "verify_not_found", cat_verify_get(c, U("09"), &got, &err));
    T_ERR(ERR_NOT_FOUND, "verify_not_found", cat_verify_finish(c, U("09"), &f, &err));
    T_ERR(ERR_NOT_FOUND, "verify_not_found",
          cat_verify_set_state(c, U("09"), &run, &err));
    T_ERR(ERR_NOT_FOUND, "verify_not_found",
          cat_verify_set_progress(c, U("09"), 1, 1, &err));
    T_ERR(ERR_NOT_FOUND, "verify_not_found",
          cat_verify_set_bad_ranges(c, U("09"), "", &err));
}

static void
test_events(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_event e = {.time_us = 5,
                          .severity = "warning",
                          .type = "backup",
                          .code = "x",
                          .message = "cut\xc3",
                          .job_id = U("01"),
                          .backup_id = "b",
                          .vm_id = U("02"),
                          .actor = "admin"};
    struct cat_events l = {0};
    struct err err = ERR_INIT;
    int64_t id;

    T_OK(cat_event_last_id(c, &id, &err));
    assert_int_equal(id, 0);
    for (int i = 1; i <= 5; i++) {
        T_OK(cat_event_add(c, &e, &id, &err));
        assert_int_equal(id, i);
    }
    e.job_id = NULL;
    T_OK(cat_event_add(c, &e, &id, &err));
    e.severity = "shout";
    T_ERR(ERR_INVALID, "catalog_constraint", cat_event_add(c, &e, &id, &err));
    T_OK(cat_event_list(c, 2, 2, NULL, &l, &err));
    assert_true(l.n == 2 && l.more);
    assert_int_equal(l.v[0].id, 3);
    assert_string_equal(l.v[0].message, "cut?");
    assert_string_equal(l.v[0].actor, "admin");
    cat_events_done(&l);
    T_OK(cat_event_list(c, 0, 0, U("01"), &l, &err));
    assert_true(l.n == 5 && !l.more);
    cat_events_done(&l);
    assert_int_equal(cat_event_prune(c, 2, &err), 4);
    assert_int_equal(cat_event_prune(c, 2, &err), 0);
    T_OK(cat_event_list(c, 0, 0, NULL, &l, &err));
    assert_int_equal(l.n, 2);
    assert_int_equal(l.v[0].id, 5);
    cat_events_done(&l);
    assert_int_equal(cat_event_prune(c, 0, &err), 2);
    e.severity = "info";
    T_OK(cat_event_add(c, &e, &id, &err));
    assert_int_equal(id, 7); /* the refused one took no number, the pruned keep theirs */
    T_OK(cat_event_last_id(c, &id, &err));
    assert_int_equal(id, 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T_CASE(test_resources), T_CASE(test_exports), T_CASE(test_restores),
        T_CASE(test_verifies),  T_CASE(test_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
