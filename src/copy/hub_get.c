/* copy/hub_get.c - see hub_get.h. */
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "copy/hub_answer.h"
#include "copy/hub_get.h"

#define TRIES_MAX 6
#define PAUSE_FIRST_MS 200
#define PAUSE_MAX_MS 5000
#define GET_TIMEOUT_MS 60000

int
hub_get_init(struct hub_get *g, const struct job_spec *spec, uint32_t key,
             const char *route, const char *what, struct copy_stop *stop, struct err *err)
{
    struct http_client *http;

    if (http_client_new(&http, err) < 0)
        return err->class;
    *g = (struct hub_get){.spec = spec,
                          .stop = stop,
                          .http = http,
                          .base = hub_disk_url(spec, key, route),
                          .what = what};
    return 0;
}

void
hub_get_done(struct hub_get *g)
{
    http_client_free(g->http);
    free(g->base);
    *g = (struct hub_get){0};
}

static int
get_once(struct hub_get *g, const char *url, size_t max, struct http_response *ret,
         struct err *err)
{
    struct http_request req = {.method = "GET",
                               .url = url,
                               .bearer = g->spec->job_token,
                               .accept = "application/octet-stream",
                               .connect_timeout_ms = g->spec->deadlines.connect_s * 1000,
                               .timeout_ms = GET_TIMEOUT_MS,
                               /* A refusal is text. */
                               .max_response = max < 65536 ? 65536 : max,
                               .cancel_fd = copy_stop_fd(g->stop)};
    CLEANUP_JSON json_t *j = NULL;
    struct err ignored = ERR_INIT;
    int r = http_do(g->http, &req, ret, err);

    if (r < 0)
        return r;
    if (ret->status < 200 || ret->status >= 300) {
        if (ret->body)
            (void)json_parse(ret->body, ret->body_len, &j, &ignored);
        hub_refusal(j, ret->status, g->what, err);
    } else if (ret->body_len % MANIFEST_RECORD_SIZE || ret->body_len > max) {
        err_set(err, ERR_PROTOCOL, "hub_protocol",
                "the hub's answer of %zu bytes is not made of the records asked for",
                ret->body_len);
    }
    if (err->class != 0)
        http_response_done(ret);
    return err->class;
}

int
hub_get(struct hub_get *g, const char *query, size_t max, struct http_response *ret,
        struct err *err)
{
    CLEANUP_FREE char *url = xasprintf("%s?%s", g->base, query);
    unsigned pause_ms = PAUSE_FIRST_MS;

    for (unsigned try = 1;; try++) {
        int r;

        err_clear(err);
        *ret = (struct http_response){0};
        r = get_once(g, url, max * MANIFEST_RECORD_SIZE, ret, err);
        if (r >= 0 || !err_is_transient(r))
            return r;
        if (try == TRIES_MAX) {
            if (strcmp(err->code, err_class_word(r)) == 0)
                err_recode(err, "hub_unavailable");
            return err_prefix(err, "ask the hub, %d tries", TRIES_MAX);
        }
        r = copy_stop_pause(g->stop, pause_ms, err);
        if (r < 0)
            return r;
        pause_ms = pause_ms * 3 < PAUSE_MAX_MS ? pause_ms * 3 : PAUSE_MAX_MS;
    }
}
