/* store/export.c - the life of one qemu-nbd; see export.h. */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "nbd/nbd_conn.h"
#include "store/export_priv.h"
#include "store/lockprobe.h"
#include "store/ports.h"

#define RETRY_FIRST_MS 2 /* qemu-nbd listens about 15 ms after its start */
#define RETRY_MAX_MS 100
#define STRANGER_WAIT_MS 1000 /* for qemu-nbd to notice that its port is taken */
#define RELEASE_WAIT_MS                                                                  \
    2000 /* the kernel may close a dead program's files a little late */
#define PROGRAM_PATH_SIZE 4096

struct export
{
    struct child *child;
    struct child_id id;
    struct stderr_tail *tail;
    char *path, *name, *description, *socket, *uri;
    char *psk_file; /* NULL = no TLS */
    uint16_t port;
    uint64_t size_bytes;
    bool read_only, direct;
    bool stopped;
    struct export_stop_result result; /* of the first stop */
    struct err stop_err;
};

static char qemu_nbd[PROGRAM_PATH_SIZE] = "qemu-nbd";

void
export_set_qemu_nbd(const char *path)
{
    snprintf(qemu_nbd, sizeof(qemu_nbd), "%s", path);
}

void
cleanup_export(struct export **e)
{
    export_free(*e);
}

/* --- start --- */

/* A file in memory has no media that a direct read could reach, whatever open() says. */
static bool
opens_direct(const char *path)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECT | O_CLOEXEC | O_NONBLOCK);
    struct statfs fs;

    return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type != TMPFS_MAGIC &&
           fs.f_type != RAMFS_MAGIC;
}

static bool
wants_direct(const struct export_spec *s)
{
    return s->cache == EXPORT_CACHE_DIRECT ||
           (s->cache == EXPORT_CACHE_DEFAULT && s->read_only);
}

static int
check_files(const struct export_spec *s, struct err *err)
{
    struct stat st;

    if (lstat(s->path, &st) < 0)
        return err_errno(err, errno, errno == ENOENT ? "image_missing" : NULL,
                         "export image '%s'", s->path);
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_INVALID, NULL, "image '%s' is no regular file", s->path);
    if (s->socket != NULL && fs_exists(s->socket))
        return err_set(err, ERR_EXISTS, "socket_exists", "socket '%s' exists", s->socket);
    return 0;
}

static bool
has_exited(const struct export *e, int wait_ms)
{
    struct pollfd p = {.fd = child_pidfd(e->child), .events = POLLIN};

    return poll(&p, 1, wait_ms) > 0;
}

/* Cuts @text to its last line that is not empty. */
static const char *
last_line(char *text)
{
    size_t n = strlen(text);
    char *nl;

    while (n > 0 && (text[n - 1] == '\n' || text[n - 1] == '\r'))
        text[--n] = '\0';
    nl = strrchr(text, '\n');
    return n == 0 ? "no message" : nl ? nl + 1 : text;
}

/* qemu-nbd ended before it was ready: why? */
static int
explain_exit(struct export *e, struct err *err)
{
    CLEANUP_FREE char *text = NULL;
    const char *line;

    stderr_tail_finish(e->tail);
    text = stderr_tail_text(e->tail);
    line = last_line(text);
    err_clear(err);
    if (strstr(text, "Address already in use") ||
        (e->port != 0 && strcmp(line, "no message") == 0 && !port_is_free(e->port)))
        return err_set(err, ERR_EXISTS, "port_in_use", "another program took port %u",
                       e->port);
    /* A question about another process follows it, so it is not in the last line. */
    if (strstr(text, "Failed to get") && strstr(text, " lock"))
        return err_set(err, ERR_UNAVAILABLE, "image_locked",
                       "image '%s' is open in another program", e->path);
    return err_set(err, ERR_IO, "export_failed", "qemu-nbd ended at once: %s", line);
}

static int
check_handshake(struct export *e, const struct export_spec *s,
                const struct nbd_conn_info *info, struct err *err)
{
    if (e->description != NULL && strcmp(info->description, e->description) != 0)
        return err_set(err, ERR_PROTOCOL, "export_mismatch",
                       "'%s' describes itself as another export", e->uri);
    if (s->size_bytes != 0 && info->size_bytes != s->size_bytes)
        return err_set(err, ERR_PROTOCOL, "export_mismatch",
                       "'%s' has %llu bytes instead of %llu", e->uri,
                       (unsigned long long)info->size_bytes,
                       (unsigned long long)s->size_bytes);
    if (info->read_only != s->read_only)
        return err_set(err, ERR_PROTOCOL, "export_mismatch", "'%s' is %s", e->uri,
                       info->read_only ? "read-only" : "writable");
    e->size_bytes = info->size_bytes;
    return 0;
}

/* One try.  The exit of qemu-nbd ends it at once, as the cancel descriptor is its pidfd.
 */
