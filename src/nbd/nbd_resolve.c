/* nbd/nbd_resolve.c - see nbd_resolve.h. */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "nbd/nbd_resolve.h"

#define HOST_MAX 255

/* "nbd://USER@HOST:PORT/NAME?QUERY" cut at the host. */
struct parts {
    char before[NBD_URI_MAX]; /* up to and with "//" and "USER@" */
    char host[HOST_MAX + 1];
    const char *after; /* from ":PORT", "/" or the end */
};

static int
split_uri(const char *uri, struct parts *ret, struct err *err)
{
    const char *authority = strstr(uri, "//") + 2;
    size_t n = strcspn(authority, "/?#");
    const char *at = memrchr(authority, '@', n);
    const char *host = at ? at + 1 : authority;
    size_t left = n - (size_t)(host - authority);
    size_t host_len;

    if (left > 0 && *host == '[') {
        const char *end = memchr(host, ']', left);

        if (!end)
            return err_set(err, ERR_INVALID, "nbd_uri", "'%s': '[' without ']'", uri);
        host++;
        host_len = (size_t)(end - host);
        ret->after = end + 1;
    } else {
        const char *colon = memchr(host, ':', left);

        host_len = colon ? (size_t)(colon - host) : left;
        ret->after = host + host_len;
    }
    if (host_len > HOST_MAX)
        return err_set(err, ERR_INVALID, "nbd_uri", "the host of an NBD URI is too long");
    snprintf(ret->before, sizeof(ret->before), "%.*s",
             (int)((at ? at + 1 : authority) - uri), uri);
    if (host_len == 0)
        snprintf(ret->host, sizeof(ret->host), "localhost");
    else
        snprintf(ret->host, sizeof(ret->host), "%.*s", (int)host_len, host);
    return 0;
}

static void
list_addresses(const struct parts *p, const struct addrinfo *ai, struct nbd_resolved *ret)
{
    char num[NI_MAXHOST];

    ret->n = 0;
    for (; ai && ret->n < NBD_RESOLVE_MAX; ai = ai->ai_next) {
        bool v6 = ai->ai_family == AF_INET6;

        if (getnameinfo(ai->ai_addr, ai->ai_addrlen, num, sizeof(num), NULL, 0,
                        NI_NUMERICHOST) != 0 ||
            strlen(num) > 48)
            continue;
        snprintf(ret->uris[ret->n++], sizeof(ret->uris[0]), "%s%s%s%s%s", p->before,
                 v6 ? "[" : "", num, v6 ? "]" : "", p->after);
    }
}

/* Shared by the caller and the thread that sits in getaddrinfo(3), perhaps for longer
 * than the caller waits: the last one to leave frees it. */
struct lookup {
    char host[HOST_MAX + 1];
    int done_fd;
    atomic_int refs;
    int rc; /* valid after done_fd is readable */
    struct addrinfo *ai;
};

static void
lookup_unref(struct lookup *l)
{
    if (atomic_fetch_sub(&l->refs, 1) != 1)
        return;
    if (l->ai)
        freeaddrinfo(l->ai);
    cleanup_fd(&l->done_fd);
    free(l);
}

static void *
lookup_thread(void *arg)
{
    struct lookup *l = arg;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};

    l->rc = getaddrinfo(l->host, NULL, &hints, &l->ai);
    if (l->rc != 0) { /* loopback names on a machine that has only loopback */
        hints.ai_flags = 0;
        l->rc = getaddrinfo(l->host, NULL, &hints, &l->ai);
    }
    eventfd_write(l->done_fd, 1);
    lookup_unref(l);
    return NULL;
}

static int
wait_lookup(struct lookup *l, uint64_t deadline_ns, int cancel_fd, struct err *err)
{
    struct pollfd fds[2] = {{.fd = l->done_fd, .events = POLLIN},
                            {.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};

    for (;;) {
        eventfd_t v;
        int left = time_left_ms(deadline_ns);
        int r = poll(fds, 2, left);

        if (fds[1].revents && r > 0)
            return err_set(err, ERR_CANCELLED, "cancelled", "resolve '%s': cancelled",
                           l->host);
        if (r > 0 && eventfd_read(l->done_fd, &v) == 0)
            break;
        if (r == 0 && left == 0)
            return err_set(err, ERR_TIMEOUT, "nbd_timeout",
                           "resolve '%s': no answer in time", l->host);
        if (r < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "resolve '%s': poll", l->host);
    }
    if (l->rc != 0)
        return err_set(err, ERR_NOT_FOUND, "nbd_resolve", "resolve '%s': %s", l->host,
                       gai_strerror(l->rc));
    return 0;
}

static int
look_up(const struct parts *p, uint64_t deadline_ns, int cancel_fd,
        struct nbd_resolved *ret, struct err *err)
{
    struct lookup *l = xcalloc(1, sizeof(*l));
    pthread_attr_t attr;
    pthread_t tid;
    int r;

    memcpy(l->host, p->host, sizeof(l->host));
    atomic_init(&l->refs, 2);
    l->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (l->done_fd < 0) {
        r = err_errno(err, errno, NULL, "resolve '%s': eventfd", p->host);
        free(l);
        return r;
    }
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    r = pthread_create(&tid, &attr, lookup_thread, l);
    pthread_attr_destroy(&attr);
    if (r != 0) {
        atomic_store(&l->refs, 1);
        r = err_errno(err, r, NULL, "resolve '%s': start a thread", p->host);
    } else {
        r = wait_lookup(l, deadline_ns, cancel_fd, err);
    }
    if (r == 0)
        list_addresses(p, l->ai, ret);
    lookup_unref(l);
    return r;
}

static bool
has_prefix(const char *s, const char *prefix)
{
    return strncmp(s, prefix, strlen(prefix)) == 0;
}

int
nbd_resolve(const char *uri, uint64_t deadline_ns, int cancel_fd,
            struct nbd_resolved *ret, struct err *err)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *ai = NULL;
    struct parts p;
    int r;

    if (!uri || strlen(uri) >= NBD_URI_MAX)
        return err_set(err, ERR_INVALID, "nbd_uri", "an NBD URI has at most %d bytes",
                       NBD_URI_MAX - 1);
    if (has_prefix(uri, "nbd+unix://")) {
        ret->n = 1;
        snprintf(ret->uris[0], sizeof(ret->uris[0]), "%s", uri);
        return 0;
    }
    if (!has_prefix(uri, "nbd://"))
        return err_set(err, ERR_INVALID, "nbd_uri",
                       "'%s' does not start with nbd:// or nbd+unix://", uri);
    r = split_uri(uri, &p, err);
    if (r < 0)
        return r;
    if (getaddrinfo(p.host, NULL, &hints, &ai) == 0) {
        list_addresses(&p, ai, ret);
        freeaddrinfo(ai);
    } else {
        r = look_up(&p, deadline_ns, cancel_fd, ret, err);
    }
    if (r == 0 && ret->n == 0)
        r = err_set(err, ERR_NOT_FOUND, "nbd_resolve", "resolve '%s': no address",
                    p.host);
    return r;
}
