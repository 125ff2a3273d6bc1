/* os/tls_trust.c - see tls_trust.h. */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#include "os/tls_trust.h"

void
tls_trust_done(struct tls_trust *t)
{
    free(t->ca_pem);
    *t = (struct tls_trust){0};
}

int
tls_trust_check(const struct tls_trust *t, struct err *err)
{
    if (!t->ca_pem && !t->has_sha256)
        return err_set(err, ERR_INVALID, "invalid_tls",
                       "neither a CA nor a certificate's SHA-256 is given to trust");
    if (t->ca_pem && t->has_sha256)
        return err_set(err, ERR_INVALID, "invalid_tls",
                       "both a CA and a certificate's SHA-256 are given to trust");
    return 0;
}

/* --- fingerprints --- */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int
tls_fingerprint_parse(const char *text, uint8_t ret[TLS_SHA256_SIZE], struct err *err)
{
    uint8_t v[TLS_SHA256_SIZE];
    size_t len = strlen(text), step = 2;
    bool ok = len == 2 * TLS_SHA256_SIZE;

    if (len == 3 * TLS_SHA256_SIZE - 1) {
        step = 3;
        ok = true;
    }
    for (size_t i = 0; ok && i < TLS_SHA256_SIZE; i++) {
        int high = hex_digit(text[i * step]), low = hex_digit(text[i * step + 1]);

        ok = high >= 0 && low >= 0 &&
             (step == 2 || i == TLS_SHA256_SIZE - 1 || text[i * step + 2] == ':');
        if (ok)
            v[i] = (uint8_t)(high << 4 | low);
    }
    if (!ok)
        return err_set(err, ERR_INVALID, "invalid_tls",
                       "a certificate's SHA-256 is 64 hex digits, with or without ':' "
                       "between the bytes");
    memcpy(ret, v, sizeof(v));
    return 0;
}

void
tls_fingerprint_format(const uint8_t sha256[TLS_SHA256_SIZE],
                       char out[TLS_FINGERPRINT_STR])
{
    static const char digits[] = "0123456789ABCDEF";

    for (size_t i = 0; i < TLS_SHA256_SIZE; i++) {
        out[3 * i] = digits[sha256[i] >> 4];
        out[3 * i + 1] = digits[sha256[i] & 15];
        out[3 * i + 2] = i + 1 < TLS_SHA256_SIZE ? ':' : '\0';
    }
}

/* --- verification --- */

static bool
leaf_sha256(X509_STORE_CTX *ctx, uint8_t ret[TLS_SHA256_SIZE])
{
    X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
    unsigned len = TLS_SHA256_SIZE;

    return leaf && X509_digest(leaf, EVP_sha256(), ret, &len) == 1 &&
           len == TLS_SHA256_SIZE;
}

/* Takes the place of OpenSSL's chain verification.  That the server has the key of the
 * leaf is proven by the handshake, whatever is decided here. */
static int
verify_pin(X509_STORE_CTX *ctx, void *arg)
{
    const struct tls_trust *t = arg;
    uint8_t sha256[TLS_SHA256_SIZE];

    if (leaf_sha256(ctx, sha256) && memcmp(sha256, t->sha256, sizeof(sha256)) == 0) {
        X509_STORE_CTX_set_error(ctx, X509_V_OK);
        return 1;
    }
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
    return 0;
}

/* As verify_pin(); without a trust it records and accepts nothing. */
static int
verify_seen(X509_STORE_CTX *ctx, void *arg)
{
    struct tls_seen *seen = arg;

    seen->has_leaf = leaf_sha256(ctx, seen->sha256);
    if (seen->trust)
        return verify_pin(ctx, (void *)seen->trust);
    X509_STORE_CTX_set_error(ctx, X509_V_ERR_CERT_REJECTED);
    return 0;
}

/* A connection is kept for later requests, what a callback points to need not be: the
 * server is verified once, and never asked for another certificate.  (TLS 1.3 has no
 * renegotiation.) */
static CURLcode
install_ca(CURL *h, void *ssl_ctx, void *arg)
{
    SSL_CTX_set_options(ssl_ctx, SSL_OP_NO_RENEGOTIATION);
    return CURLE_OK;
}

