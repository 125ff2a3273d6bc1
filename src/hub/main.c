/* hub/main.c - sendense-hub: command line. */
#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "base/version.h"
#include "hub/hub.h"
#include "model/jobspec.h"
#include "model/vsphere.h"
#include "os/signals.h"

#define EXIT_USAGE 2

static const char help_text[] =
    "Usage: " HUB_PROG " init [--data DIR] [--repository DIR] [--node-url URL]\n"
    "                         [--node-token-file FILE]\n"
    "       " HUB_PROG " [run] [--data DIR] [OPTION...]\n"
    "       " HUB_PROG " catalog rebuild [--data DIR] [--repository DIR] [--force]\n"
    "       " HUB_PROG " token create [--data DIR] --name NAME --scope SCOPE\n"
    "\n"
    "init            makes the data folder: catalog, sealing key, repository 1, node 1,\n"
    "                an admin token\n"
    "run             the daemon: REST API, backups, restores\n"
    "catalog rebuild makes a lost catalog again from the points of a repository\n"
    "token create    prints a new API token; scopes: read, operate, restore, admin\n"
    "\n"
    "  --data DIR            data folder (" HUB_DATA_DEFAULT ")\n"
    "  --repository DIR      where repository 1 is (DATA/repository)\n"
    "  --node-url URL        where node 1 answers (http://127.0.0.1:8081)\n"
    "  --node-token-file F   its token; otherwise one is made in DATA/node.token\n"
    "  --force               catalog rebuild: moves an existing catalog aside\n"
    "\n"
    "Options of run:\n"
    "  --listen ADDR:PORT    where the REST API listens (127.0.0.1:8082); port 0: any\n"
    "  --allow-remote        lets --listen name an address that is not loopback\n"
    "  --hub-url URL         where the backup clients reach this hub (http://LISTEN)\n"
    "  --nbd-ports A-B       ports for NBD exports (10100-10200)\n"
    "  --worker PATH         sendense-worker (beside this program, else PATH)\n"
    "  --files PATH          sendense-files (beside this program, else PATH)\n"
    "  --appliance DIR       a fixed appliance of libguestfs, for file sessions (made\n"
    "                        when first needed, in /var/tmp)\n"
    "  --appliance-memory M  MiB of memory of each appliance (768)\n"
    "  --file-sessions N     file sessions at a time (4)\n"
    "  --run-dir DIR         private folder for sockets (DATA/run)\n"
    "  --max-connections N   HTTP connections at a time (256)\n"
    "  --connect-timeout S   NBD connect and handshake (10)\n"
    "  --io-timeout S        NBD without progress (60)\n"
    "  --audit-samples N     blocks per disk that are read although the source declares\n"
    "                        them zero (1024)\n"
    "  --disks-per-host N    disks read from one ESXi host at a time; 0: no limit (8)\n"
    "  --snapshot-lease S    how long a VM's snapshot outlives a hub that is gone (600)\n"
    "  --allow-remote-exports  lets restored disks be opened on addresses that are not\n"
    "                        loopback, with TLS and a key for each\n"
    "  --export-ttl-max S    longest time that a disk may be open (86400)\n"
    "  --log-level LEVEL     error, warn, info or debug\n"
    "\n"
    "  --version             version, commit and build id\n"
    "  --help                this text\n"
    "\n"
    "Exit status: 0 done, 1 failed, 2 wrong usage, 3 rebuilt, but some points were "
    "refused.\n";

static int
usage(const char *why)
{
    fprintf(stderr, HUB_PROG ": %s; try --help\n", why);
    return -1;
}

enum {
    OPT_DATA = 1,
    OPT_REPOSITORY,
    OPT_NODE_URL,
    OPT_NODE_TOKEN,
    OPT_FORCE,
    OPT_LISTEN,
    OPT_REMOTE,
    OPT_HUB_URL,
    OPT_PORTS,
    OPT_WORKER,
    OPT_RUN_DIR,
    OPT_FILES,
    OPT_APPLIANCE,
    OPT_APPLIANCE_MIB,
    OPT_SESSIONS,
    OPT_CONNECTIONS,
    OPT_CONNECT,
    OPT_IO,
    OPT_AUDIT,
    OPT_PER_HOST,
    OPT_LEASE,
    OPT_REMOTE_EXPORTS,
    OPT_EXPORT_TTL,
    OPT_NAME,
    OPT_SCOPE,
    OPT_LEVEL,
    OPT_VERSION,
    OPT_HELP
};

static const struct option options[] = {
    {"data", required_argument, NULL, OPT_DATA},
    {"repository", required_argument, NULL, OPT_REPOSITORY},
    {"node-url", required_argument, NULL, OPT_NODE_URL},
    {"node-token-file", required_argument, NULL, OPT_NODE_TOKEN},
    {"force", no_argument, NULL, OPT_FORCE},
    {"listen", required_argument, NULL, OPT_LISTEN},
    {"allow-remote", no_argument, NULL, OPT_REMOTE},
    {"hub-url", required_argument, NULL, OPT_HUB_URL},
    {"nbd-ports", required_argument, NULL, OPT_PORTS},
    {"worker", required_argument, NULL, OPT_WORKER},
    {"run-dir", required_argument, NULL, OPT_RUN_DIR},
    {"files", required_argument, NULL, OPT_FILES},
    {"appliance", required_argument, NULL, OPT_APPLIANCE},
    {"appliance-memory", required_argument, NULL, OPT_APPLIANCE_MIB},
    {"file-sessions", required_argument, NULL, OPT_SESSIONS},
    {"max-connections", required_argument, NULL, OPT_CONNECTIONS},
    {"connect-timeout", required_argument, NULL, OPT_CONNECT},
    {"io-timeout", required_argument, NULL, OPT_IO},
    {"audit-samples", required_argument, NULL, OPT_AUDIT},
    {"disks-per-host", required_argument, NULL, OPT_PER_HOST},
    {"snapshot-lease", required_argument, NULL, OPT_LEASE},
    {"allow-remote-exports", no_argument, NULL, OPT_REMOTE_EXPORTS},
    {"export-ttl-max", required_argument, NULL, OPT_EXPORT_TTL},
    {"name", required_argument, NULL, OPT_NAME},
    {"scope", required_argument, NULL, OPT_SCOPE},
    {"log-level", required_argument, NULL, OPT_LEVEL},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, OPT_HELP},
    {0}};

