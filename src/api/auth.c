/* api/auth.c - who may call what. */
#include <string.h>

#include "api/api.h"
#include "api/scope.h"
#include "base/timeutil.h"
#include "catalog/cat_token.h"
#include "os/seal.h"

static const char *const scope_words[] = {"read", "operate", "restore", "admin"};

int
scope_rank(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(scope_words); i++)
        if (strcmp(word, scope_words[i]) == 0)
            return (int)i;
    return -1;
}

int
scope_highest(const char *list)
{
    int best = -1;

    for (size_t i = 0; i < ARRAY_LEN(scope_words); i++) {
        size_t n = strlen(scope_words[i]);

        for (const char *p = list; *p;) {
            size_t len = strcspn(p, ",");

            if (len == n && memcmp(p, scope_words[i], n) == 0)
                best = (int)i;
            p += len + (p[len] == ',');
        }
    }
    return best;
}

static int
unauthenticated(struct err *err)
{
    return err_set(
        err, ERR_AUTH, "unauthenticated",
        "a valid token is needed: Authorization: Bearer sendense_…; `sendense login` "
        "stores one");
}

int
api_authorize(void *app, const char *token, const char *scope, struct http_call *call,
              struct err *err)
{
    struct api *a = app;
    char hash[TOKEN_HASH_SIZE];
    struct cat_token row = {0};
    struct err ignored = ERR_INIT;
    int r = 0;

    if (!atomic_load(&a->settled))
        return err_set(err, ERR_UNAVAILABLE, "not_ready",
                       "the hub is settling what an earlier run left; try again in a "
                       "few seconds");
    if (strcmp(scope, "job") == 0)
        return token ? 0 : unauthenticated(err);
    if (!token)
        return unauthenticated(err);
    token_hash(token, hash);
    if (cat_token_find(a->env->catalog, hash, time_utc_us(), &row, err) < 0)
        return err->class == ERR_AUTH ? unauthenticated(err) : err->class;
    http_call_set_user(call, row.name);
    if (scope_highest(row.scopes) < scope_rank(scope))
        r = err_set(err, ERR_AUTH, "forbidden",
                    "this needs a token with scope '%s'; this one has '%s'", scope,
                    row.scopes);
    /* When it was last used is for people; it fails nothing. */
    cat_token_touch(a->env->catalog, row.id, time_utc_us(), &ignored);
    cat_token_done(&row);
    return r;
}

void
api_init(struct api *a, struct job_env *env)
{
    memset(a, 0, sizeof *a);
    a->env = env;
    pthread_mutex_init(&a->kept_lock, NULL);
}

void
api_done(struct api *a)
{
    json_decref(a->node_versions);
    pthread_mutex_destroy(&a->kept_lock);
}
