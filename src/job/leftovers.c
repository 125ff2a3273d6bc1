#include "job/leftovers.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_resource.h"
#include "job/backup.h"
#include "job/folder.h"
#include "job/journal.h"
#include "job/nodes.h"
#include "job/repo_set.h"
#include "job/restore_record.h"
#include "job/snapshot_lease.h"
#include "os/child.h"
#include "store/group_roots.h"
#include "store/layer.h"

#define KILL_TIMEOUT_MS 10000u

/* "REPO_ID:name" of a layer, manifest or point. */
static int
split_key(const struct job_env *env, const char *res_key, struct repo **ret_repo,
          const char **ret_name, struct err *err)
{
    const char *colon = strchr(res_key, ':');
    char id[CAT_ID_SIZE];

    if (!colon || (size_t)(colon - res_key) >= sizeof id)
        return err_set(err, ERR_CORRUPT, NULL, "journal key '%.100s' makes no sense",
                       res_key);
    snprintf(id, sizeof id, "%.*s", (int)(colon - res_key), res_key);
    *ret_name = colon + 1;
    return repo_set_get(env, id, ret_repo, err);
}

static int
kill_process(const struct cat_resource *r, struct err *err)
{
    struct child_id id = {.pid = (pid_t)r->pid, .start_ticks = (uint64_t)r->start_ticks};

    if (r->pid == 0 || !r->boot_id)
        return 0;
    snprintf(id.boot_id, sizeof id.boot_id, "%s", r->boot_id);
    if (!child_id_alive(&id))
        return 0;
    log_warn("job='%s' %s '%s': process %d outlived the hub, ending it", r->job_id,
             r->kind, r->res_key, (int)id.pid);
    return child_id_kill(&id, KILL_TIMEOUT_MS, err);
}

static int
remove_manifest(struct repo *repo, const char *locator, struct err *err)
{
    CLEANUP_FREE char *sealed = xasprintf("%s.manifest", locator);
    CLEANUP_FREE char *part = xasprintf("%s.manifest.part", locator);
    CLEANUP_FREE char *roots = xasprintf("%s" GROUP_ROOTS_SUFFIX, locator);

    if (repo_remove(repo, part, true, err) < 0 || repo_remove(repo, roots, true, err) < 0)
        return err->class;
    return repo_remove(repo, sealed, true, err);
}

/* The node that "NODE_ID:…" names. */
static int
connect_node(struct job_env *env, const struct cat_resource *r, struct node_client **ret,
             struct err *err)
{
    const char *colon = strchr(r->res_key, ':');
    char id[CAT_ID_SIZE];

    if (!colon || (size_t)(colon - r->res_key) >= sizeof id)
        return err_set(err, ERR_CORRUPT, NULL, "journal key '%.100s' makes no sense",
                       r->res_key);
    snprintf(id, sizeof id, "%.*s", (int)(colon - r->res_key), r->res_key);
    return nodes_connect(env, id, ret, err);
}

/* The entry stays open while the node is out of reach: its client may still run. */
static int
end_node_job(struct job_env *env, const struct cat_resource *r, int stop_fd,
             struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;

    if (connect_node(env, r, &node, err) < 0)
        return err->class;
    return node_client_delete(node, strchr(r->res_key, ':') + 1, stop_fd, err);
}

static int
end_snapshot(struct job_env *env, const struct cat_resource *r, struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;

    if (connect_node(env, r, &node, err) < 0)
        return err->class;
    return snapshot_lease_settle(node, r->job_id, err);
}

static int
unmake(struct job_env *env, const struct cat_resource *r, int stop_fd, struct err *err)
{
    struct repo *repo = NULL;
    const char *name = NULL;

    if (strcmp(r->kind, RES_DELETE) == 0)
        return backup_delete_finish(env, r->job_id, err);
    if (strcmp(r->kind, RES_EXPORT) == 0 || strcmp(r->kind, RES_WORKER) == 0 ||
        strcmp(r->kind, RES_PROGRAM) == 0)
        return kill_process(r, err);
    if (strcmp(r->kind, RES_PORT) == 0)
        return 0; /* free since its process is gone */
    if (strcmp(r->kind, RES_SOCKET) == 0 || strcmp(r->kind, RES_FILE) == 0)
        return fs_unlink(r->res_key, true, err);
    if (strcmp(r->kind, RES_FOLDER) == 0)
        return folder_remove(r->res_key, err);
    if (strcmp(r->kind, RES_PARTIAL) == 0)
        return restore_record_tidy(r->res_key, err);
    if (strcmp(r->kind, RES_NODE_JOB) == 0)
        return end_node_job(env, r, stop_fd, err);
    if (strcmp(r->kind, RES_SNAPSHOT) == 0)
        return end_snapshot(env, r, err);
    if (split_key(env, r->res_key, &repo, &name, err) < 0)
        return err->class;
    if (strcmp(r->kind, RES_LAYER) == 0)
        return layer_remove(repo, name, err);
    if (strcmp(r->kind, RES_MANIFEST) == 0)
        return remove_manifest(repo, name, err);
    if (strcmp(r->kind, RES_POINT) == 0)
        return repo_remove(repo, name, true, err);
    return err_set(err, ERR_CORRUPT, NULL, "journal kind '%s' is unknown", r->kind);
}

