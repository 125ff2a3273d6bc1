/* A TLS server on loopback with a certificate of its own, for the tests of trust. Answers
 * "GET" requests with an empty 200 and keeps the connection. */
#ifndef SENDENSE_TESTS_TLS_RIG_H
#define SENDENSE_TESTS_TLS_RIG_H

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdatomic.h>
#include <stdint.h>

struct tls_rig {
    char *pem; /* its self-signed certificate */
    uint8_t sha256[32];
    unsigned port;
    atomic_uint handshakes;  /* completed */
    atomic_uint requests;    /* connections that sent application data */
    atomic_uint failures;    /* handshakes that failed */
    atomic_bool renegotiate; /* asks for it while it answers a second request */
    int listen_fd, stop_fd;
    SSL_CTX *ctx;
    pthread_t thread;
};

/* @name: the only host name of the certificate.  @max_version: TLS1_1_VERSION, …; 0 =
 * any.
 */
void tls_rig_start(struct tls_rig *r, const char *name, int max_version);
/* Handshakes completed on connections that had had one. */
unsigned tls_rig_renegotiated(const struct tls_rig *r);
void tls_rig_stop(struct tls_rig *r);

#endif
