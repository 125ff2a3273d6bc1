/* os/http_conn.c - the open connections, and the thread that ends those whose peer is
 * late. */
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "os/http_priv.h"

#define SWEEP_MS 250 /* how late a deadline may be noticed */

struct http_conn {
    struct http_conn *prev, *next;
    int fd;          /* libmicrohttpd closes it only after http_conn_remove() */
    uint64_t due_ns; /* 0 = none */
};

/* Waits at most @ms on the condition, whose clock is the monotonic one. */
static void
wait_changed_locked(struct http_conns *c, unsigned ms)
{
    uint64_t until = time_mono_ns() + ms * NS_PER_MS;
    struct timespec ts = {.tv_sec = (time_t)(until / NS_PER_S),
                          .tv_nsec = (long)(until % NS_PER_S)};

    (void)pthread_cond_timedwait(&c->changed, &c->lock, &ts);
}

static void *
reaper_main(void *arg)
{
    struct http_conns *c = arg;
    LOCK_SCOPE(&c->lock);

    while (!c->quit) {
        uint64_t now = time_mono_ns();

        for (struct http_conn *k = c->head; k; k = k->next) {
            if (k->due_ns == 0 || now < k->due_ns)
                continue;
            /* Not close(): the thread of the connection still polls this descriptor; it
             * wakes up with an end of file and closes. */
            (void)shutdown(k->fd, SHUT_RDWR);
            k->due_ns = 0;
        }
        if (c->head)
            wait_changed_locked(c, SWEEP_MS);
        else
            pthread_cond_wait(&c->changed, &c->lock);
    }
    return NULL;
}

int
http_conns_init(struct http_conns *c, unsigned first_ms, struct err *err)
{
    pthread_condattr_t attr;
    int e;

    *c = (struct http_conns){.first_ms = first_ms};
    pthread_mutex_init(&c->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&c->changed, &attr);
    pthread_condattr_destroy(&attr);
    e = pthread_create(&c->reaper, NULL, reaper_main, c);
    if (e != 0)
        return err_errno(err, e, NULL, "start a thread of the HTTP server");
    c->reaper_runs = true;
    return 0;
}

void
http_conns_done(struct http_conns *c)
{
    if (c->reaper_runs) {
        pthread_mutex_lock(&c->lock);
        c->quit = true;
        pthread_cond_broadcast(&c->changed);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->reaper, NULL);
    }
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->lock);
}

struct http_conn *
http_conn_add(struct http_conns *c, int fd)
{
    struct http_conn *conn = xcalloc(1, sizeof(*conn));
    LOCK_SCOPE(&c->lock);

    conn->fd = fd;
    conn->due_ns = time_mono_ns() + c->first_ms * NS_PER_MS;
    conn->next = c->head;
    if (c->head)
        c->head->prev = conn;
    else
        pthread_cond_broadcast(&c->changed); /* the reaper sleeps while there is none */
    c->head = conn;
    return conn;
}

void
http_conn_remove(struct http_conns *c, struct http_conn *conn)
{
    if (!conn)
        return;
    pthread_mutex_lock(&c->lock);
    if (conn->prev)
        conn->prev->next = conn->next;
    else
        c->head = conn->next;
    if (conn->next)
        conn->next->prev = conn->prev;
    pthread_mutex_unlock(&c->lock);
    free(conn);
}

void
http_conn_due(struct http_conns *c, struct http_conn *conn, unsigned in_ms)
{
    LOCK_SCOPE(&c->lock);

    conn->due_ns = in_ms ? time_mono_ns() + in_ms * NS_PER_MS : 0;
}

void
http_conns_call_begin(struct http_conns *c)
{
    LOCK_SCOPE(&c->lock);

    c->calls++;
}

void
http_conns_call_end(struct http_conns *c)
{
    LOCK_SCOPE(&c->lock);

    if (--c->calls == 0)
        pthread_cond_broadcast(&c->changed);
}

void
http_conns_drain(struct http_conns *c, uint64_t deadline_ns)
{
    LOCK_SCOPE(&c->lock);

    while (c->calls > 0) {
        int left_ms = time_left_ms(deadline_ns);

        if (left_ms == 0)
            return;
        wait_changed_locked(c, (unsigned)left_ms);
    }
}
