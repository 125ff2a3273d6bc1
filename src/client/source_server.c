/* client/source_server.c - see source_server.h. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "client/source_server_priv.h"
#include "nbd/nbd_conn.h"

#define PROGRAM "nbdkit"
#define PLUGIN "nbdkit-sendense-https-plugin.so"
#define THREADS "16"
#define STOP_GRACE_MS 1000
#define LOOK_EVERY_MS 20
#define RUN_DIR "/run"

static char *
path_of(const struct source_servers *s, uint32_t key)
{
    return xasprintf("%s/%u.sock", s->dir, key);
}

static void
remove_dir(struct source_servers *s)
{
    if (!s->dir)
        return;
    for (size_t i = 0; i < s->n; i++) {
        CLEANUP_FREE char *path = path_of(s, s->v[i].key);

        unlink(path);
    }
    if (rmdir(s->dir) < 0)
        log_warn("the folder '%s' cannot be removed: %s", s->dir, strerror(errno));
    free(take_ptr(&s->dir));
}

void
source_servers_stop(struct source_servers *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n; i++)
        child_signal(s->v[i].child, SIGTERM); /* all at once, then each awaited */
    for (size_t i = 0; i < s->n; i++) {
        struct err err = ERR_INIT;

        if (child_stop(s->v[i].child, STOP_GRACE_MS, NULL, &err) < 0)
            log_error("the source of disk %u cannot be ended: %s", s->v[i].key, err.msg);
    }
    source_words_stop(s);
    for (size_t i = 0; i < s->n; i++) {
        child_free(s->v[i].child);
        cleanup_fd(&s->v[i].socket_fd);
        free(s->v[i].uri);
    }
    remove_dir(s);
    free(s->v);
    cleanup_fd(&s->done_fd);
    pthread_cond_destroy(&s->changed);
    pthread_mutex_destroy(&s->lock);
    free(s);
}

void
cleanup_source_servers(struct source_servers **s)
{
    source_servers_stop(take_ptr(s));
}

const char *
source_servers_uri(const struct source_servers *s, size_t i)
{
    return s->v[i].uri;
}

static struct source_servers *
servers_new(size_t n)
{
    struct source_servers *s = xcalloc(1, sizeof(*s));
    pthread_condattr_t attr;

    s->v = xcalloc(n, sizeof(*s->v));
    s->done_fd = -1;
    pthread_mutex_init(&s->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&s->changed, &attr);
    pthread_condattr_destroy(&attr);
    return s;
}

/* In the build folder the plugin is beside this program. */
static int
find_plugin(char **ret, struct err *err)
{
    static const char installed[] = SENDENSE_PLUGIN_DIR "/" PLUGIN;
    CLEANUP_FREE char *self = realpath("/proc/self/exe", NULL);

    if (self) {
        CLEANUP_FREE char *beside = xasprintf("%s/" PLUGIN, dirname(self));

        if (access(beside, R_OK) == 0) {
            *ret = take_ptr(&beside);
            return 0;
        }
    }
    if (access(installed, R_OK) < 0)
        return err_set(err, ERR_NOT_FOUND, "source_plugin",
                       "the plugin that reads datastores is not there: '%s'", installed);
    *ret = xstrdup(installed);
    return 0;
}

/* Mode 0700 by mkdtemp(3): who can connect can read the disk. */
static int
make_dir(struct source_servers *s, struct err *err)
{
    const char *tmp = getenv("TMPDIR");
    CLEANUP_FREE char *dir = NULL;

    if (!tmp || tmp[0] != '/')
        tmp = access(RUN_DIR, W_OK) == 0 ? RUN_DIR : "/tmp";
    dir = xasprintf("%s/sendense-source-XXXXXX", tmp);
    if (!mkdtemp(dir))
        return err_errno(err, errno, NULL, "make a folder in '%s'", tmp);
    s->dir = take_ptr(&dir);
    return 0;
}

