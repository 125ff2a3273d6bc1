/* cli/cmd_events.c - the two streams: events, and the log of a backup. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "cli/cli.h"
#include "cli/escape.h"
#include "cli/exitcode.h"
#include "cli/output.h"
#include "cli/stream.h"

/* The hub sends a comment every 15 s; a stream that is silent for longer is dead. */
#define DEAD_AFTER_MS 60000u

/* --- one descriptor for Ctrl-C and for silence --- */

struct silence {
    int timer_fd, both_fd;
};

static void
silence_done(struct silence *s)
{
    cleanup_fd(&s->timer_fd);
    cleanup_fd(&s->both_fd);
}

static void
silence_restart(const struct silence *s, unsigned ms)
{
    struct itimerspec t = {
        .it_value = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}};

    timerfd_settime(s->timer_fd, 0, &t, NULL);
}

static int
silence_init(struct silence *s, int signal_fd, struct err *err)
{
    struct epoll_event ev = {.events = EPOLLIN};

    s->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    s->both_fd = epoll_create1(EPOLL_CLOEXEC);
    if (s->timer_fd < 0 || s->both_fd < 0 ||
        epoll_ctl(s->both_fd, EPOLL_CTL_ADD, s->timer_fd, &ev) < 0 ||
        (signal_fd > 0 && epoll_ctl(s->both_fd, EPOLL_CTL_ADD, signal_fd, &ev) < 0))
        return err_errno(err, errno, NULL, "make a timer");
    return 0;
}

static bool
silence_is_over(const struct silence *s)
{
    struct itimerspec t;

    return timerfd_gettime(s->timer_fd, &t) == 0 && t.it_value.tv_sec == 0 &&
           t.it_value.tv_nsec == 0;
}

/* --- events --- */

struct event_reader {
    struct cli *c;
    struct silence silence;
    struct line_splitter lines;
    struct sse_event event;
    char last_id[128];
    bool follow, got_any;
};

static void
print_event(struct cli *c, const char *type, const json_t *e)
{
    CLEANUP_FREE char *time = output_value(e, "time", OUTPUT_TIME);
    CLEANUP_FREE char *severity = output_value(e, "severity", OUTPUT_TEXT);
    CLEANUP_FREE char *message = output_value(e, "message", OUTPUT_TEXT);
    CLEANUP_FREE char *backup = output_value(e, "backup_id", OUTPUT_TEXT);
    CLEANUP_FREE char *percent = output_value(e, "percent", OUTPUT_PERCENT);
    CLEANUP_FREE char *name = escape_text(type, strlen(type), "");
    bool progress = strcmp(type, "backup.progress") == 0;

    fprintf(c->io->out, "%s  %-7s  %-22s  %s%s%s\n", time, severity, name,
            strcmp(backup, "-") == 0 ? "" : backup, strcmp(backup, "-") == 0 ? "" : ": ",
            progress ? percent : message);
}

static int
on_event(struct event_reader *x)
{
    struct cli *c = x->c;
    CLEANUP_JSON json_t *e = NULL;
    struct err err = ERR_INIT;
    bool progress = strcmp(x->event.type, "backup.progress") == 0;

    if (x->event.id[0])
        snprintf(x->last_id, sizeof(x->last_id), "%s", x->event.id);
    /* Progress never ends while a job runs; only what is stored keeps `events` reading.
     */
    if (!x->follow && !progress)
        silence_restart(&x->silence, c->io->idle_ms);
    if (progress && !c->args.value[OPT_PROGRESS])
        return 0;
    if (json_parse(x->event.data.data, x->event.data.len, &e, &err) < 0) {
        cli_complain(c, "the hub sent an event that is not JSON, ignoring it");
        return 0;
    }
    if (c->format == FORMAT_TABLE) {
        print_event(c, x->event.type, e);
    } else {
        json_dumpf(e, c->io->out,
                   JSON_COMPACT | JSON_ENCODE_ANY |
                       (c->io->out_tty ? JSON_ENSURE_ASCII : 0));
        fputc('\n', c->io->out);
    }
    return fflush(c->io->out) != 0;
}

static int
on_event_line(void *arg, const char *line, size_t n)
{
    struct event_reader *x = arg;
    int r;

    if (!sse_take_line(&x->event, line, n)) {
        if (n == 0)
            sse_reset(&x->event);
        return 0;
    }
    r = on_event(x);
    sse_reset(&x->event);
    return r;
}

