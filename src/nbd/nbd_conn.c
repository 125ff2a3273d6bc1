/* nbd/nbd_conn.c - see nbd_conn.h.  Opening and closing; the synchronous calls are in
 * nbd_sync.c.
 */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "nbd/nbd_conn_priv.h"
#include "nbd/nbd_resolve.h"

#define MAX_REQUEST_DEFAULT                                                              \
    (32u << 20) /* what the protocol lets a silent server refuse */

int
nbd_conn_io_error(struct err *err, int e, const char *fmt, ...)
{
    char what[ERR_MSG_SIZE / 2], buf[128];
    const char *reason = strerror_r(e, buf, sizeof(buf));
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    if (e == ENOTCONN || e == ECONNRESET || e == EPIPE || e == ESHUTDOWN || e == 0)
        return err_set(err, ERR_UNAVAILABLE, "nbd_disconnected",
                       "%s: the server closed the connection", what);
    if (e == ENOSPC || e == EDQUOT)
        return err_set(err, ERR_NO_SPACE, "no_space", "%s: %s", what, reason);
    return err_set(err, ERR_IO, "nbd_io", "%s: %s", what, reason);
}

int
nbd_conn_notify(struct nbd_handle *h, short revents)
{
    unsigned dir = nbd_aio_get_direction(h);

    /* POLLERR and POLLHUP: the call that libnbd is waiting to make finds out what
     * happened. */
    if ((dir & LIBNBD_AIO_DIRECTION_READ) && (revents & (POLLIN | POLLHUP | POLLERR)))
        return nbd_aio_notify_read(h);
    if ((dir & LIBNBD_AIO_DIRECTION_WRITE) && (revents & (POLLOUT | POLLHUP | POLLERR)))
        return nbd_aio_notify_write(h);
    return 0;
}

short
nbd_conn_poll_events(struct nbd_handle *h)
{
    unsigned dir = nbd_aio_get_direction(h);

    return (short)((dir & LIBNBD_AIO_DIRECTION_READ ? POLLIN : 0) |
                   (dir & LIBNBD_AIO_DIRECTION_WRITE ? POLLOUT : 0));
}

