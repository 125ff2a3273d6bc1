/* cli/hub.c - see hub.h. */
#include <curl/curl.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/config.h"
#include "cli/exitcode.h"

/* The hub starts a backup within 30 s and asks a node about disks meanwhile. */
#define CALL_TIMEOUT_MS 90000u
#define STREAM_TIMEOUT_MS (7u * 24 * 3600 * 1000)
#define LIST_MAX                                                                         \
    1000000 /* items; a hub that never ends its pages must not fill memory               \
             */

static int
no_token(const struct hub *h, const struct cli_config *stored, struct err *err)
{
    if (stored->token)
        return err_set(
            err, ERR_AUTH, "not_logged_in",
            "the stored login is for %s and is not sent to %s; give --token-file "
            "or run `sendense login --url %s`",
            stored->url, h->url, h->url);
    return err_set(err, ERR_AUTH, "not_logged_in",
                   "there is no token for %s; run `sendense login --url %s` or give "
                   "--token-file",
                   h->url, h->url);
}

static int
load_stored(bool may_lack, struct cli_config *ret, struct err *err)
{
    CLEANUP_FREE char *path = NULL;
    int r = cli_config_path(&path, err);

    if (r == 0)
        r = cli_config_load(path, ret, err);
    if (r < 0 && may_lack) {
        err_clear(err);
        r = 0;
    }
    return r;
}

static const char *
option_or_env(const struct cli *c, enum cli_opt_id id, const char *env)
{
    const char *v = c->args.value[id] ? c->args.value[id] : getenv(env);

    return v && *v ? v : NULL;
}

/* HUB_TOKEN_NEEDED when there is none is an error of its own. */
static int
load_token(struct cli *c, enum hub_token which, struct cli_config *stored, bool same_hub,
           struct err *err)
{
    const char *file = option_or_env(c, OPT_TOKEN_FILE, "SENDENSE_TOKEN_FILE");
    struct hub *h = &c->hub;

    if (which == HUB_TOKEN_NONE)
        return 0;
    if (file && secret_from_file(file, &h->token, err) < 0)
        return err_prefix(err, "read the token");
    if (which == HUB_TOKEN_GIVEN)
        return 0;
    if (!file && same_hub)
        h->token = take_ptr(&stored->token);
    return h->token ? hub_check_exposed(h, err) : no_token(h, stored, err);
}

int
hub_open(struct cli *c, enum hub_token which, struct err *err)
{
    const char *url = option_or_env(c, OPT_URL, "SENDENSE_URL");
    bool has_file = option_or_env(c, OPT_TOKEN_FILE, "SENDENSE_TOKEN_FILE") != NULL;
    CLEANUP_CONFIG struct cli_config stored = {0};
    struct hub *h = &c->hub;
    bool same_hub;
    int r = load_stored(which != HUB_TOKEN_NEEDED || (url && has_file), &stored, err);

    if (r < 0)
        return r;
    if (!url)
        url = stored.url ? stored.url : CONFIG_DEFAULT_URL;
    r = cli_url_normal(url, &h->url, err);
    if (r < 0)
        return r;
    same_hub = stored.url && strcmp(stored.url, h->url) == 0;
    h->insecure_http =
        c->args.value[OPT_INSECURE_HTTP] || (same_hub && stored.insecure_http);
    h->cancel_fd = c->io->signal_fd;
    r = load_token(c, which, &stored, same_hub, err);
    return r < 0 ? r : http_client_new(&h->http, err);
}

int
hub_check_exposed(const struct hub *h, struct err *err)
{
    if (h->insecure_http || !cli_url_is_exposed(h->url))
        return 0;
    return err_set(
        err, ERR_AUTH, "insecure_http",
        "%s is another machine and not https: whoever sits on the way could read "
        "the token and delete backups with it. Use https or an SSH tunnel "
        "(ssh -L 8082:127.0.0.1:8082 HUB), or accept this with --insecure-http",
        h->url);
}

void
hub_done(struct hub *h)
{
    free(h->url);
    secret_free(h->token);
    http_client_free(h->http);
    *h = (struct hub){0};
}

