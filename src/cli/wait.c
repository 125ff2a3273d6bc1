/* cli/wait.c - see wait.h. */
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/json.h"
#include "base/timeutil.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "cli/progress.h"
#include "cli/wait.h"

struct watch {
    struct cli *c;
    const struct wait_job *w;
    struct progress progress;
    uint64_t next_plain_ns;
    uint64_t give_up_ns;      /* of --timeout; 0 = never */
    uint64_t silent_since_ns; /* the hub does not answer; 0 = it does */
};

static bool
is_ended(const json_t *job)
{
    const char *s = json_string_value(json_object_get(job, "status"));

    return s && (strcmp(s, "completed") == 0 || strcmp(s, "failed") == 0 ||
                 strcmp(s, "cancelled") == 0);
}

static void
show(struct watch *x, bool last)
{
    const struct cli_io *io = x->c->io;
    CLEANUP_BUF struct buf b = BUF_INIT(PROGRESS_CAP);
    struct err ignored = ERR_INIT; /* progress that cannot be drawn stops no job */
    struct winsize ws = {0};
    uint64_t now = time_mono_ns();

    if (x->c->quiet)
        return;
    if (io->err_tty) {
        if (ioctl(fileno(io->err), TIOCGWINSZ, &ws) < 0 || ws.ws_col == 0)
            ws = (struct winsize){.ws_col = 80, .ws_row = 24};
        if (progress_draw(&x->progress, ws.ws_col, ws.ws_row, &b, &ignored) == 0)
            fputs(b.data, io->err);
    } else if (!last && now >= x->next_plain_ns) {
        x->next_plain_ns = now + io->plain_ms * NS_PER_MS;
        if (progress_plain(&x->progress, &b, &ignored) == 0)
            cli_say(x->c, "%s: %s", x->w->what, b.data);
    }
    fflush(io->err);
}

static void
say_it_goes_on(const struct watch *x)
{
    x->progress.n_drawn ? fputc('\n', x->c->io->err) : 0;
    cli_say(x->c, "%s goes on without this command; watch it with: %s", x->w->what,
            x->w->watch);
    if (x->w->cancel)
        cli_say(x->c, "stop it with: %s", x->w->cancel);
}

/* 0 = ask again later. */
static int
bear_silence(struct watch *x, struct err *err)
{
    uint64_t now = time_mono_ns();

    if (!err_is_transient(err->class))
        return err->class;
    if (!x->silent_since_ns) {
        x->silent_since_ns = now;
        cli_say(x->c, "%s; trying again for up to %u s", err->msg,
                x->c->io->retry_ms / 1000);
        x->progress.n_drawn = 0; /* the words stand below what was drawn */
    }
    if (now - x->silent_since_ns >= x->c->io->retry_ms * NS_PER_MS)
        return err->class;
    err_clear(err);
    return 0;
}

static int
check_timeout(const struct watch *x, struct err *err)
{
    if (!x->give_up_ns || time_mono_ns() < x->give_up_ns)
        return 0;
    return err_set(err, ERR_TIMEOUT, "timeout", "%s has not ended within --timeout",
                   x->w->what);
}

/* < 0, 0 = not ended yet, 1 = *ret is the ended job. */
static int
ask_once(struct watch *x, json_t **ret, struct err *err)
{
    CLEANUP_JSON json_t *job = NULL;
    int r = hub_call(&x->c->hub, "GET", x->w->path, NULL, &job, err);

    if (r < 0)
        return bear_silence(x, err);
    x->silent_since_ns = 0;
    progress_update(&x->progress, job, time_mono_ns());
    show(x, is_ended(job));
    if (!is_ended(job))
        return 0;
    *ret = take_ptr(&job);
    return 1;
}

int
wait_for_job(struct cli *c, const struct wait_job *w, json_t **ret, struct err *err)
{
    struct watch x = {.c = c, .w = w};
    uint64_t timeout_s = 0;
    int r = 0;

    if (c->args.value[OPT_TIMEOUT])
        r = cli_parse_seconds(c->args.value[OPT_TIMEOUT], "--timeout", &timeout_s, err);
    if (timeout_s > 0 && timeout_s < UINT64_MAX / NS_PER_S / 2)
        x.give_up_ns = time_mono_ns() + timeout_s * NS_PER_S;
    while (r == 0) {
        r = ask_once(&x, ret, err);
        if (r == 0)
            r = check_timeout(&x, err);
        if (r == 0)
            r = cli_pause(c, c->io->poll_ms, err);
    }
    if (r > 0)
        return 0;
    if (r == ERR_CANCELLED || r == ERR_TIMEOUT || r == ERR_UNAVAILABLE)
        say_it_goes_on(&x);
    return r;
}

int
wait_report(const struct cli *c, const char *what, const json_t *job)
{
    const char *status = json_string_value(json_object_get(job, "status"));
    const json_t *e = json_object_get(job, "error"),
                 *key = json_object_get(e, "device_key");
    const char *code = json_string_value(json_object_get(e, "code"));
    const char *message = json_string_value(json_object_get(e, "message"));
    const char *phase = json_string_value(json_object_get(e, "phase"));
    const char *verified = json_string_value(json_object_get(job, "verification"));
    char disk[40] = "";

    if (!status || !is_ended(job))
        return EXIT_OK;
    if (json_is_integer(key))
        snprintf(disk, sizeof(disk), ", disk %lld", (long long)json_integer_value(key));
    if (strcmp(status, "failed") == 0)
        cli_complain(c, "%s failed%s%s%s: %s (%s)", what, phase ? " in phase " : "",
                     phase ? phase : "", disk,
                     message ? message : "the hub gave no reason",
                     code ? code : "unknown");
    else if (verified && strcmp(status, "completed") == 0)
        cli_say(c, "%s completed, verification: %s", what, verified);
    else
        cli_say(c, "%s %s", what, status);
    if (json_is_true(json_object_get(job, "salvaged"))) {
        cli_complain(c, "parts of the disk are damaged and left out: they are listed");
        return EXIT_PARTIAL;
    }
    return (int)exit_from_job(status, code);
}
