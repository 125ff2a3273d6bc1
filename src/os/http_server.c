/* os/http_server.c - start and stop of the HTTP server. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "os/http_priv.h"

/* Bounds the request line and the headers: more is answered with 431. */
#define CONNECTION_MEMORY (32 * 1024)
/* Measured: a handler with SQLite, libcurl, a child and JSON touches 24 KiB. */
#define STACK_SIZE (256 * 1024)
#define LISTEN_BACKLOG 128
#define FIRST_HEADERS_MS 10000 /* a new connection must have sent its headers by then */
#define DRAIN_MS 5000          /* after a stop: requests that run may still be answered */

/* "HOST:PORT", "[HOST]:PORT"; numeric only, so that no resolver can move the listener. */
static int
parse_address(const char *text, struct addrinfo **ret, struct err *err)
{
    CLEANUP_FREE char *host = xstrdup(text);
    char *colon = strrchr(host, ':');
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    uint64_t port;
    char *name = host;

    if (!colon || text_to_u64(colon + 1, &port) < 0 || port > 65535)
        return err_set(err, ERR_INVALID, "invalid_listen", "'%s' is not HOST:PORT", text);
    *colon = '\0';
    if (host[0] == '[' && colon > host + 1 && colon[-1] == ']') {
        colon[-1] = '\0';
        name = host + 1;
    }
    if (name[0] == '\0' || getaddrinfo(name, colon + 1, &hints, ret) != 0)
        return err_set(err, ERR_INVALID, "invalid_listen",
                       "'%s' does not begin with a numeric address", text);
    return 0;
}

/* Our own socket and not libmicrohttpd's: only so can port 0 be asked for and then told.
 */
static int
open_listener(const char *text, struct http_server *s, struct err *err)
{
    CLEANUP_FD int fd = -1;
    struct addrinfo *ai = NULL;
    struct sockaddr_storage real;
    socklen_t len = sizeof(real);
    char host[INET6_ADDRSTRLEN], port[8];
    int one = 1;
    int r = parse_address(text, &ai, err);

    if (r < 0)
        return r;
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    /* REUSEADDR: a restart must not wait for old connections in TIME_WAIT.  It does not
     * let two servers listen on one port (that would be REUSEPORT). */
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
        bind(fd, ai->ai_addr, ai->ai_addrlen) < 0 || listen(fd, LISTEN_BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&real, &len) < 0)
        r = err_errno(err, errno, errno == EADDRINUSE ? "address_in_use" : NULL,
                      "listen on '%s'", text);
    freeaddrinfo(ai);
    if (r < 0)
        return r;
    if (getnameinfo((struct sockaddr *)&real, len, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return err_set(err, ERR_INTERNAL, NULL, "name the listening address");
    snprintf(s->address, sizeof(s->address), strchr(host, ':') ? "[%s]:%s" : "%s:%s",
             host, port);
    return take_fd(&fd);
}

static void __attribute__((format(printf, 2, 0)))
mhd_log(void *arg, const char *fmt, va_list ap)
{
    char line[256];

    (void)arg;
    vsnprintf(line, sizeof(line), fmt, ap);
    line[strcspn(line, "\n")] = '\0';
    log_debug("http: %s", line);
}

/* The library would decode the URL in place, where %00 cuts it and %2F splits it: keep it
 * raw. */
static size_t
keep_raw(void *arg, struct MHD_Connection *mhd, char *s)
{
    (void)arg;
    (void)mhd;
    return strlen(s);
}

static void
connection_changed(void *arg, struct MHD_Connection *mhd, void **conn,
                   enum MHD_ConnectionNotificationCode what)
{
    struct http_server *s = arg;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);

        *conn = http_conn_add(&s->conns, info->connect_fd);
    } else {
        http_conn_remove(&s->conns, *conn);
        *conn = NULL;
    }
}

static struct MHD_Daemon *
start_daemon(struct http_server *s, int fd)
{
    const struct http_server_options *o = &s->opt;

    return MHD_start_daemon(
        MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL |
            MHD_USE_ITC | MHD_USE_ERROR_LOG | (s->address[0] == '[' ? MHD_USE_IPv6 : 0),
        0, NULL, NULL, http_call_access, s, MHD_OPTION_EXTERNAL_LOGGER, mhd_log, NULL,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, o->max_connections,
        MHD_OPTION_PER_IP_CONNECTION_LIMIT, o->max_per_address,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
        MHD_OPTION_CONNECTION_TIMEOUT, o->idle_timeout_s, MHD_OPTION_THREAD_STACK_SIZE,
        (size_t)STACK_SIZE, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_raw, NULL, MHD_OPTION_NOTIFY_CONNECTION, connection_changed, s,
        MHD_OPTION_NOTIFY_COMPLETED, http_call_completed, s, MHD_OPTION_END);
}

int
http_server_start(const struct http_server_options *opt, struct http_server **ret,
                  struct err *err)
{
    struct http_server *s;
    unsigned first_ms;
    int fd;
    int r = http_routes_check(opt->routes, opt->authorize != NULL, err);

    if (r < 0)
        return r;
    s = xcalloc(1, sizeof(*s));
    s->opt = *opt;
    if (s->opt.max_connections == 0)
        s->opt.max_connections = 256;
    if (s->opt.max_per_address == 0)
        s->opt.max_per_address = 128;
    if (s->opt.idle_timeout_s == 0)
        s->opt.idle_timeout_s = 60;
    first_ms = s->opt.idle_timeout_s * 1000;
    if (first_ms > FIRST_HEADERS_MS)
        first_ms = FIRST_HEADERS_MS;
    r = http_conns_init(&s->conns, first_ms, err);
    if (r == 0) {
        fd = r = open_listener(opt->listen, s, err);
        if (r >= 0) {
            s->daemon =
                start_daemon(s, fd); /* owns the socket from here, even in failure */
            r = s->daemon ? 0
                          : err_set(err, ERR_UNAVAILABLE, "http_start_failed",
                                    "the HTTP server on '%s' did not start", opt->listen);
        }
    }
    if (r < 0) {
        http_conns_done(&s->conns);
        free(s);
        return r;
    }
    *ret = s;
    return 0;
}

const char *
http_server_address(const struct http_server *s)
{
    return s->address;
}

bool
http_server_stopping(const struct http_server *s)
{
    return atomic_load(&s->stopping);
}

void
http_server_stop(struct http_server *s)
{
    MHD_socket listener;

    if (!s)
        return;
    atomic_store(&s->stop_ns, time_mono_ns());
    atomic_store(&s->stopping, true);
    listener = MHD_quiesce_daemon(s->daemon);
    if (listener != MHD_INVALID_SOCKET)
        close(listener);
    /* MHD_stop_daemon() cuts every connection: let the answers under way reach their
     * clients. */
    http_conns_drain(&s->conns, time_mono_ns() + DRAIN_MS * NS_PER_MS);
    MHD_stop_daemon(s->daemon);
    http_conns_done(&s->conns);
    free(s);
}
