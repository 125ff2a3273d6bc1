/* vim/session.c - see session.h. */
#include "vim/session.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/log.h"
#include "base/mem.h"
#include "os/http_client.h"
#include "vim/decode.h"

#define CONNECT_TIMEOUT_MS 10000
#define CALL_TIMEOUT_MS 120000
#define LOGOUT_TIMEOUT_MS 10000
#define VERSIONS_MAX (1u << 20)
#define COOKIE_NAME "vmware_soap_session"

struct vim_session {
    pthread_mutex_t lock; /* all but what vim_open() alone sets, and cancel_fd */
    struct http_client *http;
    char *url, *sdk_url, *user;
    struct secret *password;
    const struct tls_trust *trust;
    unsigned connect_timeout_ms, timeout_ms;
    _Atomic int cancel_fd;
    void (*on_cookie)(void *arg, const char *cookie);
    void *on_cookie_arg;
    char action[80]; /* the SOAPAction header, quotes included */
    struct vim_content content;
    struct vim_about about;
    char *cookie; /* the Cookie header's value; NULL = none yet */
    bool login_tried;
    uint64_t logins; /* tells whose session a failed call was made in */
};

static void
drop_cookie(struct vim_session *s)
{
    if (s->cookie)
        explicit_bzero(s->cookie, strlen(s->cookie));
    free(s->cookie);
    s->cookie = NULL;
}

static void
session_free(struct vim_session *s)
{
    drop_cookie(s);
    http_client_free(s->http);
    vim_about_done(&s->about);
    secret_free(s->password);
    free(s->url);
    free(s->sdk_url);
    free(s->user);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- one exchange; the lock is held, or nobody else has the session yet ---- */

/* What a failure of the connection is called here. */
static int
name_failure(struct err *err)
{
    switch (err->class) {
    case ERR_UNAVAILABLE:
        return err_recode(err, "vcenter_unreachable");
    case ERR_IO:
        err->class = ERR_UNAVAILABLE;
        return err_recode(err, "vcenter_unreachable");
    case ERR_TIMEOUT:
        return err_recode(err, "vcenter_timeout");
    case ERR_LIMIT:
    case ERR_PROTOCOL:
        err->class = ERR_PROTOCOL;
        return err_recode(err, "vcenter_protocol");
    default:
        return err->class;
    }
}

/* Fails as http_do() does. */
static int
exchange(struct vim_session *s, struct http_request *q, struct http_response *ret,
         struct err *err)
{
    CLEANUP_FREE char *cookie =
        s->cookie ? xasprintf("Cookie: %s", s->cookie) : xstrdup("");
    const char *headers[3] = {NULL};
    size_t n = 0;
    int r;

    if (q->body)
        headers[n++] = s->action;
    if (cookie[0])
        headers[n++] = cookie;
    q->headers = headers;
    q->trust = s->trust;
    q->want_cookie = COOKIE_NAME;
    if (q->connect_timeout_ms == 0)
        q->connect_timeout_ms = s->connect_timeout_ms;
    if (q->timeout_ms == 0) {
        q->timeout_ms = s->timeout_ms;
        q->cancel_fd = atomic_load(&s->cancel_fd);
    }
    r = http_do(s->http, q, ret, err);
    explicit_bzero(cookie, strlen(cookie));
    if (r == 0 && ret->cookie) {
        drop_cookie(s);
        s->cookie = xasprintf("%s=%s", COOKIE_NAME, ret->cookie);
    }
    return r;
}

static int
check_status(const struct http_response *r, const char *what, struct err *err)
{
    if (r->status == 503)
        return err_set(err, ERR_UNAVAILABLE, "vcenter_unreachable",
                       "%s: the server is starting or has no session left (status 503)",
                       what);
    if (r->status != 200 && r->status != 500)
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "%s: the server answers with status %ld: is this a vCenter or "
                       "ESXi host?",
                       what, r->status);
    return 0;
}

