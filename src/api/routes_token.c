/* api/routes_token.c */
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "api/handlers.h"
#include "api/reply.h"
#include "api/scope.h"
#include "base/buf.h"
#include "base/json.h"
#include "base/timeutil.h"
#include "catalog/cat_token.h"
#include "job/bus.h"
#include "model/naming.h"
#include "os/seal.h"

#define EXPIRES_MAX_S (10ull * 365 * 24 * 3600)
#define SCOPES_TEXT_MAX 256u

static json_t *
scopes_to_json(const char *list)
{
    json_t *out = json_array();

    while (*list) {
        size_t n = strcspn(list, ",");

        json_array_append_new(out, json_stringn(list, n));
        list += n + (list[n] == ',');
    }
    return out;
}

static json_t *
to_json(const struct cat_token *t)
{
    json_t *o = json_object();

    put_str(o, "id", t->id);
    put_str(o, "name", t->name);
    json_object_set_new(o, "scopes", scopes_to_json(t->scopes));
    put_time(o, "created", t->created_us);
    put_time(o, "expires", t->expires_us);
    put_time(o, "last_used", t->last_used_us);
    put_time(o, "revoked", t->revoked_us);
    return o;
}

int
api_tokens_list(struct http_call *call, void *app, struct http_reply *reply,
                struct err *err)
{
    struct api *a = app;
    struct cat_tokens list = {0};
    struct listing l;

    if (listing_begin(call, NULL, &l, err) < 0)
        return err->class;
    if (cat_token_list(a->env->catalog, &l.page, &list, err) < 0)
        return err->class;
    for (size_t i = 0; i < list.n; i++)
        listing_add(&l, to_json(&list.v[i]), list.v[i].id, 0);
    reply->json = listing_end(&l, "tokens", list.more);
    cat_tokens_done(&list);
    return 0;
}

static int
read_scopes(const json_t *list, struct buf *out, struct err *err)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *word = json_string_value(json_array_get(list, i));

        if (!word || scope_rank(word) < 0)
            return err_set(err, ERR_INVALID, "invalid_field",
                           "scopes are words of: read, operate, restore, admin");
        if (buf_printf(out, err, "%s%s", i ? "," : "", word) < 0)
            return err_set(err, ERR_INVALID, "invalid_field", "too many scopes");
    }
    return out->len ? 0
                    : err_set(err, ERR_INVALID, "invalid_field",
                              "at least one scope is needed");
}

static int
tell(struct api *a, const char *type, const char *name, const char *actor,
     struct err *err)
{
    struct cat_event e = {
        .severity = "info", .type = type, .message = name, .actor = actor};

    return bus_emit(a->env, &e, err);
}

int
api_tokens_add(struct http_call *call, void *app, struct http_reply *reply,
               struct err *err)
{
    CLEANUP_BUF struct buf scopes = BUF_INIT(SCOPES_TEXT_MAX);
    struct api *a = app;
    struct jreader r;
    struct cat_token row = {.created_us = time_utc_us()};
    char id[UUID_STR_SIZE], token[TOKEN_STR_SIZE], hash[TOKEN_HASH_SIZE];
    const json_t *list;
    uint64_t expires_in_s;

    jreader_init(&r, http_call_json(call), "request", err);
    row.name = jget_str(&r, "name");
    list = jget_arr(&r, "scopes");
    expires_in_s = jopt_u64(&r, "expires_in_s", 0);
    if (jreader_end(&r) < 0 || naming_name_check(row.name, "token name", err) < 0 ||
        read_scopes(list, &scopes, err) < 0)
        return err->class;
    if (expires_in_s > EXPIRES_MAX_S)
        return err_set(err, ERR_INVALID, "invalid_field", "expires_in_s is at most %llu",
                       EXPIRES_MAX_S);
    uuid_make(id);
    token_make(token);
    token_hash(token, hash);
    row.id = id;
    row.token_hash = hash;
    row.scopes = scopes.data;
    row.expires_us = expires_in_s ? row.created_us + (int64_t)expires_in_s * 1000000 : 0;
    if (cat_token_add(a->env->catalog, &row, err) < 0 ||
        tell(a, "token.created", row.name, http_call_user(call), err) < 0)
        return err->class;
    reply->status = 201;
    reply->json = to_json(&row);
    put_str(reply->json, "token", token);
    explicit_bzero(token, sizeof token);
    return 0;
}

int
api_tokens_revoke(struct http_call *call, void *app, struct http_reply *reply,
                  struct err *err)
{
    struct api *a = app;
    const char *id = http_call_param(call, "id");

    if (cat_token_revoke(a->env->catalog, id, time_utc_us(), err) < 0)
        return err->class;
    return tell(a, "token.revoked", id, http_call_user(call), err);
}