static int
number(const char *text, uint64_t min, uint64_t max, uint64_t *ret)
{
    if (text_to_u64(text, ret) == 0 && *ret >= min && *ret <= max)
        return 0;
    fprintf(stderr, HUB_PROG ": '%s' is not a number from %llu to %llu\n", text,
            (unsigned long long)min, (unsigned long long)max);
    return -1;
}

static int
take_path(int opt, const char *arg, struct hub_options *o)
{
    const char **where[] = {
        [OPT_DATA] = &o->data,          [OPT_REPOSITORY] = &o->repository,
        [OPT_NODE_URL] = &o->node_url,  [OPT_NODE_TOKEN] = &o->node_token_file,
        [OPT_LISTEN] = &o->listen,      [OPT_HUB_URL] = &o->hub_url,
        [OPT_PORTS] = &o->nbd_ports,    [OPT_WORKER] = &o->worker,
        [OPT_RUN_DIR] = &o->run_dir,    [OPT_NAME] = &o->name,
        [OPT_SCOPE] = &o->scope,        [OPT_FILES] = &o->files,
        [OPT_APPLIANCE] = &o->appliance};

    *where[opt] = arg;
    return 0;
}

/* 0, -1, or 1 when the program is done. */
static int
take_option(int opt, const char *arg, struct hub_options *o)
{
    switch (opt) {
    case OPT_FORCE:
        o->force = true;
        return 0;
    case OPT_REMOTE:
        o->allow_remote = true;
        return 0;
    case OPT_CONNECTIONS:
        return number(arg, 4, 10000, &o->max_connections);
    case OPT_APPLIANCE_MIB:
        return number(arg, 512, 16384, &o->appliance_mib);
    case OPT_SESSIONS:
        return number(arg, 1, 64, &o->file_sessions);
    case OPT_CONNECT:
        return number(arg, 1, 3600, &o->connect_s);
    case OPT_IO:
        return number(arg, 1, 86400, &o->io_s);
    case OPT_AUDIT:
        return number(arg, 0, SPEC_AUDIT_SAMPLES_MAX, &o->audit_samples);
    case OPT_PER_HOST:
        return number(arg, 0, 10000, &o->disks_per_host);
    case OPT_LEASE:
        return number(arg, VSPHERE_LEASE_MIN_S, VSPHERE_LEASE_MAX_S, &o->lease_s);
    case OPT_REMOTE_EXPORTS:
        o->allow_remote_exports = true;
        return 0;
    case OPT_EXPORT_TTL:
        return number(arg, 1, 31536000, &o->export_ttl_max_s);
    case OPT_LEVEL:
        return log_level_from_str(arg, &o->level) < 0 ? usage("unknown log level") : 0;
    case OPT_VERSION:
        version_print(HUB_PROG);
        return 1;
    case OPT_HELP:
        fputs(help_text, stdout);
        return 1;
    case '?':
        return usage("wrong usage");
    default:
        return take_path(opt, arg, o);
    }
}

static bool
command_is(int argc, char **argv, const char *first, const char *second)
{
    return argc - optind == (second ? 2 : 1) && strcmp(argv[optind], first) == 0 &&
           (!second || strcmp(argv[optind + 1], second) == 0);
}

static int
dispatch(int argc, char **argv, const struct hub_options *o)
{
    struct err err = ERR_INIT;
    int signal_fd;

    if (command_is(argc, argv, "init", NULL))
        return hub_init(o);
    if (command_is(argc, argv, "catalog", "rebuild"))
        return hub_rebuild(o);
    if (command_is(argc, argv, "token", "create")) {
        if (!o->name || !o->scope)
            return usage("token create needs --name and --scope") < 0 ? EXIT_USAGE : 0;
        return hub_token_create(o);
    }
    if (optind < argc && !command_is(argc, argv, "run", NULL)) {
        usage("unknown command");
        return EXIT_USAGE;
    }
    signal_fd = signals_setup(&err);
    if (signal_fd < 0) {
        log_error("%s", err.msg);
        return 1;
    }
    return hub_run(o, signal_fd);
}

int
main(int argc, char **argv)
{
    struct hub_options o = {.data = HUB_DATA_DEFAULT,
                            .listen = "127.0.0.1:8082",
                            .nbd_ports = "10100-10200",
                            .max_connections = 256,
                            .connect_s = spec_deadlines_default.connect_s,
                            .io_s = spec_deadlines_default.io_s,
                            .audit_samples = 1024,
                            .disks_per_host = 8,
                            .lease_s = VSPHERE_LEASE_S,
                            .export_ttl_max_s = 86400,
                            .file_sessions = 4,
                            .appliance_mib = 768,
                            .level = LOG_LEVEL_INFO};
    int opt, r;

    while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
        r = take_option(opt, optarg, &o);
        if (r != 0)
            return r > 0 ? fflush(stdout) != 0 : EXIT_USAGE;
    }
    log_setup(HUB_PROG, o.level);
    return dispatch(argc, argv, &o);
}
