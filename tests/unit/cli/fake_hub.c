#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "fake_hub.h"

struct fake_hub hub = {.lock = PTHREAD_MUTEX_INITIALIZER};
struct cli_io fake_io = {
    .in_fd = -1, .poll_ms = 5, .plain_ms = 0, .retry_ms = 200, .idle_ms = 100};

static void
note(const char *route, struct http_call *call)
{
    static const char *const queries[] = {"name",          "vm_id",  "status", "after",
                                          "repository_id", "follow", NULL};
    size_t n = strlen(hub.log);
    char *body = http_call_json(call) ? json_line(http_call_json(call)) : NULL;

    n += (size_t)snprintf(hub.log + n, sizeof(hub.log) - n, "%s", route);
    if (*http_call_param(call, "id"))
        n += (size_t)snprintf(hub.log + n, sizeof(hub.log) - n, " id=%s",
                              http_call_param(call, "id"));
    for (size_t i = 0; queries[i]; i++)
        if (http_call_query(call, queries[i]))
            n += (size_t)snprintf(hub.log + n, sizeof(hub.log) - n, " %s=%s", queries[i],
                                  http_call_query(call, queries[i]));
    snprintf(hub.log + n, sizeof(hub.log) - n, "%s%s\n", body ? " " : "",
             body ? body : "");
    free(body);
}

/* Sends its text once and then stays silent, as a stream of events between two events. */
static ssize_t
quiet_stream(void *arg, char *p, size_t n)
{
    char **text = arg;
    size_t len = *text ? strlen(*text) : 0;

    if (http_server_stopping(hub.server))
        return -1;
    if (len == 0) {
        poll(NULL, 0, 10);
        return 0;
    }
    assert_true(len <= n);
    memcpy(p, *text, len);
    free(*text);
    *text = NULL;
    return (ssize_t)len;
}

static void
quiet_free(void *arg)
{
    char **text = arg;

    free(*text);
    free(text);
}

static int
answer(const char *route, struct http_call *call, struct http_reply *reply,
       struct err *err)
{
    LOCK_SCOPE(&hub.lock);
    const struct canned *a = hub.script;

    note(route, call);
    if (!a || !a->route || strcmp(a->route, route) != 0)
        return err_set(err, ERR_INTERNAL, NULL, "this request is not in the script");
    hub.script++;
    if (a->err_class)
        return err_set(err, a->err_class, a->code, "%s", a->text);
    if (strcmp(route, "GET /events") == 0) {
        char **text = xcalloc(1, sizeof(*text));

        *text = xstrdup(a->text);
        reply->content_type = "text/event-stream";
        reply->stream = quiet_stream;
        reply->stream_free = quiet_free;
        reply->stream_arg = text;
    } else if (strcmp(route, "GET /backups/{id}/log") == 0) {
        reply->content_type = "text/plain";
        reply->text = xstrdup(a->text);
    } else if (a->text) {
        assert_int_equal(json_parse(a->text, strlen(a->text), &reply->json, err), 0);
    }
    return 0;
}

#define ROUTES(X)                                                                        \
    X(version, "GET", "/version")                                                        \
    X(repos, "GET", "/repositories")                                                     \
    X(repo_add, "POST", "/repositories")                                                 \
    X(repo, "GET", "/repositories/{id}")                                                 \
    X(import, "POST", "/repositories/{id}/import")                                       \
    X(nodes, "GET", "/nodes")                                                            \
    X(credentials, "GET", "/credentials")                                                \
    X(credential_add, "POST", "/credentials")                                            \
    X(credential_probe, "POST", "/credentials/probe")                                    \
    X(credential, "GET", "/credentials/{id}")                                            \
    X(credential_set, "PATCH", "/credentials/{id}")                                      \
    X(credential_rm, "DELETE", "/credentials/{id}")                                      \
    X(credential_test, "POST", "/credentials/{id}/test")                                 \
    X(discover, "POST", "/vms/discover")                                                 \
    X(vms, "GET", "/vms")                                                                \
    X(vm_add, "POST", "/vms")                                                            \
    X(vm, "GET", "/vms/{id}")                                                            \
    X(vm_rm, "DELETE", "/vms/{id}")                                                      \
    X(backups, "GET", "/backups")                                                        \
    X(backup_run, "POST", "/backups")                                                    \
    X(backup, "GET", "/backups/{id}")                                                    \
    X(backup_rm, "DELETE", "/backups/{id}")                                              \
    X(explain, "GET", "/backups/{id}/explain")                                           \
    X(log, "GET", "/backups/{id}/log")                                                   \
    X(cancel, "POST", "/backups/{id}/cancel")                                            \
    X(verify, "POST", "/backups/{id}/verify")                                            \
    X(verification, "GET", "/verifications/{id}")                                        \
    X(restores, "GET", "/restores")                                                      \
    X(restore_add, "POST", "/restores")                                                  \
    X(restore, "GET", "/restores/{id}")                                                  \
    X(restore_cancel, "POST", "/restores/{id}/cancel")                                   \
    X(events, "GET", "/events")                                                          \
    X(tokens, "GET", "/tokens")                                                          \
    X(token_add, "POST", "/tokens")                                                      \
    X(token_rm, "DELETE", "/tokens/{id}")

