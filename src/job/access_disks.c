/* job/access_disks.c - the programs and files of an open session: made and unmade. */
#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/failpoint.h"
#include "base/fs.h"
#include "base/mem.h"
#include "job/access_priv.h"
#include "job/folder.h"
#include "job/folder_make.h"
#include "job/journal.h"
#include "store/layer.h"
#include "store/ports.h"

#define PORT_TRIES 16
#define PSK_BYTES 32

static char *
scratch_dir(const struct job_env *env)
{
    return xasprintf("%s/scratch", env->data_dir);
}

int
access_scratch_free(const struct job_env *env, uint64_t *ret, struct err *err)
{
    struct statvfs v;

    if (statvfs(env->data_dir, &v) < 0)
        return err_errno(err, errno, NULL, "look at the free space of '%s'",
                         env->data_dir);
    *ret = (uint64_t)v.f_bavail * v.f_frsize;
    return 0;
}

/* The key never leaves this function but into the file and the answer. */
static int
make_key(struct access *a, struct secret **ret_psk, struct err *err)
{
    CLEANUP_FREE char *path = NULL, *line = NULL;
    char hex[2 * PSK_BYTES + 1];
    int r;

    a->psk_dir = xasprintf("%s/psk-%s", a->env->run_dir, a->id);
    if (journal_intent(a->env, a->id, RES_FOLDER, a->psk_dir, &a->res_psk, err) < 0 ||
        folder_make(a->psk_dir, err) < 0)
        return err->class;
    random_hex(hex, PSK_BYTES);
    path = xasprintf("%s/%s", a->psk_dir, EXPORT_PSK_FILE);
    line = xasprintf("%s:%s\n", ACCESS_TLS_USER, hex);
    r = fs_create_file_durable(path, line, strlen(line), 0600, err);
    if (r == 0)
        *ret_psk = secret_new(hex, strlen(hex));
    explicit_bzero(hex, sizeof hex);
    explicit_bzero(line, strlen(line));
    return r < 0 ? r : journal_held(a->env, a->id, a->res_psk, NULL, err);
}

static int
make_scratch(struct access *a, struct access_disk *d, struct err *err)
{
    CLEANUP_FREE char *dir = scratch_dir(a->env);

    if (fs_mkdirs(dir, 0700, err) < 0)
        return err->class;
    d->scratch = xasprintf("%s/%s-%u.qcow2", dir, a->id, d->point->key);
    if (journal_intent(a->env, a->id, RES_FILE, d->scratch, &d->res_scratch, err) < 0 ||
        layer_overlay(a->stored.repo, d->point->locator, d->point->size_bytes, d->scratch,
                      err) < 0)
        return err_prefix(err, "make the overlay of disk %u", d->point->key);
    return journal_held(a->env, a->id, d->res_scratch, NULL, err);
}

static int
take_port(struct access *a, struct access_disk *d, struct err *err)
{
    CLEANUP_FREE char *key = NULL;

    if (port_take(a->env->ports, a->id, &d->port, err) < 0) {
        if (strcmp(err->code, "no_free_port") == 0)
            err->class = ERR_UNAVAILABLE;
        return err->class;
    }
    key = xasprintf("%u", d->port);
    if (journal_intent(a->env, a->id, RES_PORT, key, &d->res_port, err) < 0)
        return err->class;
    return journal_held(a->env, a->id, d->res_port, NULL, err);
}

static void
give_port(struct access *a, struct access_disk *d)
{
    if (d->port != 0)
        port_release(a->env->ports, d->port, a->id);
    d->port = 0;
    journal_released(a->env, a->id, &d->res_port);
}

/* Many small reads come, and again: the page cache helps, unlike in a read-back. */
static int
start_export(struct access *a, struct access_disk *d, struct err *err)
{
    char description[NAMING_DESCRIPTION_SIZE];
    struct export_spec spec = {.path = d->scratch,
                               .format = "qcow2",
                               .name = d->name,
                               .description = description,
                               .port = d->port,
                               .bind = a->listen,
                               .tls_psk_dir = a->psk_dir,
                               .tls_user = a->psk_dir ? ACCESS_TLS_USER : NULL,
                               .size_bytes = naming_round_up_512(d->point->size_bytes),
                               .cache = EXPORT_CACHE_BUFFERED};

    naming_export_make(d->name);
    naming_description(a->id, d->point->key, description);
    if (journal_intent(a->env, a->id, RES_EXPORT, d->name, &d->res_export, err) < 0)
        return err->class;
    if ((d->scratch ? export_start(&spec, &d->export, err)
                    : layer_export_ro(a->stored.repo, d->point->locator, &spec,
                                      &d->export, err)) < 0)
        return err->class;
    FAILPOINT(ACCESS_EXPORT_STARTED);
    return journal_held(a->env, a->id, d->res_export, export_identity(d->export), err);
}

static int
open_disk(struct access *a, struct access_disk *d, struct err *err)
{
    if (a->scratch && make_scratch(a, d, err) < 0)
        return err->class;
    for (int i = 0;; i++) {
        if (take_port(a, d, err) < 0)
            return err->class;
        if (start_export(a, d, err) >= 0)
            break;
        if (strcmp(err->code, "port_in_use") != 0 || i == PORT_TRIES)
            return err_prefix(err, "disk %u", d->point->key);
        err_clear(err);
        journal_released(a->env, a->id, &d->res_export);
        give_port(a, d);
    }
    joblog_line(a->log, LOG_LEVEL_INFO,
                "disk device_key=%u open on %s port %u, qemu_nbd_pid=%d", d->point->key,
                a->listen, d->port, (int)export_pid(d->export));
    return 0;
}

int
access_open_disks(struct access *a, struct secret **ret_psk, struct err *err)
{
    if (ret_psk && make_key(a, ret_psk, err) < 0)
        return err_prefix(err, "make a key for TLS");
    for (size_t i = 0; i < a->n; i++)
        if (open_disk(a, &a->disks[i], err) < 0)
            return err->class;
    return 0;
}

/* True when its program is gone for certain. */
static bool
stop_export(struct access *a, struct access_disk *d)
{
    struct export_stop_result res = {0};
    char cost[CHILD_COST_SIZE];
    struct err err = ERR_INIT;

    if (d->export && export_stop(d->export, &res, &err) < 0) {
        joblog_line(a->log, LOG_LEVEL_ERROR, "close disk %u: %s", d->point->key, err.msg);
        return false;
    }
    if (d->export)
        joblog_line(a->log, LOG_LEVEL_INFO, "disk device_key=%u closed (%s)",
                    d->point->key, child_cost_to_str(&res.exit, cost));
    export_free(d->export);
    d->export = NULL;
    journal_released(a->env, a->id, &d->res_export);
    give_port(a, d);
    return true;
}

void
access_close_disks(struct access *a)
{
    struct err err = ERR_INIT;

    for (size_t i = 0; i < a->n; i++) {
        struct access_disk *d = &a->disks[i];

        if (!stop_export(a, d) || !d->res_scratch)
            continue;
        if (fs_unlink(d->scratch, true, &err) < 0)
            joblog_line(a->log, LOG_LEVEL_ERROR, "left over: '%s': %s", d->scratch,
                        err.msg);
        else
            journal_released(a->env, a->id, &d->res_scratch);
        err_clear(&err);
    }
    if (a->res_psk && folder_remove(a->psk_dir, &err) < 0)
        joblog_line(a->log, LOG_LEVEL_ERROR, "left over: '%s': %s", a->psk_dir, err.msg);
    else
        journal_released(a->env, a->id, &a->res_psk);
}
