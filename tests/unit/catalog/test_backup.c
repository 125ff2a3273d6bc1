/* Backup jobs and their disks. */
#include "t_catalog.h"

#include "catalog/cat_restore.h"
#include "catalog/cat_verify.h"

#define JOB(n) U("1" n)

static void
test_insert_and_get(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_backup b;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_ERR(ERR_EXISTS, "backup_exists", t_job(c, 1, 0, &err));
    T_OK(cat_backup_get(c, "backup-pgtest1-1", &b, &err));
    assert_string_equal(b.job_id, JOB("1"));
    assert_string_equal(b.state, "pending");
    assert_int_equal(b.error_disk, -1);
    assert_null(b.error_code);
    assert_null(b.point_id);
    assert_int_equal(b.started_us, 0);
    assert_int_equal(b.n_disks, 2);
    assert_int_equal(b.disks[1].device_key, 2001);
    assert_string_equal(b.disks[0].job_id, JOB("1"));
    assert_null(b.disks[0].parent_layer_id);
    assert_int_equal(b.disks[0].size_bytes, 109521666048);
    /* Another VM: nothing of it stays. */
    b.vm_id = (free((char *)b.vm_id), xstrdup(U("77")));
    b.job_id = (free((char *)b.job_id), xstrdup(JOB("9")));
    b.backup_id = (free((char *)b.backup_id), xstrdup("'; DROP TABLE backup_jobs; --"));
    T_ERR(ERR_NOT_FOUND, "backup_reference", cat_backup_insert(c, &b, &err));
    b.vm_id = (free((char *)b.vm_id), xstrdup(U("01")));
    T_ERR(ERR_EXISTS, "backup_exists", cat_backup_insert(c, &b, &err)); /* seq */
    b.seq = 0;
    T_ERR(ERR_INVALID, "catalog_constraint", cat_backup_insert(c, &b, &err));
    b.seq = 9;
    T_ERR(ERR_EXISTS, "backup_exists",
          cat_backup_insert(c, &b, &err)); /* layers of the disks */
    cat_backup_done(&b);
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_get_by_job(c, JOB("9"), &b, &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found", cat_backup_get(c, "none", &b, &err));
}

static void
test_states(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_transition run = {"pending", "running", "exports", 200};
    struct cat_transition over = {"running", "completed", "done", 0};
    int64_t disk = 0;
    struct cat_finish f = {.from = "running",
                           .state = "failed",
                           .phase = "transfer",
                           .completed_us = 300,
                           .error_code = "source_io",
                           .error_phase = "transfer",
                           .error_disk = &disk,
                           .error_message = "cut \xe2\x82",
                           .cleanup = "{\"left\": []}"};
    struct cat_finish bad = f;
    struct cat_verification v = {"verified", "media", 400};
    struct cat_backup b;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_ERR(ERR_EXISTS, "state_conflict",
          cat_backup_finish(c, JOB("1"), &f, &err)); /* from */
    T_OK(cat_backup_set_state(c, JOB("1"), &run, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_backup_set_state(c, JOB("1"), &run, &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_state(c, JOB("9"), &run, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_backup_set_state(c, JOB("1"), &over, &err));
    bad.state = "running";
    T_ERR(ERR_EXISTS, "state_conflict", cat_backup_finish(c, JOB("1"), &bad, &err));
    bad.state = "completed"; /* never without a point */
    T_ERR(ERR_INVALID, "catalog_constraint", cat_backup_finish(c, JOB("1"), &bad, &err));
    T_OK(cat_backup_set_phase(c, JOB("1"), "transfer", &err));
    T_OK(cat_backup_set_targets(c, JOB("1"), "2000:nbd://x,2001:nbd://y", &err));
    T_OK(cat_backup_set_client(c, JOB("1"), "{\"pid\": 5}", &err));
    T_OK(cat_backup_set_attempt(c, JOB("1"), 2, "cd", &err));
    T_ERR(ERR_EXISTS, "state_conflict",
          cat_backup_set_attempt(c, JOB("1"), 2, "ef", &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_string_equal(b.state, "running");
    assert_int_equal(b.started_us, 200);
    assert_string_equal(b.current_phase, "transfer");
    assert_string_equal(b.nbd_targets_string, "2000:nbd://x,2001:nbd://y");
    assert_string_equal(b.client_identity, "{\"pid\": 5}");
    assert_int_equal(b.attempt, 2);
    assert_string_equal(b.job_token_hash, "cd");
    cat_backup_done(&b);
    /* A cancel is not forgotten when the job comes to its next step. */
    T_OK(cat_backup_set_phase(c, JOB("1"), "cancelling", &err));
    T_OK(cat_backup_set_phase(c, JOB("1"), "verifying", &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_string_equal(b.current_phase, "cancelling");
    cat_backup_done(&b);
    T_OK(cat_backup_finish(c, JOB("1"), &f, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_backup_finish(c, JOB("1"), &f, &err));
    f.from = NULL;
    T_ERR(ERR_EXISTS, "state_conflict", cat_backup_finish(c, JOB("1"), &f, &err));
    T_ERR(ERR_EXISTS, "state_conflict", cat_backup_set_phase(c, JOB("1"), "x", &err));
    T_ERR(ERR_EXISTS, "state_conflict",
          cat_backup_set_attempt(c, JOB("1"), 3, "x", &err));
    T_OK(cat_backup_set_verification(c, JOB("1"), &v, &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_string_equal(b.state, "failed");
    assert_int_equal(b.completed_us, 300);
    assert_string_equal(b.error_code, "source_io");
    assert_int_equal(b.error_disk, 0);
    assert_string_equal(b.error_message, "cut ??");
    assert_string_equal(b.cleanup, "{\"left\": []}");
    assert_null(b.job_token_hash);
    assert_string_equal(b.verification, "verified");
    assert_string_equal(b.readback, "media");
    assert_int_equal(b.verified_us, 400);
    cat_backup_done(&b);
    T_ERR(ERR_NOT_FOUND, "backup_not_found", cat_backup_finish(c, JOB("9"), &f, &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_phase(c, JOB("9"), "x", &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_targets(c, JOB("9"), "x", &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_client(c, JOB("9"), "x", &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_verification(c, JOB("9"), &v, &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_attempt(c, JOB("9"), 3, "x", &err));
}

static void
test_disks(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_disk_ref d = {JOB("1"), 1}, none = {JOB("1"), 7};
    struct cat_disk_export e = {10105, "n'1", 4242}, gone = {0};
    struct cat_disk_bytes n = {1, 2, 3, 4, 5, 6};
    struct cat_disk_result r = {"aa", "bb", 77, "52 de/1", "[d] a.vmdk", "s-1"};
    struct cat_backup_disk got;
    struct cat_backup b;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_OK(cat_backup_disk_set_read(c, d, "compare", "audit_failed", &err));
    T_OK(cat_backup_disk_set_export(c, d, &e, &err));
    T_OK(cat_backup_disk_set_state(c, d, "failed", "\xff!", &err));
    T_OK(cat_backup_disk_set_progress(c, d, &n, 8, &err));
    T_OK(cat_backup_disk_set_result(c, d, &r, &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_string_equal(b.disks[0].state, "pending");
    assert_int_equal(b.disks[0].bytes.read, 0);
    assert_string_equal(b.disks[1].read_mode, "compare");
    assert_string_equal(b.disks[1].reason, "audit_failed");
    assert_int_equal(b.disks[1].nbd_port, 10105);
    assert_string_equal(b.disks[1].nbd_export_name, "n'1");
    assert_int_equal(b.disks[1].qemu_nbd_pid, 4242);
    assert_string_equal(b.disks[1].error_message, "?!");
    assert_memory_equal(&b.disks[1].bytes, &n, sizeof(n));
    assert_int_equal(b.disks[1].checkpoint, 8);
    assert_string_equal(b.disks[1].layer_root, "aa");
    assert_string_equal(b.disks[1].content_root, "bb");
    assert_int_equal(b.disks[1].records, 77);
    assert_string_equal(b.disks[1].change_id, "52 de/1");
    assert_string_equal(b.disks[1].frozen_file, "[d] a.vmdk");
    assert_string_equal(b.disks[1].frozen_on, "s-1");
    assert_null(b.disks[0].frozen_file);
    cat_backup_done(&b);
    T_OK(cat_backup_disk_set_export(c, d, &gone, &err));
    n.read = UINT64_MAX;
    T_ERR(ERR_INVALID, "number_too_large",
          cat_backup_disk_set_progress(c, d, &n, 9, &err));
    T_ERR(ERR_NOT_FOUND, "layer_not_found",
          cat_backup_disk_by_layer(c, U("b1"), &got, &err));
    T_OK(t_complete(c, 1, &err));
    T_OK(cat_backup_disk_by_layer(c, U("b1"), &got, &err));
    assert_int_equal(got.disk_index, 1);
    assert_int_equal(got.nbd_port, 0);
    assert_null(got.nbd_export_name);
    assert_int_equal(got.bytes.read, 1);
    cat_backup_disk_done(&got);
    n.read = 0;
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_disk_set_read(c, none, "a", "b", &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found", cat_backup_disk_set_export(c, none, &e, &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_disk_set_state(c, none, "a", NULL, &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_disk_set_progress(c, none, &n, 1, &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found", cat_backup_disk_set_result(c, none, &r, &err));
}

static void
check_verdict(struct catalog *c, int seq, const char *backup, const char *disks)
{
    char job[64], got[64];
    struct cat_backup b;

    snprintf(job, sizeof(job), "%s%d", U("1"), seq);
    T_OK(cat_backup_get_by_job(c, job, &b, &err));
    assert_string_equal(b.verification, backup);
    snprintf(got, sizeof(got), "%s %s", b.disks[0].verification, b.disks[1].verification);
    assert_string_equal(got, disks);
    cat_backup_done(&b);
}

/* Three backups on each other: what is found of one disk says nothing of the other. */
static void
test_verdicts(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_disk_ref d = {JOB("2"), 1}, none = {JOB("2"), 7}, no_job = {JOB("9"), 0};
    struct cat_verification v = {"verified", "media", 400};

    t_fill(c);
    for (int i = 1; i <= 3; i++) {
        T_OK(t_job(c, i, i - 1, &err));
        check_verdict(c, i, "pending", "pending pending"); /* as the backup's */
    }
    for (int i = 1; i <= 2; i++)
        T_OK(t_complete(c, i, &err));
    T_OK(cat_backup_set_verification(c, JOB("1"), &v, &err));
    T_OK(cat_backup_set_verification(c, JOB("2"), &v, &err));
    T_OK(cat_backup_set_verification(c, JOB("3"), &v, &err));
    check_verdict(c, 1, "verified", "verified verified");
    T_OK(cat_backup_condemn_disk(c, d, "media", 500, &err));
    check_verdict(c, 2, "failed", "verified failed");
    T_OK(cat_backup_condemn_above(c, U("b2"), 500, "why", &err));
    check_verdict(c, 3, "verified", "verified verified"); /* it is not completed */
    T_OK(t_complete(c, 3, &err));
    T_OK(cat_backup_condemn_above(c, U("b1"), 500, "why", &err));
    check_verdict(c, 1, "verified", "verified verified");
    check_verdict(c, 2, "failed", "verified failed");
    check_verdict(c, 3, "failed", "verified failed");
    T_OK(cat_backup_disk_set_verification(c, d, "verified", &err));
    check_verdict(c, 2, "failed", "verified verified");
    T_OK(cat_backup_set_verification(c, JOB("3"), &v, &err));
    check_verdict(c, 3, "verified", "verified verified");
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_disk_set_verification(c, none, "failed", &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_condemn_disk(c, none, NULL, 1, &err));
    check_verdict(c, 2, "failed", "verified verified"); /* both or nothing */
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_condemn_disk(c, no_job, NULL, 1, &err));
}

static size_t
count(struct catalog *c, struct cat_backup_filter f)
{
    struct cat_backups l = {0};
    struct cat_page page = {0};
    size_t n;

    T_OK(cat_backup_list(c, &f, &page, &l, &err));
    n = l.n;
    cat_backups_done(&l);
    return n;
}

static void
test_lists(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_page page = {.limit = 2};
    struct cat_backup_filter any = {0};
    struct cat_backups l = {0};
    struct cat_backup b;
    int64_t seq, seen = 6;
    char after[64];

    t_fill(c);
    T_OK(cat_backup_max_seq(c, U("01"), "1", &seq, &err));
    assert_int_equal(seq, 0);
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_last_completed(c, U("01"), "1", &b, &err));
    for (int i = 1; i <= 5; i++)
        T_OK(t_job(c, i, i > 1 ? i - 1 : 0, &err));
    T_OK(t_complete(c, 1, &err));
    T_OK(t_complete(c, 2, &err));
    for (;;) { /* newest first, each once */
        T_OK(cat_backup_list(c, &any, &page, &l, &err));
        for (size_t i = 0; i < l.n; i++) {
            assert_int_equal(l.v[i].seq, --seen);
            assert_int_equal(l.v[i].n_disks, 2);
            page.after_us = l.v[i].created_us;
            snprintf(after, sizeof(after), "%s", l.v[i].job_id);
        }
        page.after_id = after;
        bool more = l.more;

        cat_backups_done(&l);
        if (!more)
            break;
    }
    assert_int_equal(seen, 1);
    assert_int_equal(count(c, (struct cat_backup_filter){.vm_id = U("01")}), 5);
    assert_int_equal(count(c, (struct cat_backup_filter){.vm_id = U("02")}), 0);
    assert_int_equal(count(c, (struct cat_backup_filter){.vm_name = "pgtest1"}), 5);
    assert_int_equal(count(c, (struct cat_backup_filter){.vm_name = "' OR 1=1 --"}), 0);
    assert_int_equal(count(c, (struct cat_backup_filter){.repository_id = "1"}), 5);
    assert_int_equal(count(c, (struct cat_backup_filter){.repository_id = "2"}), 0);
    assert_int_equal(count(c, (struct cat_backup_filter){.state = "completed"}), 2);
    assert_int_equal(
        count(c, (struct cat_backup_filter){.state = "pending", .vm_name = "pgtest1"}),
        3);
    T_OK(cat_backup_list_open(c, &l, &err));
    assert_int_equal(l.n, 3);
    assert_int_equal(l.v[0].seq, 3);
    cat_backups_done(&l);
    T_OK(cat_backup_last_completed(c, U("01"), "1", &b, &err));
    assert_int_equal(b.seq, 2);
    assert_int_equal(b.n_disks, 2);
    cat_backup_done(&b);
    T_OK(cat_backup_max_seq(c, U("01"), "1", &seq, &err));
    assert_int_equal(seq, 5);
}

static void
test_delete(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_finish failed = {.state = "failed",
                                .phase = "x",
                                .completed_us = 9,
                                .error_code = "x",
                                .error_message = "x"};
    struct cat_restore r = {.id = U("51"),
                            .backup_id = "backup-pgtest1-1",
                            .target_path = "/t",
                            .format = "raw",
                            .state = "pending",
                            .current_phase = "q",
                            .requested_by = "a"};
    struct cat_verify v = {.id = U("61"),
                           .backup_id = "backup-pgtest1-1",
                           .state = "running",
                           .current_phase = "q",
                           .requested_by = "a"};
    CLEANUP_FREE char *child = NULL;
    struct cat_backup b;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_ERR(ERR_EXISTS, "backup_in_use", cat_backup_delete(c, JOB("1"), &err));
    T_OK(t_complete(c, 1, &err));
    T_OK(cat_backup_child(c, JOB("1"), &child, &err));
    assert_null(child);
    T_OK(t_job(c, 2, 1, &err)); /* runs: the layer below must stay */
    T_ERR(ERR_EXISTS, "backup_has_children", cat_backup_delete(c, JOB("1"), &err));
    T_OK(cat_backup_child(c, JOB("1"), &child, &err));
    assert_string_equal(child, "backup-pgtest1-2");
    T_OK(cat_backup_finish(c, JOB("2"), &failed, &err)); /* its layers are gone */
    T_OK(t_job(c, 3, 1, &err));
    T_OK(t_complete(c, 3, &err));
    T_ERR(ERR_EXISTS, "backup_has_children", cat_backup_delete(c, JOB("1"), &err));
    T_OK(cat_backup_delete(c, JOB("3"), &err));
    T_OK(cat_restore_insert(c, &r, &err));
    T_ERR(ERR_EXISTS, "backup_in_use", cat_backup_delete(c, JOB("1"), &err));
    T_OK(cat_restore_finish(c, U("51"), &failed, &err));
    T_OK(cat_verify_insert(c, &v, &err));
    T_ERR(ERR_EXISTS, "backup_in_use", cat_backup_delete(c, JOB("1"), &err));
    T_OK(cat_verify_finish(c, U("61"), &failed, &err));
    T_OK(cat_backup_delete(c, JOB("1"), &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found", cat_backup_delete(c, JOB("1"), &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_get_by_job(c, JOB("1"), &b, &err));
    T_OK(cat_backup_delete(c, JOB("2"), &err));
    T_OK(cat_vm_remove(c, U("01"), &err));
    T_OK(cat_repository_remove(c, "1", &err));
}

static int64_t
layers_of(struct catalog *c, const char *layer_id, bool *whole, uint64_t *stored)
{
    struct cat_chain chain;

    T_OK(cat_backup_disk_chain(c, layer_id, &chain, &err));
    *whole = chain.whole;
    *stored = chain.bytes_stored;
    return chain.layers;
}

static void
test_chains(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_finish failed = {.state = "failed", .phase = "x", .error_code = "x"};
    struct cat_disk_bytes bytes = {.stored = 1000};
    struct cat_backup_disk got;
    uint64_t stored;
    bool whole;

    t_fill(c);
    T_ERR(ERR_NOT_FOUND, "layer_not_found",
          cat_backup_disk_tip(c, U("d1"), "1", &got, &err));
    T_OK(t_job(c, 1, 0, &err));
    T_ERR(ERR_NOT_FOUND, "layer_not_found", /* not yet completed */
          cat_backup_disk_tip(c, U("d1"), "1", &got, &err));
    T_OK(t_complete(c, 1, &err));
    T_OK(t_job(c, 2, 1, &err));
    T_OK(t_complete(c, 2, &err));
    T_OK(t_job(c, 3, 2, &err));
    T_OK(cat_backup_finish(c, JOB("3"), &failed, &err));
    T_OK(cat_backup_disk_tip(c, U("d1"), "1", &got, &err));
    assert_string_equal(got.layer_id, U("b2"));
    assert_string_equal(got.parent_layer_id, U("b1"));
    assert_null(got.datastore);
    assert_int_equal(got.audit_sampled, -1);
    cat_backup_disk_done(&got);
    T_ERR(ERR_NOT_FOUND, "layer_not_found", /* another repository */
          cat_backup_disk_tip(c, U("d1"), "2", &got, &err));
    for (int i = 1; i <= 2; i++) {
        struct cat_disk_ref d = {.job_id = i == 1 ? JOB("1") : JOB("2"), .disk_index = 1};

        bytes.stored *= (uint64_t)i;
        T_OK(cat_backup_disk_set_progress(c, d, &bytes, 0, &err));
    }
    assert_int_equal(layers_of(c, U("b2"), &whole, &stored), 2);
    assert_int_equal(stored, 3000);
    assert_true(whole);
    assert_int_equal(layers_of(c, U("b1"), &whole, &stored), 1);
    assert_int_equal(layers_of(c, U("ff"), &whole, &stored), 0);
    assert_false(whole);
}

/* What another attempt needs is there again after it was stored, and only of that disk.
 */
static void
test_resume(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_disk_ref d = {.job_id = JOB("1"), .disk_index = 1};
    struct cat_disk_ref none = {.job_id = JOB("1"), .disk_index = 7};
    struct cat_checkpoint at = {.block = 900, .records = 17};
    struct cat_interruption i = {
        .at_us = 5, .code = "client_died", .message = "gone \xff"};
    struct cat_backup b, n;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_int_equal(b.interrupted_us, 0);
    assert_null(b.limits);
    n = b;
    n.job_id = JOB("8");
    n.backup_id = "again";
    n.seq = 8;
    n.retries = 3;
    n.retry_delay_s = 5;
    n.limits = "{}";
    n.quiesce = "off";
    n.disks = NULL;
    n.n_disks = 0;
    T_OK(cat_backup_insert(c, &n, &err));
    cat_backup_done(&b);
    T_OK(cat_backup_disk_set_checkpoint(c, d, &at, &err));
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_disk_set_checkpoint(c, none, &at, &err));
    T_OK(cat_backup_set_moment(c, JOB("1"), 77, &err));
    T_OK(cat_backup_set_interruption(c, JOB("1"), &i, &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found", cat_backup_set_moment(c, JOB("9"), 1, &err));
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_interruption(c, JOB("9"), &i, &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_int_equal(b.disks[0].checkpoint_block, 0);
    assert_int_equal(b.disks[1].checkpoint_block, 900);
    assert_int_equal(b.disks[1].checkpoint_records, 17);
    assert_int_equal(b.moment_us, 77);
    assert_int_equal(b.interrupted_us, 5);
    assert_string_equal(b.interrupted_code, "client_died");
    assert_string_equal(b.interrupted_message, "gone ?");
    cat_backup_done(&b);
    T_OK(cat_backup_get(c, "again", &b, &err));
    assert_int_equal(b.retries, 3);
    assert_int_equal(b.retry_delay_s, 5);
    assert_string_equal(b.limits, "{}");
    assert_string_equal(b.quiesce, "off");
    cat_backup_done(&b);
}

/* The last sample counts, what was bad is never forgotten. */
static void
test_audits(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_disk_ref d = {.job_id = JOB("1"), .disk_index = 1};
    struct cat_backup b;

    t_fill(c);
    T_OK(t_job(c, 1, 0, &err));
    T_OK(cat_backup_disk_set_audit(c, d, 900, 0, &err));
    T_OK(cat_backup_disk_set_audit(c, d, 800, 0, &err)); /* of another attempt */
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_int_equal(b.disks[1].audit_sampled, 800);
    cat_backup_done(&b);
    T_OK(cat_backup_disk_set_audit(c, d, 1024, 2, &err));
    T_OK(cat_backup_disk_set_audit(c, d, 100, 0, &err));
    T_OK(cat_backup_get_by_job(c, JOB("1"), &b, &err));
    assert_int_equal(b.disks[1].audit_sampled, 1124);
    assert_int_equal(b.disks[1].audit_bad, 2);
    assert_int_equal(b.disks[0].audit_sampled, -1);
    cat_backup_done(&b);
    d.disk_index = 7;
    T_ERR(ERR_NOT_FOUND, "disk_not_found", cat_backup_disk_set_audit(c, d, 1, 0, &err));
}

/* 1 <- 2 <- 3 <- 4: what stands on 2, and what a merge of 2 into 3 leaves. */
static void
test_merged(void **state)
{
    struct catalog *c = ((struct t_env *)*state)->c;
    struct cat_backups above = {0};
    struct cat_backup b = {0};
    struct cat_disk_merge m = {.parent_layer_id = U("a") "1",
                               .backup_type = "incremental",
                               .layer_root = "cd",
                               .records = 7,
                               .bytes_stored = 4096};
    struct cat_disk_ref third = {.job_id = JOB("3"), .disk_index = 0};
    struct cat_chain chain;

    t_fill(c);
    for (int i = 1; i <= 4; i++) {
        T_OK(t_job(c, i, i - 1, &err));
        if (i < 4)
            T_OK(t_complete(c, i, &err));
    }
    T_OK(cat_backup_above(c, JOB("2"), &above, &err));
    assert_int_equal(above.n, 2); /* the one that runs counts */
    assert_int_equal(above.v[0].seq, 3);
    assert_int_equal(above.v[1].seq, 4);
    assert_int_equal(above.v[1].n_disks, 2);
    cat_backups_done(&above);
    T_OK(cat_backup_above(c, JOB("4"), &above, &err));
    assert_int_equal(above.n, 0);
    cat_backups_done(&above);
    T_OK(cat_backup_disk_set_merged(c, third, &m, &err));
    third.disk_index = 1;
    m.parent_layer_id = NULL;
    m.backup_type = "full";
    T_OK(cat_backup_disk_set_merged(c, third, &m, &err));
    third.disk_index = 2;
    T_ERR(ERR_NOT_FOUND, "disk_not_found",
          cat_backup_disk_set_merged(c, third, &m, &err));
    T_OK(cat_backup_delete(c, JOB("2"), &err)); /* nothing stands on it any more */
    T_OK(cat_backup_get_by_job(c, JOB("3"), &b, &err));
    assert_string_equal(b.disks[0].parent_layer_id, U("a") "1");
    assert_string_equal(b.disks[0].layer_root, "cd");
    assert_int_equal(b.disks[0].records, 7);
    assert_int_equal(b.disks[0].bytes.stored, 4096);
    assert_null(b.disks[1].parent_layer_id);
    assert_string_equal(b.disks[1].backup_type, "full");
    cat_backup_done(&b);
    T_OK(cat_backup_disk_chain(c, U("a") "4", &chain, &err));
    assert_int_equal(chain.layers, 3);
    assert_true(chain.whole);
    T_OK(cat_backup_set_type(c, JOB("3"), "full", &err));
    T_OK(cat_backup_get_by_job(c, JOB("3"), &b, &err));
    assert_string_equal(b.backup_type, "full");
    cat_backup_done(&b);
    T_ERR(ERR_NOT_FOUND, "backup_not_found",
          cat_backup_set_type(c, JOB("9"), "full", &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        T_CASE(test_insert_and_get), T_CASE(test_states), T_CASE(test_disks),
        T_CASE(test_lists),          T_CASE(test_delete), T_CASE(test_chains),
        T_CASE(test_audits),         T_CASE(test_resume), T_CASE(test_merged),
        T_CASE(test_verdicts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
