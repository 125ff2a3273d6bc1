/* hub/env.c - see env.h. */
#include "hub/env.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "catalog/cat_meta.h"
#include "job/bus.h"
#include "job/files_session.h"
#include "job/live.h"
#include "job/repo_set.h"
#include "model/naming.h"
#include "model/vsphere.h"
#include "store/ports.h"

#define AUDIT_SAMPLES_DEFAULT 1024u
#define DISKS_PER_HOST_DEFAULT 8
/* sizeof sun_path, with its NUL */
#define SOCKET_PATH_MAX 108

/* A hub without its key still restores and shows; it stores no secret and reads none. */
static int
load_key(struct job_env *env, const char *path, struct err *err)
{
    if (seal_key_load(path, &env->key, err) >= 0)
        return 0;
    if (err->class != ERR_NOT_FOUND)
        return err->class;
    log_warn(
        "there is no sealing key '%s': nodes and credentials cannot be used until it "
        "is back",
        path);
    err_clear(err);
    return 0;
}

int
env_open(struct job_env *env, const struct data_dir *d, bool create, struct err *err)
{
    *env = (struct job_env){.limits = spec_limits_default,
                            .deadlines = spec_deadlines_default,
                            .audit_samples = AUDIT_SAMPLES_DEFAULT,
                            .disks_per_host = DISKS_PER_HOST_DEFAULT,
                            .lease_s = VSPHERE_LEASE_S,
                            .data_dir = xstrdup(d->path),
                            .run_dir = xstrdup(d->run)};
    env->live = live_set_new();
    env->bus = bus_new();
    env->files = files_set_new();
    env->repos = repo_set_new();
    if (catalog_open(d->catalog, create, &env->catalog, err) < 0 ||
        cat_meta_hub_uuid(env->catalog, env->hub_uuid, err) < 0 ||
        load_key(env, d->seal_key, err) < 0) {
        env_close(env);
        return err->class;
    }
    return 0;
}

void
env_close(struct job_env *env)
{
    files_set_free(env->files);
    repo_set_free(env->repos);
    live_set_free(env->live);
    bus_free(env->bus);
    port_pool_free(env->ports);
    seal_key_free(env->key);
    catalog_close(env->catalog);
    free(env->data_dir);
    free(env->run_dir);
    free(env->worker_path);
    free(env->files_path);
    free(env->appliance);
    free(env->hub_url);
    *env = (struct job_env){0};
}

/* What is of the same build lies beside this program; else PATH decides. */
char *
env_find_program(const char *given, const char *name)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    char *slash;

    if (given)
        return xstrdup(given);
    if (n > 0) {
        self[n] = '\0';
        slash = strrchr(self, '/');
        if (slash) {
            CLEANUP_FREE char *beside =
                xasprintf("%.*s/%s", (int)(slash - self), self, name);

            if (access(beside, X_OK) == 0)
                return take_ptr(&beside);
        }
    }
    return xstrdup(name);
}

static int
set_run_dir(struct job_env *env, const char *given, struct err *err)
{
    struct stat st;

    if (given) {
        free(env->run_dir);
        env->run_dir = xstrdup(given);
    }
    if (strlen(env->run_dir) + 1 + NAMING_EXPORT_SIZE > SOCKET_PATH_MAX)
        return err_set(
            err, ERR_INVALID, "run_dir_too_long",
            "'%s' is too long for the sockets in it (%u bytes at most): use --run-dir",
            env->run_dir, SOCKET_PATH_MAX - 1 - NAMING_EXPORT_SIZE);
    if (fs_mkdirs(env->run_dir, 0700, err) < 0)
        return err->class;
    if (stat(env->run_dir, &st) < 0)
        return err_errno(err, errno, NULL, "look at '%s'", env->run_dir);
    if (st.st_mode & 077)
        return err_set(err, ERR_AUTH, "run_dir_open",
                       "'%s' may be entered by others: chmod 700 it", env->run_dir);
    return 0;
}

int
env_set_worker(struct job_env *env, const struct hub_options *o, struct err *err)
{
    free(env->worker_path);
    env->worker_path = env_find_program(o->worker, "sendense-worker");
    return set_run_dir(env, o->run_dir, err);
}
