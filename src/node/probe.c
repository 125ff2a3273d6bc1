/* node/probe.c - see probe.h. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node/client_io.h"
#include "node/probe.h"

#define MARGIN_S 5u /* start, name resolution, the answer itself */

struct prober {
    const char *client; /* fixed */
    int stop_fd;        /* fixed; eventfd, readable for ever once stopped */

    pthread_mutex_t lock;
    unsigned running;
    bool stopping;
};

int
prober_new(const char *client, struct prober **ret, struct err *err)
{
    struct prober *p = xcalloc(1, sizeof(*p));

    p->client = client;
    pthread_mutex_init(&p->lock, NULL);
    p->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->stop_fd < 0) {
        err_errno(err, errno, NULL, "make an event descriptor");
        prober_free(p);
        return err->class;
    }
    *ret = p;
    return 0;
}

void
prober_free(struct prober *p)
{
    if (!p)
        return;
    cleanup_fd(&p->stop_fd);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void
prober_stop(struct prober *p)
{
    LOCK_SCOPE(&p->lock);

    if (!p->stopping)
        (void)eventfd_write(p->stop_fd, 1);
    p->stopping = true;
}

static int
enter(struct prober *p, struct err *err)
{
    LOCK_SCOPE(&p->lock);

    if (p->stopping)
        return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the node is stopping");
    if (p->running >= PROBES_MAX)
        return err_set(err, ERR_LIMIT, "too_many_probes",
                       "%u probes run, which is the limit", p->running);
    p->running++;
    return 0;
}

static void
leave(struct prober *p)
{
    LOCK_SCOPE(&p->lock);

    p->running--;
}

static int
send_question(struct client_io *io, const struct probe_request *q, struct err *err)
{
    CLEANUP_JSON json_t *j = probe_request_encode(q);
    CLEANUP_FREE char *line = json_line(j);

    if (client_io_send(io, line, strlen(line), err) < 0)
        return err->class;
    return client_io_send(io, "\n", 1, err);
}

/* 1 when the one line came, 0 when not yet. */
static int
take_answer(struct client_io *io, json_t **ret, struct err *err)
{
    char *line;
    size_t n;
    int r = line_reader_next(&io->out, &line, &n, err);

    if (r > 0 && json_parse(line, n, ret, err) < 0)
        r = err->class;
    if (r < 0)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the probe is no JSON line");
    return r;
}

static int
no_answer(struct client_io *io, uint64_t deadline_ns, struct err *err)
{
    struct child_exit how = {0};

    if (child_wait(io->child, deadline_ns, &how, err) < 0)
        return err->class;
    return err_set(err, ERR_IO, "client_died",
                   "the client ended without an answer to the probe: %s %d",
                   how.signaled ? "signal" : "exit status", how.value);
}

static int
await_answer(struct prober *p, struct client_io *io, uint64_t deadline_ns, json_t **ret,
             struct err *err)
{
    for (;;) {
        int mask = client_io_poll(io, p->stop_fd, deadline_ns, err);
        int r = mask < 0 ? mask : 0;

        if (mask > 0 && (mask & CLIENT_IO_OUT))
            r = take_answer(io, ret, err);
        while (r == 0 && (mask & CLIENT_IO_EXIT)) {
            int more = client_io_drain(io, err);

            if (more <= 0)
                return no_answer(io, deadline_ns, err);
            if (more & CLIENT_IO_OUT)
                r = take_answer(io, ret, err);
        }
        if (r != 0)
            return r;
        if (mask & CLIENT_IO_WAKE)
            return err_set(err, ERR_UNAVAILABLE, "shutting_down", "the node is stopping");
        if (time_mono_ns() >= deadline_ns)
            return err_set(err, ERR_TIMEOUT, "probe_timeout",
                           "the client did not answer the probe in time");
    }
}

static int
check_answer(const struct probe_request *q, const json_t *j, struct probe_answer *ret,
             struct err *err)
{
    CLEANUP_PROBE_ANSWER struct probe_answer a = {0};
    struct err why = ERR_INIT;
    bool same;

    if (probe_answer_decode(j, &a, &why) < 0)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the probe: %.500s", why.msg);
    same = a.n_disks == q->n_disks;
    for (size_t i = 0; same && i < a.n_disks; i++)
        same = a.disks[i].key == q->disks[i].key;
    if (!same)
        return err_set(err, ERR_PROTOCOL, "client_protocol",
                       "the client's answer to the probe is about other disks");
    *ret = a;
    a = (struct probe_answer){0};
    return 0;
}

static int
run(struct prober *p, const struct probe_request *q, struct probe_answer *ret,
    struct err *err)
{
    CLEANUP_CLIENT_IO struct client_io io = {0};
    CLEANUP_JSON json_t *j = NULL;
    uint64_t s = (uint64_t)q->deadlines.connect_s + q->deadlines.io_s + MARGIN_S;
    uint64_t deadline_ns;

    if (s > PROBE_TIME_MAX_S)
        s = PROBE_TIME_MAX_S;
    deadline_ns = time_mono_ns() + s * NS_PER_S;
    if (client_io_start(&io, p->client, "--probe", err) < 0)
        return err->class;
    if (send_question(&io, q, err) < 0)
        return err->class;
    if (await_answer(p, &io, deadline_ns, &j, err) < 0)
        return err->class;
    return check_answer(q, j, ret, err);
}

int
prober_run(struct prober *p, const json_t *body, struct probe_answer *ret,
           struct err *err)
{
    CLEANUP_PROBE_REQUEST struct probe_request q = {0};
    int r;

    if (probe_request_decode(body, &q, err) < 0)
        return err->class;
    if (enter(p, err) < 0)
        return err->class;
    r = run(p, &q, ret, err);
    leave(p);
    return r;
}
