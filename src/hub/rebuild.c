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

static int
check_catalog(const struct data_dir *d, bool force, struct err *err)
{
    if (fs_exists(d->catalog) && !force)
        return err_set(
            err, ERR_EXISTS, "catalog_exists",
            "'%s' exists: with --force it is moved aside and a new one is made",
            d->catalog);
    return 0;
}

/* The old catalog is evidence: it is moved aside, never removed. */
static int
move_aside(const struct data_dir *d, struct err *err)
{
    char when[TIME_STR_SIZE];
    static const char *const parts[] = {"", "-wal", "-shm"};

    if (!fs_exists(d->catalog))
        return 0;
    time_utc_to_str(time_utc_us(), when);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        CLEANUP_FREE char *from = xasprintf("%s%s", d->catalog, parts[i]);
        CLEANUP_FREE char *to = xasprintf("%s.old-%s%s", d->catalog, when, parts[i]);

        if (fs_exists(from) && fs_rename_noreplace(from, to, err) < 0)
            return err->class;
    }
    return 0;
}

/* A folder that is not mounted, was named wrongly or belongs to another hub is seen
 * before anything is changed: rebuild opens a repository, it never makes one. */
static int
check_repository(const char *path, struct err *err)
{
    CLEANUP_REPO struct repo *r = NULL;
    char nobody[UUID_STR_SIZE]; /* the hub gets its id with the new catalog */

    uuid_make(nobody);
    if (repo_open(path, NULL, &r, err) < 0 || repo_lock(r, nobody, 0, err) < 0)
        return err_prefix(err, "the repository cannot be read, the catalog is as it was");
    return 0;
}

/* Node 1 again, with the token that its file still holds. */
static int
add_node(struct job_env *env, const struct hub_options *o, const struct secret *token,
         struct err *err)
{
    char id[CAT_ID_SIZE];

    return nodes_add(env, "local", o->node_url ? o->node_url : NODE_URL_DEFAULT, token,
                     id, err);
}

static int
fill(struct job_env *env, const struct hub_options *o, const struct data_dir *d,
     const char *repository, const struct secret *token, struct import_report *rep,
     struct err *err)
{
    char id[CAT_ID_SIZE];

    if (add_node(env, o, token, err) < 0 ||
        repo_set_add_existing(env, "local", repository, id, err) < 0 ||
        import_repository(env, id, "rebuild", rep, err) < 0)
        return err->class;
    return data_dir_token(env->catalog, "admin", "admin", d->admin_token, NULL, err);
}

static int
rebuild(const struct hub_options *o, struct data_dir *d, struct import_report *rep,
        struct err *err)
{
    const char *repository = o->repository ? o->repository : d->repository;
    CLEANUP_SECRET struct secret *token = NULL;
    struct job_env env = {0};
    int r;

    if (check_repository(repository, err) < 0 || data_dir_make(d, err) < 0 ||
        data_dir_lock(d, err) < 0 || check_catalog(d, o->force, err) < 0)
        return err->class;
    if (secret_from_file(o->node_token_file ? o->node_token_file : d->node_token, &token,
                         err) < 0)
        return err_prefix(err, "the token of node 1");
    if (move_aside(d, err) < 0)
        return err->class;
    if (!fs_exists(d->seal_key) && seal_key_create(d->seal_key, err) < 0)
        return err->class;
    r = env_open(&env, d, true, err);
    if (r < 0)
        return r;
    r = env_set_worker(&env, o, err);
    if (r >= 0)
        r = fill(&env, o, d, repository, token, rep, err);
    env_close(&env);
    return r;
}

/* What it found; the exit status is 3 when a backup is not as it should be. */
static int
report(const struct import_report *rep, const struct data_dir *d)
{
    for (size_t i = 0; i < rep->n_refused; i++)
        fprintf(stderr, "%s: %s: %s\n", rep->refused[i].damaged ? "damaged" : "refused",
                rep->refused[i].file, rep->refused[i].message);
    printf("%zu points found, %zu taken into the catalog, %zu taken as damaged, %zu "
           "refused\n"
           "a new admin token is in %s\n",
           rep->found, rep->imported, rep->n_damaged, rep->n_refused - rep->n_damaged,
           d->admin_token);
    return rep->n_refused ? 3 : 0;
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
    if (r < 0)
        fprintf(stderr, HUB_PROG ": catalog rebuild: %s\n", err.msg);
    r = r < 0 ? 1 : report(&rep, &d);
    import_report_done(&rep);
    data_dir_done(&d);
    return r;
}
