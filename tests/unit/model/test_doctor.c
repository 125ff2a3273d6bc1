/* tests/unit/model/test_doctor.c - findings: their table, their verdict, their form. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "model/doctor.h"
#include "model/vsphere.h"
#include "model_test.h"

#define BAD "invalid_field"

/* No kind without an explanation, and no two of one name. */
static void
test_table(void **state)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings l = {0};

    for (int k = 0; k < DOCTOR_KIND_COUNT; k++) {
        const struct doctor_finding *f =
            doctor_add(&l, (enum doctor_kind)k, "hub", "thing %d", k);

        assert_non_null(f);
        assert_string_equal(f->kind, doctor_kind_to_str((enum doctor_kind)k));
        assert_true(strlen(f->why) > 20);
        assert_true(strlen(f->mend) > 10);
        assert_false(f->fixable);
        for (int i = 0; i < k; i++)
            assert_string_not_equal(l.v[i].kind, l.v[k].kind);
    }
    assert_string_equal(l.v[0].what, "thing 0");
}

static void
test_verdict(void **state)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings l = {0};

    assert_int_equal(doctor_judge(&l), DOCTOR_AGREES);
    doctor_add(&l, DOCTOR_SNAPSHOT_FOREIGN, "vCenter 'a'", "x");
    assert_int_equal(doctor_judge(&l), DOCTOR_AGREES);
    doctor_add(&l, DOCTOR_NODE_AWAY, "node 'a'", "x");
    assert_int_equal(doctor_judge(&l), DOCTOR_COULD_NOT_LOOK);
    doctor_add(&l, DOCTOR_PROCESS_ORPHAN, "hub", "x");
    assert_int_equal(doctor_judge(&l), DOCTOR_DISAGREES);
    l.v[2].fixed = true;
    assert_int_equal(doctor_judge(&l), DOCTOR_COULD_NOT_LOOK);
    l.v[1].fixed = true;
    assert_int_equal(doctor_judge(&l), DOCTOR_AGREES);
    assert_string_equal(doctor_verdict_to_str(DOCTOR_AGREES), "agrees");
    assert_string_equal(doctor_verdict_to_str(DOCTOR_DISAGREES), "disagrees");
    assert_string_equal(doctor_verdict_to_str(DOCTOR_COULD_NOT_LOOK), "could_not_look");
}

static void
test_same(void **state)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings a = {0}, b = {0};

    doctor_add(&a, DOCTOR_PROCESS_ORPHAN, "hub", "pid 1");
    doctor_add(&a, DOCTOR_NODE_AWAY, "node 'a'", "refused");
    doctor_add(&b, DOCTOR_PROCESS_ORPHAN, "hub", "pid 2");
    doctor_add(&b, DOCTOR_NODE_AWAY, "node 'a'", "timed out");
    doctor_add(&b, DOCTOR_PORT_TAKEN, "hub", "pid 1");
    doctor_add(&b, DOCTOR_PROCESS_ORPHAN, "node 'a'", "pid 1");
    assert_null(doctor_find(&b, &a.v[0]));
    assert_ptr_equal(doctor_find(&b, &a.v[1]), &b.v[1]);
    doctor_add(&b, DOCTOR_PROCESS_ORPHAN, "hub", "pid 1");
    assert_ptr_equal(doctor_find(&b, &a.v[0]), &b.v[4]);
}

/* A machine in ruins must not fill memory. */
static void
test_limit(void **state)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings l = {0};
    CLEANUP_FREE char *longest = xcalloc(1, 5001);

    memset(longest, 'x', 5000);
    for (size_t i = 0; i < DOCTOR_FINDINGS_MAX; i++)
        assert_non_null(doctor_add(&l, DOCTOR_FILE_STRAY, "hub", "%zu", i));
    assert_null(doctor_add(&l, DOCTOR_FILE_STRAY, "hub", "one more"));
    assert_int_equal(l.n, DOCTOR_FINDINGS_MAX);
    doctor_findings_done(&l);
    doctor_add(&l, DOCTOR_FILE_STRAY, "hub", "%s", longest);
    assert_int_equal(strlen(l.v[0].what), DOCTOR_TEXT_MAX);
}

static int
decode_answer(const json_t *j, struct err *err)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings l = {0};

    return doctor_answer_decode(j, &l, err);
}

static void
test_answer(void **state)
{
    static const struct poke pokes[] = {
        {"v", "2", "unsupported_version"},    {"findings", "null", BAD},
        {"findings.0.kind", "\"Kind\"", BAD}, {"findings.0.severity", "\"bad\"", BAD},
        {"findings.0.where", "\"\"", BAD},    {"findings.0.what", "null", BAD},
        {"findings.0.why", NULL, BAD},        {"findings.0.mend", "7", BAD},
        {"findings.0.fixable", "1", BAD},     {"findings.0.fixed", NULL, BAD},
        {"findings.1.problem", "7", BAD},     {"findings.1.x", "1", "unknown_field"},
        {"x", "1", "unknown_field"},
    };

    check_pokes("doctor-answer", decode_answer, ERR_INVALID, pokes, ARRAY_LEN(pokes));
}

static void
test_request(void **state)
{
    CLEANUP_JSON json_t *j = doctor_request_encode(true);
    struct err err = ERR_INIT;
    bool fix = false;

    assert_int_equal(doctor_request_decode(j, &fix, &err), 0);
    assert_true(fix);
    json_poke(j, "fix", NULL);
    assert_int_equal(doctor_request_decode(j, &fix, &err), ERR_INVALID);
    err_clear(&err);
    json_poke(j, "fix", "false");
    json_poke(j, "x", "1");
    assert_int_equal(doctor_request_decode(j, &fix, &err), ERR_INVALID);
    assert_string_equal(err.code, "unknown_field");
    assert_true(fix);
}

#define HUB "0198c0de-0000-7000-8000-000000000001"
#define JOB "0198c0de-0000-7000-8000-000000000002"

static void
test_marks(void **state)
{
    static const char *const bad[] = {
        "",
        "before the update",
        "sendense/1 hub=" HUB " node=1",
        "sendense/2 hub=" HUB " node=1 job=" JOB,
        "sendense/1 hub=" HUB " node= job=" JOB,
        "sendense/1 hub=" HUB " node=1 job=" JOB " ",
        "sendense/1 hub=" HUB " node=1 job=" JOB "x",
        "sendense/1 hub=x node=1 job=" JOB,
        "sendense/1  hub=" HUB " node=1 job=" JOB,
        " sendense/1 hub=" HUB " node=1 job=" JOB,
    };
    struct vsphere_mark m = {0};

    assert_true(vsphere_mark_parse("sendense/1 hub=" HUB " node=1 job=" JOB, &m));
    assert_string_equal(m.hub, HUB);
    assert_string_equal(m.node, "1");
    assert_string_equal(m.job, JOB);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (vsphere_mark_parse(bad[i], &m))
            fail_msg("taken: '%s'", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),  cmocka_unit_test(test_verdict),
        cmocka_unit_test(test_same),   cmocka_unit_test(test_limit),
        cmocka_unit_test(test_answer), cmocka_unit_test(test_request),
        cmocka_unit_test(test_marks),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
