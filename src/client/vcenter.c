/* client/vcenter.c - see vcenter.h. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "client/vcenter.h"

#define HTTPS_PORT 443u
#define SCHEME "https://"
/* Some calls look through the map of a whole disk: they get this, however short the
 * deadline of a read is. */
#define CALL_MIN_MS 120000u

void
vcenter_close(struct vcenter *v)
{
    vim_close(v->session);
    v->session = NULL;
    tls_trust_done(&v->trust);
}

static int
make_trust(const struct vsphere_login *login, struct tls_trust *ret, struct err *err)
{
    ret->ca_pem = xstrdup(login->ca_pem);
    ret->has_sha256 = login->sha256 != NULL;
    if (login->sha256 && tls_fingerprint_parse(login->sha256, ret->sha256, err) < 0)
        return err->class;
    return tls_trust_check(ret, err);
}

int
vcenter_open(struct vcenter *v, const struct vsphere_login *login,
             const struct spec_deadlines *deadlines, int cancel_fd,
             const struct secret *cookie,
             void (*on_cookie)(void *arg, const char *cookie), void *on_cookie_arg,
             struct err *err)
{
    const unsigned call_ms = deadlines->io_s * 1000;
    struct vim_target t = {
        .url = login->url,
        .user = login->user,
        .password = login->password,
        .cookie = cookie,
        .trust = &v->trust,
        .connect_timeout_ms = deadlines->connect_s * 1000,
        .timeout_ms = call_ms > CALL_MIN_MS ? call_ms : CALL_MIN_MS,
        .cancel_fd = cancel_fd,
        .on_cookie = on_cookie,
        .on_cookie_arg = on_cookie_arg,
    };

    if (make_trust(login, &v->trust, err) < 0)
        return err->class;
    return vim_open(&t, &v->session, err);
}

/* @url has passed vsphere_url_check(). */
static char *
split_url(const char *url, unsigned *ret_port)
{
    const char *host = url + strlen(SCHEME);
    const char *end = *host == '[' ? strchr(host, ']') : NULL;
    const char *colon = strchr(end ? end : host, ':');
    uint64_t port = HTTPS_PORT;

    if (colon)
        (void)text_to_u64(colon + 1, &port);
    *ret_port = (unsigned)port;
    if (end)
        return xasprintf("%.*s", (int)(end - host - 1), host + 1);
    return xasprintf("%.*s", (int)(colon ? colon - host : (int)strlen(host)), host);
}

int
vcenter_fingerprint(const char *url, const struct spec_deadlines *deadlines,
                    int cancel_fd, char out[TLS_FINGERPRINT_STR], struct err *err)
{
    unsigned port = 0;
    CLEANUP_FREE char *host = split_url(url, &port);
    uint8_t sha256[TLS_SHA256_SIZE];

    if (tls_probe(host, port, deadlines->connect_s * 1000, cancel_fd, sha256, err) < 0)
        return err->class;
    tls_fingerprint_format(sha256, out);
    return 0;
}
