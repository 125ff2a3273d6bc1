/* job/doctor_machine.c - processes, ports, run folder and overlays of the hub's machine.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "job/doctor_priv.h"
#include "job/journal.h"
#include "job/repo_set.h"
#include "model/naming.h"
#include "os/proc_owned.h"
#include "store/lockprobe.h"
#include "store/ports.h"

#define HUB "hub"
#define QEMU_NBD "qemu-nbd"

/* ---- processes ---- */

/* Of a hub that did not mark what it started: the name of the export is ours, and it is
 * about a file or a socket of ours. */
static bool
is_our_export(const struct doctor_look *l, const struct proc *p)
{
    const char *name = proc_option(p, "--export-name");
    const char *socket = proc_option(p, "--socket");
    const char *image = p->argc > 1 ? p->argv[p->argc - 1] : "";
    size_t run = strlen(l->env->run_dir), data = strlen(l->env->data_dir);

    if (strcmp(proc_program(p), QEMU_NBD) != 0 || !name || !naming_export_is_valid(name))
        return false;
    if (socket && strncmp(socket, l->env->run_dir, run) == 0 && socket[run] == '/')
        return true;
    return repo_set_covers(l->env, image) ||
           (strncmp(image, l->env->data_dir, data) == 0 && image[data] == '/');
}

static bool
is_orphan(const struct doctor_look *l, const struct proc *p, const char *mark)
{
    if (p->owner)
        return proc_is_orphan(&l->procs, p, mark, getpid());
    return !doctor_is_own(l, p->id.pid) && is_our_export(l, p);
}

static bool
has_pid_entry(const struct doctor_look *l, const struct proc *p)
{
    for (size_t i = 0; i < l->journal.n; i++)
        if (l->journal.v[i].pid == p->id.pid &&
            (uint64_t)l->journal.v[i].start_ticks == p->id.start_ticks)
            return true;
    return false;
}

/* A child of this hub that its journal does not know. */
static bool
is_unjournalled(const struct doctor_look *l, const struct proc *p)
{
    const char *program = proc_program(p);
    const char *name = proc_option(p, "--export-name");

    if (p->ppid != getpid())
        return false;
    if (strcmp(program, QEMU_NBD) == 0 && name)
        return !doctor_in_journal(l, RES_EXPORT, name);
    if (strcmp(program, "sendense-worker") == 0 || strcmp(program, "sendense-files") == 0)
        return !has_pid_entry(l, p);
    return false;
}

void
doctor_look_processes(struct doctor_look *l)
{
    CLEANUP_FREE char *mark = proc_mark_hub(l->env->hub_uuid);

    for (size_t i = 0; i < l->procs.n; i++) {
        const struct proc *p = &l->procs.v[i];
        CLEANUP_FREE char *what = NULL;

        if (is_orphan(l, p, mark)) {
            what = proc_describe(p, proc_is_ours_to_end(p));
            doctor_add(&l->found, DOCTOR_PROCESS_ORPHAN, HUB, "%s", what);
            if (proc_is_ours_to_end(p))
                doctor_fixable(l, &(struct doctor_fix){.action = DOCTOR_END_PROCESS,
                                                       .process = p->id});
        } else if (is_unjournalled(l, p)) {
            what = proc_describe(p, proc_is_ours_to_end(p));
            doctor_add(&l->found, DOCTOR_PROCESS_UNJOURNALLED, HUB, "%s", what);
        }
    }
}

/* ---- ports ---- */

static bool
is_own_socket(const struct doctor_look *l, const char *target)
{
    for (size_t i = 0; i < l->n_fds; i++)
        if (strcmp(l->fds[i].target, target) == 0 && doctor_is_own(l, l->fds[i].pid))
            return true;
    return false;
}

void
doctor_look_ports(struct doctor_look *l)
{
    CLEANUP_PROC_LISTENERS struct proc_listeners listening = {0};
    struct err err = ERR_INIT;
    uint16_t first, last;

    port_pool_range(l->env->ports, &first, &last);
    if (proc_listeners_read(first, last, &listening, &err) < 0) {
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, HUB, "ports: %s", err.msg);
        return;
    }
    for (size_t i = 0; i < listening.n; i++) {
        CLEANUP_FREE char *target =
            xasprintf("socket:[%llu]", (unsigned long long)listening.v[i].inode);
        CLEANUP_FREE char *others = NULL;
        bool any;

        if (is_own_socket(l, target))
            continue;
        others = doctor_others(l, target, &any);
        doctor_add(&l->found, DOCTOR_PORT_TAKEN, HUB, "port %u: %s", listening.v[i].port,
                   others ? others : "a process of another user");
    }
}

/* ---- the run folder ---- */

static void
judge_run_entry(struct doctor_look *l, const char *name, const char *path)
{
    struct stat st;
    bool ours = naming_export_is_valid(name);

    if (lstat(path, &st) < 0)
        return;
    if (S_ISSOCK(st.st_mode) && ours) {
        if (doctor_in_journal(l, RES_SOCKET, path))
            return;
        doctor_add(&l->found, DOCTOR_SOCKET_STALE, HUB, "%s", path);
        doctor_fixable(
            l, &(struct doctor_fix){.action = DOCTOR_UNLINK, .name = (char *)path});
        return;
    }
    if (S_ISDIR(st.st_mode) &&
        (strncmp(name, "f-", 2) == 0 || strncmp(name, "psk-", 4) == 0)) {
        if (doctor_in_journal(l, RES_FOLDER, path))
            return;
        doctor_add(&l->found, DOCTOR_FOLDER_STALE, HUB, "%s", path);
        doctor_fixable(l, &(struct doctor_fix){.action = DOCTOR_REMOVE_FOLDER,
                                               .name = (char *)path});
        return;
    }
    doctor_add(&l->found, DOCTOR_RUN_FOREIGN, HUB, "%s", path);
}

static void
each_entry(struct doctor_look *l, const char *dir,
           void (*judge)(struct doctor_look *l, const char *name, const char *path))
{
    DIR *d = opendir(dir);
    struct dirent *e;

    if (!d && errno != ENOENT)
        doctor_add(&l->found, DOCTOR_LOOK_FAILED, HUB, "read '%s': %s", dir,
                   strerror(errno));
    while (d && (e = readdir(d)) != NULL) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, e->d_name);

        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            judge(l, e->d_name, path);
    }
    if (d)
        closedir(d);
}

void
doctor_look_run_folder(struct doctor_look *l)
{
    each_entry(l, l->env->run_dir, judge_run_entry);
}

/* ---- overlays ---- */

static void
judge_overlay(struct doctor_look *l, const char *name, const char *path)
{
    size_t n = strlen(name);

    if (n <= 6 || strcmp(name + n - 6, ".qcow2") != 0 ||
        doctor_in_journal(l, RES_FILE, path))
        return;
    doctor_add(&l->found, DOCTOR_SCRATCH_STALE, HUB, "%s", path);
    doctor_fixable(l,
                   &(struct doctor_fix){.action = DOCTOR_UNLINK, .name = (char *)path});
}

void
doctor_look_scratch(struct doctor_look *l)
{
    CLEANUP_FREE char *dir = xasprintf("%s/scratch", l->env->data_dir);

    each_entry(l, dir, judge_overlay);
}
