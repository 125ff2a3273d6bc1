/* os/child.c - see child.h.  The only place of Sendense that forks and executes. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "os/child.h"
#include "os/child_id.h"
#include "os/child_program.h"

#define KEEP_FDS_MAX 64
#define KILL_WAIT_MS 10000
#define FIRST_FREE_FD 3 /* 0, 1 and 2 are the standard streams */
#define LISTEN_FD 3     /* sd_listen_fds(3) */
#define LISTEN_PID "LISTEN_PID="
#define LISTEN_PID_DIGITS 10

struct child {
    struct child_id id;
    int pidfd;
    int in_fd, out_fd, err_fd; /* our ends of the pipes, or -1 */
    bool reaped;
    struct child_exit exit; /* valid when reaped */
};

/* All that the forked child needs, prepared before the fork: afterwards it must not
 * allocate or take a lock, because a thread that does not exist there may hold it. */
struct plan {
    char *path;
    char *const *argv;
    char **envp;
    int stdio[3];               /* what becomes 0, 1, 2; all >= FIRST_FREE_FD */
    int keep[KEEP_FDS_MAX + 1]; /* ascending; includes error_fd */
    unsigned n_keep;
    int listen_fd;    /* becomes LISTEN_FD; 0 = none */
    char *listen_pid; /* in envp: where the child writes its own number */
    int error_fd;     /* CLOEXEC: closes at exec, carries struct failure before that */
    pid_t parent;
};

struct failure {
    int step; /* index of step_names */
    int error;
};

enum { STEP_PREPARE, STEP_DESCRIPTORS, STEP_EXEC };
static const char *const step_names[] = {"prepare process", "set up descriptors",
                                         "execute"};

/* ---- in the child, between fork and exec: async-signal-safe calls only ---- */

static void __attribute__((noreturn)) child_fail(const struct plan *p, int step)
{
    struct failure f = {step, errno};
    ssize_t w;

    do
        w = write(p->error_fd, &f, sizeof(f)); /* below PIPE_BUF: whole or not at all */
    while (w < 0 && errno == EINTR);
    _exit(127);
}

static void
child_reset_signals(void)
{
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++)
        sigaction(sig, &dfl, NULL); /* KILL, STOP and libc's own refuse: they need none */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* The only one who knows its number in time. */
static void
child_write_pid(char *to)
{
    char digits[LISTEN_PID_DIGITS];
    unsigned n = 0;

    for (pid_t pid = getpid(); pid > 0 && n < sizeof(digits); pid /= 10)
        digits[n++] = (char)('0' + pid % 10);
    while (n > 0)
        *to++ = digits[--n];
    *to = '\0';
}

/* Those that stdio came from are not needed any more. */
static int
child_set_listening(const struct plan *p)
{
    child_write_pid(p->listen_pid);
    if (p->listen_fd == LISTEN_FD)
        return fcntl(LISTEN_FD, F_SETFD, 0);
    return dup2(p->listen_fd, LISTEN_FD) < 0 ? -1 : 0;
}

static int
child_set_descriptors(const struct plan *p)
{
    unsigned from = p->listen_fd ? LISTEN_FD + 1 : FIRST_FREE_FD;

    for (int i = 0; i < 3; i++)
        if (dup2(p->stdio[i], i) < 0)
            return -1;
    if (p->listen_fd && child_set_listening(p) < 0)
        return -1;
    for (unsigned k = 0; k < p->n_keep; k++) {
        unsigned fd = (unsigned)p->keep[k];

        if (fd > from && syscall(SYS_close_range, from, fd - 1, 0) < 0)
            return -1;
        if (p->keep[k] != p->error_fd && fcntl(p->keep[k], F_SETFD, 0) < 0)
            return -1;
        from = fd + 1;
    }
    return (int)syscall(SYS_close_range, from, ~0u, 0);
}

