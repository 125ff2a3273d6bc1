/* cli/cli.c - see cli.h. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "cli/cli.h"
#include "cli/escape.h"
#include "cli/exitcode.h"
#include "cli/help.h"

static void
put_line(FILE *f, const char *prefix, const char *text)
{
    CLEANUP_FREE char *e = escape_text(text, strlen(text), "");

    fprintf(f, "sendense: %s%s\n", prefix, e);
    fflush(f);
}

void
cli_say(const struct cli *c, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    if (c->quiet)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put_line(c->io->err, "", text);
}

void
cli_complain(const struct cli *c, const char *fmt, ...)
{
    char text[2048];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    put_line(c->io->err, "", text);
}

int
cli_pause(const struct cli *c, unsigned ms, struct err *err)
{
    struct pollfd p = {.fd = c->io->signal_fd > 0 ? c->io->signal_fd : -1,
                       .events = POLLIN};
    uint64_t deadline = time_mono_ns() + ms * NS_PER_MS;
    int n;

    do
        n = poll(&p, 1, time_left_ms(deadline));
    while (n < 0 && errno == EINTR);
    if (n > 0)
        return err_set(err, ERR_CANCELLED, "cancelled", "interrupted");
    return 0;
}

static int
report(const struct cli *c, const struct err *err)
{
    CLEANUP_FREE char *text = err->code[0] && strcmp(err->code, "usage") != 0 &&
                                      strcmp(err->code, "cancelled") != 0
                                  ? xasprintf("%s (%s)", err->msg, err->code)
                                  : xstrdup(err->msg);
    CLEANUP_FREE char *where =
        c->cmd ? xasprintf("%s%s%s: ", c->cmd->noun, c->cmd->verb ? " " : "",
                           c->cmd->verb ? c->cmd->verb : "")
               : xstrdup("");

    put_line(c->io->err, where, text);
    return (int)exit_from_err(err);
}

static void
read_common_options(struct cli *c)
{
    const char *format = c->args.value[OPT_OUTPUT], *no_color = getenv("NO_COLOR");

    if (format && strcmp(format, "json") == 0)
        c->format = FORMAT_JSON;
    else if (format && strcmp(format, "jsonl") == 0)
        c->format = FORMAT_JSONL;
    c->quiet = c->args.value[OPT_QUIET] != NULL;
    c->color = c->io->out_tty && !c->args.value[OPT_NO_COLOR] && !(no_color && *no_color);
}

static int
show_help(struct cli *c, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(HELP_CAP);
    const char *noun = c->args.n_words > 0 ? c->args.words[0] : NULL;
    int r = help_render(&b, noun, c->cmd, err);

    if (r == 0)
        fputs(b.data, c->io->out);
    return r;
}

/* An empty id would make the path of a list out of the path of one thing. */
static int
check_words(const struct cli *c, struct err *err)
{
    for (unsigned i = 0; i < c->args.n_words; i++)
        if (!*c->args.words[i])
            return err_set(err, ERR_INVALID, "usage", "an argument is empty");
    return 0;
}

static int
run(int argc, char *const *argv, struct cli *c, struct err *err)
{
    int r = cli_args_parse(argc, argv, &c->args, err);

    if (r < 0)
        return r;
    if (c->args.value[OPT_VERSION]) {
        fprintf(c->io->out, "sendense %s (commit %s, build %s)\n", version_string,
                version_commit, version_build_id());
        return 0;
    }
    r = cli_args_resolve(&c->args, &c->cmd, err);
    if (r < 0)
        return r;
    if (c->args.value[OPT_HELP])
        return show_help(c, err);
    read_common_options(c);
    r = check_words(c, err);
    if (r == 0 && c->cmd->needs_hub)
        r = hub_open(c, HUB_TOKEN_NEEDED, err);
    return r < 0 ? r : c->cmd->run(c, err);
}

int
cli_run(int argc, char *const *argv, const struct cli_io *io)
{
    struct cli c = {.io = io};
    struct err err = ERR_INIT;
    int r = run(argc, argv, &c, &err);

    if (r < 0)
        r = report(&c, &err);
    /* A full disk or a closed pipe behind stdout is a failure, not a short answer. */
    if ((fflush(io->out) != 0 || ferror(io->out)) && r == EXIT_OK) {
        put_line(io->err, "", "the output could not be written");
        r = EXIT_FAILED;
    }
    hub_done(&c.hub);
    return r;
}
