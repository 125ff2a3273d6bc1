/* os/http_client.c - one request at a time over libcurl's multi interface, which alone
 * can wait for another descriptor (the cancellation) at the same time. */
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "os/http_client.h"
#include "os/tls_trust.h"

#define CONNECT_TIMEOUT_MS 10000
#define TIMEOUT_MS 30000
#define MAX_RESPONSE (8u * 1024 * 1024)
#define MAX_PROBLEM                                                                      \
    (64u * 1024) /* the body of an error answer to a streaming request                   \
                  */
#define POLL_MS 1000
#define COOKIE_MAX 4096

struct http_client {
    CURL *easy;
    CURLM *multi;
    struct tls_seen seen; /* here, for the connections in @multi keep pointing to it */
};

/* One request under way. */
struct exchange {
    const struct http_request *req;
    CURL *easy;
    struct tls_seen *seen;
    struct buf body;
    uint64_t streamed, stream_max; /* 0 = no limit */
    struct err err;                /* why a callback ended the request */
    char *cookie;
    char curl_msg[CURL_ERROR_SIZE];
};

static pthread_once_t global_once = PTHREAD_ONCE_INIT;
static CURLcode global_result;

static void
global_init(void)
{
    global_result = curl_global_init(CURL_GLOBAL_DEFAULT);
}

int
http_client_new(struct http_client **ret, struct err *err)
{
    struct http_client *c;

    pthread_once(&global_once, global_init);
    if (global_result != CURLE_OK)
        return err_set(err, ERR_INTERNAL, NULL, "start libcurl: %s",
                       curl_easy_strerror(global_result));
    c = xcalloc(1, sizeof(*c));
    c->easy = curl_easy_init();
    c->multi = curl_multi_init();
    if (!c->easy || !c->multi) {
        http_client_free(c);
        return err_set(err, ERR_INTERNAL, NULL, "start libcurl: out of memory");
    }
    *ret = c;
    return 0;
}

void
http_client_free(struct http_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->easy);
    curl_multi_cleanup(c->multi);
    free(c);
}

void
http_response_done(struct http_response *r)
{
    if (r->cookie)
        explicit_bzero(r->cookie, strlen(r->cookie));
    free(r->cookie);
    free(r->body);
    *r = (struct http_response){0};
}

/* --- request --- */

/* Names of hosts and paths may be told, queries may hold what should not be. */
static int
url_len_to_tell(const char *url)
{
    size_t n = strcspn(url, "?#");

    return n > 200 ? 200 : (int)n;
}

