/* tests/unit/model/test_jobspec.c - every limit of job spec and worker spec. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/jobspec.h"
#include "model_test.h"

#define UUID_OF_DISK_1 "\"0198c0de-0000-7000-8000-000000000101\""
#define UUID_OF_LAYER_0 "\"0198c0de-0000-7000-8000-000000000200\""
#define UUID_OF_LAYER_1 "\"0198c0de-0000-7000-8000-000000000201\""
#define BAD "invalid_field"
#define FROM_7 "{\"block\": 7, \"records\": 7}"

static int
decode_job(const json_t *j, struct err *err)
{
    CLEANUP_JOB_SPEC struct job_spec s = {0};

    return job_spec_decode(j, &s, err);
}

static int
decode_worker(const json_t *j, struct err *err)
{
    CLEANUP_WORKER_SPEC struct worker_spec s = {0};

    return worker_spec_decode(j, &s, err);
}

static void
test_job_pokes(void **state)
{
    static const struct poke pokes[] = {
        {"v", "2", "unsupported_version"},
        {"v", "\"1\"", BAD},
        {"v", NULL, BAD},
        {"extra", "1", "unknown_field"},
        {"disks.0.extra", "1", "unknown_field"},
        {"limits.extra", "1", "unknown_field"},
        {"vm.extra", "1", "unknown_field"},
        {"hub.extra", "1", "unknown_field"},
        {"source.password", "\"x\"", "unknown_field"},
        {"job_id", "\"x\"", BAD},
        {"attempt", "0", BAD},
        {"attempt", "2147483648", BAD},
        {"attempt", "1.0", BAD},
        {"vm", "[]", BAD},
        {"vm.name", "\"\"", BAD},
        {"vm.name", "\"a\\n\"", BAD},
        {"vm.instance_uuid", "\"\"", BAD},
        {"source.type", "\"ftp\"", BAD},
        {"disks", "[]", BAD},
        {"disks", "{}", BAD},
        {"disks.0", "7", BAD},
        {"disks.0.key", "-1", BAD},
        {"disks.0.key", "2147483648", BAD},
        {"disks.0.key", "2001", BAD}, /* twice */
        {"disks.0.disk_uuid", UUID_OF_DISK_1, BAD},
        {"disks.0.layer_id", UUID_OF_LAYER_1, BAD},
        {"disks.0.parent_layer_id", UUID_OF_LAYER_0, BAD},
        {"disks.0.target",
         "\"nbd://127.0.0.1:10105/sendense-0f0e0d0c0b0a09080706050403020100\"", BAD},
        {"disks.0.target", "\"http://x\"", BAD},
        {"disks.0.target", "null", BAD},
        {"disks.0.source_url", "\"/etc/passwd\"", BAD},
        {"disks.0.size_bytes", "0", BAD},
        {"disks.0.size_bytes", "2251799813685249", BAD},
        {"disks.0.read", "\"changed\"", BAD},
        {"disks.0.read", "\"x\"", BAD},
        {"disks.0.reason", "\"none\"", BAD},
        {"disks.0.change_id", "\"\"", BAD},
        {"disks.0.parent_file", "\"\"", BAD},
        {"disks.0.parent_on", "7", BAD},
        {"disks.0.resume_checkpoint", "7", BAD},
        {"disks.0.resume_checkpoint", FROM_7, BAD}, /* of a first attempt */
        {"limits.disks_parallel", "0", BAD},
        {"limits.disks_parallel", "65", BAD},
        {"limits.connections", "9", BAD},
        {"limits.requests", "65", BAD},
        {"limits.request_bytes", "65535", BAD},
        {"limits.request_bytes", "65537", BAD},
        {"limits.request_bytes", "33619968", BAD},
        {"limits.rate_bytes_per_s", "-1", BAD},
        {"audit.samples", "1048577", BAD},
        {"audit.seed", "1.5", BAD},
        {"hub.url", "\"ftp://x\"", BAD},
        {"hub.url", "\"http://x\\r\\ny\"", BAD},
        {"hub.job_token", "\"\"", BAD},
        {"hub.job_token", "\"a\\r\\nb\"", BAD},
        {"hub.job_token", NULL, BAD},
        {"deadlines.connect_s", "0", BAD},
        {"deadlines.io_s", "86401", BAD},
    };

    check_pokes("jobspec-two-disks", decode_job, ERR_INVALID, pokes, ARRAY_LEN(pokes));
}

