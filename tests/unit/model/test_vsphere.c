/* tests/unit/model/test_vsphere.c - what is refused of questions, answers and leases. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/vsphere.h"
#include "model_test.h"

#define BAD "invalid_field"

#define DECODER(name)                                                                    \
    static int decode_##name(const json_t *j, struct err *err)                           \
    {                                                                                    \
        struct name v = {0};                                                             \
        int r = name##_decode(j, &v, err);                                               \
                                                                                         \
        name##_done(&v);                                                                 \
        return r;                                                                        \
    }

DECODER(vsphere_question)
DECODER(vsphere_answer)
DECODER(leases)

#define POKES(file, name, ...)                                                           \
    do {                                                                                 \
        const struct poke pokes[] = {__VA_ARGS__};                                       \
        check_pokes(file, decode_##name, ERR_INVALID, pokes, ARRAY_LEN(pokes));          \
    } while (0)

static void
test_urls(void **state)
{
    static const char *const good[] = {
        "https://vc.example",    "https://vc.example:443", "https://192.0.2.7:8989",
        "https://[fe80::1]:443", "https://a_b-c",
    };
    static const char *const bad[] = {
        "",
        "vc.example",
        "http://vc.example",
        "https://",
        "https://:443",
        "https://vc.example/",
        "https://vc.example/sdk",
        "https://vc.example:",
        "https://vc.example:0",
        "https://vc.example:65536",
        "https://vc.example:44x",
        "https://user@vc.example",
        "https://user:x@vc.example",
        "https://[fe80::1",
        "https://[]",
        "https://a b",
        "https://a?b",
        "https://a#b",
    };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (vsphere_url_check(good[i], &err) < 0)
            fail_msg("'%s' is refused", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (vsphere_url_check(bad[i], &err) == 0)
            fail_msg("'%s' is taken", bad[i]);
        assert_int_equal(err.class, ERR_INVALID);
        assert_string_equal(err.code, "invalid_url");
        err_clear(&err);
    }
}

static void
test_questions(void **state)
{
    POKES("vspherequestion-list", vsphere_question, {"v", "2", "unsupported_version"},
          {"question", "\"reboot\"", BAD}, {"x", "1", "unknown_field"},
          {"vm", "{\"ref\":\"vm-1\",\"instance_uuid\":\"\"}", BAD},
          {"snapshot_name", "\"sendense-1\"", BAD}, {"login", "null", BAD},
          {"stale_session", "\"a\"", BAD}, {"login.x", "1", "unknown_field"},
          {"login.url", "\"https://x/sdk\"", BAD}, {"login.user", "null", BAD},
          {"login.password", "7", BAD}, {"login.tls.sha256", "null", BAD},
          {"login.tls.ca_pem", "\"x\"", BAD}, {"deadlines", "null", BAD});
    POKES("vspherequestion-fingerprint", vsphere_question, {"login.user", "\"x\"", BAD},
          {"login.password", "\"x\"", BAD}, {"login.tls.sha256", "\"x\"", BAD},
          {"login.tls.ca_pem", "\"x\"", BAD}, {"login.url", "null", BAD});
    POKES("vspherequestion-vm", vsphere_question, {"vm", "null", BAD},
          {"vm.ref", "null", BAD}, {"vm.x", "1", "unknown_field"});
    POKES("vspherequestion-remove_snapshot", vsphere_question,
          {"snapshot_name", "null", BAD}, {"snapshot_name", "\"before-upgrade\"", BAD},
          {"snapshot_name", "\"sendense-\"", BAD}, {"vm", NULL, BAD},
          {"stale_session", "\"\"", BAD}, {"stale_session", "\"a\\r\\nb: c\"", BAD},
          {"stale_session", "7", BAD},
          {"vm.instance_uuid", "\"\"", BAD}); /* then nothing names the VM */
}

