/* hub/init.c - `sendense-hub init`: everything that a first run needs.  A half-done init
 * can be run again: each step looks whether it was done. */
#include <stdio.h>
#include <string.h>

#include "api/scope.h"
#include "base/fs.h"
#include "base/mem.h"
#include "catalog/cat_node.h"
#include "catalog/cat_repository.h"
#include "hub/env.h"
#include "job/nodes.h"
#include "job/repo_set.h"
#include "model/naming.h"

#define NODE_URL_DEFAULT "http://127.0.0.1:8081"
#define SECRET_MAX 4096u

/* Node 1: its token is made here unless the node has one already. */
static int
add_node(struct job_env *env, const struct hub_options *o, const struct data_dir *d,
         struct err *err)
{
    CLEANUP_SECRET struct secret *token = NULL;
    char id[CAT_ID_SIZE], fresh[TOKEN_STR_SIZE];
    const char *file = o->node_token_file ? o->node_token_file : d->node_token;
    struct cat_node known = {0};

    if (cat_node_get_by_name(env->catalog, "local", &known, err) >= 0) {
        cat_node_done(&known);
        return 0;
    }
    err_clear(err);
    if (!o->node_token_file && !fs_exists(file)) {
        token_make(fresh);
        if (fs_write_file_durable(file, fresh, strlen(fresh), 0600, err) < 0)
            return err->class;
        explicit_bzero(fresh, sizeof fresh);
    }
    if (secret_from_file(file, &token, err) < 0)
        return err->class;
    return nodes_add(env, "local", o->node_url ? o->node_url : NODE_URL_DEFAULT, token,
                     id, err);
}

static int
add_repository(struct job_env *env, const char *path, struct err *err)
{
    struct cat_repository known = {0};
    char id[CAT_ID_SIZE];

    if (cat_repository_get_by_name(env->catalog, "local", &known, err) >= 0) {
        cat_repository_done(&known);
        return 0;
    }
    err_clear(err);
    return repo_set_add(env, "local", path, id, err);
}

static int
init(const struct hub_options *o, struct data_dir *d, struct err *err)
{
    struct job_env env = {0};
    int r;

    if (data_dir_make(d, err) < 0 || data_dir_lock(d, err) < 0)
        return err->class;
    /* The last step of an init writes the admin token, so it tells whether all was done.
     */
    if (fs_exists(d->admin_token))
        return err_set(
            err, ERR_EXISTS, "already_initialised",
            "'%s' is a data folder already: start it with `sendense-hub run --data %s`",
            d->path, d->path);
    if (seal_key_create(d->seal_key, err) < 0 && err->class != ERR_EXISTS)
        return err->class;
    err_clear(err);
    r = env_open(&env, d, true, err);
    if (r < 0)
        return r;
    r = add_repository(&env, o->repository ? o->repository : d->repository, err);
    if (r >= 0)
        r = add_node(&env, o, d, err);
    if (r >= 0)
        r = data_dir_token(env.catalog, "admin", "admin", d->admin_token, NULL, err);
    env_close(&env);
    return r;
}

int
hub_init(const struct hub_options *o)
{
    struct err err = ERR_INIT;
    struct data_dir d;
    int r;

    data_dir_init(&d, o->data);
    r = init(o, &d, &err);
    if (r < 0) {
        fprintf(stderr, HUB_PROG ": init: %s\n", err.msg);
    } else {
        printf("data folder:   %s\n"
               "repository 1:  %s\n"
               "node 1:        %s\n"
               "node token:    %s  (sendense-node --token-file)\n"
               "admin token:   %s  (sendense login --token-file)\n"
               "\nStart the hub with: " HUB_PROG " run --data %s\n",
               d.path, o->repository ? o->repository : d.repository,
               o->node_url ? o->node_url : NODE_URL_DEFAULT,
               o->node_token_file ? o->node_token_file : d.node_token, d.admin_token,
               d.path);
    }
    data_dir_done(&d);
    return r < 0 ? 1 : 0;
}

static int
check_token(const struct hub_options *o, struct err *err)
{
    if (scope_rank(o->scope) < 0)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "--scope is read, operate, restore or admin");
    return naming_name_check(o->name, "--name", err);
}

int
hub_token_create(const struct hub_options *o)
{
    struct catalog *c = NULL;
    struct err err = ERR_INIT;
    char token[TOKEN_STR_SIZE];
    struct data_dir d;
    int r;

    if (check_token(o, &err) < 0) {
        fprintf(stderr, HUB_PROG ": token create: %s\n", err.msg);
        return 2;
    }
    data_dir_init(&d, o->data);
    r = catalog_open(d.catalog, false, &c, &err);
    if (r >= 0)
        r = data_dir_token(c, o->name, o->scope, NULL, token, &err);
    if (r < 0) {
        fprintf(stderr, HUB_PROG ": token create: %s\n", err.msg);
    } else {
        printf("%s\n", token);
        explicit_bzero(token, sizeof token);
    }
    catalog_close(c);
    data_dir_done(&d);
    return r < 0 ? 1 : 0;
}