static CURLcode
install_pin(CURL *h, void *ssl_ctx, void *trust)
{
    SSL_CTX_set_cert_verify_callback(ssl_ctx, verify_pin, trust);
    return install_ca(h, ssl_ctx, NULL);
}

static CURLcode
install_seen(CURL *h, void *ssl_ctx, void *seen)
{
    SSL_CTX_set_cert_verify_callback(ssl_ctx, verify_seen, seen);
    return install_ca(h, ssl_ctx, NULL);
}

static bool
has_certificate(const char *pem)
{
    BIO *bio = BIO_new_mem_buf(pem, -1);
    X509 *x = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    bool has = x != NULL;

    X509_free(x);
    BIO_free(bio);
    ERR_clear_error();
    return has;
}

/* What every connection of ours has.  A resumed session shows no certificate, so none is
 * resumed: each handshake must pass the callback. */
static bool
apply_common(CURL *h)
{
    return curl_easy_setopt(h, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) ==
               CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_SESSIONID_CACHE, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_CAINFO, NULL) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_CAPATH, NULL) == CURLE_OK;
}

static bool
apply_ca(CURL *h, const char *ca_pem)
{
    struct curl_blob blob = {
        .data = (void *)ca_pem, .len = strlen(ca_pem), .flags = CURL_BLOB_COPY};

    return curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_CAINFO_BLOB, &blob) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, install_ca) == CURLE_OK;
}

static bool
apply_callback(CURL *h, curl_ssl_ctx_callback install, const void *arg)
{
    return curl_easy_setopt(h, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_CTX_FUNCTION, install) == CURLE_OK &&
           curl_easy_setopt(h, CURLOPT_SSL_CTX_DATA, (void *)arg) == CURLE_OK;
}

int
tls_trust_apply_seen(CURL *h, const struct tls_trust *t, struct tls_seen *seen,
                     struct err *err)
{
    int r = tls_trust_check(t, err);
    bool ok;

    if (r < 0)
        return r;
    if (t->ca_pem && (strlen(t->ca_pem) > TLS_CA_PEM_MAX || !has_certificate(t->ca_pem)))
        return err_set(err, ERR_INVALID, "invalid_tls",
                       "the CA to trust is not a certificate in PEM form");
    if (seen)
        *seen = (struct tls_seen){.trust = t};
    ok = apply_common(h);
    if (t->ca_pem)
        ok = ok && apply_ca(h, t->ca_pem);
    else if (seen)
        ok = ok && apply_callback(h, install_seen, seen);
    else
        ok = ok && apply_callback(h, install_pin, t);
    return ok ? 0 : err_set(err, ERR_INTERNAL, NULL, "libcurl refused a TLS option");
}

int
tls_trust_apply(CURL *h, const struct tls_trust *t, struct err *err)
{
    return tls_trust_apply_seen(h, t, NULL, err);
}

int
tls_trust_explain(CURLcode code, const char *curl_msg, const struct tls_trust *t,
                  const struct tls_seen *seen, struct err *err)
{
    char got[TLS_FINGERPRINT_STR], want[TLS_FINGERPRINT_STR];

    if (code != CURLE_PEER_FAILED_VERIFICATION)
        return 0;
    if (t->ca_pem)
        return err_set(err, ERR_AUTH, "tls_untrusted",
                       "the certificate is not one of the given CA for this host (%s)",
                       curl_msg && *curl_msg ? curl_msg : curl_easy_strerror(code));
    tls_fingerprint_format(t->sha256, want);
    if (!seen || !seen->has_leaf)
        return err_set(err, ERR_AUTH, "tls_fingerprint",
                       "the certificate's SHA-256 is not the pinned one: %s", want);
    tls_fingerprint_format(seen->sha256, got);
    return err_set(err, ERR_AUTH, "tls_fingerprint",
                   "the certificate's SHA-256 is %s, not the pinned one: %s", got, want);
}

/* --- probe --- */

#define PROBE_POLL_MS 1000

struct probe {
    CURL *easy;
    CURLM *multi;
    CURLU *url;
    struct tls_seen seen; /* without a trust: accepts nothing */
    char curl_msg[CURL_ERROR_SIZE];
};

