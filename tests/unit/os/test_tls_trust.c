/* Unit tests of os/tls_trust.h, against real TLS servers on loopback. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <ctype.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "os/http_client.h"
#include "os/tls_trust.h"
#include "tls_rig.h"

static struct tls_rig good, other;

static int
start(void **state)
{
    signal(SIGPIPE, SIG_IGN);
    tls_rig_start(&good, "localhost", 0);
    tls_rig_start(&other, "elsewhere.example", 0);
    return 0;
}

static int
stop(void **state)
{
    tls_rig_stop(&good);
    tls_rig_stop(&other);
    return 0;
}

/* --- pure --- */

static void
test_fingerprints(void **state)
{
    char plain[65], text[TLS_FINGERPRINT_STR], upper[TLS_FINGERPRINT_STR];
    struct err err = ERR_INIT;
    uint8_t v[32], back[32];

    for (int i = 0; i < 32; i++) {
        v[i] = (uint8_t)(i * 37 + 9);
        snprintf(plain + 2 * i, 3, "%02x", v[i]);
    }
    tls_fingerprint_format(v, text);
    assert_int_equal(strlen(text), 95);
    for (const char *p = text; *p; p++)
        assert_true(*p == ':' || isdigit(*p) || (*p >= 'A' && *p <= 'F'));
    assert_int_equal(tls_fingerprint_parse(text, back, &err), 0);
    assert_memory_equal(v, back, 32);
    assert_int_equal(tls_fingerprint_parse(plain, back, &err), 0);
    assert_memory_equal(v, back, 32);
    for (size_t i = 0; i <= strlen(text); i++)
        upper[i] = (char)tolower(text[i]);
    assert_int_equal(tls_fingerprint_parse(upper, back, &err), 0);
    assert_memory_equal(v, back, 32);
}

