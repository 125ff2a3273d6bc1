/* node/options.c - see options.h. */
#include <arpa/inet.h>
#include <getopt.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "node/options.h"

#define CLIENT_NAME "sendense-backup-client"
#define MAX_JOBS_LIMIT 256
#define STOP_TIMEOUT_LIMIT 60

const char node_usage[] =
    "Usage: sendense-node --token-file FILE [OPTION]...\n"
    "Runs the backup clients of a Sendense hub.\n"
    "\n"
    "  --listen ADDRESS:PORT  where the REST API listens (127.0.0.1:8081; port 0: any)\n"
    "  --allow-remote         let --listen name an address that is not loopback\n"
    "  --token-file FILE      the hub's bearer token, a file of mode 0600; needed\n"
    "  --client PATH          backup client (sendense-backup-client beside this "
    "program,\n"
    "                         else in PATH)\n"
    "  --max-jobs N           clients at the same time, 1-256 (8)\n"
    "  --stop-timeout SECONDS from cancel to TERM and from TERM to KILL, 1-60 (5)\n"
    "  --state DIR            what outlives the node: leases of snapshots, with sealed\n"
    "                         logins (/var/lib/sendense-node)\n"
    "  --log-level LEVEL      error, warn, info or debug (info)\n"
    "  --version, --help\n";

enum {
    OPT_LISTEN = 1,
    OPT_ALLOW_REMOTE,
    OPT_TOKEN_FILE,
    OPT_CLIENT,
    OPT_MAX_JOBS,
    OPT_STOP_TIMEOUT,
    OPT_STATE,
    OPT_LOG_LEVEL,
    OPT_VERSION,
    OPT_HELP,
};

static const struct option long_options[] = {
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"allow-remote", no_argument, NULL, OPT_ALLOW_REMOTE},
    {"token-file", required_argument, NULL, OPT_TOKEN_FILE},
    {"client", required_argument, NULL, OPT_CLIENT},
    {"max-jobs", required_argument, NULL, OPT_MAX_JOBS},
    {"stop-timeout", required_argument, NULL, OPT_STOP_TIMEOUT},
    {"state", required_argument, NULL, OPT_STATE},
    {"log-level", required_argument, NULL, OPT_LOG_LEVEL},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0},
};

bool
node_listen_is_loopback(const char *listen)
{
    const char *colon = strrchr(listen, ':');
    char host[INET6_ADDRSTRLEN + 2] = "";
    struct in6_addr v6;
    struct in_addr v4;
    size_t n;

    if (!colon || colon == listen || (size_t)(colon - listen) >= sizeof(host))
        return false;
    n = (size_t)(colon - listen);
    memcpy(host, listen, n);
    if (host[0] == '[' && host[n - 1] == ']') {
        host[n - 1] = '\0';
        return inet_pton(AF_INET6, host + 1, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
    }
    return inet_pton(AF_INET, host, &v4) == 1 && ntohl(v4.s_addr) >> 24 == IN_LOOPBACKNET;
}

static int
usage_error(struct err *err, const char *what)
{
    return err_set(err, ERR_INVALID, "usage", "%s", what);
}

static int
number(const char *name, const char *text, unsigned max, unsigned *ret, struct err *err)
{
    uint64_t v;

    if (text_to_u64(text, &v) < 0 || v < 1 || v > max)
        return err_set(err, ERR_INVALID, "usage", "%s must be a number from 1 to %u",
                       name, max);
    *ret = (unsigned)v;
    return 0;
}

static int
take_option(struct node_options *o, int opt, struct err *err)
{
    switch (opt) {
    case OPT_LISTEN:
        o->listen = optarg;
        return 0;
    case OPT_ALLOW_REMOTE:
        o->allow_remote = true;
        return 0;
    case OPT_TOKEN_FILE:
        o->token_file = optarg;
        return 0;
    case OPT_CLIENT:
        o->client = optarg;
        return *optarg ? 0 : usage_error(err, "--client is empty");
    case OPT_MAX_JOBS:
        return number("--max-jobs", optarg, MAX_JOBS_LIMIT, &o->max_jobs, err);
    case OPT_STOP_TIMEOUT:
        return number("--stop-timeout", optarg, STOP_TIMEOUT_LIMIT, &o->stop_timeout_s,
                      err);
    case OPT_STATE:
        o->state = optarg;
        return 0;
    case OPT_LOG_LEVEL:
        if (log_level_from_str(optarg, &o->log_level) < 0)
            return usage_error(err, "--log-level must be error, warn, info or debug");
        return 0;
    case OPT_VERSION:
        o->action = NODE_VERSION;
        return 0;
    case OPT_HELP:
        o->action = NODE_HELP;
        return 0;
    default:
        return usage_error(err, "unknown option, or one without its value");
    }
}

int
node_options_parse(int argc, char *const argv[], struct node_options *ret,
                   struct err *err)
{
    struct node_options o = {
        .listen = "127.0.0.1:8081",
        .max_jobs = 8,
        .stop_timeout_s = 5,
        .state = "/var/lib/sendense-node",
        .log_level = LOG_LEVEL_INFO,
    };
    int opt;

    optind = 0; /* glibc: start afresh */
    opterr = 0;
    while ((opt = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (take_option(&o, opt, err) < 0)
            return err->class;
        if (o.action != NODE_RUN) {
            *ret = o;
            return 0;
        }
    }
    if (optind < argc)
        return err_set(err, ERR_INVALID, "usage", "unexpected argument '%s'",
                       argv[optind]);
    if (!o.token_file)
        return usage_error(err, "--token-file is needed");
    if (o.state[0] != '/')
        return usage_error(err, "--state must be an absolute path");
    if (!o.allow_remote && !node_listen_is_loopback(o.listen))
        return err_set(
            err, ERR_INVALID, "usage",
            "'%s' is no loopback address with a port; the tokens would go over "
            "the network in clear. --allow-remote permits it",
            o.listen);
    *ret = o;
    return 0;
}

int
node_find_client(char **ret, struct err *err)
{
    CLEANUP_FREE char *self = realpath("/proc/self/exe", NULL);
    const char *path = getenv("PATH");

    if (self) {
        CLEANUP_FREE char *beside = xasprintf("%s/" CLIENT_NAME, dirname(self));

        if (access(beside, X_OK) == 0) {
            *ret = take_ptr(&beside);
            return 0;
        }
    }
    while (path && *path) {
        size_t n = strcspn(path, ":");
        CLEANUP_FREE char *file = xasprintf("%.*s/" CLIENT_NAME, (int)n, path);

        /* A relative folder means something else after each chdir. */
        if (*path == '/' && access(file, X_OK) == 0) {
            *ret = take_ptr(&file);
            return 0;
        }
        path += n + (path[n] == ':');
    }
    return err_set(err, ERR_NOT_FOUND, "client_not_found",
                   "there is no " CLIENT_NAME
                   " beside this program or in PATH; --client names one");
}