static int
on_event_data(void *arg, const char *p, size_t n)
{
    struct event_reader *x = arg;

    x->got_any = true;
    if (x->follow)
        silence_restart(&x->silence, DEAD_AFTER_MS);
    return line_splitter_feed(&x->lines, p, n);
}

/* One connection.  0 = it ended in a way after which -f may connect again. */
static int
read_events(struct event_reader *x, struct err *err)
{
    CLEANUP_FREE char *path = xstrdup("/events");
    const struct hub_stream s = {.path = NULL,
                                 .accept = "text/event-stream",
                                 .cancel_fd = x->silence.both_fd,
                                 .on_data = on_event_data,
                                 .arg = x};
    struct hub_stream with_path = s;
    int r;

    /* Without -f everything stored is asked for; with it, what comes, or what was missed.
     */
    hub_query(&path, "after", x->last_id[0] ? x->last_id : x->follow ? NULL : "0");
    with_path.path = path;
    silence_restart(&x->silence, x->follow ? DEAD_AFTER_MS : x->c->io->idle_ms);
    r = hub_stream(&x->c->hub, &with_path, err);
    sse_reset(&x->event);
    buf_reset(&x->lines.line);
    if (r == ERR_CANCELLED && silence_is_over(&x->silence)) {
        err_clear(err);
        return 0;
    }
    if (r == ERR_CANCELLED && ferror(x->c->io->out))
        return err_set(err, ERR_IO, NULL, "the output could not be written");
    return r;
}

static int
follow_events(struct event_reader *x, struct err *err)
{
    uint64_t lost_since = 0;

    for (;;) {
        int r;

        x->got_any = false;
        r = read_events(x, err);
        if (x->got_any)
            lost_since = 0;
        if (r < 0 && !(err_is_transient(r) && (x->got_any || lost_since)))
            return r;
        if (!x->follow)
            return r;
        if (!lost_since) {
            lost_since = time_mono_ns();
            cli_say(x->c, "the stream of events ended; connecting again");
        }
        if (time_mono_ns() - lost_since > x->c->io->retry_ms * NS_PER_MS)
            return r < 0 ? r
                         : err_set(err, ERR_UNAVAILABLE, "hub_unreachable",
                                   "the hub ends the stream of events again and again");
        err_clear(err);
        r = cli_pause(x->c, x->c->io->poll_ms, err);
        if (r < 0)
            return r;
    }
}

int
cmd_events(struct cli *c, struct err *err)
{
    struct event_reader x = {
        .c = c, .silence = {-1, -1}, .follow = c->args.value[OPT_FOLLOW] != NULL};
    int r = silence_init(&x.silence, c->io->signal_fd, err);

    x.lines.on_line = on_event_line;
    x.lines.arg = &x;
    if (c->args.value[OPT_AFTER])
        snprintf(x.last_id, sizeof(x.last_id), "%s", c->args.value[OPT_AFTER]);
    if (r == 0)
        r = follow_events(&x, err);
    line_splitter_done(&x.lines);
    buf_done(&x.event.data);
    silence_done(&x.silence);
    return r < 0 ? r : EXIT_OK;
}

/* --- log --- */

static int
on_log_line(void *arg, const char *line, size_t n)
{
    struct cli *c = arg;
    CLEANUP_FREE char *e = escape_text(line, n, "\t");

    fprintf(c->io->out, "%s\n", e);
    return fflush(c->io->out) != 0;
}

static int
on_log_data(void *arg, const char *p, size_t n)
{
    return line_splitter_feed(arg, p, n);
}

int
cmd_backup_log(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path =
        hub_path("/backups/", c->args.words[0],
                 c->args.value[OPT_FOLLOW] ? "/log?follow=1" : "/log");
    struct line_splitter lines = {.on_line = on_log_line, .arg = c};
    const struct hub_stream s = {.path = path,
                                 .accept = "text/plain",
                                 .cancel_fd = c->io->signal_fd,
                                 .on_data = on_log_data,
                                 .arg = &lines};
    int r = hub_stream(&c->hub, &s, err);

    line_splitter_end(&lines);
    line_splitter_done(&lines);
    return r < 0 ? r : EXIT_OK;
}