#define HANDLER(name, method, path)                                                      \
    static int on_##name(struct http_call *call, void *app, struct http_reply *reply,    \
                         struct err *err)                                                \
    {                                                                                    \
        return answer(method " " path, call, reply, err);                                \
    }
ROUTES(HANDLER)

#define ROUTE(name, method_, path)                                                       \
    {.method = method_,                                                                  \
     .pattern = "/api/v1" path,                                                          \
     .scope = sizeof(path) == sizeof("/version") ? NULL : "any",                         \
     .body = (method_)[0] == 'P' ? HTTP_BODY_JSON : HTTP_BODY_NONE,                      \
     .handle = on_##name},

static const struct http_route routes[] = {ROUTES(ROUTE){0}};

static int
authorize(void *app, const char *token, const char *scope, struct http_call *call,
          struct err *err)
{
    if (token && strcmp(token, "sendense_good") == 0)
        return 0;
    return err_set(err, ERR_AUTH, "unauthenticated", "the token is unknown");
}

int
fake_hub_start(void **state)
{
    struct http_server_options opt = {
        .listen = "127.0.0.1:0", .routes = routes, .authorize = authorize};
    struct err err = ERR_INIT;
    char path[128];

    if (http_server_start(&opt, &hub.server, &err) < 0)
        fail_msg("%s", err.msg);
    snprintf(hub.url, sizeof(hub.url), "http://%s", http_server_address(hub.server));
    snprintf(hub.dir, sizeof(hub.dir), "/tmp/sendense-cli-XXXXXX");
    assert_non_null(mkdtemp(hub.dir));
    snprintf(path, sizeof(path), "%s/token", hub.dir);
    assert_int_equal(fs_write_file_durable(path, "sendense_good\n", 14, 0600, &err), 0);
    setenv("SENDENSE_URL", hub.url, 1);
    setenv("SENDENSE_TOKEN_FILE", path, 1);
    setenv("XDG_CONFIG_HOME", hub.dir, 1);
    unsetenv("NO_COLOR");
    return 0;
}

int
fake_hub_stop(void **state)
{
    char path[128];

    http_server_stop(hub.server);
    snprintf(path, sizeof(path), "%s/sendense/cli.json", hub.dir);
    unlink(path);
    snprintf(path, sizeof(path), "%s/sendense", hub.dir);
    rmdir(path);
    snprintf(path, sizeof(path), "%s/token", hub.dir);
    unlink(path);
    return rmdir(hub.dir);
}

struct result
run_cli(const struct canned *script, const char *line)
{
    char words[1024], prog[] = "sendense", *argv[32] = {prog}, *save = NULL;
    struct result r = {0};
    size_t out_n, err_n;
    int argc = 1;

    snprintf(words, sizeof(words), "%s", line);
    for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
        argv[argc++] = w;
    pthread_mutex_lock(&hub.lock);
    hub.script = script;
    hub.log[0] = '\0';
    pthread_mutex_unlock(&hub.lock);
    fake_io.out = open_memstream(&r.out, &out_n);
    fake_io.err = open_memstream(&r.err, &err_n);
    r.code = cli_run(argc, argv, &fake_io);
    fclose(fake_io.out);
    fclose(fake_io.err);
    if (script && hub.script->route)
        fail_msg("'%s' did not ask for %s; it said: %s", line, hub.script->route, r.err);
    return r;
}

void
result_done(struct result *r)
{
    free(r->out);
    free(r->err);
}