/* A task that is started twice is done twice. */
static bool
starts_task(const char *method)
{
    static const char suffix[] = "_Task";
    size_t n = strlen(method);

    return n >= sizeof(suffix) && strcmp(method + n - (sizeof(suffix) - 1), suffix) == 0;
}

/* @timeout_ms 0 = of the session; otherwise also not to be cancelled. */
static int
call(struct vim_session *s, struct soap_request *r, unsigned timeout_ms,
     struct xml_doc **ret, const struct xml_node **ret_response, struct err *err)
{
    struct http_request q = {.method = "POST",
                             .url = s->sdk_url,
                             .body = r->body.data,
                             .body_len = r->body.len,
                             .content_type = "text/xml; charset=utf-8",
                             .accept = "text/xml",
                             .max_response = SOAP_ANSWER_MAX,
                             .fresh_connection = starts_task(r->method),
                             .connect_timeout_ms = timeout_ms < s->connect_timeout_ms
                                                       ? timeout_ms
                                                       : s->connect_timeout_ms,
                             .timeout_ms = timeout_ms};
    struct http_response a = {0};
    int e;

    if (exchange(s, &q, &a, err) < 0) {
        (void)name_failure(err);
        return err_prefix(err, "%s", r->method);
    }
    e = check_status(&a, r->method, err);
    if (e == 0 && soap_answer(a.body ? a.body : "", a.body_len, r->method, ret,
                              ret_response, err) < 0)
        e = err_prefix(err, "%s", r->method);
    http_response_done(&a);
    return e;
}

/* ---- login ---- */

static int
fetch_version(struct vim_session *s, struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s/sdk/vimServiceVersions.xml", s->url);
    struct http_request q = {
        .method = "GET", .url = url, .accept = "text/xml", .max_response = VERSIONS_MAX};
    struct http_response a = {0};
    char version[VIM_API_VERSION_SIZE];
    int r = 0;

    if (exchange(s, &q, &a, err) < 0)
        return name_failure(err);
    if (a.status == 503)
        r = check_status(&a, "vimServiceVersions.xml", err);
    if (a.status == 200 && a.body)
        vim_version_choose(a.body, a.body_len, version);
    else
        vim_version_choose("", 0, version);
    http_response_done(&a);
    snprintf(s->action, sizeof(s->action), "SOAPAction: \"urn:vim25/%s\"", version);
    return r;
}

static int
fetch_content(struct vim_session *s, struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    soap_begin(&r, "RetrieveServiceContent",
               &(struct moref){"ServiceInstance", "ServiceInstance"});
    if (soap_end(&r, err) < 0 || call(s, &r, 0, &doc, &response, err) < 0)
        return err->class;
    return vim_content_decode(response, &s->content, &s->about, err);
}

/* What Login left behind when it failed is no session. */
static int
login_failed(struct vim_session *s, struct err *err)
{
    if (err->class == ERR_AUTH)
        drop_cookie(s);
    return err->class;
}

static int
login(struct vim_session *s, struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    soap_begin(&r, "Login", &s->content.session_manager);
    soap_text(&r, "userName", s->user);
    soap_text(&r, "password", secret_reveal(s->password));
    if (soap_end(&r, err) < 0)
        return err_prefix(err, "user name or password");
    s->login_tried = true;
    /* Not to be cancelled: it may be done already, and the cookie is in its answer. */
    if (call(s, &r, s->timeout_ms, &doc, &response, err) < 0)
        return login_failed(s, err);
    if (!s->cookie)
        return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                       "Login: the server gave no session cookie");
    s->logins++;
    if (s->on_cookie)
        s->on_cookie(s->on_cookie_arg, s->cookie);
    return 0;
}

/* A session that has ended already is fine. */
static int
end_session(struct vim_session *s, struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    soap_begin(&r, "Logout", &s->content.session_manager);
    if (soap_end(&r, err) == 0 &&
        call(s, &r, LOGOUT_TIMEOUT_MS, &doc, &response, err) == 0)
        return 0;
    if (strcmp(err->code, "vcenter_session") != 0)
        return err->class;
    err_clear(err);
    return 0;
}

