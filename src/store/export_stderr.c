/* store/export_stderr.c - keeps the last lines that a qemu-nbd wrote; see export_priv.h.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "store/export_priv.h"

#define TAIL_MAX 8192

struct stderr_tail {
    int fd;     /* of the pipe; not owned */
    int end_fd; /* eventfd: finish now */
    pthread_t thread;
    bool joined;
    pthread_mutex_t lock; /* guards text and n */
    size_t n;
    char text[TAIL_MAX];
};

static void
keep(struct stderr_tail *t, const char *p, size_t n)
{
    LOCK_SCOPE(&t->lock);
    if (n > TAIL_MAX) {
        p += n - TAIL_MAX;
        n = TAIL_MAX;
    }
    if (t->n + n > TAIL_MAX) {
        size_t drop = t->n + n - TAIL_MAX;

        memmove(t->text, t->text + drop, t->n - drop);
        t->n -= drop;
    }
    memcpy(t->text + t->n, p, n);
    t->n += n;
}

/* True at end of file.  The pipe is non-blocking. */
static bool
drain(struct stderr_tail *t)
{
    char chunk[1024];

    for (;;) {
        ssize_t n = read(t->fd, chunk, sizeof(chunk));

        if (n > 0)
            keep(t, chunk, (size_t)n);
        else if (n < 0 && errno == EINTR)
            continue;
        else
            return n == 0 || errno != EAGAIN;
    }
}

static void *
run(void *arg)
{
    struct stderr_tail *t = arg;
    bool ended = false;

    while (!ended) {
        struct pollfd p[] = {{.fd = t->fd, .events = POLLIN},
                             {.fd = t->end_fd, .events = POLLIN}};

        if (poll(p, ARRAY_LEN(p), -1) < 0 && errno != EINTR)
            break;
        ended = drain(t) || p[1].revents != 0;
    }
    return NULL;
}

int
stderr_tail_new(int fd, struct stderr_tail **ret, struct err *err)
{
    struct stderr_tail *t;
    int flags = fcntl(fd, F_GETFL);
    int e;

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(err, errno, NULL, "set descriptor non-blocking");
    t = xcalloc(1, sizeof(*t));
    t->fd = fd;
    t->end_fd = eventfd(0, EFD_CLOEXEC);
    if (t->end_fd < 0) {
        e = errno;
        free(t);
        return err_errno(err, e, NULL, "eventfd");
    }
    pthread_mutex_init(&t->lock, NULL);
    e = pthread_create(&t->thread, NULL, run, t);
    if (e != 0) {
        close(t->end_fd);
        pthread_mutex_destroy(&t->lock);
        free(t);
        return err_errno(err, e, NULL, "start a thread");
    }
    *ret = t;
    return 0;
}

void
stderr_tail_finish(struct stderr_tail *t)
{
    if (t->joined)
        return;
    (void)eventfd_write(t->end_fd, 1); /* fails only at 2^64 - 1 */
    pthread_join(t->thread, NULL);
    t->joined = true;
}

char *
stderr_tail_text(struct stderr_tail *t)
{
    LOCK_SCOPE(&t->lock);
    return xasprintf("%.*s", (int)t->n, t->text);
}

void
stderr_tail_free(struct stderr_tail *t)
{
    if (t == NULL)
        return;
    stderr_tail_finish(t);
    close(t->end_fd);
    pthread_mutex_destroy(&t->lock);
    free(t);
}