static void
test_vsphere_pokes(void **state)
{
    static const struct poke pokes[] = {
        {"source.extra", "1", "unknown_field"},
        {"source.login.extra", "1", "unknown_field"},
        {"source.login.tls.extra", "1", "unknown_field"},
        {"source.login", NULL, BAD},
        {"source.login.url", "\"http://vc.example\"", BAD},
        {"source.login.user", "\"\"", BAD},
        {"source.login.user", "null", BAD},
        {"source.login.password", "7", BAD},
        {"source.login.password", "null", BAD},
        {"source.login.tls", "null", BAD},
        {"source.login.tls.sha256", "null", BAD}, /* none of the two */
        {"source.login.tls.sha256", "\"AA\"", BAD},
        {"source.login.tls.ca_pem", "\"both\"", BAD},
        {"source.transport", "\"hotadd\"", BAD},
        {"source.transport", NULL, BAD},
        {"source.quiesce", "\"maybe\"", BAD},
        {"source.connections", "0", BAD},
        {"source.connections", "17", BAD},
        {"source.type", "\"nbd\"", "unknown_field"}, /* a login in it */
        {"snapshot", "null", BAD},
        {"snapshot.extra", "1", "unknown_field"},
        {"snapshot.name", "\"before-upgrade\"", BAD}, /* not ours to remove */
        {"snapshot.name", "\"sendense-\"", BAD},
        {"snapshot.description", "null", BAD},
        {"snapshot.existing_ref", "\"snapshot-42\"", BAD}, /* in a first attempt */
        {"snapshot.existing_chain", "\"aa\"", BAD},        /* of no snapshot */
        {"snapshot.lease_s", "29", BAD},
        {"snapshot.lease_s", "86401", BAD},
        {"vm.instance_uuid",
         "\"01234567890123456789012345678901234567890123456789012345678901234\"", BAD},
        {"vm.instance_uuid", "null", BAD},
        {"disks.0.source_url", "\"nbd://h/x\"", BAD},
        {"disks.0.source_uuid", "\"\"", BAD},
    };
    static const struct poke nbd[] = {
        {"disks.0.source_uuid", "\"x\"", BAD},
        {"disks.0.source_url", "null", BAD},
        {"snapshot", "{}", BAD},
        {"source.login", "{}", "unknown_field"},
        {"source.type", "\"vsphere\"", BAD},
    };

    check_pokes("jobspec-vsphere", decode_job, ERR_INVALID, pokes, ARRAY_LEN(pokes));
    check_pokes("jobspec-two-disks", decode_job, ERR_INVALID, nbd, ARRAY_LEN(nbd));
}

static void
test_resume_pokes(void **state)
{
    static const struct poke nbd[] = {
        {"attempt", "1", BAD},
        {"hub", "null", BAD}, /* nobody to tell the earlier records */
        {"disks.0.resume_checkpoint.extra", "1", "unknown_field"},
        {"disks.0.resume_checkpoint.block", "0", BAD},
        {"disks.0.resume_checkpoint.block", "-1", BAD},
        {"disks.0.resume_checkpoint.block", "32769", BAD}, /* beyond the disk */
        {"disks.0.resume_checkpoint.block", NULL, BAD},
        {"disks.0.resume_checkpoint.records", "16385", BAD}, /* more than blocks */
        {"disks.0.resume_checkpoint.records", NULL, BAD},
        {"disks.1.resume_checkpoint", "{}", BAD},
    };
    static const struct poke vsphere[] = {
        {"attempt", "1", BAD},
        {"snapshot.existing_ref", "null", BAD}, /* records of another moment */
        {"snapshot.existing_ref", "\"\"", BAD},
        {"snapshot.existing_ref", "7", BAD},
        {"snapshot.existing_chain", "\"\"", BAD},
        {"snapshot.existing_chain", "7", BAD},
    };

    check_pokes("jobspec-resumed", decode_job, ERR_INVALID, nbd, ARRAY_LEN(nbd));
    check_pokes("jobspec-vsphere-resumed", decode_job, ERR_INVALID, vsphere,
                ARRAY_LEN(vsphere));
}