static void
test_answers(void **state)
{
    POKES("vsphereanswer-vm", vsphere_answer, {"v", NULL, "invalid_field"},
          {"ok", "1", BAD}, {"question", "\"list\"", "unknown_field"}, {"vms", "[]", BAD},
          {"vms.0.ref", "\"\"", BAD}, {"vms.0.disks.0.key", "2001", BAD},
          {"vms.0.disks.0.size_bytes", "0", BAD},
          {"vms.0.disks.0.not_protected", "\"x\"", BAD},
          {"vms.0.disks.1.not_protected.reason", "\"X\"", BAD},
          {"vms.0.disks.0.bus", "\"\"", BAD}, {"vms.0.cbt_enabled", "null", BAD},
          {"vms.0.snapshots", "-1", BAD}, {"server", "null", BAD},
          {"server.x", "1", "unknown_field"});
    POKES("vsphereanswer-list", vsphere_answer,
          {"vms.1.datacenter", "\"x\"", "unknown_field"},
          {"vms.1.is_template", NULL, BAD}, {"vms", "null", BAD},
          {"removed", "1", "unknown_field"});
    POKES("vsphereanswer-snapshots", vsphere_answer, {"vms", "null", BAD},
          {"vms.0.ref", "\"\"", BAD}, {"vms.0.consolidation_needed", NULL, BAD},
          {"vms.0.snapshots", "null", BAD}, {"vms.0.snapshots.0.name", "7", BAD},
          {"vms.0.snapshots.0.description", NULL, BAD},
          {"vms.0.snapshots.1.x", "1", "unknown_field"},
          {"vms.1.x", "1", "unknown_field"}, {"server", "null", BAD});
    POKES("vsphereanswer-fingerprint", vsphere_answer, {"sha256", "\"0A:0B\"", BAD},
          {"sha256", "null", BAD}, {"server", "{}", "unknown_field"});
    POKES("vsphereanswer-remove_snapshot", vsphere_answer, {"removed", "-1", BAD},
          {"consolidation_needed", "null", BAD});
    POKES("vsphereanswer-failed", vsphere_answer, {"code", "null", BAD},
          {"code", "\"A b\"", BAD}, {"vms", "[]", "unknown_field"},
          {"message", "null", BAD});
}

static void
test_values(void **state)
{
    CLEANUP_JSON json_t *j = golden("vsphereanswer-vm");
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct err err = ERR_INIT;

    assert_int_equal(vsphere_answer_decode(j, &a, &err), 0);
    assert_true(a.ok && a.vms[0].has_details);
    assert_int_equal(a.vms[0].n_disks, 2);
    assert_null(a.vms[0].disks[0].not_protected);
    assert_string_equal(a.vms[0].disks[1].not_protected, "independent");
    assert_string_equal(a.vms[0].firmware, "efi");
}

/* What a server says may be of any length: ours is cut, so that it can be read again. */
static void
test_long_texts(void **state)
{
    char text[3000];
    struct vsphere_vm vm = {.ref = (char[]){"vm-1"}, .name = text};
    struct vsphere_answer a = {.ok = true, .kind = VSPHERE_LIST, .vms = &vm, .n_vms = 1};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer back = {0};
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    text[3] = '\xff';
    j = vsphere_answer_encode(&a);
    assert_int_equal(vsphere_answer_decode(j, &back, &err), 0);
    assert_int_equal(strlen(back.vms[0].name), 1024);
}

static void
test_leases(void **state)
{
    CLEANUP_JSON json_t *renewal = lease_renewal_encode(600);
    struct err err = ERR_INIT;
    uint32_t s = 0;

    POKES("leases", leases, {"leases.0.job_id", "\"x\"", BAD},
          {"leases.0.snapshot_name", "\"\"", BAD}, {"leases.0.state", "\"gone\"", BAD},
          {"leases.0.expires", "\"x\"", BAD}, {"leases.0.attempts", "-1", BAD},
          {"leases.1.x", "1", "unknown_field"}, {"x", "1", "unknown_field"});
    assert_int_equal(lease_renewal_decode(renewal, &s, &err), 0);
    assert_int_equal(s, 600);
    json_poke(renewal, "lease_s", "29");
    assert_int_equal(lease_renewal_decode(renewal, &s, &err), ERR_INVALID);
    err_clear(&err);
    json_poke(renewal, "lease_s", "600");
    json_poke(renewal, "x", "1");
    assert_int_equal(lease_renewal_decode(renewal, &s, &err), ERR_INVALID);
    assert_string_equal(err.code, "unknown_field");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_urls),       cmocka_unit_test(test_questions),
        cmocka_unit_test(test_answers),    cmocka_unit_test(test_values),
        cmocka_unit_test(test_long_texts), cmocka_unit_test(test_leases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
