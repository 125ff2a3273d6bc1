/* os/tls_trust.h - whom a TLS connection of libcurl trusts: exactly one CA, or exactly
 * one certificate.  Layer 1. Never the system's store.  With a CA the chain and the host
 * name are verified; with a pin the leaf's SHA-256 decides alone (the certificates that
 * vCenter and ESXi make for themselves rarely name the address they are reached at).
 * TLS 1.2 or newer, without renegotiation: a server is verified once per connection. */
#ifndef SENDENSE_OS_TLS_TRUST_H
#define SENDENSE_OS_TLS_TRUST_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define TLS_SHA256_SIZE 32
#define TLS_FINGERPRINT_STR 96      /* "AA:BB:…" + NUL */
#define TLS_CA_PEM_MAX (256 * 1024) /* bytes */

/* Exactly one of the two is set. */
struct tls_trust {
    char *ca_pem; /* owned; NULL = none */
    bool has_sha256;
    uint8_t sha256[TLS_SHA256_SIZE]; /* of the DER leaf certificate */
};

void tls_trust_done(struct tls_trust *t);
#define CLEANUP_TLS_TRUST CLEANUP(tls_trust_done)

/* ERR_INVALID "invalid_tls": neither or both. */
int tls_trust_check(const struct tls_trust *t, struct err *err);

/* 64 hex digits of either case, with ':' between all bytes or none.  ERR_INVALID
 * "invalid_tls". */
int tls_fingerprint_parse(const char *text, uint8_t ret[TLS_SHA256_SIZE],
                          struct err *err);
/* "AA:BB:…", upper case. */
void tls_fingerprint_format(const uint8_t sha256[TLS_SHA256_SIZE],
                            char out[TLS_FINGERPRINT_STR]);

/* What the server presented in the last handshake; the caller's, for the message. */
struct tls_seen {
    const struct tls_trust *trust; /* set by tls_trust_apply_seen() */
    bool has_leaf;
    uint8_t sha256[TLS_SHA256_SIZE];
};

/* Sets the trust options of @h, after curl_easy_init() or curl_easy_reset().  @t must
 * outlive the transfers of @h.  Handles of different trust must not share connections
 * (a multi handle, a share): libcurl does not compare pins when it reuses one.
 * ERR_INVALID "invalid_tls": tls_trust_check(), or ca_pem holds no certificate. */
int tls_trust_apply(CURL *h, const struct tls_trust *t, struct err *err);
/* The same, and with a pin @seen takes what the server presents; it must live as long. */
int tls_trust_apply_seen(CURL *h, const struct tls_trust *t, struct tls_seen *seen,
                         struct err *err);

/* 0 when @code has nothing to do with trust and @err is untouched.  Else ERR_AUTH
 * "tls_fingerprint" (a certificate other than the pinned one) or "tls_untrusted" (not of
 * the CA, or of another host).  @seen and @curl_msg (libcurl's error buffer) may be
 * NULL. */
int tls_trust_explain(CURLcode code, const char *curl_msg, const struct tls_trust *t,
                      const struct tls_seen *seen, struct err *err);

/* Blocking.  The SHA-256 of the leaf certificate that @host (a name or an address) shows
 * at @port.  Trusts nothing and sends no request: the handshake is broken off.
 * @cancel_fd <= 0 = none; readable = ERR_CANCELLED.  ERR_INVALID (no host name),
 * ERR_UNAVAILABLE "vcenter_unreachable", ERR_TIMEOUT. */
int tls_probe(const char *host, unsigned port, unsigned timeout_ms, int cancel_fd,
              uint8_t ret_sha256[TLS_SHA256_SIZE], struct err *err);

#endif
