/* Credentials: sealed, bound to their row, used as they were given; leases of a node. */
#include "vsphere_rig.h"

#include <sqlite3.h>

#include "base/secret.h"
#include "base/text.h"
#include "job/credentials.h"
#include "job/nodes.h"
#include "job/snapshot_lease.h"

#define SHA "aabbccddeeff00112233445566778899aabbccddeeff00112233445566778899"
#define PEM "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n"

static int
add(struct vsphere_rig *rig, const char *name, const char *password, char *ret_id,
    struct err *err)
{
    CLEANUP_SECRET struct secret *p = secret_new(password, strlen(password));
    struct credential_request req = {.name = name,
                                     .url = "https://vc.example:8443",
                                     .username = "backup@vsphere.local",
                                     .password = p,
                                     .sha256 = SHA,
                                     .actor = "admin"};

    return credentials_add(&rig->env, &req, ret_id, err);
}

static void
test_fingerprint(void **state)
{
    static const char *const bad[] = {
        "", "aa", SHA "a", "zz" SHA, "AA:BB", ":" SHA, SHA ":", "a:bc" SHA, "sha256:aa",
    };
    char out[FINGERPRINT_SIZE];
    char colons[3 * 32 + 1];

    (void)state;
    for (size_t i = 0; i < 32; i++)
        snprintf(colons + 3 * i, 4, "%.2s%s", &SHA[2 * i], i < 31 ? ":" : "");
    T_OK(fingerprint_normalize(colons, out, &err));
    assert_string_equal(out, SHA);
    colons[0] = 'A';
    colons[1] = 'A';
    T_OK(fingerprint_normalize(colons, out, &err));
    assert_string_equal(out, SHA);
    colons[5] = '-';
    T_ERR(ERR_INVALID, "invalid_fingerprint", fingerprint_normalize(colons, out, &err));
    T_OK(fingerprint_normalize(SHA, out, &err));
    assert_string_equal(out, SHA);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        T_ERR(ERR_INVALID, "invalid_fingerprint",
              fingerprint_normalize(bad[i], out, &err));
}

/* Short ones, empty ones, and what XML would need to escape: they arrive as given. */
static void
test_passwords(void **state)
{
    static const char *const passwords[] = {"",     "a",     "ab",      "abc",
                                            "abcd", "<&\"'", " blank ", "p\xc3\xa4ss"};
    struct vsphere_rig *rig = *state;

    for (size_t i = 0; i < ARRAY_LEN(passwords); i++) {
        CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
        CLEANUP_FREE char *name = xasprintf("vc%zu", i);
        char id[CAT_ID_SIZE];

        T_OK(add(rig, name, passwords[i], id, &err));
        T_OK(credentials_test(&rig->env, id, &a, &err));
        assert_int_equal(rig->kind, VSPHERE_TEST);
        assert_string_equal(rig->password, passwords[i]);
        assert_string_equal(rig->user, "backup@vsphere.local");
        assert_string_equal(rig->url, "https://vc.example:8443");
        assert_string_equal(a.full_name, "fake vCenter");
    }
}

static void
test_refused(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_SECRET struct secret *p = secret_new("x", 1);
    struct credential_request good = {.name = "vc",
                                      .url = "https://vc.example",
                                      .username = "u",
                                      .password = p,
                                      .sha256 = SHA,
                                      .actor = "admin"};
    struct credential_request req;
    struct seal_key *key = rig->env.key;
    char id[CAT_ID_SIZE];

    req = good;
    req.url = "http://vc.example";
    T_ERR(ERR_INVALID, "invalid_url", credentials_add(&rig->env, &req, id, &err));
    req.url = "https://user:pw@vc.example";
    T_ERR(ERR_INVALID, "invalid_url", credentials_add(&rig->env, &req, id, &err));
    req = good;
    req.ca_pem = PEM; /* both */
    T_ERR(ERR_INVALID, "invalid_field", credentials_add(&rig->env, &req, id, &err));
    req.sha256 = NULL;
    req.ca_pem = "no certificate";
    T_ERR(ERR_INVALID, "invalid_field", credentials_add(&rig->env, &req, id, &err));
    req.ca_pem = NULL; /* none */
    T_ERR(ERR_INVALID, "invalid_field", credentials_add(&rig->env, &req, id, &err));
    req = good;
    req.name = "";
    T_ERR(ERR_INVALID, "invalid_field", credentials_add(&rig->env, &req, id, &err));
    req = good;
    req.node_id = "9";
    T_ERR(ERR_NOT_FOUND, "node_not_found", credentials_add(&rig->env, &req, id, &err));
    rig->env.key = NULL;
    T_ERR(ERR_UNAVAILABLE, "no_sealing_key", credentials_add(&rig->env, &good, id, &err));
    rig->env.key = key;
    T_ERR(ERR_NOT_FOUND, "credential_not_found",
          credentials_remove(&rig->env, "1", "admin", &err)); /* nothing was stored */
    T_OK(credentials_add(&rig->env, &good, id, &err));
    T_ERR(ERR_EXISTS, "credential_exists", credentials_add(&rig->env, &good, id, &err));
    req = good;
    req.name = "by CA";
    req.sha256 = NULL;
    req.ca_pem = PEM;
    T_OK(credentials_add(&rig->env, &req, id, &err));
    T_OK(credentials_remove(&rig->env, id, "admin", &err));
}

