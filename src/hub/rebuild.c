/* hub/rebuild.c - `sendense-hub catalog rebuild`: a lost catalog, made again from a
 * repository. */
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "catalog/cat_node.h"
#include "hub/env.h"
#include "job/import.h"
#include "job/nodes.h"
#include "job/repo_set.h"

#define NODE_URL_DEFAULT "http://127.0.0.1:8081"

/* The old catalog is evidence: it is moved aside, never removed. */
static int
move_aside(const struct data_dir *d, bool force, struct err *err)
{
    char when[TIME_STR_SIZE];
    static const char *const parts[] = {"", "-wal", "-shm"};

    if (!fs_exists(d->catalog))
        return 0;
    if (!force)
        return err_set(
            err, ERR_EXISTS, "catalog_exists",
            "'%s' exists: with --force it is moved aside and a new one is made",
            d->catalog);
    time_utc_to_str(time_utc_us(), when);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        CLEANUP_FREE char *from = xasprintf("%s%s", d->catalog, parts[i]);
        CLEANUP_FREE char *to = xasprintf("%s.old-%s%s", d->catalog, when, parts[i]);

        if (fs_exists(from) && fs_rename_noreplace(from, to, err) < 0)
            return err->class;
    }
    return 0;
}

/* Node 1 again, with the token that its file still holds. */
static int
add_node(struct job_env *env, const struct hub_options *o, const struct data_dir *d,
         struct err *err)
{
    CLEANUP_SECRET struct secret *token = NULL;
    char id[CAT_ID_SIZE];

    if (secret_from_file(o->node_token_file ? o->node_token_file : d->node_token, &token,
                         err) < 0)
        return err_prefix(err, "the token of node 1");
    return nodes_add(env, "local", o->node_url ? o->node_url : NODE_URL_DEFAULT, token,
                     id, err);
}

static int
rebuild(const struct hub_options *o, struct data_dir *d, struct import_report *rep,
        struct err *err)
{
    struct job_env env = {0};
    char id[CAT_ID_SIZE];
    int r;

    if (data_dir_make(d, err) < 0 || data_dir_lock(d, err) < 0 ||
        move_aside(d, o->force, err) < 0)
        return err->class;
    if (!fs_exists(d->seal_key) && seal_key_create(d->seal_key, err) < 0)
        return err->class;
    r = env_open(&env, d, true, err);
    if (r < 0)
        return r;
    r = add_node(&env, o, d, err);
    if (r >= 0)
        r = repo_set_add(&env, "local", o->repository ? o->repository : d->repository, id,
                         err);
    if (r >= 0)
        r = import_repository(&env, id, "rebuild", rep, err);
    if (r >= 0)
        r = data_dir_token(env.catalog, "admin", "admin", d->admin_token, NULL, err);
    env_close(&env);
    return r;
}

int
hub_rebuild(const struct hub_options *o)
{
    struct import_report rep = {0};
    struct err err = ERR_INIT;
    struct data_dir d;
    int r;

    data_dir_init(&d, o->data);
    r = rebuild(o, &d, &rep, &err);
    for (size_t i = 0; i < rep.n_refused; i++)
        fprintf(stderr, "refused: %s: %s\n", rep.refused[i].file, rep.refused[i].message);
    if (r < 0)
        fprintf(stderr, HUB_PROG ": catalog rebuild: %s\n", err.msg);
    else
        printf("%zu points found, %zu taken into the catalog, %zu refused\n"
               "a new admin token is in %s\n",
               rep.found, rep.imported, rep.n_refused, d.admin_token);
    r = r < 0 ? 1 : rep.n_refused ? 3 : 0;
    import_report_done(&rep);
    data_dir_done(&d);
    return r;
}
