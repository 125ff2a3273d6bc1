/* worker/main.c - sendense-worker: one verification or restore for the hub. */
#include <getopt.h>
#include <stdio.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/version.h"
#include "copy/session.h"
#include "os/signals.h"
#include "worker/disk.h"

#define PROG "sendense-worker"
#define EXIT_USAGE 2

static const char help_text[] =
    "Usage: " PROG " [OPTION...]\n"
    "\n"
    "Reads stored layers through NBD and compares every block with its manifest; for a\n"
    "restore, writes them to a target on the way.  It is run by sendense-hub: one spec "
    "as\n"
    "a line of JSON on stdin, events as lines of JSON on stdout "
    "(docs/design/protocol.md).\n"
    "\n"
    "  --log-level LEVEL  error, warn, info or debug; to stderr\n"
    "  --version          version, commit and build id\n"
    "  --help             this text\n"
    "\n"
    "Exit status: 0 all is as it should be, 1 failed, 2 wrong usage, 130 cancelled.\n";

static int
run(struct control *c, const char *line, size_t n, struct err *err)
{
    CLEANUP_WORKER_SPEC struct worker_spec spec = {0};
    int64_t disk = -1;
    int r;

    FAILPOINT(WORKER_STARTED);
    if (worker_spec_decode_line(line, n, &spec, err) < 0 ||
        session_watch(c, spec.job_id, err) < 0)
        return err->class;
    r = disks_run(&spec, c->stop, c->output, &disk, err);
    /* So that the result names the disk. */
    if (r < 0)
        copy_stop_set(c->stop, disk, err);
    FAILPOINT(WORKER_BEFORE_RESULT);
    session_unwatch(c);
    return r;
}

enum { OPT_LOG_LEVEL = 1, OPT_VERSION, OPT_HELP };

static const struct option options[] = {
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0}};

static int
usage(const char *why)
{
    fprintf(stderr, PROG ": %s; try --help\n", why);
    return EXIT_USAGE;
}

int
main(int argc, char **argv)
{
    const struct session session = {.prog = PROG, .leave = _exit, .run = run};
    enum log_level level = LOG_LEVEL_INFO;
    struct err err = ERR_INIT;
    int opt, signal_fd;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (opt) {
        case OPT_LOG_LEVEL:
            if (log_level_from_str(optarg, &level) < 0)
                return usage("unknown log level");
            break;
        case OPT_VERSION:
            version_print(PROG);
            return fflush(stdout) != 0;
        case OPT_HELP:
            return fputs(help_text, stdout) < 0 || fflush(stdout) != 0;
        default:
            return usage("wrong usage");
        }
    if (optind < argc)
        return usage("there are no arguments, only options");
    log_setup(PROG, level);
    signal_fd = signals_setup(&err);
    if (signal_fd < 0) {
        log_error("%s", err.msg);
        return 1;
    }
    version_log(PROG);
    return session_main(&session, signal_fd);
}
