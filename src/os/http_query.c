/* os/http_query.c - what handlers ask about a call. */
#include <inttypes.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "os/http_priv.h"

const char *
http_call_param(struct http_call *c, const char *name)
{
    const char *v = http_route_param(c->route, &c->path, name);

    return v ? v : "";
}

const char *
http_call_query(struct http_call *c, const char *name)
{
    for (unsigned i = 0; i < c->n_query; i++)
        if (strcmp(c->query[i].name, name) == 0)
            return c->query[i].value;
    return NULL;
}

int
http_call_query_u64(struct http_call *c, const char *name, uint64_t def, uint64_t max,
                    uint64_t *ret, struct err *err)
{
    const char *text = http_call_query(c, name);
    uint64_t v = def;

    if (text && (text_to_u64(text, &v) < 0 || v > max))
        return err_set(err, ERR_INVALID, "invalid_parameter",
                       "'%s' must be a number from 0 to %" PRIu64, name, max);
    *ret = v;
    return 0;
}

int
http_call_query_only(struct http_call *c, const char *const *names, struct err *err)
{
    for (unsigned i = 0; i < c->n_query; i++) {
        const char *const *n = names;

        while (*n && strcmp(*n, c->query[i].name) != 0)
            n++;
        if (!*n)
            return err_set(err, ERR_INVALID, "unknown_parameter",
                           "the query parameter '%.64s' is unknown", c->query[i].name);
    }
    return 0;
}

const char *
http_call_header(struct http_call *c, const char *name)
{
    return MHD_lookup_connection_value(c->mhd, MHD_HEADER_KIND, name);
}

const char *
http_call_request_id(struct http_call *c)
{
    return c->request_id;
}

const json_t *
http_call_json(struct http_call *c)
{
    return c->json;
}

void
http_call_set_state(struct http_call *c, void *state, void (*free_state)(void *))
{
    c->state = state;
    c->state_free = free_state;
}

void *
http_call_state(struct http_call *c)
{
    return c->state;
}

bool
http_call_stopping(struct http_call *c)
{
    return http_server_stopping(c->server);
}

void
http_call_set_user(struct http_call *c, const char *user)
{
    free(c->user);
    c->user = xstrdup(user);
}

const char *
http_call_user(struct http_call *c)
{
    return c->user ? c->user : "";
}