static int
try_handshake(struct export *e, const struct export_spec *s, uint64_t deadline,
              struct err *err)
{
    CLEANUP_NBD_CONN struct nbd_conn *conn = NULL;
    const struct nbd_conn_opts opts = {
        .uri = e->uri,
        .connect_s = (unsigned)(time_left_ms(deadline) + 999) / 1000,
        .tls_psk_file = e->psk_file,
        .tls_user = s->tls_user,
        .cancel_fd = child_pidfd(e->child),
    };
    int r = nbd_conn_open(&opts, &conn, err);

    return r < 0 ? r : check_handshake(e, s, nbd_conn_info(conn), err);
}

static int
timed_out(const struct export *e, unsigned timeout_ms, const char *stage, struct err *err)
{
    return err_set(err, ERR_TIMEOUT, "export_timeout",
                   "qemu-nbd for '%s' was not ready after %u ms (stage: %s)", e->path,
                   timeout_ms, stage);
}

static int
wait_ready(struct export *e, const struct export_spec *s, unsigned timeout_ms,
           uint64_t deadline, struct err *err)
{
    int pause_ms = RETRY_FIRST_MS;

    for (;;) {
        bool refused;
        int r;

        if (time_left_ms(deadline) == 0)
            return timed_out(e, timeout_ms, "listen", err);
        r = try_handshake(e, s, deadline, err);
        if (has_exited(e, 0))
            return explain_exit(e, err);
        if (r >= 0)
            return 0;
        if (r == ERR_TIMEOUT || time_left_ms(deadline) == 0)
            return timed_out(e, timeout_ms, "handshake", err);
        refused = strcmp(err->code, "nbd_connect") == 0;
        if (!refused) {
            /* A stranger has the port, or ours is wrong.  In the first case ours is about
             * to end because of it. */
            int left = time_left_ms(deadline);

            if (has_exited(e, left < STRANGER_WAIT_MS ? left : STRANGER_WAIT_MS))
                return explain_exit(e, err);
            if (r != ERR_PROTOCOL || strcmp(err->code, "export_mismatch") != 0) {
                err->class = ERR_PROTOCOL;
                err_recode(err, "export_mismatch");
            }
            return err_prefix(err, "start export '%s'", e->name);
        }
        err_clear(err);
        if (has_exited(e, pause_ms))
            return explain_exit(e, err);
        pause_ms = pause_ms * 2 < RETRY_MAX_MS ? pause_ms * 2 : RETRY_MAX_MS;
    }
}

static int
spawn(struct export *e, const struct export_spec *s, struct err *err)
{
    CLEANUP_EXPORT_ARGS struct export_args args = {0};
    struct child_spec spec = {.env = export_env(s->read_only),
                              .in = CHILD_NULL,
                              .out = CHILD_NULL,
                              .err = CHILD_PIPE};

    export_args_build(s, qemu_nbd, e->direct, &args);
    spec.argv = (const char *const *)args.items;
    if (s->lock_fd > 0) {
        spec.keep_fds = &s->lock_fd;
        spec.n_keep_fds = 1;
    }
    if (child_spawn(&spec, &e->child, err) < 0) {
        if (err->class == ERR_NOT_FOUND)
            err_recode(err, "qemu_nbd_missing");
        return err_prefix(err, "start qemu-nbd (stage: spawn)");
    }
    e->id = *child_identity(e->child);
    return stderr_tail_new(child_stderr_fd(e->child), &e->tail, err);
}

/* Ends the process of a failed start. */
static void
discard(struct export *e)
{
    struct child_exit gone;
    struct err ignored = ERR_INIT;

    if (e->child != NULL && child_stop(e->child, 0, &gone, &ignored) < 0)
        log_error("qemu-nbd %d of a failed start cannot be ended: %s", (int)e->id.pid,
                  ignored.msg);
    stderr_tail_free(e->tail);
    e->tail = NULL;
    child_free(e->child);
    e->child = NULL;
    if (e->socket != NULL)
        (void)unlink(e->socket); /* it did not exist before: check_files() */
}

static struct export *
export_new(const struct export_spec *s)
{
    struct export *e = xcalloc(1, sizeof(*e));

    e->path = xstrdup(s->path);
    e->name = xstrdup(s->name);
    e->description = s->description && *s->description ? xstrdup(s->description) : NULL;
    e->socket = xstrdup(s->socket);
    e->uri = export_uri_build(s);
    if (s->tls_psk_dir)
        e->psk_file = xasprintf("%s/%s", s->tls_psk_dir, EXPORT_PSK_FILE);
    e->port = s->port;
    e->read_only = s->read_only;
    e->direct = wants_direct(s) && opens_direct(s->path);
    return e;
}