static void
test_resume_values(void **state)
{
    CLEANUP_JSON json_t *j = golden("jobspec-resumed");
    CLEANUP_JSON json_t *v = golden("jobspec-vsphere-resumed");
    CLEANUP_JOB_SPEC struct job_spec s = {0}, again = {0};
    struct err err = ERR_INIT;

    assert_int_equal(job_spec_decode(j, &s, &err), 0);
    assert_int_equal(s.disks[0].resume.block, 16384);
    assert_int_equal(s.disks[0].resume.records, 9001);
    assert_int_equal(s.disks[1].resume.block, 0);
    assert_int_equal(job_spec_decode(v, &again, &err), 0);
    assert_string_equal(again.snapshot->existing_ref, "snapshot-42");
    assert_int_equal(strlen(again.snapshot->existing_chain), SPEC_CHAIN_MAX);
    job_spec_done(&again);
    /* A snapshot is gone on with, although no disk came to a checkpoint. */
    json_poke(v, "disks.0.resume_checkpoint", "null");
    assert_int_equal(job_spec_decode(v, &again, &err), 0);
    /* The last block of all: only the end is missing. */
    job_spec_done(&s);
    json_poke(j, "disks.0.resume_checkpoint.block", "32768");
    assert_int_equal(job_spec_decode(j, &s, &err), 0);
}

static void
test_vsphere_values(void **state)
{
    CLEANUP_JSON json_t *j = golden("jobspec-vsphere");
    CLEANUP_JOB_SPEC struct job_spec s = {0};
    struct err err = ERR_INIT;

    assert_int_equal(job_spec_decode(j, &s, &err), 0);
    assert_string_equal(s.source_type, "vsphere");
    assert_string_equal(s.vsphere->login.url, "https://vc.example:443");
    assert_string_equal(secret_reveal(s.vsphere->login.password),
                        "password-of-an-example");
    assert_int_equal(s.vsphere->quiesce, QUIESCE_TRY);
    assert_int_equal(s.vsphere->connections, 4);
    assert_int_equal(s.snapshot->lease_s, 600);
    assert_null(s.disks[0].source_url);
    assert_non_null(s.disks[0].source_uuid);
    assert_null(s.disks[1].source_uuid);
    /* What the client puts in for itself does not go out again. */
    s.disks[0].source_url = strdup("nbd+unix:///?socket=/x");
    json_decref(j);
    j = job_spec_encode(&s);
    assert_int_equal(decode_job(j, &err), 0);
}

static void
test_job_values(void **state)
{
    CLEANUP_JSON json_t *j = golden("jobspec-two-disks");
    CLEANUP_JOB_SPEC struct job_spec s = {0};
    struct err err = ERR_INIT;

    assert_int_equal(job_spec_decode(j, &s, &err), 0);
    assert_int_equal(s.n_disks, 2);
    assert_string_equal(s.vm_name, "pgtest1");
    assert_string_equal(secret_reveal(s.job_token), "token-of-an-example");
    assert_int_equal(job_spec_find(&s, 2001)->size_bytes, 2147483649);
    assert_null(job_spec_find(&s, 3));
    assert_int_equal(s.disks[0].reason, REASON_NO_PARENT);
    assert_memory_equal(&s.limits, &spec_limits_default, sizeof(s.limits));
    assert_memory_equal(&s.deadlines, &spec_deadlines_default, sizeof(s.deadlines));
    job_spec_done(&s);
    json_poke(j, "disks.0.change_id", NULL); /* absent is as good as null */
    json_poke(j, "hub", NULL);
    assert_int_equal(job_spec_decode(j, &s, &err), 0);
    assert_null(s.hub_url);
    assert_null(s.job_token);
}

/* No message of a refusal holds the token. */
static void
test_token_stays_secret(void **state)
{
    static const char *const paths[] = {"v",     "job_id",  "vm",
                                        "disks", "hub.url", "limits"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        CLEANUP_JSON json_t *j = golden("jobspec-two-disks");
        CLEANUP_FREE char *line = NULL;
        struct job_spec s;
        struct err err = ERR_INIT;

        json_poke(j, paths[i], "\"token-of-an-example\"");
        line = json_line(j);
        assert_int_equal(job_spec_decode_line(line, strlen(line), &s, &err), ERR_INVALID);
        assert_null(strstr(err.msg, "token-of-an"));
        err_clear(&err);
        assert_true(job_spec_decode_line(line, strlen(line) - 1, &s, &err) < 0);
        assert_null(strstr(err.msg, "token-of-an"));
    }
}

