#include "cli/stdin_secret.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/buf.h"
#include "cli/cli.h"

#define LINE_LIMIT 4096

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
int
cli_stdin_secret(const struct cli *c, const char *prompt, const char *trim,
                 struct secret **ret, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(LINE_LIMIT);
    struct termios was, quiet;
    bool tty = isatty(c->io->in_fd) && tcgetattr(c->io->in_fd, &was) == 0;
    int r;

    if (tty) {
        quiet = was;
        quiet.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(c->io->in_fd, TCSAFLUSH, &quiet);
        fputs(prompt, c->io->err);
        fflush(c->io->err);
    }
    r = buf_reserve(&b, LINE_LIMIT - 1, err); /* no copies by growing */
    if (r == 0)
        r = read_line(c, &b, err);
    if (tty) {
        tcsetattr(c->io->in_fd, TCSAFLUSH, &was);
        fputc('\n', c->io->err);
    }
    while (b.len > 0 && strchr(trim, b.data[b.len - 1]))
        b.len--;
    if (r == 0)
        *ret = secret_new(b.data ? b.data : "", b.len);
    if (b.data)
        explicit_bzero(b.data, b.len);
    return r;
}