int
nbd_conn_step(struct nbd_handle *h, int cancel_fd, uint64_t deadline_ns, struct err *err)
{
    struct pollfd fds[2] = {{.fd = nbd_aio_get_fd(h), .events = nbd_conn_poll_events(h)},
                            {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};
    int left = time_left_ms(deadline_ns);
    int r;

    if (fds[0].fd < 0)
        return nbd_conn_io_error(err, ENOTCONN, "connection");
    r = poll(fds, 2, left);
    if (r < 0 && errno != EINTR)
        return err_errno(err, errno, NULL, "poll");
    if (r > 0 && fds[1].revents)
        return err_set(err, ERR_CANCELLED, "cancelled", "cancelled");
    if (r > 0 && fds[0].revents) {
        if (nbd_conn_notify(h, fds[0].revents) < 0)
            return nbd_conn_io_error(err, nbd_get_errno(), "connection");
        return 1;
    }
    if (left == 0)
        return err_set(err, ERR_TIMEOUT, "nbd_timeout", "no answer in time");
    return 0;
}

/* libnbd's own words, without the name of the function. */
static const char *
libnbd_words(void)
{
    const char *text = nbd_get_error();
    const char *colon;

    if (!text)
        return "unknown error";
    colon = strstr(text, ": ");
    return colon && strncmp(text, "nbd_", 4) == 0 ? colon + 2 : text;
}

static struct nbd_handle *
make_handle(const struct nbd_conn_opts *o, struct err *err)
{
    struct nbd_handle *h = nbd_create();

    if (h &&
        nbd_set_uri_allow_transports(h, LIBNBD_ALLOW_TRANSPORT_TCP |
                                            LIBNBD_ALLOW_TRANSPORT_UNIX) == 0 &&
        nbd_set_uri_allow_tls(h, LIBNBD_TLS_DISABLE) == 0 &&
        nbd_set_uri_allow_local_file(h, false) == 0 && nbd_set_full_info(h, true) == 0 &&
        nbd_set_pread_initialize(h, false) == 0 && nbd_set_opt_mode(h, true) == 0 &&
        (!o->whole_reads || nbd_set_request_structured_replies(h, false) == 0) &&
        (!o->tls_psk_file || (nbd_set_tls(h, LIBNBD_TLS_REQUIRE) == 0 &&
                              nbd_set_tls_psk_file(h, o->tls_psk_file) == 0 &&
                              nbd_set_tls_username(h, o->tls_user) == 0)) &&
        (!o->want_map || nbd_add_meta_context(h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 0) &&
        (!o->want_depth || nbd_add_meta_context(h, NBD_DEPTH_CONTEXT) == 0))
        return h;
    err_set(err, ERR_LIMIT, NULL, "prepare an NBD handle: %s", libnbd_words());
    nbd_close(h);
    return NULL;
}

static int
connect_step(struct nbd_conn *c, const char *uri, uint64_t deadline_ns, struct err *err)
{
    bool connected = false;

    if (nbd_aio_connect_uri(c->h, uri) < 0) {
        int e = nbd_get_errno();

        if (e == EINVAL || e == EPERM || e == ENOTSUP || e == 0)
            return err_set(err, ERR_INVALID, "nbd_uri", "'%s': %s", c->uri,
                           libnbd_words());
        return err_set(err, ERR_UNAVAILABLE, "nbd_connect", "connect to '%s': %s", c->uri,
                       libnbd_words());
    }
    while (nbd_aio_is_connecting(c->h)) {
        int r = nbd_conn_step(c->h, c->cancel_fd, deadline_ns, err);

        connected = connected || strncmp(nbd_connection_state(c->h), "CONNECT", 7) != 0;
        if (r < 0) {
            bool io = r == ERR_IO || r == ERR_UNAVAILABLE;
            const char *stage = connected ? "handshake with" : "connect to";

            if (nbd_aio_is_dead(c->h) && io)
                return err_set(err, ERR_UNAVAILABLE,
                               connected ? "nbd_handshake" : "nbd_connect", "%s '%s': %s",
                               stage, c->uri, libnbd_words());
            return err_prefix(err, "%s '%s'", stage, c->uri);
        }
    }
    if (nbd_aio_is_negotiating(c->h) || nbd_aio_is_ready(c->h))
        return 0;
    return err_set(err, ERR_UNAVAILABLE, "nbd_handshake", "handshake with '%s': %s",
                   c->uri, libnbd_words());
}

static int
go_done(void *arg, int *error)
{
    *(int *)arg = *error;
    return 1;
}

static int
choose_export(struct nbd_conn *c, uint64_t deadline_ns, struct err *err)
{
    if (nbd_aio_is_ready(c->h)) /* an oldstyle server has one export and asks nothing */
        return 0;
    c->cmd_error = 0;
    if (nbd_aio_opt_go(c->h, (nbd_completion_callback){.callback = go_done,
                                                       .user_data = &c->cmd_error}) < 0)
        return err_set(err, ERR_UNAVAILABLE, "nbd_handshake", "handshake with '%s': %s",
                       c->uri, libnbd_words());
    while (nbd_aio_is_connecting(c->h)) {
        int r = nbd_conn_step(c->h, c->cancel_fd, deadline_ns, err);

        if (r < 0)
            return err_prefix(err, "handshake with '%s'", c->uri);
    }
    if (nbd_aio_is_ready(c->h))
        return 0;
    if (nbd_aio_is_negotiating(c->h) && c->cmd_error == ENOENT) {
        char *name = nbd_get_export_name(c->h);

        err_set(err, ERR_NOT_FOUND, "nbd_export_not_found",
                "handshake with '%s': export '%s' not found", c->uri, name ? name : "");
        free(name);
        return err->class;
    }
    return err_set(err, ERR_UNAVAILABLE, "nbd_handshake",
                   "handshake with '%s': the server refused the export", c->uri);
}

static int
read_info(struct nbd_conn *c, struct err *err)
{
    int64_t size = nbd_get_size(c->h);
    int64_t max = nbd_get_block_size(c->h, LIBNBD_SIZE_MAXIMUM);
    char *text;

    if (size < 0)
        return err_set(err, ERR_PROTOCOL, "nbd_handshake",
                       "'%s': the server told no size", c->uri);
    c->info.size_bytes = (uint64_t)size;
    c->info.max_request = MAX_REQUEST_DEFAULT;
    if (max >= NBD_MIN_MAX_REQUEST && max < MAX_REQUEST_DEFAULT)
        c->info.max_request = (uint32_t)max & ~(NBD_MIN_MAX_REQUEST - 1);
    text = nbd_get_export_description(c->h);
    snprintf(c->info.description, sizeof(c->info.description), "%s", text ? text : "");
    free(text);
    c->info.read_only = nbd_is_read_only(c->h) == 1;
    c->info.can_flush = nbd_can_flush(c->h) == 1;
    c->info.can_zero = nbd_can_zero(c->h) == 1;
    c->info.can_multi_conn = nbd_can_multi_conn(c->h) == 1;
    c->info.has_map = nbd_can_meta_context(c->h, LIBNBD_CONTEXT_BASE_ALLOCATION) == 1;
    c->info.has_depth = nbd_can_meta_context(c->h, NBD_DEPTH_CONTEXT) == 1;
    return 0;
}

int
nbd_conn_open(const struct nbd_conn_opts *o, struct nbd_conn **ret, struct err *err)
{
    CLEANUP_NBD_CONN struct nbd_conn *c = xcalloc(1, sizeof(*c));
    CLEANUP_FREE struct nbd_resolved *res = xcalloc(1, sizeof(*res));
    uint64_t deadline = time_mono_ns() + (o->connect_s ? o->connect_s : 10) * NS_PER_S;
    int r;

    c->cancel_fd = o->cancel_fd;
    c->io_ns = (o->io_s ? o->io_s : 60) * NS_PER_S;
    r = nbd_resolve(o->uri, deadline, o->cancel_fd, res, err);
    if (r < 0)
        return r;
    c->uri = xstrdup(o->uri);
    for (unsigned i = 0; i < res->n; i++) { /* every address of the name, in order */
        nbd_close(c->h);
        c->h = make_handle(o, err);
        if (!c->h)
            return err->class;
        err_clear(err);
        r = connect_step(c, res->uris[i], deadline, err);
        if (r == 0 || strcmp(err->code, "nbd_connect") != 0)
            break;
    }
    if (r < 0)
        return r;
    r = choose_export(c, deadline, err);
    if (r < 0)
        return r;
    r = read_info(c, err);
    if (r < 0)
        return r;
    *ret = take_ptr(&c);
    return 0;
}

void
nbd_conn_abandon(struct nbd_conn *c)
{
    nbd_close(c->h);
    c->h = NULL;
}

void
nbd_conn_free(struct nbd_conn *c)
{
    if (!c)
        return;
    /* A polite end lets the server drop the client at once; one small send, never waited
     * for. */
    if (c->h && nbd_aio_is_ready(c->h) && nbd_aio_in_flight(c->h) == 0)
        nbd_aio_disconnect(c->h, 0);
    nbd_close(c->h);
    free(c->entries);
    free(c->uri);
    free(c);
}

void
cleanup_nbd_conn(struct nbd_conn **c)
{
    nbd_conn_free(*c);
}

const struct nbd_conn_info *
nbd_conn_info(const struct nbd_conn *c)
{
    return &c->info;
}

const char *
nbd_conn_uri(const struct nbd_conn *c)
{
    return c->uri;
}

struct nbd_handle *
nbd_conn_handle(struct nbd_conn *c)
{
    return c->h;
}
