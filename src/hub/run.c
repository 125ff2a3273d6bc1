/* hub/run.c - `sendense-hub run`: the daemon. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/api.h"
#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "base/version.h"
#include "hub/env.h"
#include "job/janitor.h"
#include "job/live.h"
#include "job/recover.h"
#include "job/repo_set.h"
#include "model/naming.h"
#include "os/http_server.h"
#include "os/child.h"
#include "os/proc_owned.h"
#include "os/signals.h"
#include "store/ports.h"

/* What a running job may take to end and clean up when the hub is told to stop. */
#define STOP_TIMEOUT_S 30

static int
set_ports(struct job_env *env, const char *range, struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(range);
    char *dash = strchr(copy, '-');
    uint64_t first = 0, last = 0;

    if (dash)
        *dash = '\0';
    if (!dash || text_to_u64(copy, &first) < 0 || text_to_u64(dash + 1, &last) < 0 ||
        first < 1 || last > 65535 || first > last)
        return err_set(err, ERR_INVALID, "port_range",
                       "--nbd-ports is FIRST-LAST, like 10100-10200; got '%s'", range);
    return port_pool_new((uint16_t)first, (uint16_t)last, &env->ports, err);
}

static int
set_up(struct job_env *env, const struct hub_options *o, struct err *err)
{
    CLEANUP_FREE char *mark = proc_mark_hub(env->hub_uuid);

    child_set_owner(mark);
    env->files_path = env_find_program(o->files, "sendense-files");
    env->appliance = xstrdup(o->appliance);
    env->files_max = (unsigned)o->file_sessions;
    env->files_memory_mib = (unsigned)o->appliance_mib;
    env->deadlines.connect_s = (uint32_t)o->connect_s;
    env->deadlines.io_s = (uint32_t)o->io_s;
    env->audit_samples = (uint32_t)o->audit_samples;
    env->disks_per_host = (uint32_t)o->disks_per_host;
    env->lease_s = (uint32_t)o->lease_s;
    env->remote_exports = o->allow_remote_exports;
    env->export_ttl_max_s = o->export_ttl_max_s;
    if (set_ports(env, o->nbd_ports, err) < 0 || env_set_worker(env, o, err) < 0)
        return err->class;
    return repo_set_open_all(env, err);
}

static bool
is_loopback(const char *listen)
{
    return strncmp(listen, "127.", 4) == 0 || strncmp(listen, "[::1]:", 6) == 0;
}

static int
start_server(struct job_env *env, struct api *api, const struct hub_options *o,
             struct http_server **ret, struct err *err)
{
    struct http_server_options opt = {.listen = o->listen,
                                      .routes = api_routes,
                                      .app = api,
                                      .authorize = api_authorize,
                                      .max_connections = (unsigned)o->max_connections};

    if (!is_loopback(o->listen) && !o->allow_remote)
        return err_set(
            err, ERR_INVALID, "not_loopback",
            "'%s' is not a loopback address: the API is plain HTTP, so this needs "
            "--allow-remote and a network that protects it",
            o->listen);
    if (http_server_start(&opt, ret, err) < 0)
        return err_prefix(err, "listen on '%s'", o->listen);
    env->hub_url = o->hub_url ? xstrdup(o->hub_url)
                              : xasprintf("http://%s", http_server_address(*ret));
    return 0;
}

/* The one line on stdout that tells a parent that requests are answered. */
static void
tell_ready(const struct http_server *s)
{
    log_info("listening on %s", http_server_address(s));
    printf("{\"ready\":true,\"address\":\"%s\"}\n", http_server_address(s));
    fflush(stdout);
}

static int
serve(struct job_env *env, const struct hub_options *o, int signal_fd, struct err *err)
{
    struct http_server *server = NULL;
    struct janitor *janitor = NULL;
    struct recover_report rep;
    struct api api;
    int r;

    api_init(&api, env);
    r = start_server(env, &api, o, &server, err);
    if (r >= 0)
        r = recover_all(env, &rep, err);
    if (r >= 0)
        r = janitor_start(env, &janitor, err);
    if (r >= 0) {
        atomic_store(&api.settled, true);
        atomic_store(&api.ready, true);
        tell_ready(server);
        do
            r = signals_wait(signal_fd, err);
        while (r == SIGHUP);
        log_info("stopping: %zu jobs are interrupted", live_count(env->live));
        atomic_store(&api.ready, false);
        janitor_stop(janitor);
        if (!live_set_stop(env->live, time_mono_ns() + STOP_TIMEOUT_S * NS_PER_S))
            log_error("%zu jobs did not end within %d s; the next start settles them",
                      live_count(env->live), STOP_TIMEOUT_S);
    }
    if (server)
        http_server_stop(server);
    api_done(&api);
    return r;
}

int
hub_run(const struct hub_options *o, int signal_fd)
{
    struct err err = ERR_INIT;
    struct job_env env = {0};
    struct data_dir d;
    int r;

    version_log(HUB_PROG);
    data_dir_init(&d, o->data);
    r = data_dir_lock(&d, &err);
    if (r >= 0)
        r = env_open(&env, &d, false, &err);
    if (r >= 0) {
        r = set_up(&env, o, &err);
        if (r >= 0)
            r = serve(&env, o, signal_fd, &err);
        /* Threads of jobs that would not end still use it. */
        if (live_count(env.live) == 0)
            env_close(&env);
    }
    if (r < 0)
        log_error("%s", err.msg);
    data_dir_done(&d);
    return r < 0 ? 1 : 0;
}