/* No answer at all: says what to look at, and keeps what the library found. */
static int
no_answer(const struct hub *h, const char *method, struct err *err)
{
    char why[256];
    bool changes = strcmp(method, "GET") != 0;

    if (err->class == ERR_CANCELLED || err->class == ERR_LIMIT ||
        err->class == ERR_INVALID)
        return err->class;
    snprintf(why, sizeof(why), "%.250s", err->msg);
    if (strcmp(err->code, "certificate_refused") == 0)
        return err_set(err, ERR_AUTH, "certificate_refused",
                       "the certificate of the hub at %s is not trusted (%s)", h->url,
                       why);
    if (err->class == ERR_TIMEOUT)
        return err_set(
            err, ERR_TIMEOUT, NULL, "the hub at %s took too long to answer%s (%s)",
            h->url,
            changes ? "; it may have done what was asked: look before you repeat" : "",
            why);
    return err_set(
        err, ERR_UNAVAILABLE, "hub_unreachable",
        "the hub at %s does not answer: is sendense-hub running, and is this its "
        "address? (%s)",
        h->url, why);
}

/* An error answer becomes @err; also of a proxy that speaks no problem+json. */
static int
problem(const struct hub *h, const struct http_response *res, struct err *err)
{
    int class = exit_class_of_status(res->status);
    CLEANUP_JSON json_t *j = NULL;
    struct err ignored = ERR_INIT;
    const char *code = NULL, *detail = NULL;

    if (res->body && json_parse(res->body, res->body_len, &j, &ignored) == 0) {
        code = json_string_value(json_object_get(j, "code"));
        detail = json_string_value(json_object_get(j, "detail"));
        if (!detail)
            detail = json_string_value(json_object_get(j, "title"));
    }
    if (!code && !detail)
        return err_set(
            err, class == ERR_NOT_FOUND ? ERR_PROTOCOL : class,
            class == ERR_UNAVAILABLE ? "hub_unreachable" : "unexpected_answer",
            "%s answered with HTTP status %ld and no reason; is it a Sendense hub?",
            h->url, res->status);
    if (class == ERR_AUTH && res->status == 401)
        return err_set(err, class, code, "%s; `sendense login` stores a valid token",
                       detail ? detail : "the hub does not know the token");
    return err_set(err, class, code, "%s", detail ? detail : code);
}

static int
parse_answer(const struct hub *h, const struct http_response *res, json_t **ret,
             struct err *err)
{
    json_t *j = NULL;
    int r;

    if (res->body_len > 0) {
        r = json_parse(res->body, res->body_len, &j, err);
        if (r == 0 && !json_is_object(j)) {
            json_decref(j);
            r = ERR_PROTOCOL;
        }
        if (r < 0)
            return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                           "%s answered with something that is not the API of a hub",
                           h->url);
    }
    *ret = j;
    return 0;
}

int
hub_call(struct hub *h, const char *method, const char *path, const json_t *body,
         json_t **ret, struct err *err)
{
    return hub_call_for(h, CALL_TIMEOUT_MS, method, path, body, ret, err);
}

int
hub_call_for(struct hub *h, unsigned timeout_ms, const char *method, const char *path,
             const json_t *body, json_t **ret, struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s/api/v1%s", h->url, path);
    CLEANUP_FREE char *text = body ? json_line(body) : NULL;
    struct http_request q = {.method = method,
                             .url = url,
                             .bearer = h->token,
                             .body = text,
                             .body_len = text ? strlen(text) : 0,
                             .timeout_ms = timeout_ms,
                             .cancel_fd = h->cancel_fd};
    struct http_response res = {0};
    json_t *j = NULL;
    int r = http_do(h->http, &q, &res, err);

    if (r < 0)
        return no_answer(h, method, err);
    if (res.status < 200 || res.status >= 300)
        r = problem(h, &res, err);
    else
        r = parse_answer(h, &res, &j, err);
    http_response_done(&res);
    if (r < 0)
        return r;
    if (ret)
        *ret = j;
    else
        json_decref(j);
    return 0;
}

int
hub_list(struct hub *h, const char *path, const char *items, json_t **ret,
         struct err *err)
{
    CLEANUP_JSON json_t *all = json_array();
    CLEANUP_FREE char *after = NULL;

    for (;;) {
        CLEANUP_FREE char *page_path = xstrdup(path);
        CLEANUP_JSON json_t *page = NULL;
        const char *next;
        const json_t *list;
        int r;

        hub_query(&page_path, "limit", "500");
        hub_query(&page_path, "after", after);
        r = hub_call(h, "GET", page_path, NULL, &page, err);
        if (r < 0)
            return r;
        list = json_object_get(page, items);
        if (!json_is_array(list))
            return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                           "%s gave a list without '%s'; is it a Sendense hub?", h->url,
                           items);
        json_array_extend(all, (json_t *)list);
        next = json_string_value(json_object_get(page, "next"));
        if (!next || json_array_size(list) == 0 || (after && strcmp(after, next) == 0))
            break;
        if (json_array_size(all) > LIST_MAX)
            return err_set(err, ERR_LIMIT, NULL, "the list has more than %d entries",
                           LIST_MAX);
        free(after);
        after = xstrdup(next);
    }
    *ret = json_pack("{s:O, s:n}", items, all, "next");
    return 0;
}

