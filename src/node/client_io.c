/* node/client_io.c - see client_io.h. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "model/jobevent.h"
#include "model/jobspec.h"
#include "node/client_io.h"

#define DIAG_LINE_MAX 1500 /* bytes: fits one line of the log */

int
client_io_start(struct client_io *io, const char *client, const char *const *args,
                int keep_fd, size_t line_max, struct err *err)
{
    const char *argv[CLIENT_ARGS_MAX + 2] = {client};
    const struct child_spec spec = {
        .argv = argv,
        .keep_fds = &keep_fd,
        .n_keep_fds = keep_fd < 0 ? 0 : 1,
        .in = CHILD_PIPE,
        .out = CHILD_PIPE,
        .err = CHILD_PIPE,
    };

    for (unsigned i = 0; args && args[i] && i < CLIENT_ARGS_MAX; i++)
        argv[i + 1] = args[i];
    *io = (struct client_io){.in = BUF_INIT(SPEC_LINE_MAX + 4096)};
    line_reader_init(&io->out, line_max);
    line_reader_init(&io->diag, DIAG_LINE_MAX);
    if (child_spawn(&spec, &io->child, err) < 0) {
        err_prefix(err, "the client '%s' could not be started", client);
        err_recode(err, "client_not_started");
        return err->class = ERR_UNAVAILABLE; /* an administrator can mend it */
    }
    io->in_open = io->out_open = io->diag_open = true;
    if (pipe_set_nonblock(child_stdin_fd(io->child), err) < 0 ||
        pipe_set_nonblock(child_stdout_fd(io->child), err) < 0 ||
        pipe_set_nonblock(child_stderr_fd(io->child), err) < 0) {
        client_io_done(io);
        return err->class;
    }
    return 0;
}

/* The spec holds the job's token. */
static void
forget_input(struct client_io *io)
{
    if (io->in.data)
        explicit_bzero(io->in.data, io->in.alloc);
    buf_reset(&io->in);
    io->in_sent = 0;
}

void
client_io_done(struct client_io *io)
{
    child_free(io->child);
    io->child = NULL;
    forget_input(io);
    buf_done(&io->in);
    line_reader_done(&io->out);
    line_reader_done(&io->diag);
    io->in_open = io->out_open = io->diag_open = false;
}

int
client_io_send(struct client_io *io, const char *p, size_t n, struct err *err)
{
    if (!io->in_open)
        return 0;
    return buf_append(&io->in, p, n, err);
}

static void
write_input(struct client_io *io)
{
    struct err err = ERR_INIT;
    size_t n = 0;

    if (pipe_write_some(child_stdin_fd(io->child), io->in.data + io->in_sent,
                        io->in.len - io->in_sent, &n, &err) < 0) {
        /* Whether this matters is told by the client's exit. */
        child_close_stdin(io->child);
        io->in_open = false;
        forget_input(io);
        return;
    }
    io->in_sent += n;
    if (io->in_sent == io->in.len)
        forget_input(io);
}

static void
log_line_of_client(struct client_io *io, const char *line, size_t n)
{
    unsigned dropped;

    if (!log_budget_take(&io->budget, time_mono_ns(), &dropped))
        return;
    if (dropped > 0)
        log_warn("client: %u lines dropped, it writes too many", dropped);
    if (n > 0)
        log_info("client: %.*s", (int)n, line);
}

/* True when more may wait. */
static bool
read_diag(struct client_io *io)
{
    struct err err = ERR_INIT;
    char *line;
    size_t n;
    int r = line_reader_fill(&io->diag, child_stderr_fd(io->child), &err);

    if (r == LINE_FILL_NOTHING)
        return false;
    while (line_reader_next(&io->diag, &line, &n, &err) > 0)
        log_line_of_client(io, line, n);
    if (err.class != 0 || r == LINE_FILL_EOF) { /* too long: logged in pieces */
        while (line_reader_rest(&io->diag, &line, &n))
            log_line_of_client(io, line, n);
    }
    if (r == LINE_FILL_DATA)
        return true;
    io->diag_open = false;
    return false;
}

static int
read_out(struct client_io *io, struct err *err)
{
    int r = line_reader_fill(&io->out, child_stdout_fd(io->child), err);

    if (r == LINE_FILL_DATA)
        return CLIENT_IO_OUT;
    if (r == LINE_FILL_NOTHING)
        return 0;
    io->out_open = false;
    return r < 0 ? r : CLIENT_IO_OUT_END;
}

/* One poll(2); *ret_mask may stay 0 although bytes moved. */
static int
poll_once(struct client_io *io, int wake_fd, int timeout_ms, int *ret_mask,
          struct err *err)
{
    bool sending = io->in_open && io->in.len > 0;
    struct pollfd p[] = {
        {.fd = wake_fd, .events = POLLIN},
        {.fd = child_pidfd(io->child), .events = POLLIN},
        {.fd = sending ? child_stdin_fd(io->child) : -1, .events = POLLOUT},
        {.fd = io->out_open ? child_stdout_fd(io->child) : -1, .events = POLLIN},
        {.fd = io->diag_open ? child_stderr_fd(io->child) : -1, .events = POLLIN},
    };
    int r = poll(p, ARRAY_LEN(p), timeout_ms);

    if (r < 0 && errno != EINTR)
        return err_errno(err, errno, NULL, "wait for the client");
    if (r <= 0)
        return 0;
    if (p[0].revents)
        *ret_mask |= CLIENT_IO_WAKE;
    if (p[1].revents)
        *ret_mask |= CLIENT_IO_EXIT;
    if (p[2].revents)
        write_input(io);
    if (p[4].revents)
        (void)read_diag(io);
    if (p[3].revents) {
        r = read_out(io, err);
        if (r < 0)
            return r;
        *ret_mask |= r;
    }
    return 0;
}

int
client_io_poll(struct client_io *io, int wake_fd, uint64_t deadline_ns, struct err *err)
{
    int mask = 0, left;

    do {
        left = deadline_ns == UINT64_MAX ? -1 : time_left_ms(deadline_ns);
        if (poll_once(io, wake_fd, left, &mask, err) < 0)
            return err->class;
    } while (mask == 0 && left != 0);
    return mask;
}

int
client_io_drain(struct client_io *io, struct err *err)
{
    while (io->diag_open && read_diag(io))
        ;
    return io->out_open ? read_out(io, err) : 0;
}
