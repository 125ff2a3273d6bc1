/* cli/cmd_login.c - `sendense login`: the token comes by file or stdin, never by argv. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/exitcode.h"

#define TOKEN_MAX 4096

/* One line of @fd, byte by byte so that nothing behind it is taken; Ctrl-C ends it. */
static int
read_line(const struct cli *c, struct buf *b, struct err *err)
{
    for (;;) {
        struct pollfd p[2] = {
            {.fd = c->io->in_fd, .events = POLLIN},
            {.fd = c->io->signal_fd > 0 ? c->io->signal_fd : -1, .events = POLLIN}};
        char ch;
        ssize_t n;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "wait for stdin");
        if (p[1].revents)
            return err_set(err, ERR_CANCELLED, "cancelled", "interrupted");
        if (!p[0].revents)
            continue;
        n = read(c->io->in_fd, &ch, 1);
        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "read stdin");
        if (n == 0 || (n == 1 && ch == '\n'))
            return 0;
        if (n == 1 && buf_append(b, &ch, 1, err) < 0)
            return err_prefix(err, "the line on stdin");
    }
}

/* A terminal does not show what is typed; its mode comes back however this ends. */
static int
read_token(const struct cli *c, struct secret **ret, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(TOKEN_MAX);
    struct termios was, quiet;
    bool tty = isatty(c->io->in_fd) && tcgetattr(c->io->in_fd, &was) == 0;
    int r;

    if (tty) {
        quiet = was;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(c->io->in_fd, TCSAFLUSH, &quiet);
        fputs("Token: ", c->io->err);
        fflush(c->io->err);
    }
    r = buf_reserve(&b, TOKEN_MAX - 1, err); /* no copies by growing */
    if (r == 0)
        r = read_line(c, &b, err);
    if (tty) {
        tcsetattr(c->io->in_fd, TCSAFLUSH, &was);
        fputc('\n', c->io->err);
    }
    while (b.len > 0 && strchr("\r \t", b.data[b.len - 1]))
        b.len--;
    if (r == 0)
        *ret = secret_new(b.data, b.len);
    if (b.data)
        explicit_bzero(b.data, b.len);
    return r;
}

static int
check_token(const struct secret *t, struct err *err)
{
    const char *s = secret_reveal(t);
    size_t n = secret_len(t);

    if (n == 0)
        return err_set(err, ERR_INVALID, "usage",
                       "no token: give --token-file FILE, or the token on stdin");
    for (size_t i = 0; i < n; i++)
        if (s[i] <= ' ' || s[i] >= 0x7f)
            return err_set(err, ERR_INVALID, "invalid_token",
                           "that is no token: it holds a blank or a control character");
    return 0;
}

int
cmd_login(struct cli *c, struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    struct cli_config keep;
    int r;

    r = cli_config_path(&path, err);
    if (r == 0)
        r = hub_open(c, HUB_TOKEN_GIVEN, err);
    if (r < 0)
        return r;
    if (!c->hub.token)
        r = read_token(c, &c->hub.token, err);
    if (r == 0)
        r = check_token(c->hub.token, err);
    if (r == 0)
        r = hub_check_exposed(&c->hub, err);
    /* Any route that needs the scope every token has. */
    if (r == 0)
        r = hub_call(&c->hub, "GET", "/repositories?limit=1", NULL, NULL, err);
    if (r < 0)
        return r;
    keep = (struct cli_config){c->hub.url, c->hub.token, c->hub.insecure_http};
    r = cli_config_save(path, &keep, err);
    if (r < 0)
        return r;
    cli_say(c, "logged in to %s; kept in %s", c->hub.url, path);
    return EXIT_OK;
}