int
hub_stream(struct hub *h, const struct hub_stream *s, struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s/api/v1%s", h->url, s->path);
    CLEANUP_FREE char *text = s->body ? json_line(s->body) : NULL;
    struct http_request q = {.method = text ? "POST" : "GET",
                             .url = url,
                             .bearer = h->token,
                             .body = text,
                             .body_len = text ? strlen(text) : 0,
                             .accept = s->accept,
                             .timeout_ms = STREAM_TIMEOUT_MS,
                             .cancel_fd = s->cancel_fd,
                             .on_data = s->on_data,
                             .on_data_arg = s->arg};
    struct http_response res = {0};
    int r = http_do(h->http, &q, &res, err);

    if (r < 0)
        return no_answer(h, "GET", err);
    if (res.status < 200 || res.status >= 300)
        r = problem(h, &res, err);
    http_response_done(&res);
    return r;
}

static char *
encode(const char *s)
{
    char *e = curl_easy_escape(NULL, s, 0), *copy;

    copy = xstrdup(e ? e : "");
    curl_free(e);
    return copy;
}

char *
hub_path(const char *collection, const char *id, const char *rest)
{
    CLEANUP_FREE char *e = encode(id);

    return xasprintf("%s%s%s", collection, e, rest);
}

void
hub_query(char **path, const char *name, const char *value)
{
    CLEANUP_FREE char *e = NULL;
    char *longer;

    if (!value)
        return;
    e = encode(value);
    longer = xasprintf("%s%c%s=%s", *path, strchr(*path, '?') ? '&' : '?', name, e);
    free(*path);
    *path = longer;
}

int
hub_find(struct hub *h, const char *kind, const char *items, const char *word,
         char **ret_id, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("/%s", items);
    CLEANUP_FREE char *code = xasprintf("%s_not_found", kind);
    CLEANUP_JSON json_t *page = NULL;
    const char *by_name = NULL;
    const json_t *item;
    size_t i;
    int r = hub_list(h, path, items, &page, err);

    if (r < 0)
        return r;
    json_array_foreach(json_object_get(page, items), i, item)
    {
        const char *id = json_string_value(json_object_get(item, "id"));
        const char *name = json_string_value(json_object_get(item, "name"));

        if (id && strcmp(id, word) == 0) {
            *ret_id = xstrdup(id);
            return 0;
        }
        if (id && name && strcmp(name, word) == 0)
            by_name = id;
    }
    if (!by_name)
        return err_set(err, ERR_NOT_FOUND, code, "no %s has the name or id '%s'", kind,
                       word);
    *ret_id = xstrdup(by_name);
    return 0;
}

int
hub_find_vm(struct hub *h, const char *word, char **ret_id, json_t **ret_candidates,
            struct err *err)
{
    CLEANUP_FREE char *path = xstrdup("/vms");
    CLEANUP_JSON json_t *page = NULL;
    json_t *vms;
    const char *id;
    int r;

    if (uuid_is_valid(word)) {
        CLEANUP_FREE char *one = hub_path("/vms/", word, "");

        r = hub_call(h, "GET", one, NULL, NULL, err);
        if (r == 0)
            *ret_id = xstrdup(word);
        if (r != ERR_NOT_FOUND)
            return r;
        err_clear(err); /* a VM may be named like an id */
    }
    hub_query(&path, "name", word);
    r = hub_list(h, path, "vms", &page, err);
    if (r < 0)
        return r;
    vms = json_object_get(page, "vms");
    if (json_array_size(vms) == 0)
        return err_set(err, ERR_NOT_FOUND, "vm_not_found",
                       "no VM has the name or id '%s'; `sendense vm ls` lists them",
                       word);
    if (json_array_size(vms) > 1) {
        if (ret_candidates)
            *ret_candidates = json_incref(vms);
        return err_set(err, ERR_EXISTS, "vm_ambiguous",
                       "%zu VMs are named '%s'; choose one by its id with --vm-id",
                       json_array_size(vms), word);
    }
    id = json_string_value(json_object_get(json_array_get(vms, 0), "id"));
    if (!id)
        return err_set(err, ERR_PROTOCOL, "unexpected_answer",
                       "the hub gave a VM without id");
    *ret_id = xstrdup(id);
    return 0;
}