static void
refuse_fingerprint(const char *text)
{
    uint8_t v[32] = {7};
    struct err err = ERR_INIT;

    assert_int_equal(tls_fingerprint_parse(text, v, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_tls");
    assert_int_equal(v[0], 7);
}

static void
test_bad_fingerprints(void **state)
{
    char text[TLS_FINGERPRINT_STR];
    uint8_t v[32] = {0};

    refuse_fingerprint("");
    refuse_fingerprint("aa:bb");
    refuse_fingerprint("00000000000000000000000000000000000000000000000000000000000000");
    refuse_fingerprint(
        "0000000000000000000000000000000000000000000000000000000000000g00");
    refuse_fingerprint(
        "000000000000000000000000000000000000000000000000000000000000000g");
    tls_fingerprint_format(v, text);
    text[5] = '-';
    refuse_fingerprint(text);
    text[5] = ' ';
    refuse_fingerprint(text);
}

static void
test_check(void **state)
{
    struct tls_trust t = {0};
    struct err err = ERR_INIT;

    assert_int_equal(tls_trust_check(&t, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_tls");
    t.has_sha256 = true;
    assert_int_equal(tls_trust_check(&t, &err), 0);
    t.ca_pem = xstrdup(good.pem);
    assert_int_equal(tls_trust_check(&t, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_tls");
    t.has_sha256 = false;
    assert_int_equal(tls_trust_check(&t, &err), 0);
    tls_trust_done(&t);
    assert_null(t.ca_pem);
}

/* --- connections --- */

/* GET https://@host:PORT/ of @rig under @t; the connection is made anew. */
static CURLcode
get(const struct tls_rig *rig, const char *host, const struct tls_trust *t,
    struct tls_seen *seen, char msg[CURL_ERROR_SIZE])
{
    char *url = xasprintf("https://%s:%u/", host, rig->port);
    struct err err = ERR_INIT;
    CURL *h = curl_easy_init();
    CURLcode code;

    msg[0] = '\0';
    assert_int_equal(
        seen ? tls_trust_apply_seen(h, t, seen, &err) : tls_trust_apply(h, t, &err), 0);
    curl_easy_setopt(h, CURLOPT_URL, url);
    curl_easy_setopt(h, CURLOPT_PROXY, "");
    curl_easy_setopt(h, CURLOPT_ERRORBUFFER, msg);
    curl_easy_setopt(h, CURLOPT_TIMEOUT_MS, 10000L);
    curl_easy_setopt(h, CURLOPT_FORBID_REUSE, 1L);
    code = curl_easy_perform(h);
    /* Asked twice, each on its own connection: a resumed session must not slip by. */
    if (seen)
        seen->has_leaf = false;
    assert_int_equal(curl_easy_perform(h), code);
    curl_easy_cleanup(h);
    free(url);
    return code;
}

static struct tls_trust
pin_of(const struct tls_rig *rig)
{
    struct tls_trust t = {.has_sha256 = true};

    memcpy(t.sha256, rig->sha256, 32);
    return t;
}

static void
test_pin(void **state)
{
    struct tls_trust t = pin_of(&good), o = pin_of(&other);
    struct tls_seen seen;
    char msg[CURL_ERROR_SIZE];
    struct err err = ERR_INIT;

    assert_int_equal(get(&good, "127.0.0.1", &t, NULL, msg), CURLE_OK);
    assert_int_equal(get(&good, "127.0.0.1", &t, &seen, msg), CURLE_OK);
    assert_true(seen.has_leaf);
    assert_memory_equal(seen.sha256, good.sha256, 32);
    assert_int_equal(tls_trust_explain(CURLE_OK, msg, &t, &seen, &err), 0);
    assert_int_equal(err.class, 0);
    /* The name of its certificate is not the one it is reached at. */
    assert_int_equal(get(&other, "127.0.0.1", &o, &seen, msg), CURLE_OK);
}

static void
test_wrong_pin(void **state)
{
    struct tls_trust t = pin_of(&good);
    struct tls_seen seen;
    char msg[CURL_ERROR_SIZE], got[TLS_FINGERPRINT_STR], want[TLS_FINGERPRINT_STR];
    struct err err = ERR_INIT;
    unsigned requests = atomic_load(&other.requests);
    CURLcode code = get(&other, "127.0.0.1", &t, &seen, msg);

    tls_fingerprint_format(other.sha256, got);
    tls_fingerprint_format(good.sha256, want);
    assert_int_equal(code, CURLE_PEER_FAILED_VERIFICATION);
    assert_int_equal(tls_trust_explain(code, msg, &t, &seen, &err), ERR_AUTH);
    assert_string_equal(err.code, "tls_fingerprint");
    assert_non_null(strstr(err.msg, got));
    assert_non_null(strstr(err.msg, want));
    code = get(&other, "127.0.0.1", &t, NULL, msg);
    assert_int_equal(code, CURLE_PEER_FAILED_VERIFICATION);
    err_clear(&err);
    assert_int_equal(tls_trust_explain(code, NULL, &t, NULL, &err), ERR_AUTH);
    assert_string_equal(err.code, "tls_fingerprint");
    assert_non_null(strstr(err.msg, want));
    /* One differing bit is enough. */
    t = pin_of(&other);
    t.sha256[31] ^= 1;
    assert_int_equal(get(&other, "127.0.0.1", &t, &seen, msg),
                     CURLE_PEER_FAILED_VERIFICATION);
    assert_int_equal(atomic_load(&other.requests), requests);
}

static void
refused_by_ca(const struct tls_rig *rig, const char *host, const char *pem)
{
    struct tls_trust t = {.ca_pem = (char *)pem};
    char msg[CURL_ERROR_SIZE];
    struct err err = ERR_INIT;
    CURLcode code = get(rig, host, &t, NULL, msg);

    assert_int_equal(code, CURLE_PEER_FAILED_VERIFICATION);
    assert_int_equal(tls_trust_explain(code, msg, &t, NULL, &err), ERR_AUTH);
    assert_string_equal(err.code, "tls_untrusted");
    assert_non_null(strstr(err.msg, msg));
}

static void
test_ca(void **state)
{
    struct tls_trust t = {.ca_pem = good.pem}, bad = {.ca_pem = (char *)"hello"};
    struct tls_seen seen;
    char msg[CURL_ERROR_SIZE];
    struct err err = ERR_INIT;
    CURL *h = curl_easy_init();

    assert_int_equal(get(&good, "localhost", &t, NULL, msg), CURLE_OK);
    assert_int_equal(get(&good, "localhost", &t, &seen, msg), CURLE_OK);
    refused_by_ca(&good, "127.0.0.1", good.pem); /* another name */
    refused_by_ca(&good, "localhost", other.pem);
    refused_by_ca(&other, "localhost", other.pem);
    assert_int_equal(tls_trust_apply(h, &bad, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_tls");
    curl_easy_cleanup(h);
}

static void
test_old_version(void **state)
{
    struct tls_rig old;
    struct tls_trust t;
    struct tls_seen seen;
    struct err err = ERR_INIT;
    char msg[CURL_ERROR_SIZE];
    CURLcode code;

    tls_rig_start(&old, "localhost", TLS1_1_VERSION);
    t = pin_of(&old);
    code = get(&old, "127.0.0.1", &t, &seen, msg);
    assert_int_equal(code, CURLE_SSL_CONNECT_ERROR);
    assert_false(seen.has_leaf);
    assert_int_equal(tls_trust_explain(code, msg, &t, &seen, &err), 0);
    tls_rig_stop(&old);
}

/* --- kept connections --- */

/* In a frame of its own: what a kept connection must not point to. */
static void
ask_kept(struct http_client *c, const char *url, const struct tls_trust *t)
{
    struct http_request q = {
        .method = "GET", .url = url, .trust = t, .timeout_ms = 10000};
    struct http_response r = {0};
    struct err err = ERR_INIT;

    if (http_do(c, &q, &r, &err) < 0)
        fail_msg("%s: %s", err.code, err.msg);
    assert_int_equal(r.status, 200);
    http_response_done(&r);
}

static void
renegotiation(const struct tls_trust *t, struct tls_rig *rig)
{
    char *url = xasprintf("https://localhost:%u/", rig->port);
    struct http_client *c;
    struct err err = ERR_INIT;

    assert_int_equal(http_client_new(&c, &err), 0);
    ask_kept(c, url, t);
    ask_kept(c, url, t);
    /* A server that insists loses the connection, and nobody the request. */
    ask_kept(c, url, t);
    http_client_free(c);
    free(url);
}

static void
test_renegotiation(void **state)
{
    struct tls_rig rig;
    struct tls_trust pin, ca;

    tls_rig_start(&rig, "localhost", TLS1_2_VERSION);
    rig.renegotiate = true;
    pin = pin_of(&rig);
    ca = (struct tls_trust){.ca_pem = rig.pem};
    renegotiation(&pin, &rig);
    assert_int_equal(atomic_load(&rig.handshakes), 2);
    renegotiation(&ca, &rig);
    assert_int_equal(atomic_load(&rig.handshakes), 4);
    assert_int_equal(tls_rig_renegotiated(&rig), 0);
    tls_rig_stop(&rig);
}

/* --- probe --- */

static void
test_probe(void **state)
{
    unsigned failures = atomic_load(&other.failures);
    unsigned requests = atomic_load(&other.requests);
    struct err err = ERR_INIT;
    uint8_t v[32];

    assert_int_equal(tls_probe("localhost", good.port, 5000, -1, v, &err), 0);
    assert_memory_equal(v, good.sha256, 32);
    assert_int_equal(tls_probe("127.0.0.1", other.port, 5000, 0, v, &err), 0);
    assert_memory_equal(v, other.sha256, 32);
    assert_int_equal(tls_probe("127.0.0.1", other.port, 5000, 0, v, &err), 0);
    /* The server dealt with the first one before it accepted the second. */
    assert_true(atomic_load(&other.failures) > failures);
    assert_int_equal(atomic_load(&other.requests), requests);
}

static int
listen_silently(unsigned *ret_port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(fd, 4), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

static void
refused_probe(const char *host, unsigned port, unsigned timeout_ms, int cancel_fd,
              int class, const char *code)
{
    uint8_t v[32] = {7};
    struct err err = ERR_INIT;
    int r = tls_probe(host, port, timeout_ms, cancel_fd, v, &err);

    if (r != class || strcmp(err.code, code) != 0)
        fail_msg("class %d code '%s': %s", r, err.code, err.msg);
    assert_int_equal(v[0], 7);
}

static void
test_probe_fails(void **state)
{
    int cancel_fd = eventfd(1, EFD_CLOEXEC);
    uint64_t begin = time_mono_ns();
    unsigned port;
    int fd = listen_silently(&port);

    refused_probe("127.0.0.1", port, 300, -1, ERR_TIMEOUT, "timeout");
    refused_probe("127.0.0.1", port, 20000, cancel_fd, ERR_CANCELLED, "cancelled");
    assert_true(time_mono_ns() - begin < 10 * NS_PER_S);
    close(fd);
    refused_probe("127.0.0.1", port, 5000, -1, ERR_UNAVAILABLE, "vcenter_unreachable");
    refused_probe("::1", port, 5000, -1, ERR_UNAVAILABLE, "vcenter_unreachable");
    refused_probe("a b", port, 5000, -1, ERR_INVALID, "invalid");
    refused_probe("a/b", port, 5000, -1, ERR_INVALID, "invalid");
    refused_probe("user@a", port, 5000, -1, ERR_INVALID, "invalid");
    refused_probe("", port, 5000, -1, ERR_INVALID, "invalid");
    refused_probe("127.0.0.1", 0, 5000, -1, ERR_INVALID, "invalid");
    refused_probe("127.0.0.1", 65536, 5000, -1, ERR_INVALID, "invalid");
    close(cancel_fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fingerprints), cmocka_unit_test(test_bad_fingerprints),
        cmocka_unit_test(test_check),        cmocka_unit_test(test_pin),
        cmocka_unit_test(test_wrong_pin),    cmocka_unit_test(test_ca),
        cmocka_unit_test(test_old_version),  cmocka_unit_test(test_probe),
        cmocka_unit_test(test_probe_fails),  cmocka_unit_test(test_renegotiation),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