static bool
has_control(const char *s)
{
    for (; s && *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return true;
    return false;
}

static bool
headers_have_control(const char *const *headers)
{
    for (; headers && *headers; headers++)
        if (has_control(*headers))
            return true;
    return false;
}

static int
check_request(const struct http_request *q, struct err *err)
{
    static const char *const methods[] = {"GET", "HEAD",  "POST",
                                          "PUT", "PATCH", "DELETE"};
    bool known = false;

    for (size_t i = 0; q->method && i < ARRAY_LEN(methods); i++)
        known = known || strcmp(q->method, methods[i]) == 0;
    if (!known)
        return err_set(err, ERR_INVALID, NULL, "the HTTP method is unknown");
    if (!q->url || has_control(q->url) ||
        (strncasecmp(q->url, "http://", 7) != 0 &&
         strncasecmp(q->url, "https://", 8) != 0))
        return err_set(err, ERR_INVALID, "invalid_url",
                       "the address is not an http:// or https:// URL");
    if (has_control(q->content_type) || has_control(q->accept) ||
        has_control(secret_reveal(q->bearer)) || headers_have_control(q->headers))
        return err_set(err, ERR_INVALID, NULL,
                       "a request header holds a control character");
    return 0;
}

static void
free_headers(struct curl_slist *list)
{
    for (struct curl_slist *h = list; h; h = h->next)
        explicit_bzero(h->data, strlen(h->data)); /* one of them is the token */
    curl_slist_free_all(list);
}

static int
add_header(struct curl_slist **list, const char *name, const char *value, struct err *err)
{
    char *line = xasprintf("%s%s", name, value);
    struct curl_slist *more = curl_slist_append(*list, line);

    explicit_bzero(line, strlen(line));
    free(line);
    if (!more)
        return err_set(err, ERR_LIMIT, NULL, "out of memory");
    *list = more;
    return 0;
}

static int
make_headers(const struct http_request *q, struct curl_slist **list, struct err *err)
{
    int r = add_header(list, "Accept: ", q->accept ? q->accept : "application/json", err);

    /* An empty Expect: libcurl would wait a second for "100 Continue" before larger
     * bodies. */
    if (r == 0)
        r = add_header(list, "Expect:", "", err);
    if (r == 0 && q->body)
        r = add_header(list, "Content-Type: ",
                       q->content_type ? q->content_type : "application/json", err);
    if (r == 0 && q->bearer)
        r = add_header(list, "Authorization: Bearer ", secret_reveal(q->bearer), err);
    for (const char *const *h = q->headers; r == 0 && h && *h; h++)
        r = add_header(list, *h, "", err);
    return r;
}

static bool
is_success(CURL *easy)
{
    long status = 0;

    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
    return status >= 200 && status < 300;
}

static size_t
on_write(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;

    n *= size;
    if (x->req->on_data && is_success(x->easy)) {
        x->streamed += n;
        if (x->stream_max && x->streamed > x->stream_max) {
            err_set(&x->err, ERR_LIMIT, "response_too_large",
                    "the answer is larger than %zu bytes", (size_t)x->stream_max);
            return 0;
        }
        if (x->req->on_data(x->req->on_data_arg, p, n) != 0) {
            err_set(&x->err, ERR_CANCELLED, NULL, "the receiver of the answer ended it");
            return 0;
        }
        return n;
    }
    if (buf_append(&x->body, p, n, &x->err) < 0) {
        err_set(&x->err, ERR_LIMIT, "response_too_large",
                "the answer is larger than %zu bytes", x->body.cap);
        return 0;
    }
    return n;
}

/* "Set-Cookie: NAME=VALUE; …".  The value is kept as it is, quotes included. */
static size_t
on_header(char *p, size_t size, size_t n, void *arg)
{
    static const char set_cookie[] = "Set-Cookie:";
    struct exchange *x = arg;
    const char *name = x->req->want_cookie, *end;
    size_t left, name_len = strlen(name);

    n *= size;
    left = n;
    if (left < sizeof(set_cookie) - 1 ||
        strncasecmp(p, set_cookie, sizeof(set_cookie) - 1) != 0)
        return n;
    p += sizeof(set_cookie) - 1;
    left -= sizeof(set_cookie) - 1;
    for (; left > 0 && (*p == ' ' || *p == '\t'); p++)
        left--;
    if (left <= name_len || strncmp(p, name, name_len) != 0 || p[name_len] != '=')
        return n;
    p += name_len + 1;
    left -= name_len + 1;
    for (end = p; left > 0 && *end != ';' && (unsigned char)*end > ' '; end++)
        left--;
    if (end == p || end - p > COOKIE_MAX)
        return n;
    free(x->cookie);
    x->cookie = xasprintf("%.*s", (int)(end - p), p);
    return n;
}

static int
set_options(struct exchange *x, struct curl_slist *headers, struct err *err)
{
    const struct http_request *q = x->req;
    CURL *e = x->easy;
    char agent[64];
    bool ok = true;

    snprintf(agent, sizeof(agent), "sendense/%.32s", version_string);
#define SET(option, value) ok = ok && curl_easy_setopt(e, option, value) == CURLE_OK
    SET(CURLOPT_URL, q->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_USERAGENT, agent);
    SET(CURLOPT_FRESH_CONNECT, q->fresh_connection ? 1L : 0L);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTPHEADER, headers);
    SET(CURLOPT_ERRORBUFFER, x->curl_msg);
    SET(CURLOPT_WRITEFUNCTION, on_write);
    SET(CURLOPT_WRITEDATA, x);
    if (q->want_cookie) {
        SET(CURLOPT_HEADERFUNCTION, on_header);
        SET(CURLOPT_HEADERDATA, x);
    }
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(q->connect_timeout_ms ? q->connect_timeout_ms : CONNECT_TIMEOUT_MS));
    SET(CURLOPT_TIMEOUT_MS, (long)(q->timeout_ms ? q->timeout_ms : TIMEOUT_MS));
    if (strcmp(q->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else if (q->body || strcmp(q->method, "GET") != 0) {
        if (q->body || strcmp(q->method, "DELETE") != 0) {
            /* POSTFIELDS is not copied; the size first, or it would be taken by strlen().
             */
            SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(q->body ? q->body_len : 0));
            SET(CURLOPT_POSTFIELDS, q->body ? q->body : (const void *)"");
        }
        SET(CURLOPT_CUSTOMREQUEST, q->method);
    }
#undef SET
    if (!ok)
        return err_set(err, ERR_INTERNAL, NULL, "libcurl refused an option");
    return q->trust ? tls_trust_apply_seen(e, q->trust, x->seen, err) : 0;
}

/* --- exchange --- */

