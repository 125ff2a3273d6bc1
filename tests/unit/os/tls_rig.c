/* See tls_rig.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "tls_rig.h"

static X509 *
make_certificate(EVP_PKEY *key, const char *name)
{
    X509 *x = X509_new();
    X509_NAME *subject = X509_get_subject_name(x);
    char *alt = xasprintf("DNS:%s", name);
    X509_EXTENSION *ext;

    X509_set_version(x, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(x), 1);
    X509_gmtime_adj(X509_getm_notBefore(x), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x), 24 * 3600);
    X509_set_pubkey(x, key);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const void *)name, -1, -1,
                               0);
    X509_set_issuer_name(x, subject);
    ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, alt);
    X509_add_ext(x, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(x, key, EVP_sha256()) > 0);
    free(alt);
    return x;
}

static char *
pem_of(X509 *x)
{
    BIO *bio = BIO_new(BIO_s_mem());
    char *data, *copy;
    long n;

    PEM_write_bio_X509(bio, x);
    n = BIO_get_mem_data(bio, &data);
    copy = xasprintf("%.*s", (int)n, data);
    BIO_free(bio);
    return copy;
}

/* One connection at a time is enough here. */
static void
serve(struct tls_rig *r, int fd)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct timeval limit = {.tv_sec = 10};
    SSL *ssl = SSL_new(r->ctx);
    char buf[4096];
    bool counted = false;

    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    SSL_set_fd(ssl, fd);
    if (SSL_accept(ssl) == 1) {
        atomic_fetch_add(&r->handshakes, 1);
        while (SSL_read(ssl, buf, sizeof(buf)) > 0) {
            if (!counted)
                atomic_fetch_add(&r->requests, 1);
            /* A HelloRequest goes out before the answer to the second request. */
            if (counted && r->renegotiate &&
                (SSL_renegotiate(ssl) != 1 || SSL_do_handshake(ssl) != 1))
                break;
            counted = true;
            if (SSL_write(ssl, answer, sizeof(answer) - 1) <= 0)
                break;
        }
    } else {
        atomic_fetch_add(&r->failures, 1);
    }
    SSL_free(ssl);
    close(fd);
}

static void *
server_main(void *arg)
{
    struct tls_rig *r = arg;

    for (;;) {
        struct pollfd p[2] = {{.fd = r->listen_fd, .events = POLLIN},
                              {.fd = r->stop_fd, .events = POLLIN}};
        int fd;

        poll(p, 2, -1);
        if (p[1].revents)
            return NULL;
        fd = accept(r->listen_fd, NULL, NULL);
        if (fd >= 0)
            serve(r, fd);
    }
}

void
tls_rig_start(struct tls_rig *r, const char *name, int max_version)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001)};
    socklen_t len = sizeof(a);
    unsigned digest_len = 32;
    EVP_PKEY *key;
    X509 *x;

    *r = (struct tls_rig){0};
    key = EVP_EC_gen("P-256");
    assert_non_null(key);
    x = make_certificate(key, name);
    r->pem = pem_of(x);
    assert_int_equal(X509_digest(x, EVP_sha256(), r->sha256, &digest_len), 1);
    r->ctx = SSL_CTX_new(TLS_server_method());
    assert_non_null(r->ctx);
    assert_int_equal(SSL_CTX_use_certificate(r->ctx, x), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(r->ctx, key), 1);
    if (max_version) {
        /* The old versions need signatures that the default level refuses. */
        SSL_CTX_set_security_level(r->ctx, 0);
        assert_int_equal(SSL_CTX_set_min_proto_version(r->ctx, TLS1_VERSION), 1);
        assert_int_equal(SSL_CTX_set_max_proto_version(r->ctx, max_version), 1);
    }
    X509_free(x);
    EVP_PKEY_free(key);
    r->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(r->listen_fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(listen(r->listen_fd, 16), 0);
    assert_int_equal(getsockname(r->listen_fd, (struct sockaddr *)&a, &len), 0);
    r->port = ntohs(a.sin_port);
    r->stop_fd = eventfd(0, EFD_CLOEXEC);
    assert_int_equal(pthread_create(&r->thread, NULL, server_main, r), 0);
}

unsigned
tls_rig_renegotiated(const struct tls_rig *r)
{
    return (unsigned)SSL_CTX_sess_accept_good(r->ctx) - atomic_load(&r->handshakes);
}

void
tls_rig_stop(struct tls_rig *r)
{
    eventfd_write(r->stop_fd, 1);
    pthread_join(r->thread, NULL);
    close(r->listen_fd);
    close(r->stop_fd);
    SSL_CTX_free(r->ctx);
    free(r->pem);
}
