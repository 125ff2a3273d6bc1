/* node/asker.c - see asker.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/asker.h"
#include "node/client_io.h"

struct asker {
    /* fixed */
    struct asker_options opt;
    int stop_fd; /* eventfd, readable for ever once stopped */

    pthread_mutex_t lock;
    unsigned running;
    bool stopping;
};

int
asker_new(const struct asker_options *opt, struct asker **ret, struct err *err)
{
    struct asker *a = xcalloc(1, sizeof(*a));

    a->opt = *opt;
    pthread_mutex_init(&a->lock, NULL);
    a->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (a->stop_fd < 0) {
        err_errno(err, errno, NULL, "make an event descriptor");
        asker_free(a);
        return err->class;
    }
    *ret = a;
    return 0;
}

void
asker_free(struct asker *a)
{
    if (!a)
        return;
    cleanup_fd(&a->stop_fd);
    pthread_mutex_destroy(&a->lock);
    free(a);
}

void
asker_stop(struct asker *a)
{
    LOCK_SCOPE(&a->lock);

    if (!a->stopping)
        (void)eventfd_write(a->stop_fd, 1);
    a->stopping = true;
}

static int
enter(struct asker *a, struct err *err)
{
    LOCK_SCOPE(&a->lock);

    if (a->stopping)
        return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the node is stopping");
    if (a->running >= a->opt.max)
        return err_set(err, ERR_LIMIT, a->opt.busy_code, "%u %ss run, which is the limit",
                       a->running, a->opt.what);
    a->running++;
    return 0;
}

static void
leave(struct asker *a)
{
    LOCK_SCOPE(&a->lock);

    a->running--;
}

static int
send_question(struct client_io *io, const json_t *question, struct err *err)
{
    CLEANUP_FREE char *line = json_line(question);
    int r = client_io_send(io, line, strlen(line), err);

    if (r == 0)
        r = client_io_send(io, "\n", 1, err);
    explicit_bzero(line, strlen(line)); /* it may hold a password */
    return r;
}

/* 1 when the one line came, 0 when not yet. */
static int
take_answer(const struct asker *a, struct client_io *io, json_t **ret, struct err *err)
{
    char *line;
    size_t n;
    int r = line_reader_next(&io->out, &line, &n, err);

    if (r > 0 && json_parse(line, n, ret, err) < 0)
        r = err->class;
    if (r < 0)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the %s is no JSON line", a->opt.what);
    return r;
}

static int
no_answer(const struct asker *a, struct client_io *io, uint64_t deadline_ns,
          struct err *err)
{
    struct child_exit how = {0};

    if (child_wait(io->child, deadline_ns, &how, err) < 0)
        return err->class;
    return err_set(err, ERR_IO, "client_died",
                   "the client ended without an answer to the %s: %s %d", a->opt.what,
                   how.signaled ? "signal" : "exit status", how.value);
}

static int
await_answer(struct asker *a, struct client_io *io, uint64_t deadline_ns, json_t **ret,
             struct err *err)
{
    for (;;) {
        int mask = client_io_poll(io, a->stop_fd, deadline_ns, err);
        int r = mask < 0 ? mask : 0;

        if (mask > 0 && (mask & CLIENT_IO_OUT))
            r = take_answer(a, io, ret, err);
        while (r == 0 && (mask & CLIENT_IO_EXIT)) {
            int more = client_io_drain(io, err);

            if (more <= 0)
                return no_answer(a, io, deadline_ns, err);
            if (more & CLIENT_IO_OUT)
                r = take_answer(a, io, ret, err);
        }
        if (r != 0)
            return r;
        if (mask & CLIENT_IO_WAKE)
            return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the node is stopping");
        if (time_mono_ns() >= deadline_ns)
            return err_set(err, ERR_TIMEOUT, a->opt.timeout_code,
                           "the client did not answer the %s in time", a->opt.what);
    }
}

static int
ask(struct asker *a, const json_t *question, unsigned time_s, json_t **ret,
    struct err *err)
{
    CLEANUP_CLIENT_IO struct client_io io = {0};
    const char *const args[] = {a->opt.mode, NULL};
    uint64_t deadline_ns = time_s == 0 ? UINT64_MAX : time_mono_ns() + time_s * NS_PER_S;
    int r;

    if (client_io_start(&io, a->opt.client, args, -1, a->opt.answer_max, err) < 0)
        return err->class;
    if (send_question(&io, question, err) < 0)
        return err->class;
    r = await_answer(a, &io, deadline_ns, ret, err);
    return r < 0 ? r : 0;
}

int
asker_run(struct asker *a, const json_t *question, unsigned time_s, json_t **ret,
          struct err *err)
{
    int r;

    if (enter(a, err) < 0)
        return err->class;
    r = ask(a, question, time_s, ret, err);
    leave(a);
    return r;
}
