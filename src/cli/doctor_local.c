/* cli/doctor_local.c - see doctor_local.h. */
#include "cli/doctor_local.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "model/naming.h"
#include "os/proc_owned.h"

#define HERE "this machine"
#define HUB "sendense-hub"
#define DEFAULT_RUN "/var/lib/sendense/run"
#define FOLDERS_MAX 64u

struct local_look {
    struct doctor_findings *found;
    struct proc_list procs;
    char *folders[FOLDERS_MAX];
    size_t n_folders;
};

static bool
is_daemon(const struct proc *p)
{
    const char *name = proc_program(p);

    return strcmp(name, HUB) == 0 || strcmp(name, "sendense-node") == 0;
}

static bool
has_daemon_above(const struct local_look *l, const struct proc *p)
{
    for (size_t i = 0; i < l->procs.n; i++)
        if (is_daemon(&l->procs.v[i]) &&
            proc_descends(&l->procs, p, l->procs.v[i].id.pid))
            return true;
    return false;
}

static bool
is_export(const struct proc *p)
{
    const char *name = proc_option(p, "--export-name");

    return strcmp(proc_program(p), "qemu-nbd") == 0 && name &&
           naming_export_is_valid(name);
}

static void
add_folder(struct local_look *l, char *take)
{
    for (size_t i = 0; take && i < l->n_folders; i++)
        if (strcmp(l->folders[i], take) == 0) {
            free(take);
            return;
        }
    if (take && l->n_folders < FOLDERS_MAX)
        l->folders[l->n_folders++] = take;
    else
        free(take);
}

/* Where the sockets of whoever started @p are. */
static void
note_folder(struct local_look *l, const struct proc *p)
{
    const char *socket = proc_option(p, "--socket");
    const char *slash = socket ? strrchr(socket, '/') : NULL;

    if (slash && slash > socket)
        add_folder(l, xasprintf("%.*s", (int)(slash - socket), socket));
}

static void
look_at_processes(struct local_look *l)
{
    for (size_t i = 0; i < l->procs.n; i++) {
        const struct proc *p = &l->procs.v[i];
        CLEANUP_FREE char *what = NULL;

        if (is_daemon(p) || (!p->owner && !is_export(p)) || has_daemon_above(l, p))
            continue;
        what = proc_describe(p, proc_is_ours_to_end(p));
        doctor_add(l->found, DOCTOR_PROCESS_ORPHAN, HERE, "%s%s%s", what,
                   p->owner ? ", started by " : "", p->owner ? p->owner : "");
        note_folder(l, p);
    }
}

/* "/x/y" of "socket in /x/y/name"; of a hub that lives they are in use. */
static void
look_at_folder(struct local_look *l, const char *dir)
{
    DIR *d = opendir(dir);
    struct dirent *e;

    while (d && (e = readdir(d)) != NULL) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", dir, e->d_name);
        struct stat st;

        if (naming_export_is_valid(e->d_name) && lstat(path, &st) == 0 &&
            S_ISSOCK(st.st_mode))
            doctor_add(l->found, DOCTOR_SOCKET_STALE, HERE, "%s", path);
    }
    if (d)
        closedir(d);
}

static const struct proc *
find_hub(const struct local_look *l)
{
    for (size_t i = 0; i < l->procs.n; i++)
        if (strcmp(proc_program(&l->procs.v[i]), HUB) == 0)
            return &l->procs.v[i];
    return NULL;
}

static void
look_at_hub(struct local_look *l, const char *url, const char *why)
{
    const struct proc *hub = find_hub(l);
    CLEANUP_FREE char *who = hub ? proc_describe(hub, false) : NULL;

    doctor_add(l->found, DOCTOR_HUB_AWAY, HERE, "%s: %s; %s%s", url, why,
               who ? "a hub runs here: " : "no " HUB " runs on this machine",
               who ? who : "");
}

void
doctor_local_look(const char *url, const char *why, struct doctor_findings *ret)
{
    struct local_look l = {.found = ret};
    struct err err = ERR_INIT;

    if (proc_list_read(&l.procs, &err) < 0)
        doctor_add(ret, DOCTOR_LOOK_FAILED, HERE, "%s", err.msg);
    look_at_hub(&l, url, why);
    look_at_processes(&l);
    if (!find_hub(&l))
        add_folder(&l, xstrdup(DEFAULT_RUN));
    for (size_t i = 0; i < l.n_folders; i++) {
        if (!find_hub(&l))
            look_at_folder(&l, l.folders[i]);
        free(l.folders[i]);
    }
    proc_list_done(&l.procs);
}
