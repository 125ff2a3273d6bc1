/* tests/unit/nbd/nbd_rig.c - see nbd_rig.h. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <ftw.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/timeutil.h"
#include "nbd_rig.h"

#define READY_S 20

void
rig_init(struct rig *r)
{
    snprintf(r->dir, sizeof(r->dir), "/tmp/nbd-rig-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void
rig_done(struct rig *r)
{
    nftw(r->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void
rig_path(const struct rig *r, const char *name, char out[RIG_TEXT])
{
    assert_true(snprintf(out, RIG_TEXT, "%s/%s", r->dir, name) < RIG_TEXT);
}

/* Both servers write their pid file once they listen; qemu-nbd keeps it open, so the
 * write itself must wake us. */
static void
start_and_wait(struct rig *r, const char *pidfile, const struct child_spec *spec,
               struct rig_server *ret)
{
    uint64_t deadline = time_mono_ns() + READY_S * NS_PER_S;
    CLEANUP_FD int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    struct err err = ERR_INIT;
    struct stat st;

    assert_true(inotify_add_watch(watch, r->dir, IN_CREATE | IN_MODIFY | IN_MOVED_TO) >=
                0);
    if (child_spawn(spec, &ret->child, &err) < 0)
        fail_msg("%s", err.msg);
    while (stat(pidfile, &st) < 0 || st.st_size == 0) {
        struct pollfd fds[2] = {{.fd = watch, .events = POLLIN},
                                {.fd = child_pidfd(ret->child), .events = POLLIN}};
        char junk[4096];

        assert_true(poll(fds, 2, time_left_ms(deadline)) > 0);
        assert_int_equal(fds[1].revents, 0);
        assert_true(read(watch, junk, sizeof(junk)) > 0);
    }
}

void
rig_nbdkit(struct rig *r, const char *name, const char *const *args,
           struct rig_server *ret)
{
    char sock[RIG_TEXT], pidfile[RIG_TEXT];
    const char *argv[32] = {"nbdkit", "-f", "-U", sock, "-P", pidfile};
    struct child_spec spec = {.argv = argv, .err = CHILD_NULL};
    unsigned n = 6;

    rig_path(r, name, sock);
    snprintf(pidfile, sizeof(pidfile), "%.400s/%s.pid", r->dir, name);
    while (*args && n < 31)
        argv[n++] = *args++;
    argv[n] = NULL;
    start_and_wait(r, pidfile, &spec, ret);
    snprintf(ret->uri, sizeof(ret->uri), "nbd+unix:///?socket=%.400s", sock);
}

void
rig_qemu_nbd_words(struct rig *r, const char *name, const char *const *words,
                   struct rig_server *ret)
{
    char sock[RIG_TEXT], pidfile[RIG_TEXT];
    const char *argv[24] = {"qemu-nbd", "--shared=10", "--persistent", "-x",   "exp",
                            "-k",       sock,          "--pid-file",   pidfile};
    struct child_spec spec = {.argv = argv, .err = CHILD_NULL};
    unsigned n = 9;

    snprintf(sock, sizeof(sock), "%.400s/%s.sock", r->dir, name);
    snprintf(pidfile, sizeof(pidfile), "%.400s/%s.pid", r->dir, name);
    /* What a server before this one left would look like readiness. */
    (void)unlink(pidfile);
    while (*words && n < ARRAY_LEN(argv) - 1)
        argv[n++] = *words++;
    start_and_wait(r, pidfile, &spec, ret);
    snprintf(ret->uri, sizeof(ret->uri), "nbd+unix:///exp?socket=%.400s", sock);
}

void
rig_qemu_nbd(struct rig *r, const char *file, const char *format, const char *description,
             struct rig_server *ret)
{
    char path[RIG_TEXT];
    const char *words[] = {"-f",        format, path, description ? "-D" : NULL,
                           description, NULL};

    rig_path(r, file, path);
    rig_qemu_nbd_words(r, file, words, ret);
}

void
rig_stop(struct rig_server *s)
{
    struct child_exit how;
    struct err err = ERR_INIT;

    if (!s->child)
        return;
    child_signal(s->child, SIGCONT);
    child_stop(s->child, 5000, &how, &err);
    child_free(s->child);
    s->child = NULL;
}

void
rig_signal(struct rig_server *s, int sig)
{
    siginfo_t info;

    child_signal(s->child, sig);
    /* A stop reaches the threads of a server one by one: wait until all of it stands. */
    if (sig == SIGSTOP)
        waitid(P_PID, (id_t)child_identity(s->child)->pid, &info, WSTOPPED | WNOWAIT);
}

void
rig_write(struct rig *r, const char *name, const void *p, size_t n, uint64_t off)
{
    struct err err = ERR_INIT;
    char path[RIG_TEXT];
    CLEANUP_FD int fd = -1;

    rig_path(r, name, path);
    fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fs_pwrite_full(fd, p, n, off, &err), 0);
}

void
rig_sparse_file(struct rig *r, const char *name, uint64_t size, unsigned runs,
                unsigned seed)
{
    char path[RIG_TEXT];
    unsigned char *p = malloc(1 << 20);

    rig_write(r, name, "", 0, 0);
    rig_path(r, name, path);
    assert_int_equal(truncate(path, (off_t)size), 0);
    for (unsigned i = 0; i < runs; i++) {
        uint64_t off = ((uint64_t)rand_r(&seed) << 16) % size;
        size_t n = (size_t)rand_r(&seed) % (1 << 20);

        for (size_t k = 0; k < n; k++)
            p[k] = (unsigned char)(rand_r(&seed) >> 8);
        rig_write(r, name, p, n < size - off ? n : size - off, off);
    }
    free(p);
}

static void
run(const char *const *argv)
{
    struct buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;

    if (child_run(argv, NULL, 0, 60000, &out, &err) < 0)
        fail_msg("%s", err.msg);
    buf_done(&out);
}

void
rig_qcow2(struct rig *r, const char *name, uint64_t size)
{
    char path[RIG_TEXT], text[32];
    const char *argv[] = {
        "qemu-img", "create", "-q", "-f", "qcow2", "-o", "compat=1.1,cluster_size=65536",
        path,       text,     NULL};

    rig_path(r, name, path);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
    run(argv);
}

void
rig_assert_equal(struct rig *r, const char *raw, const char *qcow2, uint64_t size)
{
    char a[RIG_TEXT], b[RIG_TEXT], out[RIG_TEXT], text[32];
    const char *convert[] = {"qemu-img", "convert", "-f", "qcow2", "-O",
                             "raw",      b,         out,  NULL};
    const char *cmp[] = {"cmp", "-n", text, a, out, NULL};

    rig_path(r, raw, a);
    rig_path(r, qcow2, b);
    rig_path(r, "converted.raw", out);
    snprintf(text, sizeof(text), "%llu", (unsigned long long)size);
    run(convert);
    run(cmp);
}