/* Takes the cookie.  Also after a login whose answer got lost: it may have made a session
 * of a cookie that came earlier.  False when a session may be left. */
static bool
logout(struct vim_session *s)
{
    struct err err = ERR_INIT;

    if (s->cookie && s->login_tried && end_session(s, &err) < 0)
        log_warn("the session at %s is left: %s", s->url, err.msg);
    drop_cookie(s);
    return err.class == 0;
}

static int
check_target(const struct vim_target *t, struct err *err)
{
    size_t host;

    if (!t->url || strncasecmp(t->url, "https://", 8) != 0)
        return err_set(err, ERR_INVALID, "invalid_url",
                       "the address of a vCenter starts with https://");
    host = strcspn(t->url + 8, "/?#@");
    if (host == 0 || t->url[8 + host])
        return err_set(err, ERR_INVALID, "invalid_url",
                       "the address of a vCenter is https://host[:port] without a path");
    if (!t->user || !t->password || !t->trust)
        return err_set(err, ERR_INVALID, NULL,
                       "a login needs a user, a password and a trust");
    return 0;
}

/* Knows the server, and is not logged in. */
static int
connect_to(const struct vim_target *t, struct vim_session **ret, struct err *err)
{
    CLEANUP_VIM_SESSION struct vim_session *s = NULL;

    if (check_target(t, err) < 0)
        return err->class;
    s = xcalloc(1, sizeof(*s));
    pthread_mutex_init(&s->lock, NULL);
    s->url = xstrdup(t->url);
    s->sdk_url = xasprintf("%s/sdk", t->url);
    s->user = xstrdup(t->user);
    s->password = secret_new(secret_reveal(t->password), secret_len(t->password));
    s->trust = t->trust;
    s->connect_timeout_ms =
        t->connect_timeout_ms ? t->connect_timeout_ms : CONNECT_TIMEOUT_MS;
    s->timeout_ms = t->timeout_ms ? t->timeout_ms : CALL_TIMEOUT_MS;
    atomic_store(&s->cancel_fd, t->cancel_fd);
    if (http_client_new(&s->http, err) < 0 || fetch_version(s, err) < 0 ||
        fetch_content(s, err) < 0)
        return err->class;
    *ret = take_ptr(&s);
    return 0;
}

/* A call will tell whether it lives. */
static void
adopt(struct vim_session *s, const struct secret *cookie)
{
    drop_cookie(s); /* one that the server gave before any login */
    s->cookie = xstrdup(secret_reveal(cookie));
    s->login_tried = true;
    s->logins++;
}

int
vim_open(const struct vim_target *t, struct vim_session **ret, struct err *err)
{
    CLEANUP_VIM_SESSION struct vim_session *s = NULL;

    if (connect_to(t, &s, err) < 0)
        return err->class;
    s->on_cookie = t->on_cookie;
    s->on_cookie_arg = t->on_cookie_arg;
    if (t->cookie)
        adopt(s, t->cookie);
    else if (login(s, err) < 0)
        return err->class;
    *ret = take_ptr(&s);
    return 0;
}

void
vim_close(struct vim_session *s)
{
    if (!s)
        return;
    if (logout(s) && s->on_cookie)
        s->on_cookie(s->on_cookie_arg, "");
    session_free(s);
}

void
cleanup_vim_session(struct vim_session **s)
{
    vim_close(*s);
}

/* ---- calls ---- */

int
vim_call_once(struct vim_session *s, struct soap_request *r, struct xml_doc **ret,
              const struct xml_node **ret_response, struct err *err)
{
    LOCK_SCOPE(&s->lock);

    return call(s, r, 0, ret, ret_response, err);
}

static uint64_t
logins(struct vim_session *s)
{
    LOCK_SCOPE(&s->lock);

    return s->logins;
}