static void
probe_done(struct probe *p)
{
    if (p->multi && p->easy)
        curl_multi_remove_handle(p->multi, p->easy);
    curl_easy_cleanup(p->easy);
    curl_multi_cleanup(p->multi);
    curl_url_cleanup(p->url);
}

static bool
probe_url(CURLU *u, const char *host, unsigned port)
{
    bool bare_v6 = strchr(host, ':') && host[0] != '[';
    char name[270], number[16];
    int n = snprintf(name, sizeof(name), "%s%s%s", bare_v6 ? "[" : "", host,
                     bare_v6 ? "]" : "");

    snprintf(number, sizeof(number), "%u", port);
    return n > 0 && n < (int)sizeof(name) && *host && port > 0 && port <= 65535 &&
           curl_url_set(u, CURLUPART_SCHEME, "https", 0) == CURLUE_OK &&
           curl_url_set(u, CURLUPART_HOST, name, 0) == CURLUE_OK &&
           curl_url_set(u, CURLUPART_PORT, number, 0) == CURLUE_OK;
}

static int
probe_init(struct probe *p, const char *host, unsigned port, unsigned timeout_ms,
           struct err *err)
{
    CURL *e;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(err, ERR_INTERNAL, NULL, "libcurl does not start");
    e = p->easy = curl_easy_init();
    p->multi = curl_multi_init();
    p->url = curl_url();
    if (!e || !p->multi || !p->url)
        return err_set(err, ERR_INTERNAL, NULL, "start libcurl: out of memory");
    if (!probe_url(p->url, host, port))
        return err_set(err, ERR_INVALID, NULL,
                       "'%.200s' port %u is not the address of a server", host, port);
    if (!apply_common(e) || !apply_callback(e, install_seen, &p->seen) ||
        curl_easy_setopt(e, CURLOPT_CURLU, p->url) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_CONNECT_ONLY, 1L) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_PROXY, "") != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_ERRORBUFFER, p->curl_msg) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, (long)timeout_ms) != CURLE_OK ||
        curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, (long)timeout_ms) != CURLE_OK ||
        curl_multi_add_handle(p->multi, e) != CURLM_OK)
        return err_set(err, ERR_INTERNAL, NULL, "libcurl refused an option");
    return 0;
}

static bool
is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

/* 0 when the handshake ended, *ret_code says how. */
static int
probe_run(struct probe *p, int cancel_fd, CURLcode *ret_code, struct err *err)
{
    struct curl_waitfd extra = {.fd = cancel_fd, .events = CURL_WAIT_POLLIN};
    unsigned n_extra = cancel_fd > 0 ? 1 : 0;
    int running = 1, left;

    for (;;) {
        CURLMcode m = curl_multi_perform(p->multi, &running);
        CURLMsg *msg = curl_multi_info_read(p->multi, &left);

        if (msg && msg->msg == CURLMSG_DONE) {
            *ret_code = msg->data.result;
            return 0;
        }
        if (n_extra && is_readable(cancel_fd))
            return err_set(err, ERR_CANCELLED, NULL, "cancelled");
        if (m == CURLM_OK)
            m = curl_multi_poll(p->multi, &extra, n_extra, PROBE_POLL_MS, NULL);
        if (m != CURLM_OK)
            return err_set(err, ERR_INTERNAL, NULL, "libcurl: %s",
                           curl_multi_strerror(m));
    }
}

int
tls_probe(const char *host, unsigned port, unsigned timeout_ms, int cancel_fd,
          uint8_t ret_sha256[TLS_SHA256_SIZE], struct err *err)
{
    CLEANUP(probe_done) struct probe p = {0};
    CURLcode code = CURLE_OK;
    int r = probe_init(&p, host, port, timeout_ms, err);

    if (r == 0)
        r = probe_run(&p, cancel_fd, &code, err);
    if (r < 0)
        return r;
    if (p.seen.has_leaf) {
        memcpy(ret_sha256, p.seen.sha256, TLS_SHA256_SIZE);
        return 0;
    }
    return err_set(err, code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_UNAVAILABLE,
                   code == CURLE_OPERATION_TIMEDOUT ? NULL : "vcenter_unreachable",
                   "%s port %u shows no certificate: %s", host, port,
                   p.curl_msg[0] ? p.curl_msg : curl_easy_strerror(code));
}