static int
start_one(struct source_servers *s, const struct source_servers_opts *o,
          const char *plugin, struct err *err)
{
    const struct source_disk *d = &o->disks[s->n];
    struct source_server *v = &s->v[s->n];
    CLEANUP_FREE char *layout = xasprintf("layout=%d", d->layout_fd);
    CLEANUP_FREE char *cookie = xasprintf("cookie=%d", o->cookie_fd);
    CLEANUP_FREE char *renew = xasprintf("renew=%d", o->renew_fd);
    CLEANUP_FREE char *socket = path_of(s, d->key);
    const int fds[] = {d->layout_fd, o->cookie_fd, o->renew_fd};
    const char *const argv[] = {PROGRAM, "-f",   "-r",   "-U",   socket, "--threads",
                                THREADS, plugin, layout, cookie, renew,  NULL};
    const struct child_spec spec = {
        .argv = argv,
        .keep_fds = fds,
        .n_keep_fds = ARRAY_LEN(fds),
        .in = CHILD_NULL,
        .out = CHILD_NULL,
        .err = CHILD_PIPE,
    };

    if (strlen(socket) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return err_set(err, ERR_LIMIT, NULL, "the path of the socket '%s' is too long",
                       socket);
    if (child_spawn(&spec, &v->child, err) < 0) {
        if (err->class == ERR_NOT_FOUND)
            err_recode(err, "source_program");
        return err_prefix(err, "start the source of disk %u", d->key);
    }
    v->key = d->key;
    v->socket_fd = -1;
    s->n++;
    return 0;
}

static bool
has_exited(const struct source_server *v)
{
    struct pollfd p = {.fd = child_pidfd(v->child), .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}

static int
failed(struct source_servers *s, struct source_server *v, const char *what,
       struct err *err)
{
    CLEANUP_FREE char *words = source_words_get(s, v);

    return err_set(err, ERR_IO, "source_failed", "disk %u: the source %s%s%s", v->key,
                   what, words ? ": " : "", words ? words : "");
}

/* connect(2) follows this link to the socket itself, whatever became of its name. */
static bool
open_socket(struct source_servers *s, struct source_server *v)
{
    CLEANUP_FREE char *path = path_of(s, v->key);

    if (v->socket_fd < 0) {
        v->socket_fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
        if (v->socket_fd >= 0)
            v->uri = xasprintf("nbd+unix:///?socket=/proc/self/fd/%d", v->socket_fd);
    }
    return v->socket_fd >= 0;
}

static bool
answers(struct source_servers *s, struct source_server *v,
        const struct source_servers_opts *o)
{
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;
    struct err why = ERR_INIT;
    struct nbd_conn_opts nbd = {.connect_s = o->connect_s,
                                .io_s = o->connect_s,
                                .cancel_fd = copy_stop_fd(o->stop)};

    if (!open_socket(s, v))
        return false;
    nbd.uri = v->uri;
    return nbd_conn_open(&nbd, &c, &why) == 0;
}

/* Until a handshake works: the socket is there earlier. */
static int
await_one(struct source_servers *s, struct source_server *v,
          const struct source_servers_opts *o, uint64_t deadline_ns, struct err *err)
{
    while (!answers(s, v, o)) {
        if (has_exited(v))
            return failed(s, v, "ended at its start", err);
        if (time_mono_ns() >= deadline_ns)
            return failed(s, v, "did not start in time", err);
        if (copy_stop_pause(o->stop, LOOK_EVERY_MS, err) < 0)
            return err->class;
    }
    return 0;
}

int
source_servers_start(const struct source_servers_opts *o, struct source_servers **ret,
                     struct err *err)
{
    CLEANUP_SOURCE_SERVERS struct source_servers *s = servers_new(o->n);
    uint64_t deadline_ns = time_mono_ns() + o->connect_s * NS_PER_S;
    CLEANUP_FREE char *plugin = NULL;

    s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->done_fd < 0)
        return err_errno(err, errno, NULL, "make an event descriptor");
    if (find_plugin(&plugin, err) < 0 || make_dir(s, err) < 0)
        return err->class;
    while (s->n < o->n)
        if (start_one(s, o, plugin, err) < 0)
            return err->class;
    if (source_words_start(s, err) < 0)
        return err->class;
    for (size_t i = 0; i < s->n; i++)
        if (await_one(s, &s->v[i], o, deadline_ns, err) < 0)
            return err->class;
    remove_dir(s);
    *ret = take_ptr(&s);
    return 0;
}

static bool
is_of_source(const struct err *err)
{
    static const char *const codes[] = {"source_unreachable", "nbd_io",
                                        "nbd_disconnected", "nbd_timeout"};

    if (!strstr(err->msg, "source"))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(codes); i++)
        if (strcmp(err->code, codes[i]) == 0)
            return true;
    return false;
}

bool
source_servers_explain(struct source_servers *s, int64_t key, struct err *err)
{
    CLEANUP_FREE char *words = NULL;
    struct err why = *err;
    size_t i = 0;

    while (i < s->n && s->v[i].key != key)
        i++;
    if (i == s->n || !is_of_source(err))
        return false;
    words = source_words_get(s, &s->v[i]);
    err_set(err, why.class, "source_failed", "%.300s%s%s", why.msg,
            words ? "; the source says: " : "", words ? words : "");
    return true;
}