/* Unless another thread did so since @seen. */
static int
login_again(struct vim_session *s, uint64_t seen, struct err *err)
{
    LOCK_SCOPE(&s->lock);

    if (s->logins != seen)
        return 0;
    /* It may live and only not be taken by a datastore; and a login with the cookie of a
     * session is refused. */
    logout(s);
    if (login(s, err) < 0)
        return err_prefix(err, "log in again");
    log_info("the session at %s had ended: logged in again", s->url);
    return 0;
}

int
vim_with_session(struct vim_session *s,
                 int (*fn)(struct vim_session *s, void *arg, struct err *err), void *arg,
                 struct err *err)
{
    uint64_t seen = logins(s);
    int r = fn(s, arg, err);

    if (r != ERR_AUTH || strcmp(err->code, "vcenter_session") != 0)
        return r;
    err_clear(err);
    if (login_again(s, seen, err) < 0)
        return err->class;
    return fn(s, arg, err);
}

struct call_args {
    struct soap_request *r;
    struct xml_doc **ret;
    const struct xml_node **ret_response;
};

static int
call_step(struct vim_session *s, void *arg, struct err *err)
{
    struct call_args *a = arg;

    return vim_call_once(s, a->r, a->ret, a->ret_response, err);
}

int
vim_call(struct vim_session *s, struct soap_request *r, struct xml_doc **ret,
         const struct xml_node **ret_response, struct err *err)
{
    struct call_args a = {r, ret, ret_response};

    return vim_with_session(s, call_step, &a, err);
}

int
vim_keepalive(struct vim_session *s, struct err *err)
{
    CLEANUP_SOAP struct soap_request r = {0};
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    soap_begin(&r, "CurrentTime", &(struct moref){"ServiceInstance", "ServiceInstance"});
    if (soap_end(&r, err) < 0)
        return err->class;
    return vim_call(s, &r, &doc, &response, err);
}

struct get_args {
    const char *url;
    size_t max;
    struct buf *out;
};

static int
get_step(struct vim_session *s, void *arg, struct err *err)
{
    struct get_args *g = arg;
    struct http_request q = {
        .method = "GET", .url = g->url, .accept = "*/*", .max_response = g->max};
    struct http_response a = {0};
    int r;
    LOCK_SCOPE(&s->lock);

    r = exchange(s, &q, &a, err);
    if (r == ERR_LIMIT)
        return err_recode(err, "datastore_read");
    if (r < 0)
        return name_failure(err);
    if (a.status == 401)
        r = err_set(err, ERR_AUTH, "vcenter_session",
                    "the datastore does not take the session");
    else if (a.status == 404)
        r = err_set(err, ERR_NOT_FOUND, "datastore_file",
                    "the file is not on the datastore");
    else if (a.status == 503)
        r = check_status(&a, "GET", err);
    else if (a.status != 200)
        r = err_set(err, ERR_IO, "datastore_read",
                    "the datastore answers with status %ld%s", a.status,
                    a.status == 403 ? ": the account's role needs Datastore.Browse and "
                                      "Datastore.FileManagement"
                                    : "");
    else
        r = buf_append(g->out, a.body ? a.body : "", a.body_len, err);
    http_response_done(&a);
    return r;
}

int
vim_get(struct vim_session *s, const char *url, size_t max, struct buf *out,
        struct err *err)
{
    struct get_args g = {url, max, out};

    return vim_with_session(s, get_step, &g, err);
}

/* ---- what a session knows ---- */

int
vim_pause(struct vim_session *s, unsigned ms, struct err *err)
{
    int fd = atomic_load(&s->cancel_fd);
    struct pollfd p = {.fd = fd, .events = POLLIN};

    if (poll(&p, fd > 0 ? 1 : 0, (int)ms) > 0)
        return err_set(err, ERR_CANCELLED, NULL, "cancelled");
    return 0;
}

void
vim_ignore_cancel(struct vim_session *s)
{
    atomic_store(&s->cancel_fd, -1);
}

const struct vim_about *
vim_about(const struct vim_session *s)
{
    return &s->about;
}

const char *
vim_url(const struct vim_session *s)
{
    return s->url;
}

const struct vim_content *
vim_content(const struct vim_session *s)
{
    return &s->content;
}
