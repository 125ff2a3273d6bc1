/* os/child_run.c - a short command from start to end; see child.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/timeutil.h"
#include "os/child.h"

#define STDERR_TAIL 4096 /* the reason is in the last line */
#define STOP_GRACE_MS 1000
#define DRAIN_MAX (1024 * 1024) /* no pipe holds more (fs.pipe-max-size) */

/* One output pipe of the command. */
struct stream {
    int fd;          /* owned by the child; -1 after end of file */
    struct buf *buf; /* NULL = read and thrown away */
    bool tail;       /* keep the end rather than the beginning */
};

static int
collect(struct stream *s, const char *p, size_t n, struct err *err)
{
    struct buf *b = s->buf;

    if (!b)
        return 0;
    if (s->tail && n > b->cap / 2) {
        p += n - b->cap / 2;
        n = b->cap / 2;
    }
    if (s->tail && n > b->cap - b->len) {
        memmove(b->data, b->data + b->cap / 2, b->len - b->cap / 2);
        b->len -= b->cap / 2;
    }
    if (n > b->cap - b->len)
        n = b->cap - b->len;
    return buf_append(b, p, n, err);
}

/* Reads at most @max_bytes of what is there now: a command that never stops writing must
 * not keep us from looking at the clock. */
static int
drain(struct stream *s, size_t max_bytes, struct err *err)
{
    char chunk[16384];

    for (size_t done = 0; s->fd >= 0 && done < max_bytes;) {
        ssize_t n = read(s->fd, chunk, sizeof(chunk));
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0)
            return err_errno(err, errno, NULL, "read output");
        if (n == 0) {
            s->fd = -1;
            return 0;
        }
        r = collect(s, chunk, (size_t)n, err);
        if (r < 0)
            return r;
        done += (size_t)n;
    }
    return 0;
}

/* Until the command has exited and its output is read.  A descendant that keeps a pipe
 * open does not hold us: the exit ends the group, and what is in the pipe then is all we
 * take. */
static int
run_to_exit(struct child *c, struct stream *out, struct stream *errs, uint64_t deadline,
            struct err *err)
{
    bool exited = false;

    while (!exited) {
        struct pollfd p[] = {
            {.fd = child_pidfd(c), .events = POLLIN},
            {.fd = out->fd, .events = POLLIN},
            {.fd = errs->fd, .events = POLLIN},
        };
        int n = poll(p, ARRAY_LEN(p), time_left_ms(deadline));
        int r;

        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "poll");
        if (time_left_ms(deadline) == 0 && !(n > 0 && p[0].revents))
            return err_set(err, ERR_TIMEOUT, NULL, "did not end in time");
        if (n <= 0)
            continue;
        exited = p[0].revents != 0;
        if (exited)
            child_signal(c, SIGKILL);
        r = drain(out, DRAIN_MAX, err);
        if (r == 0)
            r = drain(errs, DRAIN_MAX, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* The last line of @b that is not empty, cut out in place. */
static const char *
last_line(struct buf *b)
{
    char *nl;

    while (b->len > 0 && (b->data[b->len - 1] == '\n' || b->data[b->len - 1] == '\r'))
        b->data[--b->len] = '\0';
    if (b->len == 0)
        return "no message";
    nl = memrchr(b->data, '\n', b->len);
    return nl ? nl + 1 : b->data;
}

static int
set_nonblock(int fd, struct err *err)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
        return err_errno(err, errno, NULL, "set descriptor non-blocking");
    return 0;
}

int
child_run(const char *const *argv, const int *keep_fds, unsigned n_keep_fds,
          unsigned timeout_ms, struct buf *out, struct err *err)
{
    const struct child_spec spec = {
        .argv = argv,
        .keep_fds = keep_fds,
        .n_keep_fds = n_keep_fds,
        .in = CHILD_NULL,
        .out = CHILD_PIPE,
        .err = CHILD_PIPE,
    };
    uint64_t deadline = time_mono_ns() + timeout_ms * NS_PER_MS;
    CLEANUP_BUF struct buf tail = BUF_INIT(STDERR_TAIL);
    CLEANUP_CHILD struct child *c = NULL;
    struct stream so = {.fd = -1, .buf = out},
                  se = {.fd = -1, .buf = &tail, .tail = true};
    struct child_exit ex;
    int r = child_spawn(&spec, &c, err);

    if (r < 0)
        return r;
    so.fd = child_stdout_fd(c);
    se.fd = child_stderr_fd(c);
    r = set_nonblock(so.fd, err);
    if (r == 0)
        r = set_nonblock(se.fd, err);
    if (r == 0)
        r = run_to_exit(c, &so, &se, deadline, err);
    if (r < 0) {
        struct err stop = ERR_INIT;

        if (child_stop(c, STOP_GRACE_MS, NULL, &stop) < 0)
            log_error("cannot end '%s': %s", argv[0], stop.msg);
        return err_prefix(err, "'%s'", argv[0]);
    }
    r = child_wait(c, UINT64_MAX, &ex, err); /* it has exited: this only reaps */
    if (r < 0)
        return err_prefix(err, "'%s'", argv[0]);
    if (ex.signaled)
        return err_set(err, ERR_IO, "program_failed", "'%s' was killed by signal %d: %s",
                       argv[0], ex.value, last_line(&tail));
    if (ex.value != 0)
        return err_set(err, ERR_IO, "program_failed", "'%s' exited %d: %s", argv[0],
                       ex.value, last_line(&tail));
    return 0;
}