static void __attribute__((noreturn)) child_main(const struct plan *p)
{
    if (setpgid(0, 0) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        child_fail(p, STEP_PREPARE);
    if (getppid() != p->parent) /* it died before the signal was armed */
        _exit(127);
    if (child_set_descriptors(p) < 0)
        child_fail(p, STEP_DESCRIPTORS);
    child_reset_signals();
    execve(p->path, p->argv, p->envp);
    child_fail(p, STEP_EXEC);
}

/* ---- the spawner thread ---- */

/* PR_SET_PDEATHSIG fires when the forking *thread* ends.  A thread that never ends before
 * the program does makes it mean what we need. */
static struct {
    pthread_once_t once;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    const struct plan *plan; /* the request being served, or NULL */
    bool done;               /* pid and error below answer it */
    pid_t pid;
    int error;
    int start_error; /* why there is no thread, or 0 */
} spawner = {
    .once = PTHREAD_ONCE_INIT,
    .lock = PTHREAD_MUTEX_INITIALIZER,
    .changed = PTHREAD_COND_INITIALIZER,
};

static void *
spawner_main(void *arg)
{
    pthread_mutex_lock(&spawner.lock);
    for (;;) {
        while (!spawner.plan || spawner.done)
            pthread_cond_wait(&spawner.changed, &spawner.lock);
        spawner.pid = fork();
        if (spawner.pid == 0)
            child_main(spawner.plan);
        spawner.error = spawner.pid < 0 ? errno : 0;
        spawner.done = true;
        pthread_cond_broadcast(&spawner.changed);
    }
    return NULL;
}

static void
spawner_start(void)
{
    sigset_t all, before;
    pthread_t thread;

    sigfillset(&all); /* signals of the program are for its own threads */
    pthread_sigmask(SIG_SETMASK, &all, &before);
    spawner.start_error = pthread_create(&thread, NULL, spawner_main, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (spawner.start_error == 0)
        pthread_detach(thread);
}

static int
spawner_fork(const struct plan *plan, pid_t *ret_pid, struct err *err)
{
    char reason[128];
    int error;

    pthread_once(&spawner.once, spawner_start);
    error = spawner.start_error;
    if (error == 0) {
        LOCK_SCOPE(&spawner.lock);
        while (spawner.plan)
            pthread_cond_wait(&spawner.changed, &spawner.lock);
        spawner.plan = plan;
        spawner.done = false;
        pthread_cond_broadcast(&spawner.changed);
        while (!spawner.done)
            pthread_cond_wait(&spawner.changed, &spawner.lock);
        *ret_pid = spawner.pid;
        error = spawner.error;
        spawner.plan = NULL;
        pthread_cond_broadcast(&spawner.changed);
    }
    if (error != 0)
        return err_set(err, ERR_IO, NULL, "fork: %s",
                       strerror_r(error, reason, sizeof(reason)));
    return 0;
}

/* ---- preparing ---- */

static void
plan_done(struct plan *p)
{
    free(p->path);
    for (char **e = p->envp; e && *e; e++) {
        explicit_bzero(*e, strlen(*e)); /* may carry a secret for that child alone */
        free(*e);
    }
    free(p->envp);
    for (int i = 0; i < 3; i++)
        cleanup_fd(&p->stdio[i]);
    cleanup_fd(&p->error_fd);
}

static int
pipe_error(struct err *err, const char *what)
{
    char reason[128];

    return err_set(err, ERR_IO, NULL, "%s: %s", what,
                   strerror_r(errno, reason, sizeof(reason)));
}

/* A pipe whose both ends are above the standard streams, even in a program started
 * without. */
static int
make_pipe(int *ret_read, int *ret_write, struct err *err)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return pipe_error(err, "pipe");
    for (int i = 0; i < 2; i++) {
        CLEANUP_FD int low = fds[i] < FIRST_FREE_FD ? fds[i] : -1;

        if (low >= 0)
            fds[i] = fcntl(low, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    }
    *ret_read = fds[0];
    *ret_write = fds[1];
    if (fds[0] < 0 || fds[1] < 0)
        return pipe_error(err, "pipe");
    return 0;
}

/* Descriptor for stream @n of the child; *ours gets our end of a pipe. */
static int
make_stream(int n, enum child_stdio how, int *ret_theirs, int *ours, struct err *err)
{
    CLEANUP_FD int null = -1;

    if (how == CHILD_PIPE)
        return n == 0 ? make_pipe(ret_theirs, ours, err)
                      : make_pipe(ours, ret_theirs, err);
    if (how == CHILD_INHERIT) {
        *ret_theirs = fcntl(n, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
        if (*ret_theirs >= 0)
            return 0;
    }
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return pipe_error(err, "open '/dev/null'");
    *ret_theirs = fcntl(null, F_DUPFD_CLOEXEC, FIRST_FREE_FD);
    return *ret_theirs < 0 ? pipe_error(err, "open '/dev/null'") : 0;
}

static int
compare_ints(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;

    return (x > y) - (x < y);
}

static const char *const listen_env[] = {"LISTEN_FDS=1", LISTEN_PID "0000000000", NULL};

static int
plan_listen(struct plan *p, const struct child_spec *spec, struct err *err)
{
    if (spec->listen_fd <= 0)
        return 0;
    if (spec->env || spec->listen_fd < FIRST_FREE_FD)
        return err_set(err, ERR_INVALID, NULL, "a listening child has no other env");
    for (unsigned i = 0; i < spec->n_keep_fds; i++)
        if (spec->keep_fds[i] == LISTEN_FD)
            return err_set(err, ERR_INVALID, NULL, "descriptor %d is kept and listens",
                           LISTEN_FD);
    if (p->error_fd == LISTEN_FD) {
        int fd = fcntl(LISTEN_FD, F_DUPFD_CLOEXEC, LISTEN_FD + 1);

        if (fd < 0)
            return err_set(err, ERR_IO, NULL, "descriptors are used up");
        close(LISTEN_FD);
        p->error_fd = fd;
    }
    p->listen_fd = spec->listen_fd;
    for (char **e = p->envp; *e; e++)
        if (strncmp(*e, LISTEN_PID, strlen(LISTEN_PID)) == 0)
            p->listen_pid = *e + strlen(LISTEN_PID);
    return 0;
}

static int
plan_keep_fds(struct plan *p, const struct child_spec *spec, struct err *err)
{
    if (spec->n_keep_fds > KEEP_FDS_MAX)
        return err_set(err, ERR_INVALID, NULL, "more than %d descriptors to keep",
                       KEEP_FDS_MAX);
    for (unsigned i = 0; i < spec->n_keep_fds; i++) {
        int fd = spec->keep_fds[i];

        if (fd < FIRST_FREE_FD || fcntl(fd, F_GETFD) < 0)
            return err_set(err, ERR_INVALID, NULL, "descriptor %d cannot be inherited",
                           fd);
        p->keep[p->n_keep++] = fd;
    }
    p->keep[p->n_keep++] = p->error_fd;
    qsort(p->keep, p->n_keep, sizeof(p->keep[0]), compare_ints);
    return 0;
}

static int
plan_init(struct plan *p, const struct child_spec *spec, struct child *c,
          int *ret_error_rd, struct err *err)
{
    int r;

    if (!spec->argv || !spec->argv[0] || spec->argv[0][0] == '\0')
        return err_set(err, ERR_INVALID, NULL, "no program named");
    p->path = child_find_program(spec->argv[0]);
    if (!p->path)
        return err_set(err, ERR_NOT_FOUND, NULL, "program '%s' is not in PATH",
                       spec->argv[0]);
    p->argv = (char *const *)spec->argv; /* execve(2) does not write to it */
    p->envp = child_make_env(spec->listen_fd > 0 ? listen_env : spec->env);
    p->parent = getpid();
    r = make_pipe(ret_error_rd, &p->error_fd, err);
    if (r == 0)
        r = make_stream(0, spec->in, &p->stdio[0], &c->in_fd, err);
    if (r == 0)
        r = make_stream(1, spec->out, &p->stdio[1], &c->out_fd, err);
    if (r == 0)
        r = make_stream(2, spec->err, &p->stdio[2], &c->err_fd, err);
    if (r == 0)
        r = plan_listen(p, spec, err);
    if (r == 0)
        r = plan_keep_fds(p, spec, err);
    return r;
}

/* ---- starting ---- */

static int
explain_failure(const struct failure *f, const char *name, struct err *err)
{
    bool unusable = f->step == STEP_EXEC &&
                    (f->error == ENOENT || f->error == EACCES || f->error == ENOEXEC ||
                     f->error == ENOTDIR || f->error == EPERM || f->error == ELOOP ||
                     f->error == EISDIR || f->error == ENAMETOOLONG);
    char reason[128];

    return err_set(err, unusable ? ERR_NOT_FOUND : ERR_IO, NULL, "%s '%s': %s",
                   step_names[f->step], name,
                   strerror_r(f->error, reason, sizeof(reason)));
}

/* Returns when the program runs (its exec closed the pipe) or has told why it cannot. */
static int
await_exec(int error_rd, const char *name, struct err *err)
{
    struct failure f;
    ssize_t n;

    do
        n = read(error_rd, &f, sizeof(f));
    while (n < 0 && errno == EINTR);
    if (n == 0)
        return 0;
    if (n == (ssize_t)sizeof(f) && f.step >= STEP_PREPARE && f.step <= STEP_EXEC)
        return explain_failure(&f, name, err);
    return err_set(err, ERR_IO, NULL, "start '%s': no report from the new process", name);
}

int
child_spawn(const struct child_spec *spec, struct child **ret, struct err *err)
{
    CLEANUP(plan_done) struct plan plan = {.stdio = {-1, -1, -1}, .error_fd = -1};
    CLEANUP_CHILD struct child *c = xcalloc(1, sizeof(*c));
    CLEANUP_FD int error_rd = -1;
    int r;

    c->pidfd = c->in_fd = c->out_fd = c->err_fd = -1;
    c->reaped = true; /* nothing to reap until there is a process */
    r = plan_init(&plan, spec, c, &error_rd, err);
    if (r == 0)
        r = spawner_fork(&plan, &c->id.pid, err);
    if (r < 0)
        return err_prefix(err, "start program");
    c->reaped = false;
    close(take_fd(&plan.error_fd)); /* or await_exec() would wait for ourselves */
    r = await_exec(error_rd, spec->argv[0], err);
    if (r < 0)
        return r;
    /* Our own unreaped child: its number cannot have been given to another process. */
    c->pidfd = (int)syscall(SYS_pidfd_open, c->id.pid, 0);
    if (c->pidfd < 0)
        return pipe_error(err, "pidfd_open");
    r = child_id_fill(&c->id, c->id.pid, err);
    if (r < 0)
        return r;
    *ret = take_ptr(&c);
    return 0;
}

const struct child_id *
child_identity(const struct child *c)
{
    return &c->id;
}

int
child_pidfd(const struct child *c)
{
    return c->pidfd;
}

int
child_stdin_fd(const struct child *c)
{
    return c->in_fd;
}

int
child_stdout_fd(const struct child *c)
{
    return c->out_fd;
}

int
child_stderr_fd(const struct child *c)
{
    return c->err_fd;
}

void
child_close_stdin(struct child *c)
{
    cleanup_fd(&c->in_fd);
    c->in_fd = -1;
}

/* ---- waiting and stopping ---- */

void
child_signal(struct child *c, int sig)
{
    if (!c->reaped) /* later the number may name somebody else's group */
        kill(-c->id.pid, sig);
}

static uint64_t
timeval_ms(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * 1000 + (uint64_t)t->tv_usec / 1000;
}

static int
reap(struct child *c, struct err *err)
{
    siginfo_t si = {0};
    struct rusage ru = {0};

    /* While the dead leader is unreaped the group's number is ours: the last moment at
     * which what it left behind can be ended safely. */
    child_signal(c, SIGKILL);
    /* The system call: libc's waitid() hides what the process used. */
    while (syscall(SYS_waitid, P_PID, (id_t)c->id.pid, &si, WEXITED, &ru) < 0)
        if (errno != EINTR)
            return err_errno(err, errno, NULL, "wait for process %d", (int)c->id.pid);
    c->reaped = true;
    c->exit.signaled = si.si_code != CLD_EXITED;
    c->exit.value = si.si_status;
    c->exit.cpu_ms = timeval_ms(&ru.ru_utime) + timeval_ms(&ru.ru_stime);
    c->exit.peak_kib = (uint64_t)ru.ru_maxrss;
    return 0;
}

const char *
child_cost_to_str(const struct child_exit *e, char out[CHILD_COST_SIZE])
{
    snprintf(out, CHILD_COST_SIZE,
             "%" PRIu64 ".%02" PRIu64 " CPU s, %" PRIu64 " MiB at most", e->cpu_ms / 1000,
             e->cpu_ms % 1000 / 10, e->peak_kib / 1024);
    return out;
}

int
child_wait(struct child *c, uint64_t deadline_ns, struct child_exit *ret, struct err *err)
{
    struct pollfd p = {.fd = c->pidfd, .events = POLLIN};

    while (!c->reaped) {
        int left_ms = time_left_ms(deadline_ns);
        int n = poll(&p, 1, left_ms);

        if (n < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "poll process %d", (int)c->id.pid);
        if (n == 0 && time_left_ms(deadline_ns) == 0)
            return err_set(err, ERR_TIMEOUT, NULL, "process %d still runs",
                           (int)c->id.pid);
        if (n > 0) {
            int r = reap(c, err);

            if (r < 0)
                return r;
        }
    }
    if (ret)
        *ret = c->exit;
    return 0;
}

int
child_stop(struct child *c, unsigned grace_ms, struct child_exit *ret, struct err *err)
{
    struct err grace = ERR_INIT;
    int r;

    child_signal(c, SIGTERM);
    r = child_wait(c, time_mono_ns() + grace_ms * NS_PER_MS, ret, &grace);
    if (r == 0)
        return 0;
    child_signal(c, SIGKILL);
    r = child_wait(c, time_mono_ns() + KILL_WAIT_MS * NS_PER_MS, ret, err);
    return r < 0 ? err_prefix(err, "after SIGKILL") : 0;
}

void
child_free(struct child *c)
{
    struct err err = ERR_INIT;

    if (!c)
        return;
    if (!c->reaped && c->pidfd < 0) { /* never got to exec: it ends by itself, at once */
        kill(c->id.pid, SIGKILL);
        reap(c, &err);
    } else if (!c->reaped) {
        child_signal(c, SIGKILL);
        if (child_wait(c, time_mono_ns() + KILL_WAIT_MS * NS_PER_MS, NULL, &err) < 0)
            log_error("cannot end child: %s", err.msg);
    }
    cleanup_fd(&c->pidfd);
    cleanup_fd(&c->in_fd);
    cleanup_fd(&c->out_fd);
    cleanup_fd(&c->err_fd);
    free(c);
}

void
cleanup_child(struct child **c)
{
    child_free(*c);
}