int
export_start(const struct export_spec *s, struct export **ret, struct err *err)
{
    unsigned timeout_ms = s->timeout_ms ? s->timeout_ms : EXPORT_START_TIMEOUT_MS;
    uint64_t deadline = time_mono_ns() + timeout_ms * NS_PER_MS;
    CLEANUP_EXPORT struct export *e = NULL;
    int r = export_spec_check(s, err);

    if (r < 0)
        return r;
    r = check_files(s, err);
    if (r < 0)
        return r;
    e = export_new(s);
    r = spawn(e, s, err);
    if (r == 0)
        r = wait_ready(e, s, timeout_ms, deadline, err);
    if (r < 0 && e->direct && strstr(err->msg, "O_DIRECT")) {
        /* The file opened with O_DIRECT, but one below it in the chain does not. */
        discard(e);
        err_clear(err);
        e->direct = false;
        r = spawn(e, s, err);
        if (r == 0)
            r = wait_ready(e, s, timeout_ms, deadline, err);
    }
    if (r < 0) {
        discard(e);
        e->stopped = true;
        return r;
    }
    *ret = take_ptr(&e);
    return 0;
}

/* --- stop --- */

static bool
image_is_free(const struct export *e)
{
    struct lockprobe probe;
    struct err ignored = ERR_INIT;

    if (lockprobe_file(e->path, &probe, &ignored) < 0)
        return ignored.class == ERR_NOT_FOUND;
    /* Other readers of an image are no left-over of this reader. */
    return e->read_only ? !probe.written : !probe.in_use;
}

static void
check_released(struct export *e, struct export_stop_result *res)
{
    uint64_t deadline = time_mono_ns() + RELEASE_WAIT_MS * NS_PER_MS;

    for (;;) {
        res->port_free = e->port == 0 || port_is_free(e->port);
        res->image_free = image_is_free(e);
        if ((res->port_free && res->image_free) || time_left_ms(deadline) == 0)
            return;
        poll(NULL, 0, 10);
    }
}

static int
end_child(struct export *e, struct export_stop_result *res, struct err *err)
{
    uint64_t start = time_mono_ns();
    int r;

    res->already_dead = has_exited(e, 0);
    r = child_stop(e->child, EXPORT_STOP_GRACE_MS, &res->exit, err);
    res->took_ms = (unsigned)((time_mono_ns() - start) / NS_PER_MS);
    if (r < 0) {
        err_recode(err, "export_stuck");
        return err_prefix(err, "stop qemu-nbd %d of '%s'", (int)e->id.pid, e->path);
    }
    res->term = !res->already_dead;
    res->kill = res->term && res->exit.signaled && res->exit.value == SIGKILL;
    return 0;
}

int
export_stop(struct export *e, struct export_stop_result *ret, struct err *err)
{
    struct export_stop_result *res = &e->result;

    if (!e->stopped && end_child(e, res, err) < 0) {
        if (ret != NULL)
            *ret = *res;
        return err->class; /* still there: the next call tries again */
    }
    if (!e->stopped) {
        stderr_tail_finish(e->tail);
        if (e->socket != NULL)
            (void)unlink(e->socket); /* left behind when it was killed */
        check_released(e, res);
        if (!res->port_free)
            err_set(&e->stop_err, ERR_EXISTS, "port_still_in_use",
                    "port %u is still in use after its qemu-nbd ended", e->port);
        else if (!res->image_free)
            err_set(&e->stop_err, ERR_EXISTS, "image_still_locked",
                    "image '%s' is still open in another program", e->path);
        e->stopped = true;
    }
    if (ret != NULL)
        *ret = *res;
    if (e->stop_err.class != 0)
        *err = e->stop_err;
    return e->stop_err.class;
}

void
export_free(struct export *e)
{
    struct err err = ERR_INIT;

    if (e == NULL)
        return;
    if (!e->stopped && export_stop(e, NULL, &err) < 0)
        log_error("export '%s': %s", e->name, err.msg);
    stderr_tail_free(e->tail);
    child_free(e->child);
    free(e->path);
    free(e->name);
    free(e->description);
    free(e->socket);
    free(e->uri);
    free(e->psk_file);
    free(e);
}

/* --- facts --- */

const struct child_id *
export_identity(const struct export *e)
{
    return &e->id;
}

pid_t
export_pid(const struct export *e)
{
    return e->id.pid;
}

int
export_pidfd(const struct export *e)
{
    return e->stopped ? -1 : child_pidfd(e->child);
}

bool
export_alive(const struct export *e)
{
    return !e->stopped && !has_exited(e, 0);
}

const char *
export_uri(const struct export *e)
{
    return e->uri;
}

const char *
export_name(const struct export *e)
{
    return e->name;
}

const char *
export_path(const struct export *e)
{
    return e->path;
}

uint16_t
export_port(const struct export *e)
{
    return e->port;
}

uint64_t
export_size(const struct export *e)
{
    return e->size_bytes;
}

bool
export_is_direct(const struct export *e)
{
    return e->direct;
}

char *
export_stderr(struct export *e)
{
    return stderr_tail_text(e->tail);
}
