/* cli/main.c - the program `sendense`: command line over the REST API of the hub. */
#include <locale.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/exitcode.h"
#include "os/signals.h"

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    const char *term = getenv("TERM");
    struct cli_io io = {.out = stdout,
                        .err = stderr,
                        .in_fd = STDIN_FILENO,
                        .out_tty = isatty(STDOUT_FILENO) == 1,
                        .err_tty = isatty(STDERR_FILENO) == 1 && term &&
                                   strcmp(term, "dumb") != 0,
                        .poll_ms = 250,
                        .plain_ms = 5000,
                        .retry_ms = 60000,
                        .idle_ms = 1500};

    setlocale(LC_ALL, "");
    setlocale(LC_NUMERIC, "C"); /* figures read the same in every script */
    log_setup("sendense", LOG_LEVEL_WARN);
    io.signal_fd = signals_setup(&err);
    if (io.signal_fd < 0) {
        fprintf(stderr, "sendense: %s\n", err.msg);
        return EXIT_FAILED;
    }
    return cli_run(argc, argv, &io);
}