static void
run_sql(const struct vsphere_rig *rig, const char *sql)
{
    sqlite3 *db;

    assert_int_equal(sqlite3_open(rig->catalog, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

/* Whoever can write the catalog must not have a password sent to another server. */
static void
test_bound(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct cat_credential row;
    char one[CAT_ID_SIZE], two[CAT_ID_SIZE];

    T_OK(add(rig, "one", "password-in-clear", one, &err));
    T_OK(add(rig, "two", "other", two, &err));
    T_OK(cat_credential_get(rig->env.catalog, one, &row, &err));
    assert_null(strstr(row.sealed_password, "password-in-clear"));
    cat_credential_done(&row);
    run_sql(rig,
            "UPDATE vmware_credentials SET url = 'https://evil.example' WHERE id = '1'");
    run_sql(rig,
            "UPDATE vmware_credentials SET sealed_password = (SELECT sealed_password "
            "FROM vmware_credentials WHERE id = '1') WHERE id = '2'");
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", credentials_test(&rig->env, one, &a, &err));
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", credentials_test(&rig->env, two, &a, &err));
}

/* Nor may he choose another certificate to believe. */
static void
test_trust_bound(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    CLEANUP_SECRET struct secret *p = secret_new("x", 1);
    struct credential_request by_ca = {.name = "ca",
                                       .url = "https://vc.example",
                                       .username = "u",
                                       .password = p,
                                       .ca_pem = PEM,
                                       .actor = "admin"};
    char one[CAT_ID_SIZE], two[CAT_ID_SIZE];

    T_OK(add(rig, "one", "x", one, &err));
    T_OK(credentials_add(&rig->env, &by_ca, two, &err));
    T_OK(credentials_test(&rig->env, one, &a, &err));
    vsphere_answer_done(&a);
    T_OK(credentials_test(&rig->env, two, &a, &err));
    run_sql(rig, "UPDATE vmware_credentials SET tls_sha256 = replace(tls_sha256, 'aa', "
                 "'ab') WHERE id = '1'");
    run_sql(rig, "UPDATE vmware_credentials SET tls_ca_pem = replace(tls_ca_pem, 'MII', "
                 "'MIJ') WHERE id = '2'");
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", credentials_test(&rig->env, one, &a, &err));
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", credentials_test(&rig->env, two, &a, &err));
    run_sql(rig, "UPDATE vmware_credentials SET tls_sha256 = NULL, tls_ca_pem = '" SHA
                 "' WHERE id = '1'");
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", credentials_test(&rig->env, one, &a, &err));
}

#define CHANGE(...)                                                                      \
    credentials_change(                                                                  \
        &rig->env,                                                                       \
        &(struct credential_change){.id = "1", .actor = "admin", __VA_ARGS__}, &err)

static void
test_change(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    CLEANUP_SECRET struct secret *p = secret_new("new", 3);
    CLEANUP_SECRET struct secret *empty = secret_new("", 0);
    struct cat_credential row;
    char id[CAT_ID_SIZE];

    T_ERR(ERR_NOT_FOUND, "credential_not_found", CHANGE(.password = p));
    T_OK(add(rig, "one", "old", id, &err));
    T_OK(CHANGE(.username = "other"));
    T_OK(credentials_test(&rig->env, id, &a, &err));
    assert_string_equal(rig->password, "old");
    assert_string_equal(rig->user, "other");
    vsphere_answer_done(&a);
    T_OK(CHANGE(.password = empty));
    T_OK(CHANGE(.ca_pem = PEM));
    T_OK(credentials_test(&rig->env, id, &a, &err));
    assert_string_equal(rig->password, "");
    vsphere_answer_done(&a);
    T_OK(cat_credential_get(rig->env.catalog, id, &row, &err));
    assert_string_equal(row.tls_ca_pem, PEM);
    assert_null(row.tls_sha256);
    cat_credential_done(&row);
    T_ERR(ERR_INVALID, "invalid_field", CHANGE(.ca_pem = PEM, .sha256 = SHA));
    T_ERR(ERR_INVALID, "invalid_fingerprint", CHANGE(.sha256 = "aa"));
    T_ERR(ERR_INVALID, "invalid_field", CHANGE(.username = ""));
    T_ERR(ERR_INVALID, "invalid_url", CHANGE(.url = "http://x"));
}

/* The address may change, the server may not. */
static void
test_change_of_host(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    CLEANUP_SECRET struct secret *p = secret_new("new", 3);
    char id[CAT_ID_SIZE];

    T_OK(add(rig, "one", "old", id, &err));
    T_ERR(ERR_EXISTS, "credential_other_server", CHANGE(.url = "https://stranger"));
    T_OK(CHANGE(.url = "https://again.example"));
    assert_string_equal(rig->url, "https://vc.example:8443"); /* asked last */
    T_OK(credentials_test(&rig->env, id, &a, &err));
    assert_string_equal(rig->url, "https://again.example");
    assert_string_equal(rig->password, "old");
    vsphere_answer_done(&a);
    rig->refuse = "vcenter_login";
    T_ERR(ERR_IO, "vcenter_login", CHANGE(.url = "https://third.example"));
    T_OK(CHANGE(.sha256 = SHA)); /* asks nobody */
    rig->refuse = NULL;
    /* What somebody wrote into the catalog is not sealed anew by chance. */
    run_sql(rig, "UPDATE vmware_credentials SET username = 'eve'");
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", CHANGE(.sha256 = SHA));
    T_ERR(ERR_UNAVAILABLE, "unseal_failed", CHANGE(.password = p));
    T_OK(CHANGE(.password = p, .sha256 = SHA, .username = "u",
                .url = "https://again.example"));
    T_OK(credentials_test(&rig->env, id, &a, &err));
    assert_string_equal(rig->password, "new");
    assert_string_equal(rig->user, "u");
}

static void
test_words_of_the_server(void **state)
{
    static const struct {
        const char *code;
        int class;
    } cases[] = {
        {"vcenter_login", ERR_IO},
        {"tls_fingerprint", ERR_IO},
        {"tls_untrusted", ERR_IO},
        {"vcenter_unreachable", ERR_UNAVAILABLE},
        {"vcenter_timeout", ERR_UNAVAILABLE},
        {"vcenter_vm_not_found", ERR_NOT_FOUND},
    };
    struct vsphere_rig *rig = *state;
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    char id[CAT_ID_SIZE];

    T_OK(add(rig, "one", "x", id, &err));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        rig->refuse = cases[i].code;
        T_ERR(cases[i].class, cases[i].code, credentials_test(&rig->env, id, &a, &err));
    }
    rig->refuse = NULL;
    T_OK(credentials_fingerprint(&rig->env, NULL, "https://vc.example", &a, &err));
    assert_int_equal(rig->kind, VSPHERE_FINGERPRINT);
    assert_null(rig->password); /* nobody logs in */
    assert_int_equal(strncmp(a.sha256, "AA:BB:", 6), 0);
    T_ERR(ERR_INVALID, "invalid_url",
          credentials_fingerprint(&rig->env, NULL, "vc.example", &a, &err));
}

static void
test_leases(void **state)
{
    struct vsphere_rig *rig = *state;
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    char job[UUID_STR_SIZE];
    struct err err = ERR_INIT;

    uuid_make(job);
    T_OK(nodes_connect(&rig->env, "1", &node, &err));
    T_OK(snapshot_lease_settle(node, job, &err)); /* none: gone, or never made */
    assert_int_equal(rig->n_ended, 1);
    T_ERR(ERR_NOT_FOUND, "lease_not_found", node_client_lease_renew(node, job, 60, &err));
    rig->lease = job;
    T_OK(node_client_lease_renew(node, job, 60, &err));
    assert_int_equal(rig->renewed_s, 60);
    assert_int_equal(snapshot_lease_settle(node, job, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.code, "snapshot_removing");
    assert_non_null(strstr(err.msg, "the server is away"));
    rig->lease = "00000000-0000-7000-8000-000000000001";
    T_OK(snapshot_lease_settle(node, job, &err)); /* another job's is none of ours */
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprint),
        CASE(test_passwords),
        CASE(test_refused),
        CASE(test_bound),
        CASE(test_trust_bound),
        CASE(test_change),
        CASE(test_change_of_host),
        CASE(test_words_of_the_server),
        CASE(test_leases),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
