/* client/source_server.c - see source_server.h. */
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "client/nameless_socket.h"
#include "client/source_server_priv.h"
#include "nbd/nbd_conn.h"

#define PROGRAM "nbdkit"
#define PLUGIN "nbdkit-sendense-https-plugin.so"
#define THREADS "16"
#define STOP_GRACE_MS 1000
#define LOOK_EVERY_MS 20

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

/* The child's descriptor 3 is its socket: what is there is handed on by another number.
 */
static int
clear_of_3(int fd, int *ret_fd, struct err *err)
{
    int other = fcntl(fd, F_DUPFD_CLOEXEC, 4);

    if (other < 0)
        return err_errno(err, errno, NULL, "descriptors for a source");
    *ret_fd = other;
    return 0;
}

static int
spawn(struct source_server *v, const char *plugin, const int fds[3], int listening,
      struct err *err)
{
    CLEANUP_FREE char *layout = xasprintf("layout=%d", fds[0]);
    CLEANUP_FREE char *cookie = xasprintf("cookie=%d", fds[1]);
    CLEANUP_FREE char *renew = xasprintf("renew=%d", fds[2]);
    const char *const argv[] = {PROGRAM, "-f",   "-r",   "--threads", THREADS,
                                plugin,  layout, cookie, renew,       NULL};
    const struct child_spec spec = {
        .argv = argv,
        .keep_fds = fds,
        .n_keep_fds = 3,
        .in = CHILD_NULL,
        .out = CHILD_NULL,
        .err = CHILD_PIPE,
        .listen_fd = listening,
    };
    int r = child_spawn(&spec, &v->child, err);

    return r == ERR_NOT_FOUND ? err_recode(err, "source_program") : r;
}

/* The listening socket is the child's alone: when that ends, nobody waits for it. */
static int
start_one(struct source_servers *s, const struct source_servers_opts *o,
          const char *plugin, struct err *err)
{
    const struct source_disk *d = &o->disks[s->n];
    struct source_server *v = &s->v[s->n];
    CLEANUP_FD int layout = -1, cookie = -1, renew = -1, listening = -1, path = -1;

    if (clear_of_3(d->layout_fd, &layout, err) < 0 ||
        clear_of_3(o->cookie_fd, &cookie, err) < 0 ||
        clear_of_3(o->renew_fd, &renew, err) < 0 ||
        nameless_socket(&listening, &path, err) < 0 ||
        spawn(v, plugin, (const int[]){layout, cookie, renew}, listening, err) < 0)
        return err_prefix(err, "start the source of disk %u", d->key);
    v->key = d->key;
    v->socket_fd = take_fd(&path);
    v->uri = xasprintf("nbd+unix:///?socket=/proc/self/fd/%d", v->socket_fd);
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

static bool
answers(const struct source_server *v, const struct source_servers_opts *o)
{
    CLEANUP_NBD_CONN struct nbd_conn *c = NULL;
    struct err why = ERR_INIT;
    struct nbd_conn_opts nbd = {.uri = v->uri,
                                .connect_s = o->connect_s,
                                .io_s = o->connect_s,
                                .cancel_fd = copy_stop_fd(o->stop)};

    return nbd_conn_open(&nbd, &c, &why) == 0;
}

/* Until a handshake works: one that comes early waits in the socket. */
static int
await_one(struct source_servers *s, struct source_server *v,
          const struct source_servers_opts *o, uint64_t deadline_ns, struct err *err)
{
    while (!answers(v, o)) {
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
    if (find_plugin(&plugin, err) < 0)
        return err->class;
    while (s->n < o->n)
        if (start_one(s, o, plugin, err) < 0)
            return err->class;
    FAILPOINT(CLIENT_SOURCE_STARTING);
    if (source_words_start(s, err) < 0)
        return err->class;
    for (size_t i = 0; i < s->n; i++)
        if (await_one(s, &s->v[i], o, deadline_ns, err) < 0)
            return err->class;
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
