/* job/doctor_mend.c - one act of mending.  Each looks once more whether what it would
 * take away is still nobody's: a job may have begun meanwhile. */
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "catalog/cat_resource.h"
#include "job/credentials.h"
#include "job/doctor_priv.h"
#include "job/folder.h"
#include "job/live.h"
#include "job/nodes.h"
#include "job/recover.h"
#include "job/repo_set.h"
#include "job/sweep.h"
#include "os/proc_owned.h"
#include "store/lockprobe.h"

#define IN_USE "in use again: left as it is"

static int
end_process(const struct doctor_fix *how, struct err *err)
{
    return proc_end(&how->process, err);
}

static int
ask_node(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings left = {0};

    if (nodes_connect(env, how->id, &node, err) < 0)
        return err->class;
    return node_client_doctor(node, true, &left, err);
}

static int
settle(struct job_env *env, struct err *err)
{
    static const struct leftovers_how how = {.stop_fd = 0};
    struct recover_report report = {0};

    return recover_round(env, &how, &report, err);
}

/* Has somebody written it into the journal since the look? */
static int
check_unowned(struct job_env *env, const char *key, struct err *err)
{
    struct cat_resources open = {0};

    if (cat_resource_list_open(env->catalog, &open, err) < 0)
        return err->class;
    for (size_t i = 0; i < open.n && err->class == 0; i++)
        if (strcmp(open.v[i].res_key, key) == 0)
            err_set(err, ERR_EXISTS, NULL, "'%s' is " IN_USE, key);
    cat_resources_done(&open);
    return err->class;
}

static int
unlink_file(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    struct lockprobe lock = {0};
    struct err ignored = ERR_INIT;

    if (check_unowned(env, how->name, err) < 0)
        return err->class;
    /* Of a socket there is no lock to ask for. */
    if (lockprobe_file(how->name, &lock, &ignored) >= 0 && lock.in_use)
        return err_set(err, ERR_EXISTS, NULL, "'%s' is open in a qemu program",
                       how->name);
    return fs_unlink(how->name, true, err);
}

static int
remove_folder(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    if (check_unowned(env, how->name, err) < 0)
        return err->class;
    return folder_remove(how->name, err);
}

struct wanted {
    const char *name;
    bool found;
};

static void
note_wanted(void *arg, struct repo *repo, const char *name)
{
    struct wanted *w = arg;

    w->found = w->found || strcmp(w->name, name) == 0;
}

/* By the rules of the sweep, asked anew. */
static int
remove_file(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    struct wanted w = {.name = how->name};
    char path[REPO_PATH_SIZE];
    struct lockprobe lock = {0};
    struct err ignored = ERR_INIT;
    struct repo *repo;

    if (repo_set_get(env, how->id, &repo, err) < 0 ||
        sweep_look(env, how->id, repo, note_wanted, &w, err) < 0 ||
        repo_path(repo, how->name, path, err) < 0)
        return err->class;
    if (!w.found)
        return 0;
    if (lockprobe_file(path, &lock, &ignored) >= 0 && lock.in_use)
        return err_set(err, ERR_EXISTS, NULL, "'%s' is open in a qemu program",
                       how->name);
    return repo_remove(repo, how->name, true, err);
}

static bool
is_live(struct job_env *env, const char *job_id)
{
    CLEANUP_LIVE struct live_job *live = live_find(env->live, job_id);

    return live != NULL;
}

static int
end_lease(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    CLEANUP_NODE_CLIENT struct node_client *node = NULL;

    if (is_live(env, how->name))
        return err_set(err, ERR_EXISTS, NULL, "its job is " IN_USE);
    if (nodes_connect(env, how->id, &node, err) < 0)
        return err->class;
    return node_client_lease_end(node, how->name, err);
}

static int
remove_snapshot(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    CLEANUP_VSPHERE_DOOR struct vsphere_door door = {0};
    CLEANUP_VSPHERE_ANSWER struct vsphere_answer a = {0};
    struct vsphere_question q = {.kind = VSPHERE_REMOVE_SNAPSHOT,
                                 .vm_ref = how->vm_ref,
                                 .vm_instance_uuid = how->vm_uuid,
                                 .snapshot_name = how->name};
    const char *job_id = how->name + strlen(VSPHERE_SNAPSHOT_PREFIX);

    if (is_live(env, job_id))
        return err_set(err, ERR_EXISTS, NULL, "its job is " IN_USE);
    if (vsphere_door_open(env, how->id, &door, err) < 0)
        return err->class;
    return vsphere_ask(&door, &q, &a, err);
}

int
doctor_mend(struct job_env *env, const struct doctor_fix *how, struct err *err)
{
    switch (how->action) {
    case DOCTOR_END_PROCESS:
        return end_process(how, err);
    case DOCTOR_ASK_NODE:
        return ask_node(env, how, err);
    case DOCTOR_SETTLE:
        return settle(env, err);
    case DOCTOR_UNLINK:
        return unlink_file(env, how, err);
    case DOCTOR_REMOVE_FOLDER:
        return remove_folder(env, how, err);
    case DOCTOR_REMOVE_FILE:
        return remove_file(env, how, err);
    case DOCTOR_END_LEASE:
        return end_lease(env, how, err);
    case DOCTOR_REMOVE_SNAPSHOT:
        return remove_snapshot(env, how, err);
    case DOCTOR_LEAVE:
    case DOCTOR_ACTIONS:
        return 0;
    }
    return 0;
}
