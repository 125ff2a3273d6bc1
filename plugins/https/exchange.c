/* https/exchange.c - see exchange.h. */
#include <inttypes.h>
#include <poll.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "exchange.h"

#define CONNECT_TIMEOUT_MS 10000L
#define TIMEOUT_MS 120000L
/* Less than this for so long is a server that hangs. */
#define SLOW_BYTES_PER_S 1L
#define SLOW_S 20L
/* The page that comes with an error is read, so that the connection can be used again. */
#define ERROR_BODY_MAX 65536u

struct exchange {
    const struct fetch_options *opt;
    CURL *easy;
    uint64_t offset, length;
    char *buf;
    uint64_t got;
    long status;
    bool has_range;
    uint64_t first, last, total; /* of Content-Range */
    bool encoded;
    bool stopped;
    struct err err; /* why a callback ended the transfer */
};

bool
fetch_pause(const struct fetch_options *opt, int ms)
{
    struct pollfd p = {.fd = opt->renew_fd};

    return poll(&p, 1, ms) > 0 && (p.revents & (POLLERR | POLLHUP | POLLNVAL));
}

/* --- the answer --- */

static const char *
header_value(const char *line, size_t n, const char *name, size_t *ret_n)
{
    size_t len = strlen(name);
    const char *p = line + len, *end = line + n;

    if (n <= len || strncasecmp(line, name, len) != 0)
        return NULL;
    while (p < end && (*p == ' ' || *p == '\t'))
        p++;
    while (end > p && strchr(" \t\r\n", end[-1]))
        end--;
    *ret_n = (size_t)(end - p);
    return p;
}

/* "bytes FIRST-LAST/TOTAL", nothing else. */
static bool
parse_range(const char *p, size_t n, struct exchange *x)
{
    char text[96], *first, *last, *total;

    if (n >= sizeof(text) || n < 6 || strncasecmp(p, "bytes ", 6) != 0)
        return false;
    memcpy(text, p, n);
    text[n] = '\0';
    first = text + 6;
    last = strchr(first, '-');
    total = strchr(first, '/');
    if (!last || !total || total < last)
        return false;
    *last++ = '\0';
    *total++ = '\0';
    return text_to_u64(first, &x->first) == 0 && text_to_u64(last, &x->last) == 0 &&
           text_to_u64(total, &x->total) == 0 && x->first <= x->last &&
           x->last < x->total;
}

/* All headers are there: is this the range?  What is not is never downloaded. */
static int
check_headers(struct exchange *x)
{
    if (x->status < 200 || x->status >= 300)
        return 0; /* of an error; or 100, and the real ones follow */
    if (x->status != 206)
        return err_set(&x->err, ERR_PROTOCOL, NULL,
                       "the server answers %ld and not with the range", x->status);
    if (!x->has_range || x->first != x->offset || x->last != x->offset + x->length - 1)
        return err_set(&x->err, ERR_PROTOCOL, NULL,
                       "the server answers with another range");
    if (x->encoded)
        return err_set(&x->err, ERR_PROTOCOL, NULL, "the server encodes the content");
    return 0;
}

static size_t
on_header(char *line, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;
    const char *v;
    size_t len;

    n *= size;
    if (n >= 5 && strncasecmp(line, "HTTP/", 5) == 0) {
        x->status = 0;
        x->has_range = x->encoded = false;
        curl_easy_getinfo(x->easy, CURLINFO_RESPONSE_CODE, &x->status);
    } else if ((v = header_value(line, n, "Content-Range:", &len))) {
        if (x->has_range || !parse_range(v, len, x)) {
            err_set(&x->err, ERR_PROTOCOL, NULL,
                    "the server's Content-Range is malformed");
            return 0;
        }
        x->has_range = true;
    } else if ((v = header_value(line, n, "Content-Encoding:", &len))) {
        x->encoded = len != 8 || strncasecmp(v, "identity", 8) != 0;
    } else if (n <= 2 && check_headers(x) < 0) {
        return 0;
    }
    return n;
}

static size_t
on_body(char *p, size_t size, size_t n, void *arg)
{
    struct exchange *x = arg;

    n *= size;
    if (x->status != 206) {
        x->got += n;
        return x->got > ERROR_BODY_MAX ? 0 : n;
    }
    if (n > x->length - x->got) {
        err_set(&x->err, ERR_PROTOCOL, NULL, "the server sends more than the range");
        return 0;
    }
    memcpy(x->buf + x->got, p, n);
    x->got += n;
    return n;
}

/* Called at least once a second. */
static int
on_progress(void *arg, curl_off_t a, curl_off_t b, curl_off_t c, curl_off_t d)
{
    struct exchange *x = arg;

    x->stopped = fetch_pause(x->opt, 0);
    return x->stopped;
}

/* --- the meaning --- */

static enum fetch_outcome
fail(enum fetch_outcome outcome, int class, struct err *err, const char *why)
{
    err_set(err, class, NULL, "%s", why);
    return outcome;
}