static void
test_password_stays_secret(void **state)
{
    static const char *const paths[] = {"source.login.url",    "disks",
                                        "source.login.tls",    "source.quiesce",
                                        "source.transport",    "source.type",
                                        "snapshot.name",       "vm",
                                        "source.login.secret", "source.connections"};

    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        CLEANUP_JSON json_t *j = golden("jobspec-vsphere");
        struct job_spec s;
        struct err err = ERR_INIT;

        json_poke(j, paths[i], "\"password-of-an-example\"");
        assert_int_equal(job_spec_decode(j, &s, &err), ERR_INVALID);
        assert_null(strstr(err.msg, "password-of-an"));
    }
}

static void
test_lines(void **state)
{
    CLEANUP_JSON json_t *j = golden("jobspec-two-disks");
    CLEANUP_JSON json_t *w = golden("workerspec-verify");
    CLEANUP_FREE char *line = json_line(j), *wline = json_line(w), *huge = NULL;
    CLEANUP_JOB_SPEC struct job_spec s = {0};
    CLEANUP_WORKER_SPEC struct worker_spec ws = {0};
    const size_t huge_n = SPEC_LINE_MAX + 1;
    struct err err = ERR_INIT;

    assert_int_equal(job_spec_decode_line(line, strlen(line), &s, &err), 0);
    assert_int_equal(worker_spec_decode_line(wline, strlen(wline), &ws, &err), 0);
    huge = malloc(huge_n);
    memset(huge, ' ', huge_n);
    assert_int_equal(job_spec_decode_line(huge, huge_n, &s, &err), ERR_LIMIT);
    assert_string_equal(err.code, "line_too_long");
    err_clear(&err);
    assert_int_equal(worker_spec_decode_line(huge, huge_n, &ws, &err), ERR_LIMIT);
    err_clear(&err);
    assert_int_equal(job_spec_decode_line("", 0, &s, &err), ERR_INVALID);
    assert_string_equal(err.code, "malformed_json");
    err_clear(&err);
    assert_int_equal(spec_cancel_decode(SPEC_CANCEL_LINE, strlen(SPEC_CANCEL_LINE), &err),
                     0);
    assert_int_equal(spec_cancel_decode("{\"type\":\"go\"}", 13, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(spec_cancel_decode("{}", 2, &err), ERR_INVALID);
}

static void
test_worker_pokes(void **state)
{
    static const struct poke verify[] = {
        {"v", "0", "unsupported_version"},
        {"task", "\"merge\"", BAD},
        {"extra", "1", "unknown_field"},
        {"disks.0.layers.0.extra", "1", "unknown_field"},
        {"disks.0.layers", "[]", BAD},
        {"disks.0.layers.0.manifest", "\"rel/ative\"", BAD},
        {"disks.0.layers.0.layer_root", "\"abc\"", BAD},
        {"disks.0.layers.0.layer_id", UUID_OF_LAYER_1, BAD},
        {"disks.0.source", "\"file:///x\"", BAD},
        {"disks.0.target", "\"nbd://h/x\"", BAD},
        {"disks.0.delta", "\"rel/ative\"", BAD},
        {"disks.0.content_root", "\"ABCD\"", BAD},
        {"disks.0.size_bytes", "0", BAD},
        {"limits", "null", BAD},
    };
    static const struct poke restore[] = {
        {"disks.0.target", "null", BAD},
        {"disks.0.target", "\"x\"", BAD},
        {"disks.0.delta", "\"/srv/000007.manifest\"", BAD},
        {"deadlines.io_s", "0", BAD},
    };

    check_pokes("workerspec-verify", decode_worker, ERR_INVALID, verify,
                ARRAY_LEN(verify));
    check_pokes("workerspec-restore", decode_worker, ERR_INVALID, restore,
                ARRAY_LEN(restore));
}

static void
test_too_many_disks(void **state)
{
    CLEANUP_JSON json_t *j = golden("jobspec-two-disks");
    json_t *disks = json_object_get(j, "disks");
    struct err err = ERR_INIT;

    while (json_array_size(disks) <= SPEC_DISKS_MAX)
        json_array_append(disks, json_array_get(disks, 0));
    assert_int_equal(decode_job(j, &err), ERR_INVALID);
    assert_non_null(strstr(err.msg, "1 to 256 items"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_pokes),
        cmocka_unit_test(test_job_values),
        cmocka_unit_test(test_token_stays_secret),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_worker_pokes),
        cmocka_unit_test(test_too_many_disks),
        cmocka_unit_test(test_vsphere_pokes),
        cmocka_unit_test(test_vsphere_values),
        cmocka_unit_test(test_resume_pokes),
        cmocka_unit_test(test_resume_values),
        cmocka_unit_test(test_password_stays_secret),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
