/* cli/config.c - see config.h. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/config.h"

#define CONFIG_MAX 65536

void
cli_config_done(struct cli_config *c)
{
    free(c->url);
    secret_free(c->token);
    *c = (struct cli_config){0};
}

int
cli_config_path(char **ret, struct err *err)
{
    const char *base = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (base && base[0] == '/')
        *ret = xasprintf("%s/sendense/cli.json", base);
    else if (home && home[0] == '/')
        *ret = xasprintf("%s/.config/sendense/cli.json", home);
    else
        return err_set(err, ERR_NOT_FOUND, NULL,
                       "HOME is not set: give --url and --token-file");
    return 0;
}

int
cli_config_load(const char *path, struct cli_config *ret, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(CONFIG_MAX);
    CLEANUP_CONFIG struct cli_config c = {0};
    CLEANUP_JSON json_t *j = NULL;
    struct jreader r;
    const char *token;
    int res;

    *ret = (struct cli_config){0};
    if (!fs_exists(path))
        return 0;
    res = fs_read_secret_file(path, &b, err);
    if (res == 0)
        res = json_parse(b.data ? b.data : "", b.len, &j, err);
    if (b.data)
        explicit_bzero(b.data, b.len);
    if (res == 0) {
        jreader_init(&r, j, "it", err);
        c.url = xstrdup(jget_str(&r, "url"));
        token = jget_str(&r, "token");
        c.token = secret_new(token, strlen(token));
        c.insecure_http = jopt_bool(&r, "insecure_http", false);
        res = jreader_end_lax(&r);
    }
    if (res < 0) {
        err_prefix(err, "'%s' cannot be used (`sendense login` writes it anew)", path);
        return err->class;
    }
    *ret = c;
    c = (struct cli_config){0};
    return 0;
}

int
cli_config_save(const char *path, const struct cli_config *c, struct err *err)
{
    CLEANUP_FREE char *dir = xasprintf("%.*s", (int)(strrchr(path, '/') - path), path);
    CLEANUP_JSON json_t *j =
        json_pack("{s:s, s:s}", "url", c->url, "token", secret_reveal(c->token));
    CLEANUP_FREE char *text = NULL;
    int r;

    if (!j)
        return err_set(err, ERR_INVALID, "invalid_token", "the token is not UTF-8 text");
    if (c->insecure_http)
        json_object_set_new(j, "insecure_http", json_true());
    text = json_line(j);
    r = fs_mkdirs(dir, 0700, err);
    if (r == 0)
        r = fs_write_file_durable(path, text, strlen(text), 0600, err);
    explicit_bzero(text, strlen(text));
    return r;
}

static char *
url_part(CURLU *u, CURLUPart part)
{
    char *text = NULL, *copy;

    if (curl_url_get(u, part, &text, 0) != CURLUE_OK)
        return NULL;
    copy = xstrdup(text);
    curl_free(text);
    return copy;
}

static void
strip_end(char *path, const char *end)
{
    size_t n = strlen(path), m = strlen(end);

    if (n >= m && strcmp(path + n - m, end) == 0)
        path[n - m] = '\0';
}

static void
lower(char *s)
{
    for (; *s; s++)
        if (*s >= 'A' && *s <= 'Z')
            *s = (char)(*s - 'A' + 'a');
}

static int
normal_of(CURLU *u, const char *url, char **ret, struct err *err)
{
    CLEANUP_FREE char *scheme = url_part(u, CURLUPART_SCHEME);
    CLEANUP_FREE char *host = url_part(u, CURLUPART_HOST);
    CLEANUP_FREE char *port = url_part(u, CURLUPART_PORT);
    CLEANUP_FREE char *path = url_part(u, CURLUPART_PATH);
    CLEANUP_FREE char *user = url_part(u, CURLUPART_USER);
    CLEANUP_FREE char *password = url_part(u, CURLUPART_PASSWORD);
    CLEANUP_FREE char *query = url_part(u, CURLUPART_QUERY);
    CLEANUP_FREE char *fragment = url_part(u, CURLUPART_FRAGMENT);

    /* The text is not repeated: it may hold a password. */
    if (user || password)
        return err_set(err, ERR_INVALID, "invalid_url",
                       "the address of the hub holds a user name or password; it takes a "
                       "token, by file or stdin");
    if (!scheme || !host || query || fragment ||
        (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        return err_set(err, ERR_INVALID, "invalid_url",
                       "'%.200s' is no address of a hub; such as " CONFIG_DEFAULT_URL,
                       url);
    lower(host);
    strip_end(path, "/");
    strip_end(path, "/api/v1");
    strip_end(path, "/");
    *ret =
        xasprintf("%s://%s%s%s%s", scheme, host, port ? ":" : "", port ? port : "", path);
    return 0;
}

int
cli_url_normal(const char *url, char **ret, struct err *err)
{
    CURLU *u = curl_url();
    int r;

    if (!u)
        return err_set(err, ERR_INTERNAL, NULL, "out of memory");
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK)
        r = err_set(err, ERR_INVALID, "invalid_url",
                    "'%.*s' is no address of a hub; such as " CONFIG_DEFAULT_URL,
                    strchr(url, '@') ? 0 : 200, url);
    else
        r = normal_of(u, url, ret, err);
    curl_url_cleanup(u);
    return r;
}

static bool
is_loopback(const char *host)
{
    struct in_addr a4;
    struct in6_addr a6;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &a4) == 1)
        return ntohl(a4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &a6) == 1 && IN6_IS_ADDR_LOOPBACK(&a6);
}

bool
cli_url_is_exposed(const char *url)
{
    CURLU *u = curl_url();
    CLEANUP_FREE char *host = NULL;
    size_t n;

    if (strncmp(url, "https://", 8) == 0) {
        curl_url_cleanup(u);
        return false;
    }
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK)
        host = url_part(u, CURLUPART_HOST);
    curl_url_cleanup(u);
    if (!host)
        return true;
    n = strlen(host);
    if (n > 2 && host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        return !is_loopback(host + 1);
    }
    return !is_loopback(host);
}