static bool
is_readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static int
map_result(const struct exchange *x, CURLcode code, struct err *err)
{
    const char *msg = x->curl_msg[0] ? x->curl_msg : curl_easy_strerror(code);
    curl_off_t sent_at = 0;

    if (code != CURLE_OK && x->req->trust &&
        tls_trust_explain(code, x->curl_msg, x->req->trust, x->seen, err) < 0)
        return err->class;
    switch (code) {
    case CURLE_OK:
        return 0;
    case CURLE_URL_MALFORMAT:
    case CURLE_LOGIN_DENIED: /* a user name in the URL */
        return err_set(err, ERR_INVALID, "invalid_url", "%s", msg);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
        return err_set(err, ERR_UNAVAILABLE, NULL, "%s", msg);
    case CURLE_OPERATION_TIMEDOUT:
        curl_easy_getinfo(x->easy, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
        return err_set(err, sent_at ? ERR_TIMEOUT : ERR_UNAVAILABLE, NULL, "%s", msg);
    case CURLE_PEER_FAILED_VERIFICATION:
        return err_set(err, ERR_AUTH, "certificate_refused", "%s", msg);
    case CURLE_UNSUPPORTED_PROTOCOL: /* the scheme was checked: this is no HTTP answer */
    case CURLE_WEIRD_SERVER_REPLY:
        return err_set(err, ERR_PROTOCOL, NULL, "%s", msg);
    default:
        return err_set(err, ERR_IO, NULL, "%s", msg);
    }
}

/* The transfer is in the multi handle: drives it to its end. */
static int
run(struct http_client *c, struct exchange *x, struct err *err)
{
    int cancel_fd = x->req->cancel_fd;
    struct curl_waitfd extra = {.fd = cancel_fd, .events = CURL_WAIT_POLLIN};
    unsigned n_extra = cancel_fd > 0 ? 1 : 0;
    int running = 1;

    while (running) {
        CURLMcode m = curl_multi_perform(c->multi, &running);
        CURLMsg *msg;
        int left;

        if (m != CURLM_OK)
            return err_set(err, ERR_INTERNAL, NULL, "libcurl: %s",
                           curl_multi_strerror(m));
        while ((msg = curl_multi_info_read(c->multi, &left)))
            if (msg->msg == CURLMSG_DONE && x->err.class != 0)
                return (*err = x->err).class;
            else if (msg->msg == CURLMSG_DONE)
                return map_result(x, msg->data.result, err);
        if (n_extra && is_readable(cancel_fd))
            return err_set(err, ERR_CANCELLED, NULL, "cancelled");
        m = curl_multi_poll(c->multi, &extra, n_extra, POLL_MS, NULL);
        if (m != CURLM_OK)
            return err_set(err, ERR_INTERNAL, NULL, "libcurl: %s",
                           curl_multi_strerror(m));
    }
    return err_set(err, ERR_INTERNAL, NULL, "libcurl lost a transfer");
}

static void
take_response(struct exchange *x, struct http_response *ret)
{
    struct http_response r = {0};
    const char *type = NULL;

    curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &r.status);
    curl_easy_getinfo(x->easy, CURLINFO_CONTENT_TYPE, &type);
    snprintf(r.content_type, sizeof(r.content_type), "%s", type ? type : "");
    if (!x->req->on_data || !is_success(x->easy)) {
        r.body_len = x->body.len;
        r.body = buf_take(&x->body);
    }
    r.cookie = take_ptr(&x->cookie);
    *ret = r;
}

int
http_do(struct http_client *c, const struct http_request *req, struct http_response *ret,
        struct err *err)
{
    size_t max = req->max_response ? req->max_response : MAX_RESPONSE;
    struct exchange x = {
        .req = req, .easy = c->easy, .seen = &c->seen, .stream_max = req->max_response};
    struct curl_slist *headers = NULL;
    int r = check_request(req, err);

    if (r < 0)
        return r;
    x.body.cap = req->on_data ? MAX_PROBLEM : max;
    curl_easy_reset(c->easy); /* options only; the connection stays in the multi handle */
    r = make_headers(req, &headers, err);
    if (r == 0)
        r = set_options(&x, headers, err);
    if (r == 0 && curl_multi_add_handle(c->multi, c->easy) != CURLM_OK)
        r = err_set(err, ERR_INTERNAL, NULL, "libcurl refused a transfer");
    if (r == 0) {
        r = run(c, &x, err);
        curl_multi_remove_handle(c->multi, c->easy);
    }
    if (r == 0)
        take_response(&x, ret);
    else
        err_prefix(err, "%s %.*s", req->method ? req->method : "",
                   req->url ? url_len_to_tell(req->url) : 0, req->url ? req->url : "");
    buf_done(&x.body);
    free(x.cookie);
    curl_easy_reset(c->easy); /* drops the pointers into this frame */
    free_headers(headers);
    return r;
}