/* Processes before the files they have open, the point before the files it speaks of;
 * else in the reverse order of making. */
enum { RANK_NODE_JOB /* and its snapshot */, RANK_PROCESS, RANK_POINT, RANK_FILES };

static int
rank(const char *kind)
{
    if (strcmp(kind, RES_NODE_JOB) == 0 || strcmp(kind, RES_SNAPSHOT) == 0)
        return RANK_NODE_JOB;
    if (strcmp(kind, RES_EXPORT) == 0 || strcmp(kind, RES_WORKER) == 0 ||
        strcmp(kind, RES_PROGRAM) == 0)
        return RANK_PROCESS;
    return strcmp(kind, RES_POINT) == 0 ? RANK_POINT : RANK_FILES;
}

static int
by_rank(const void *a, const void *b)
{
    const struct cat_resource *x = a, *y = b;
    int d = rank(x->kind) - rank(y->kind);

    return d ? d : (x->id < y->id) - (x->id > y->id);
}

bool
leftovers_stop_asked(const struct leftovers_how *how)
{
    struct pollfd p = {.fd = how->stop_fd, .events = POLLIN};

    return how->stop_fd > 0 && poll(&p, 1, 0) > 0;
}

/* True when entry and thing are gone. */
static bool
release_one(struct job_env *env, const struct cat_resource *r,
            const struct leftovers_how *how)
{
    struct err err = ERR_INIT;
    int64_t id = r->id;

    if (unmake(env, r, how->stop_fd, &err) < 0) {
        log_error("job='%s' left over: %s '%s': %s", r->job_id, r->kind, r->res_key,
                  err.msg);
        return false;
    }
    log_info("job='%s' released %s '%s'", r->job_id, r->kind, r->res_key);
    journal_released(env, r->job_id, &id);
    return true;
}

bool
leftovers_unmake(struct job_env *env, const char *job_id, const struct leftovers_how *how)
{
    struct cat_resources list = {0};
    struct err err = ERR_INIT;
    int failed_rank = RANK_FILES;
    bool all = true;

    if (cat_resource_list_job(env->catalog, job_id, &list, &err) < 0) {
        log_error("job='%s' read its journal: %s", job_id, err.msg);
        return false;
    }
    if (list.n > 0)
        qsort(list.v, list.n, sizeof *list.v, by_rank);
    for (size_t i = 0; i < list.n && !leftovers_stop_asked(how); i++) {
        int mine = rank(list.v[i].kind);

        if (strcmp(list.v[i].kind, RES_MERGE) == 0)
            continue; /* is gone on with: job/merge.h */

        if (mine == RANK_NODE_JOB && how->not_nodes) {
            all = false;
            continue;
        }
        /* A process that lives may still write its file; a point that stays needs its
         * layers.  A node out of reach holds nothing up: what its client writes to is
         * gone. */
        if (mine > failed_rank)
            break;
        if (release_one(env, &list.v[i], how))
            continue;
        all = false;
        if (mine != RANK_NODE_JOB)
            failed_rank = mine;
    }
    cat_resources_done(&list);
    return all;
}

bool
leftovers_end_processes(struct job_env *env, const char *job_id)
{
    const struct leftovers_how how = {.not_nodes = true};
    struct cat_resources list = {0};
    struct err err = ERR_INIT;
    bool all = true;

    if (cat_resource_list_job(env->catalog, job_id, &list, &err) < 0) {
        log_error("job='%s' read its journal: %s", job_id, err.msg);
        return false;
    }
    if (list.n > 0)
        qsort(list.v, list.n, sizeof *list.v, by_rank);
    for (size_t i = 0; all && i < list.n; i++)
        if (rank(list.v[i].kind) == RANK_PROCESS || strcmp(list.v[i].kind, RES_PORT) == 0)
            all = release_one(env, &list.v[i], &how);
    cat_resources_done(&list);
    return all;
}