static enum fetch_outcome
outcome_of_status(const struct exchange *x, struct err *err)
{
    char why[64];

    snprintf(why, sizeof(why), "the server answers %ld", x->status);
    switch (x->status) {
    case 206:
        if (x->got == x->length)
            return FETCH_DONE;
        return fail(FETCH_FAILED, ERR_PROTOCOL, err,
                    "the server sends less than the range");
    case 401:
    case 403:
        return fail(FETCH_RENEW, ERR_AUTH, err, why);
    case 404:
    case 410:
        return fail(FETCH_FAILED, ERR_NOT_FOUND, err, why);
    case 408:
    case 429:
    case 500:
    case 502:
    case 503:
    case 504:
        return fail(FETCH_AGAIN, ERR_UNAVAILABLE, err, why);
    default:
        return fail(FETCH_FAILED, ERR_PROTOCOL, err, why);
    }
}

static enum fetch_outcome
outcome_of_curl(CURLcode code, const char *why, struct err *err)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return fail(FETCH_AGAIN, ERR_TIMEOUT, err, why);
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return fail(FETCH_AGAIN, ERR_UNAVAILABLE, err, why);
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_PARTIAL_FILE:
        return fail(FETCH_AGAIN, ERR_IO, err, why);
    default:
        return fail(FETCH_FAILED, ERR_IO, err, why);
    }
}

static enum fetch_outcome
outcome_of(struct fetch_handle *h, const struct exchange *x, CURLcode code,
           struct err *err)
{
    const char *why = h->curl_msg[0] ? h->curl_msg : curl_easy_strerror(code);

    if (x->stopped)
        return fail(FETCH_FAILED, ERR_CANCELLED, err, "nobody waits for it any more");
    if (x->err.class != 0) {
        *err = x->err;
        return FETCH_FAILED;
    }
    if (tls_trust_explain(code, h->curl_msg, x->opt->trust, &h->seen, err) < 0)
        return FETCH_FAILED;
    if (code == CURLE_OK || (code == CURLE_WRITE_ERROR && x->status >= 300))
        return outcome_of_status(x, err);
    return outcome_of_curl(code, why, err);
}

/* The first answer tells how long the file is; it is frozen, so no other may differ. */
static enum fetch_outcome
check_size(const struct exchange *x, struct fetch_file *file, struct err *err)
{
    uint64_t known = 0;

    if (atomic_compare_exchange_strong(&file->size, &known, x->total) ||
        known == x->total)
        return FETCH_DONE;
    err_set(err, ERR_PROTOCOL, NULL,
            "the file had %" PRIu64 " bytes and has %" PRIu64 " now", known, x->total);
    return FETCH_FAILED;
}

/* --- the request --- */

int
fetch_handle_init(struct fetch_handle *h, const struct fetch_options *opt,
                  struct err *err)
{
    bool ok = true;
    CURL *e;
    int r;

    e = h->easy = curl_easy_init();
    if (!e)
        return err_set(err, ERR_INTERNAL, NULL, "start libcurl: out of memory");
    r = tls_trust_apply_seen(e, opt->trust, &h->seen, err);
    if (r < 0)
        return r;
#define SET(option, value) ok = ok && curl_easy_setopt(e, option, value) == CURLE_OK
    SET(CURLOPT_PROTOCOLS_STR, "https");
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_TCP_KEEPALIVE, 1L);
    SET(CURLOPT_USERAGENT, "sendense/" SENDENSE_PLUGIN_VERSION);
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_HTTP09_ALLOWED, 0L);
    SET(CURLOPT_BUFFERSIZE, 256L * 1024);
    SET(CURLOPT_MAXCONNECTS, 2L);
    SET(CURLOPT_CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS);
    SET(CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    SET(CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES_PER_S);
    SET(CURLOPT_LOW_SPEED_TIME, SLOW_S);
    SET(CURLOPT_ERRORBUFFER, h->curl_msg);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_XFERINFOFUNCTION, on_progress);
    SET(CURLOPT_NOPROGRESS, 0L);
#undef SET
    return ok ? 0 : err_set(err, ERR_INTERNAL, NULL, "libcurl refused an option");
}

void
fetch_handle_done(struct fetch_handle *h)
{
    curl_easy_cleanup(h->easy);
    h->easy = NULL;
}

enum fetch_outcome
fetch_exchange(struct fetch_handle *h, const struct fetch_options *opt,
               const char *cookie, struct fetch_file *file, uint64_t offset,
               size_t length, void *buf, struct err *err)
{
    struct exchange x = {
        .opt = opt, .easy = h->easy, .offset = offset, .length = length, .buf = buf};
    char range[48];
    enum fetch_outcome outcome;
    bool ok;

    snprintf(range, sizeof(range), "%" PRIu64 "-%" PRIu64, offset, offset + length - 1);
    h->curl_msg[0] = '\0';
    h->seen.has_leaf = false;
    ok = curl_easy_setopt(h->easy, CURLOPT_URL, file->url) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_RANGE, range) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_COOKIE, *cookie ? cookie : NULL) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_HEADERDATA, &x) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_WRITEDATA, &x) == CURLE_OK &&
         curl_easy_setopt(h->easy, CURLOPT_XFERINFODATA, &x) == CURLE_OK;
    if (!ok)
        return fail(FETCH_FAILED, ERR_INTERNAL, err, "libcurl refused an option");
    outcome = outcome_of(h, &x, curl_easy_perform(h->easy), err);
    if (outcome == FETCH_DONE)
        outcome = check_size(&x, file, err);
    return outcome;
}
