/* copy/control.c - see control.h. */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "copy/control.h"
#include "copy/result.h"
#include "model/jobspec.h"
#include "os/signals.h"

/* Nobody wished it: the machine, or the parent, goes down. */
static int
interrupted(const struct control *c, const char *by, struct err *err)
{
    if (c->resumable)
        return err_set(err, ERR_UNAVAILABLE, "interrupted", "interrupted: %s", by);
    return err_set(err, ERR_CANCELLED, "cancelled", "cancelled: %s", by);
}

/* 1 = stdin has something, 0 = a signal came. */
static int
wait_input(const struct control *c, struct err *err)
{
    struct pollfd fds[2] = {{.fd = c->in_fd, .events = POLLIN},
                            {.fd = c->signal_fd, .events = POLLIN}};

    while (poll(fds, 2, -1) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, NULL, "poll stdin");
    return fds[1].revents ? 0 : 1;
}

int
control_first_line(struct control *c, char **ret, size_t *ret_n, struct err *err)
{
    int r = line_reader_next(&c->lines, ret, ret_n, err);

    while (r == 0) {
        r = wait_input(c, err);
        if (r == 0)
            return interrupted(c, "a signal came", err);
        if (r > 0)
            r = line_reader_fill(&c->lines, c->in_fd, err);
        if (r == LINE_FILL_EOF)
            return err_set(err, ERR_INVALID, "malformed_json",
                           "stdin ended before a whole line came");
        if (r >= 0)
            r = line_reader_next(&c->lines, ret, ret_n, err);
        if (r == ERR_LIMIT)
            return err_recode(err, "line_too_long");
    }
    return r < 0 ? r : 0;
}

/* What a whole line that waits already says; false when there is none. */
static bool
take_line(struct control *c, struct err *why)
{
    char *line;
    size_t n;
    int r = line_reader_next(&c->lines, &line, &n, why);

    if (r == 0)
        return false;
    if (r > 0 && spec_cancel_decode(line, n, why) == 0)
        err_set(why, ERR_CANCELLED, "cancelled", "cancelled by the parent");
    return true;
}

/* True = the job is to end, @why says for what reason. */
static bool
read_wish(struct control *c, struct err *why)
{
    int r = line_reader_fill(&c->lines, c->in_fd, why);

    if (r == LINE_FILL_EOF)
        (void)interrupted(c, "the parent closed stdin", why);
    return r < 0 || r == LINE_FILL_EOF || take_line(c, why);
}

/* True when the job was told to stop, false when it is done. */
static bool
watch(struct control *c)
{
    struct pollfd fds[4] = {{.fd = c->done_fd, .events = POLLIN},
                            {.fd = c->signal_fd, .events = POLLIN},
                            {.fd = c->in_fd, .events = POLLIN},
                            {.fd = copy_stop_fd(c->stop), .events = POLLIN}};
    struct err why = ERR_INIT;
    /* A cancel may have come together with the first line. */
    bool wish = c->in_fd >= 0 && take_line(c, &why);

    while (!wish) {
        if (poll(fds, 4, -1) < 0)
            continue;
        if (fds[0].revents)
            return false;
        if (fds[3].revents) /* failed by itself, or the output is broken */
            return true;
        if (fds[1].revents)
            (void)interrupted(c, "a signal came", &why);
        wish = fds[1].revents || (fds[2].revents && read_wish(c, &why));
    }
    copy_stop_set(c->stop, -1, &why);
    return true;
}

static void *
control_main(void *arg)
{
    struct control *c = arg;
    struct pollfd done = {.fd = c->done_fd, .events = POLLIN};
    struct err err = ERR_INIT;
    int64_t disk = -1;

    if (!watch(c))
        return NULL;
    if (poll(&done, 1, CONTROL_GRACE_MS) > 0)
        return NULL;
    /* Something does not let go (a name server, a dead file system).  The parent must
     * know now; what is left of us goes with the process. */
    copy_stop_get(c->stop, &disk, &err);
    if (c->output)
        result_emit(c->output, err.class, disk, &err);
    c->leave(result_exit_status(err.class));
    return NULL;
}

int
control_start(struct control *c, struct err *err)
{
    int r;

    c->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c->done_fd < 0)
        return err_errno(err, errno, NULL, "eventfd");
    r = pthread_create(&c->thread, NULL, control_main, c);
    if (r != 0)
        return err_errno(err, r, NULL, "start a thread");
    return 0;
}

void
control_stop(struct control *c)
{
    (void)eventfd_write(c->done_fd, 1);
    pthread_join(c->thread, NULL);
    cleanup_fd(&c->done_fd);
}
