/* client/main.c - the program sendense-backup-client. */
#include <getopt.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "client/modes.h"
#include "os/signals.h"

#define EXIT_USAGE 2

static const char help_text[] =
    "Usage: " CLIENT_PROG "\n"
    "       " CLIENT_PROG " --probe | --vsphere\n"
    "       " CLIENT_PROG " --nbd-sources KEY:URI[,KEY:URI...]\n"
    "                              --nbd-targets KEY:URI[,KEY:URI...] [OPTION...]\n"
    "\n"
    "Copies the disks of one VM from NBD to NBD: holes skipped, zero blocks found, "
    "every\n"
    "64 KiB block hashed.\n"
    "\n"
    "Without options it is run by sendense-node: one job spec as a line of JSON on "
    "stdin,\n"
    "events as lines of JSON on stdout (docs/design/protocol.md).\n"
    "\n"
    "  --cookie-fd N          the node's memory for the cookie of a vCenter session\n"
    "\n"
    "  --probe                one line of JSON on stdin names sources; the answer on "
    "stdout\n"
    "                         says which are there and how large they are\n"
    "\n"
    "  --vsphere              one line of JSON on stdin is a question to a vCenter; "
    "its\n"
    "                         answer on stdout\n"
    "\n"
    "By hand (no hub; progress on stderr):\n"
    "  --nbd-sources LIST     what to read, for example\n"
    "                         2000:nbd+unix:///?socket=/run/a.sock\n"
    "  --nbd-targets LIST     what to write, for example\n"
    "                         2000:nbd://127.0.0.1:10104/export; each must read as zero\n"
    "                         and have the source's size rounded up to 512\n"
    "  --connections N        connections per disk and side, 1 to 8\n"
    "  --requests N           requests in flight per connection, 1 to 64\n"
    "  --request-bytes N      largest request, 65536 to 33554432, a multiple of 65536\n"
    "  --manifest-dir DIR     write DIR/KEY.manifest for each disk\n"
    "\n"
    "  --log-level LEVEL      error, warn, info or debug; to stderr\n"
    "  --version              version, commit and build id\n"
    "  --help                 this text\n"
    "\n"
    "A comma inside a URI is written %2C.\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 130 cancelled.\n";

enum option_id {
    OPT_PROBE = 256,
    OPT_VSPHERE,
    OPT_COOKIE_FD,
    OPT_SOURCES,
    OPT_TARGETS,
    OPT_CONNECTIONS,
    OPT_REQUESTS,
    OPT_REQUEST_BYTES,
    OPT_MANIFEST_DIR,
    OPT_LOG_LEVEL,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option options[] = {
    {"probe", no_argument, NULL, OPT_PROBE},
    {"vsphere", no_argument, NULL, OPT_VSPHERE},
    {"cookie-fd", required_argument, NULL, OPT_COOKIE_FD},
    {"nbd-sources", required_argument, NULL, OPT_SOURCES},
    {"nbd-targets", required_argument, NULL, OPT_TARGETS},
    {"connections", required_argument, NULL, OPT_CONNECTIONS},
    {"requests", required_argument, NULL, OPT_REQUESTS},
    {"request-bytes", required_argument, NULL, OPT_REQUEST_BYTES},
    {"manifest-dir", required_argument, NULL, OPT_MANIFEST_DIR},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {NULL, 0, NULL, 0},
};

struct command_line {
    bool probe, vsphere, version, help, by_hand;
    struct by_hand hand;
    int cookie_fd; /* < 0 = none */
    enum log_level level;
};

static int
usage(const char *what)
{
    fprintf(stderr, CLIENT_PROG ": %s; see --help\n", what);
    return -1;
}

static int
take_number(const char *text, uint64_t *ret)
{
    return text_to_u64(text, ret) < 0 || *ret == 0
               ? usage("a number of 1 or more is wanted")
               : 0;
}

static int
take_cookie_fd(const char *text, int *ret)
{
    uint64_t fd;

    if (text_to_u64(text, &fd) < 0 || fd <= STDERR_FILENO || fd > INT_MAX)
        return usage("--cookie-fd wants the number of an open descriptor");
    *ret = (int)fd;
    return 0;
}

static int
take_option(int opt, const char *arg, struct command_line *ret)
{
    switch (opt) {
    case OPT_PROBE:
        ret->probe = true;
        return 0;
    case OPT_VSPHERE:
        ret->vsphere = true;
        return 0;
    case OPT_COOKIE_FD:
        return take_cookie_fd(arg, &ret->cookie_fd);
    case OPT_SOURCES:
        ret->hand.sources = arg;
        break;
    case OPT_TARGETS:
        ret->hand.targets = arg;
        break;
    case OPT_MANIFEST_DIR:
        ret->hand.manifest_dir = arg;
        break;
    case OPT_CONNECTIONS:
        ret->by_hand = true;
        return take_number(arg, &ret->hand.connections);
    case OPT_REQUESTS:
        ret->by_hand = true;
        return take_number(arg, &ret->hand.requests);
    case OPT_REQUEST_BYTES:
        ret->by_hand = true;
        return take_number(arg, &ret->hand.request_bytes);
    case OPT_LOG_LEVEL:
        return log_level_from_str(arg, &ret->level) < 0 ? usage("unknown log level") : 0;
    case OPT_VERSION:
        ret->version = true;
        return 0;
    case OPT_HELP:
        ret->help = true;
        return 0;
    default: /* getopt_long() has said what is wrong */
        return usage("wrong usage");
    }
    ret->by_hand = true;
    return 0;
}

static int
parse(int argc, char **argv, struct command_line *ret)
{
    int opt;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (take_option(opt, optarg, ret) < 0)
            return -1;
    if (optind < argc)
        return usage("there are no arguments, only options");
    if (ret->cookie_fd >= 0 && (ret->by_hand || ret->probe || ret->vsphere))
        return usage("--cookie-fd is for jobs of the node only");
    if (ret->by_hand + ret->probe + ret->vsphere > 1)
        return usage("--probe and --vsphere go with no other option");
    if (ret->by_hand && (!ret->hand.sources || !ret->hand.targets))
        return usage("--nbd-sources and --nbd-targets go together");
    return 0;
}

int
main(int argc, char **argv)
{
    struct command_line cl = {.cookie_fd = -1, .level = LOG_LEVEL_INFO};
    struct err err = ERR_INIT;
    int signal_fd;

    if (parse(argc, argv, &cl) < 0)
        return EXIT_USAGE;
    if (cl.help)
        return fputs(help_text, stdout) < 0 || fflush(stdout) != 0;
    if (cl.version) {
        version_print(CLIENT_PROG);
        return fflush(stdout) != 0;
    }
    log_setup(CLIENT_PROG, cl.level);
    signal_fd = signals_setup(&err);
    if (signal_fd < 0) {
        log_error("%s", err.msg);
        return 1;
    }
    if (cl.by_hand)
        return mode_by_hand(&cl.hand, signal_fd);
    version_log(CLIENT_PROG);
    if (cl.vsphere)
        return mode_vsphere(signal_fd);
    return cl.probe ? mode_probe(signal_fd) : mode_job(signal_fd, cl.cookie_fd);
}
