/* os/proc_scan.c - see proc_scan.h. */
#include "os/proc_scan.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "os/child_id.h"

#define DESCRIBE_MAX 300
#define NET_FILE_MAX (16u << 20)
#define ANCESTORS_MAX 64 /* a loop cannot be, but a pid may be used anew meanwhile */

static void
proc_done(struct proc *p)
{
    free(p->exe);
    proc_args_free(p->argv);
    free(p->owner);
}

void
proc_list_done(struct proc_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        proc_done(&l->v[i]);
    free(l->v);
    *l = (struct proc_list){0};
}

/* Up to the cap of @b: a longer file is cut. */
static bool
read_some(pid_t pid, const char *name, struct buf *b)
{
    char path[64];
    CLEANUP_FD int fd = -1;
    char chunk[8192];
    struct err ignored = ERR_INIT;

    snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        if (n == 0 || buf_append(b, chunk, (size_t)n, &ignored) < 0)
            return true;
    }
}

static char *
read_link(const char *path)
{
    char target[PATH_MAX];
    ssize_t n = readlink(path, target, sizeof(target) - 1);

    if (n < 0)
        return NULL;
    target[n] = '\0';
    return xstrdup(target);
}

static bool
read_process(pid_t pid, const char *boot_id, struct proc *ret)
{
    CLEANUP_BUF struct buf stat = BUF_INIT(4096);
    CLEANUP_BUF struct buf cmdline = BUF_INIT(PROC_CMDLINE_MAX);
    CLEANUP_BUF struct buf env_text = BUF_INIT(PROC_ENVIRON_MAX);
    struct proc p = {.id = {.pid = pid}};
    struct proc_stat s;
    char path[64];

    if (!read_some(pid, "stat", &stat) || !stat.data ||
        proc_stat_parse(stat.data, &s) < 0 || s.state == 'Z' || s.state == 'X' ||
        !read_some(pid, "cmdline", &cmdline))
        return false;
    p.id.start_ticks = s.start_ticks;
    snprintf(p.id.boot_id, sizeof(p.id.boot_id), "%s", boot_id);
    p.ppid = s.ppid;
    p.argv = proc_args_split(cmdline.data, cmdline.len, &p.argc);
    if (read_some(pid, "environ", &env_text))
        p.owner = proc_env_get(env_text.data, env_text.len, CHILD_OWNER_ENV);
    snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
    p.exe = read_link(path);
    *ret = p;
    return true;
}

/* 0 = not the folder of a process. */
static pid_t
pid_of(const char *name)
{
    uint64_t pid;

    return text_to_u64(name, &pid) == 0 && pid <= INT32_MAX ? (pid_t)pid : 0;
}

int
proc_list_read(struct proc_list *ret, struct err *err)
{
    struct proc_list l = {0};
    struct child_id self;
    size_t room = 0;
    struct dirent *e;
    DIR *d;

    if (child_id_self(&self, err) < 0)
        return err->class;
    d = opendir("/proc");
    if (!d)
        return err_errno(err, errno, NULL, "read '/proc'");
    while (l.n < PROC_LIST_MAX && (e = readdir(d)) != NULL) {
        pid_t pid = pid_of(e->d_name);

        if (pid == 0)
            continue;
        if (l.n == room) {
            room = room ? 2 * room : 256;
            l.v = xreallocarray(l.v, room, sizeof(*l.v));
        }
        if (read_process(pid, self.boot_id, &l.v[l.n]))
            l.n++;
    }
    closedir(d);
    *ret = l;
    return 0;
}

const struct proc *
proc_find(const struct proc_list *l, pid_t pid)
{
    for (size_t i = 0; i < l->n; i++)
        if (l->v[i].id.pid == pid)
            return &l->v[i];
    return NULL;
}

bool
proc_descends(const struct proc_list *l, const struct proc *p, pid_t ancestor)
{
    for (int i = 0; p && i < ANCESTORS_MAX; i++) {
        if (p->ppid == ancestor)
            return true;
        p = p->ppid > 0 ? proc_find(l, p->ppid) : NULL;
    }
    return false;
}

static const char *
base_name(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

const char *
proc_program(const struct proc *p)
{
    if (p->argc > 0)
        return base_name(p->argv[0]);
    return p->exe ? base_name(p->exe) : "?";
}

char *
proc_describe(const struct proc *p, bool words)
{
    CLEANUP_FREE char *text = xstrdup("");

    for (size_t i = 1; words && i < p->argc && strlen(text) < DESCRIBE_MAX; i++) {
        char *longer = xasprintf("%s %s", text, p->argv[i]);

        free(text);
        text = longer;
    }
    return xasprintf("%.40s (pid %d)%s%.*s", proc_program(p), (int)p->id.pid,
                     *text ? ":" : "", DESCRIBE_MAX - 70, text);
}

const char *
proc_option(const struct proc *p, const char *option)
{
    size_t n = strlen(option);

    for (size_t i = 1; i < p->argc; i++)
        if (strncmp(p->argv[i], option, n) == 0 && p->argv[i][n] == '=')
            return p->argv[i] + n + 1;
    return NULL;
}

/* ---- descriptors ---- */

static void
each_fd_of(pid_t pid, void (*fn)(void *arg, pid_t pid, const char *target), void *arg)
{
    char path[300];
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    d = opendir(path);
    while (d && (e = readdir(d)) != NULL) {
        CLEANUP_FREE char *target = NULL;

        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)pid, e->d_name);
        target = read_link(path);
        if (target)
            fn(arg, pid, target);
    }
    if (d)
        closedir(d);
}

int
proc_each_fd(void (*fn)(void *arg, pid_t pid, const char *target), void *arg,
             struct err *err)
{
    DIR *d = opendir("/proc");
    struct dirent *e;

    if (!d)
        return err_errno(err, errno, NULL, "read '/proc'");
    while ((e = readdir(d)) != NULL)
        if (pid_of(e->d_name) != 0)
            each_fd_of(pid_of(e->d_name), fn, arg);
    closedir(d);
    return 0;
}

/* ---- sockets ---- */

void
proc_listeners_done(struct proc_listeners *l)
{
    free(l->v);
    *l = (struct proc_listeners){0};
}

static int
read_listeners(const char *path, uint16_t first, uint16_t last, struct proc_listeners *l,
               struct err *err)
{
    CLEANUP_FILE FILE *f = fopen(path, "re");
    CLEANUP_FREE char *line = NULL;
    size_t room = 0, total = 0;
    ssize_t n;

    if (!f)
        return errno == ENOENT ? 0 : err_errno(err, errno, NULL, "read '%s'", path);
    while ((n = getline(&line, &room, f)) > 0 && total < NET_FILE_MAX) {
        struct proc_listener one;

        total += (size_t)n;
        line[strcspn(line, "\n")] = '\0';
        if (proc_listener_parse(line, &one) != 1 || one.port < first || one.port > last)
            continue;
        l->v = xreallocarray(l->v, l->n + 1, sizeof(*l->v));
        l->v[l->n++] = one;
    }
    if (ferror(f))
        return err_set(err, ERR_IO, NULL, "'%s' cannot be read", path);
    return 0;
}

int
proc_listeners_read(uint16_t first, uint16_t last, struct proc_listeners *ret,
                    struct err *err)
{
    CLEANUP_PROC_LISTENERS struct proc_listeners l = {0};

    if (read_listeners("/proc/net/tcp", first, last, &l, err) < 0 ||
        read_listeners("/proc/net/tcp6", first, last, &l, err) < 0)
        return err->class;
    *ret = l;
    l = (struct proc_listeners){0};
    return 0;
}
