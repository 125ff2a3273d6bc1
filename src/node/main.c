/* node/main.c - sendense-node: wiring and life cycle. */
#include <poll.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "node/options.h"
#include "node/routes.h"
#include "os/child.h"
#include "os/proc_owned.h"
#include "os/signals.h"

#define PROG "sendense-node"
#define EXPIRE_EVERY_MS 60000
#define TOKEN_MIN 16 /* characters; ours have 52 */
#define EXIT_USAGE 2

static int
load_token(const char *path, unsigned char hash[NODE_TOKEN_HASH_SIZE], struct err *err)
{
    CLEANUP_SECRET struct secret *token = NULL;

    if (secret_from_file(path, &token, err) < 0)
        return err_prefix(err, "token file '%s'", path);
    if (secret_len(token) < TOKEN_MIN)
        return err_set(err, ERR_INVALID, "token_too_short",
                       "token file '%s': the token has fewer than %d characters", path,
                       TOKEN_MIN);
    node_token_hash(secret_reveal(token), hash);
    return 0;
}

/* Whoever started us waits for this line. */
static int
announce(const char *address, struct err *err)
{
    CLEANUP_JSON json_t *j = json_object();
    CLEANUP_FREE char *line = NULL;

    json_object_set_new(j, "ready", json_true());
    json_object_set_new(j, "address", json_string(address));
    line = json_line(j);
    if (puts(line) < 0 || fflush(stdout) != 0)
        return err_set(err, ERR_IO, NULL, "the address cannot be written to stdout");
    return 0;
}

/* Until SIGTERM or SIGINT. */
static int
serve(struct node_app *app, int signal_fd, struct err *err)
{
    for (;;) {
        struct pollfd p = {.fd = signal_fd, .events = POLLIN};
        int sig;

        if (poll(&p, 1, EXPIRE_EVERY_MS) <= 0) {
            job_table_expire(app->jobs, time_mono_ns());
            continue;
        }
        sig = signals_wait(signal_fd, err);
        if (sig < 0)
            return sig;
        if (sig == SIGHUP)
            continue; /* nothing to reload */
        log_info("stopping on signal %d", sig);
        return 0;
    }
}

static int
run_server(struct node_app *app, const struct node_options *opt, int signal_fd,
           struct err *err)
{
    const struct http_server_options server_options = {
        .listen = opt->listen,
        .routes = node_routes,
        .app = app,
        .authorize = node_authorize,
    };
    struct http_server *server = NULL;
    int r;

    if (http_server_start(&server_options, &server, err) < 0)
        return err->class;
    log_info("listening on %s, at most %u jobs", http_server_address(server),
             opt->max_jobs);
    r = announce(http_server_address(server), err);
    if (r == 0)
        r = serve(app, signal_fd, err);
    /* In this order: whoever waits in a handler is let go, and only then are handlers
     * awaited. */
    job_table_stop(app->jobs);
    lease_keeper_stop(app->leases);
    asker_stop(app->prober);
    asker_stop(app->vsphere);
    asker_stop(app->remover);
    http_server_stop(server);
    return r;
}

static void
app_done(struct node_app *app)
{
    lease_keeper_free(app->leases);
    asker_free(app->prober);
    asker_free(app->vsphere);
    asker_free(app->remover);
    client_version_free(app->client_version);
}

static int
start_parts(struct node_app *app, const struct node_options *opt, const char *client,
            struct err *err)
{
    struct job_table_options table_options = {
        .job = {.client = client, .grace_ms = opt->stop_timeout_s * 1000},
        .max_jobs = opt->max_jobs,
    };

    if (probe_asker_new(client, &app->prober, err) < 0 ||
        vsphere_asker_new(client, &app->vsphere, err) < 0 ||
        vsphere_asker_new(client, &app->remover, err) < 0 ||
        lease_keeper_start(opt->state, app->remover, &app->leases, err) < 0)
        return err->class;
    table_options.leases = app->leases;
    app->jobs = job_table_new(&table_options);
    app->client_version = client_version_new(client);
    return 0;
}

static int
run(const struct node_options *opt, struct err *err)
{
    CLEANUP_FREE char *found = NULL;
    struct node_app app = {0};
    struct err ignored = ERR_INIT;
    CLEANUP_FREE char *mark = NULL;
    int signal_fd, r;

    signal_fd = signals_setup(err);
    if (signal_fd < 0)
        return signal_fd;
    if (load_token(opt->token_file, app.token_hash, err) < 0)
        return err->class;
    if (!opt->client && node_find_client(&found, err) < 0)
        return err->class;
    mark = proc_mark_node(opt->state);
    child_set_owner(mark);
    app.state = opt->state;
    r = start_parts(&app, opt, opt->client ? opt->client : found, err);
    if (r == 0)
        r = run_server(&app, opt, signal_fd, err);
    /* The clients' last words concern the leases. */
    if (job_table_free(app.jobs, r == 0 ? err : &ignored) == 0)
        app_done(&app);
    else if (r == 0)
        r = err->class; /* a client is stuck, and its thread may still speak to the rest
                         */
    return r;
}

int
main(int argc, char **argv)
{
    struct err err = ERR_INIT;
    struct node_options opt;

    if (node_options_parse(argc, argv, &opt, &err) < 0) {
        fprintf(stderr, PROG ": %s\nTry '" PROG " --help'.\n", err.msg);
        return EXIT_USAGE;
    }
    if (opt.action == NODE_HELP) {
        fputs(node_usage, stdout);
        return EXIT_SUCCESS;
    }
    if (opt.action == NODE_VERSION) {
        version_print(PROG);
        return EXIT_SUCCESS;
    }
    log_setup(PROG, opt.log_level);
    version_log(PROG);
    if (sodium_init() < 0) {
        log_error("libsodium does not start");
        return EXIT_FAILURE;
    }
    if (run(&opt, &err) < 0) {
        log_error("%s", err.msg);
        return EXIT_FAILURE;
    }
    log_info("stopped");
    return EXIT_SUCCESS;
}
