/* model/vsphere_login.c - see vsphere_login.h. */
#include <stdlib.h>
#include <string.h>

#include "model/naming.h"
#include "model/vsphere.h"
#include "model/vsphere_codec.h"

#define SCHEME "https://"
#define HOST_MAX 253u
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

void
vsphere_login_done(struct vsphere_login *l)
{
    free(l->url);
    free(l->user);
    secret_free(l->password);
    free(l->ca_pem);
    free(l->sha256);
    *l = (struct vsphere_login){0};
}

/* Where the host ends; NULL when there is none. */
static const char *
skip_host(const char *s)
{
    size_t n;

    if (*s == '[') {
        n = strspn(s + 1, "0123456789abcdefABCDEF:.");
        return n > 1 && s[n + 1] == ']' ? s + n + 2 : NULL;
    }
    n = strspn(s, LETTERS DIGITS "-._");
    return n > 0 && n <= HOST_MAX ? s + n : NULL;
}

static bool
is_port(const char *s)
{
    uint64_t port;

    return s[0] != '0' && text_to_u64(s, &port) == 0 && port <= 65535;
}

int
vsphere_url_check(const char *url, struct err *err)
{
    const char *end = NULL;

    if (strlen(url) <= VSPHERE_URL_MAX && strncmp(url, SCHEME, strlen(SCHEME)) == 0)
        end = skip_host(url + strlen(SCHEME));
    if (!end || (*end != '\0' && (*end != ':' || !is_port(end + 1))))
        return err_set(err, ERR_INVALID, "invalid_url",
                       "the address of a vCenter or host must be https://HOST or "
                       "https://HOST:PORT, without path, user and password");
    return 0;
}

static void
get_url(struct jreader *r, struct vsphere_login *l)
{
    struct err why = ERR_INIT;
    CLEANUP_FREE char *url = codec_str(r, "url", 1, VSPHERE_URL_MAX);

    if (!url)
        return;
    if (vsphere_url_check(url, &why) < 0)
        codec_fail(r, "url", "must be https://HOST or https://HOST:PORT");
    else
        l->url = take_ptr(&url);
}

static void
get_password(struct jreader *r, struct vsphere_login *l)
{
    const char *s = jget_str(r, "password");

    if (r->err->class != 0)
        return;
    if (strlen(s) > VSPHERE_PASSWORD_MAX)
        codec_fail(r, "password", "must have at most 1023 bytes");
    else
        l->password = secret_new(s, strlen(s));
}

static void
get_trust(struct jreader *up, struct vsphere_login *l)
{
    const json_t *j = jget_obj(up, "tls");
    uint8_t hash[MANIFEST_HASH_SIZE];
    struct jreader r;

    jreader_init(&r, j, "login tls", up->err);
    l->ca_pem = codec_str_opt(&r, "ca_pem", 1, VSPHERE_CA_MAX);
    l->sha256 = codec_str_opt(&r, "sha256", 1, VSPHERE_TEXT_MAX);
    if (l->sha256 && text_unhex(l->sha256, hash, sizeof(hash)) < 0)
        codec_fail(&r, "sha256", "must be 64 lower-case hex digits");
    if (!l->ca_pem == !l->sha256)
        codec_fail(&r, "sha256", "or ca_pem must be set, and not both");
    jreader_end(&r);
}

/* Nobody logs in and nothing is trusted: what would be kept for that is refused. */
static void
get_nothing(struct jreader *r)
{
    const json_t *j = jopt_obj(r, "tls");
    struct jreader tls;

    if (jopt_str(r, "user", NULL) || jopt_str(r, "password", NULL))
        codec_fail(r, "user", "and password must be null for this question");
    if (!j)
        return;
    jreader_init(&tls, j, "login tls", r->err);
    if (jopt_str(&tls, "ca_pem", NULL) || jopt_str(&tls, "sha256", NULL))
        codec_fail(&tls, "sha256", "and ca_pem must be null for this question");
    jreader_end(&tls);
}

void
vsphere_login_get(struct jreader *up, bool url_only, struct vsphere_login *ret)
{
    const json_t *j = jget_obj(up, "login");
    struct jreader r;

    jreader_init(&r, j, "login", up->err);
    get_url(&r, ret);
    if (url_only) {
        get_nothing(&r);
    } else {
        ret->user = codec_name(&r, "user");
        get_password(&r, ret);
        get_trust(&r, ret);
    }
    jreader_end(&r);
}

json_t *
vsphere_login_put(const struct vsphere_login *l)
{
    json_t *o = json_object(), *tls = json_object();

    codec_put_str(tls, "ca_pem", l->ca_pem);
    codec_put_str(tls, "sha256", l->sha256);
    codec_put_str(o, "url", l->url);
    codec_put_str(o, "user", l->user);
    codec_put_str(o, "password", l->password ? secret_reveal(l->password) : NULL);
    codec_put(o, "tls", tls);
    return o;
}

char *
vsphere_snapshot_name_get(struct jreader *r, const char *key)
{
    CLEANUP_FREE char *s = codec_name(r, key);
    const size_t prefix = strlen(VSPHERE_SNAPSHOT_PREFIX);

    if (s && (strncmp(s, VSPHERE_SNAPSHOT_PREFIX, prefix) != 0 || !s[prefix])) {
        codec_fail(r, key,
                   "must start with '" VSPHERE_SNAPSHOT_PREFIX "' and go on after it");
        return NULL;
    }
    return take_ptr(&s);
}
