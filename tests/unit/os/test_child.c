/* Unit tests of os/child.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../base/tmpdir.h"
#include "base/fs.h"
#include "base/timeutil.h"
#include "child_rig.h"
#include "os/child.h"

static char dir[TMPDIR_SIZE];

static void
run_ok(const char *const *argv, const int *fds, unsigned n_fds, struct buf *out)
{
    struct err err = ERR_INIT;
    int r = child_run(argv, fds, n_fds, HELPER_TIMEOUT_MS, out, &err);

    if (r < 0)
        print_error("%s\n", err.msg);
    assert_int_equal(r, 0);
}

/* Is @pid gone?  Waits for the event, through a pidfd. */
static bool
ends(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = fd, .events = POLLIN};
    bool gone;

    if (fd < 0)
        return errno == ESRCH;
    gone = poll(&p, 1, HELPER_TIMEOUT_MS) == 1;
    close(fd);
    return gone;
}

/* A listening socket is descriptor 3 there, whatever number it, the pipes and the others
 * have here. */
static void
listening(void **state)
{
    for (int at = 3; at < 12; at++) {
        int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        struct sockaddr_un none = {.sun_family = AF_UNIX};
        const char *const argv[] = {helper, "listen", NULL};
        int moved = fcntl(fd, F_DUPFD_CLOEXEC, at);
        struct child_spec spec = {.argv = argv, .out = CHILD_PIPE, .listen_fd = moved};
        CLEANUP_CHILD struct child *c = NULL;
        struct err err = ERR_INIT;
        char line[64];

        close(fd);
        assert_int_equal(bind(moved, (struct sockaddr *)&none, sizeof(sa_family_t)), 0);
        assert_int_equal(listen(moved, 1), 0);
        assert_int_equal(child_spawn(&spec, &c, &err), 0);
        read_line(c, line, sizeof(line));
        assert_string_equal(line, "mine 1 listens");
        close(moved);
    }
}

static void
listening_refused(void **state)
{
    static const char *const env[] = {"A=b", NULL};
    const char *const argv[] = {helper, "listen", NULL};
    const int keep[] = {3};
    int low = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int fd = fcntl(low, F_DUPFD_CLOEXEC, 10);
    const struct child_spec specs[] = {
        {.argv = argv, .listen_fd = fd, .env = env},
        {.argv = argv, .listen_fd = 2},
        {.argv = argv, .listen_fd = fd, .keep_fds = keep, .n_keep_fds = 1},
    };

    for (size_t i = 0; i < ARRAY_LEN(specs); i++) {
        struct child *c = NULL;
        struct err err = ERR_INIT;

        assert_int_equal(child_spawn(&specs[i], &c, &err), ERR_INVALID);
    }
    close(low);
    close(fd);
}

static void
exit_statuses(void **state)
{
    struct child_exit ex;
    struct err err = ERR_INIT;
    CLEANUP_CHILD struct child *c = start("exit", "7", CHILD_NULL, NULL);
    CLEANUP_CHILD struct child *k = start("kill", NULL, CHILD_NULL, NULL);

    assert_int_equal(child_wait(c, soon(), &ex, &err), 0);
    assert_false(ex.signaled);
    assert_int_equal(ex.value, 7);
    memset(&ex, 0xff, sizeof(ex));
    assert_int_equal(child_wait(c, 0, &ex, &err), 0); /* again: the same answer */
    assert_int_equal(ex.value, 7);
    child_signal(c, SIGKILL); /* harmless */
    assert_int_equal(child_stop(c, 0, &ex, &err), 0);
    assert_int_equal(ex.value, 7);
    assert_int_equal(child_wait(k, soon(), &ex, &err), 0);
    assert_true(ex.signaled);
    assert_int_equal(ex.value, SIGKILL);
    assert_int_equal(child_wait(k, 0, NULL, &err), 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no zombie */
    assert_int_equal(errno, ECHILD);
}

static void
arguments_are_not_split(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    const char *argv[] = {helper, "args", "a b", "", "$HOME;*'\"", "line\nbreak", NULL};

    run_ok(argv, NULL, 0, &out);
    assert_string_equal(out.data, "[a b]\n[]\n[$HOME;*'\"]\n[line\nbreak]\n");
}

static void
environment_is_minimal(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(10000);
    const char *argv[] = {helper, "env", NULL};

    setenv("PLANTED_SECRET", "x", 1);
    setenv("LD_PRELOAD_LIKE", "x", 1);
    setenv("TMPDIR", dir, 1);
    run_ok(argv, NULL, 0, &out);
    assert_null(strstr(out.data, "PLANTED_SECRET"));
    assert_null(strstr(out.data, "LD_PRELOAD_LIKE"));
    assert_null(strstr(out.data, "HOME="));
    assert_non_null(strstr(out.data, "PATH=/"));
    assert_non_null(strstr(out.data, "LANG=C\n"));
    assert_non_null(strstr(out.data, "LC_ALL=C.UTF-8\n"));
    assert_non_null(strstr(out.data, dir));
}

static void
environment_can_be_extended(void **state)
{
    const char *env[] = {"EXTRA=1 2", "LANG=de", NULL};
    CLEANUP_CHILD struct child *c = start("env", NULL, CHILD_NULL, env);
    CLEANUP_BUF struct buf out = BUF_INIT(10000);
    struct err err = ERR_INIT;
    char chunk[1000];
    ssize_t n;

    while ((n = read(child_stdout_fd(c), chunk, sizeof(chunk))) > 0)
        assert_int_equal(buf_append(&out, chunk, (size_t)n, &err), 0);
    assert_non_null(strstr(out.data, "EXTRA=1 2\n"));
    assert_non_null(strstr(out.data, "LANG=de\n"));
    assert_null(strstr(out.data, "LANG=C\n"));
}

static void
only_kept_descriptors_are_inherited(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000), again = BUF_INIT(1000);
    const char *argv[] = {helper, "fds", NULL};
    int leak[8], keep[2];
    char expect[64];
    struct err err = ERR_INIT;

    for (int i = 0; i < 8; i++)
        leak[i] = open("/dev/null", O_RDONLY); /* without CLOEXEC, on purpose */
    keep[0] = fcntl(leak[0], F_DUPFD_CLOEXEC, 200);
    keep[1] = fcntl(leak[0], F_DUPFD_CLOEXEC, 100);
    run_ok(argv, keep, 2, &out);
    snprintf(expect, sizeof(expect), "0\n1\n2\n%d\n%d\n", keep[1], keep[0]);
    assert_string_equal(out.data, expect);
    assert_true(fcntl(keep[0], F_GETFD) & FD_CLOEXEC); /* unchanged in the parent */
    run_ok(argv, NULL, 0, &again);
    assert_string_equal(again.data, "0\n1\n2\n");
    for (int i = 0; i < 8; i++)
        close(leak[i]);
    close(keep[0]);
    assert_int_equal(child_run(argv, keep, 1, 1000, NULL, &err), ERR_INVALID);
    err_clear(&err);
    keep[0] = 1;
    assert_int_equal(child_run(argv, keep, 1, 1000, NULL, &err), ERR_INVALID);
    close(keep[1]);
}

static void
no_descriptor_is_lost_in_the_parent(void **state)
{
    const char *argv[] = {helper, "exit", "0", NULL}, *bad[] = {"/no/such/program", NULL};
    struct err err = ERR_INIT;
    int before, after;

    run_ok(argv, NULL, 0, NULL);
    before = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(before);
    for (int i = 0; i < 20; i++) {
        run_ok(argv, NULL, 0, NULL);
        assert_true(child_run(bad, NULL, 0, 1000, NULL, &err) < 0);
    }
    after = open("/dev/null", O_RDONLY | O_CLOEXEC);
    close(after);
    assert_int_equal(before, after);
}

static void
signals_are_reset_and_the_group_is_new(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    const char *argv[] = {helper, "state", NULL};
    sigset_t all, before;

    signal(SIGUSR1, SIG_IGN);
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    run_ok(argv, NULL, 0, &out);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    signal(SIGUSR1, SIG_DFL);
    assert_string_equal(out.data, "blocked 0 ignored 0 leader 1 pdeathsig 9\n");
}

static void
what_cannot_be_executed(void **state)
{
    const char *missing[] = {"sendense-no-such-program", NULL}, *none[] = {NULL};
    const char *bad_path[] = {"/nonexistent/x", NULL}, *folder[] = {"/tmp", NULL};
    char file[TMPDIR_SIZE + 16];
    const char *not_exec[] = {file, NULL};
    struct child_spec spec = {.argv = missing};
    struct err err = ERR_INIT;
    struct child *c = NULL;

    snprintf(file, sizeof(file), "%s/data", dir);
    assert_int_equal(fs_write_file_durable(file, "x", 1, 0600, &err), 0);
    assert_int_equal(child_spawn(&spec, &c, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "sendense-no-such-program"));
    spec.argv = bad_path;
    err_clear(&err);
    assert_int_equal(child_spawn(&spec, &c, &err), ERR_NOT_FOUND);
    assert_non_null(strstr(err.msg, "No such file"));
    spec.argv = folder;
    assert_int_equal(child_spawn(&spec, &c, &err), ERR_NOT_FOUND);
    spec.argv = not_exec;
    assert_int_equal(child_spawn(&spec, &c, &err), ERR_NOT_FOUND);
    assert_int_equal(chmod(file, 0700), 0);
    assert_int_equal(child_spawn(&spec, &c, &err),
                     ERR_NOT_FOUND); /* no format we can run */
    spec.argv = none;
    assert_int_equal(child_spawn(&spec, &c, &err), ERR_INVALID);
    assert_null(c);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void
arguments_too_large_for_exec(void **state)
{
    size_t size = 4 << 20; /* MAX_ARG_STRLEN is 128 KiB */
    CLEANUP_FREE char *big = malloc(size);
    const char *argv[] = {helper, big, NULL};
    struct child_spec spec = {.argv = argv};
    struct err err = ERR_INIT;
    struct child *c = NULL;

    memset(big, 'x', size);
    big[size - 1] = '\0';
    assert_int_equal(child_spawn(&spec, &c, &err), ERR_IO);
}

static void
program_is_found_in_path(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(100);
    const char *argv[] = {"echo", "hello", NULL};

    run_ok(argv, NULL, 0, &out);
    assert_string_equal(out.data, "hello\n");
}

static void
stdin_pipe(void **state)
{
    CLEANUP_CHILD struct child *c = start("cat", NULL, CHILD_PIPE, NULL);
    struct child_exit ex;
    struct err err = ERR_INIT;
    char line[100];

    assert_int_equal(child_stderr_fd(c), -1);
    assert_int_equal(fs_write_full(child_stdin_fd(c), "to cat\n", 7, &err), 0);
    child_close_stdin(c);
    assert_int_equal(child_stdin_fd(c), -1);
    child_close_stdin(c);
    read_line(c, line, sizeof(line));
    assert_string_equal(line, "to cat");
    assert_int_equal(child_wait(c, soon(), &ex, &err), 0);
    assert_int_equal(ex.value, 0);
}

static void
stop_ends_the_obedient_by_term_and_the_stubborn_by_kill(void **state)
{
    CLEANUP_CHILD struct child *good = start("stay", NULL, CHILD_NULL, NULL);
    CLEANUP_CHILD struct child *bad = start("stubborn", NULL, CHILD_NULL, NULL);
    struct child_exit ex;
    struct err err = ERR_INIT;
    char line[100];

    read_line(good, line, sizeof(line));
    read_line(bad, line, sizeof(line));
    assert_int_equal(child_wait(good, time_mono_ns() + NS_PER_MS, &ex, &err),
                     ERR_TIMEOUT);
    err_clear(&err);
    assert_int_equal(child_stop(good, HELPER_TIMEOUT_MS, &ex, &err), 0);
    assert_true(ex.signaled);
    assert_int_equal(ex.value, SIGTERM);
    assert_int_equal(child_stop(bad, 50, &ex, &err), 0);
    assert_true(ex.signaled);
    assert_int_equal(ex.value, SIGKILL);
    assert_int_equal(err.class, 0);
}

static void
pidfd_tells_the_exit(void **state)
{
    CLEANUP_CHILD struct child *c = start("stay", NULL, CHILD_NULL, NULL);
    struct pollfd p = {.fd = child_pidfd(c), .events = POLLIN};
    char line[100];

    read_line(c, line, sizeof(line));
    assert_int_equal(poll(&p, 1, 0), 0);
    child_signal(c, SIGTERM);
    assert_int_equal(poll(&p, 1, HELPER_TIMEOUT_MS), 1);
}

static void
free_ends_a_running_child(void **state)
{
    struct child *c = start("stubborn", NULL, CHILD_NULL, NULL);
    pid_t pid = child_identity(c)->pid;
    char line[100];

    read_line(c, line, sizeof(line));
    child_free(c);
    assert_int_equal(kill(pid, 0), -1); /* reaped, too */
    assert_int_equal(errno, ESRCH);
    child_free(NULL);
}

static void
death_of_the_program_ends_its_children(void **state)
{
    CLEANUP_CHILD struct child *c = start("spawn", NULL, CHILD_NULL, NULL);
    struct child_exit ex;
    struct err err = ERR_INIT;
    char line[100];
    pid_t grandchild;

    read_line(c, line, sizeof(line));
    grandchild = (pid_t)atol(line);
    assert_true(grandchild > 0);
    assert_int_equal(kill(grandchild, 0), 0);
    assert_int_not_equal(getpgid(grandchild), child_identity(c)->pid);
    /* That one process, not its group: the grandchild must end by the parent-death
     * signal. */
    assert_int_equal(kill(child_identity(c)->pid, SIGKILL), 0);
    assert_true(ends(grandchild));
    assert_int_equal(child_wait(c, soon(), &ex, &err), 0);
}

static void *
spawn_in_thread(void *arg)
{
    return start("stay", NULL, CHILD_PIPE, NULL);
}

static void
child_outlives_the_thread_that_asked(void **state)
{
    CLEANUP_CHILD struct child *c = NULL;
    struct err err = ERR_INIT;
    void *result = NULL;
    char line[100];
    pthread_t t;

    assert_int_equal(pthread_create(&t, NULL, spawn_in_thread, NULL), 0);
    assert_int_equal(pthread_join(t, &result), 0);
    c = result;
    read_line(c, line,
              sizeof(line)); /* it got here after the thread was gone, or before */
    assert_int_equal(child_wait(c, time_mono_ns() + 100 * NS_PER_MS, NULL, &err),
                     ERR_TIMEOUT);
    assert_true(child_id_alive(child_identity(c)));
}

static void *
spawn_many(void *arg)
{
    const char *argv[] = {helper, "exit", "0", NULL};
    struct err err = ERR_INIT;
    intptr_t failed = 0;

    for (int i = 0; i < 15; i++)
        failed += child_run(argv, NULL, 0, HELPER_TIMEOUT_MS, NULL, &err) < 0;
    return (void *)failed;
}

static void
many_threads_at_once(void **state)
{
    pthread_t t[6];

    for (int i = 0; i < 6; i++)
        assert_int_equal(pthread_create(&t[i], NULL, spawn_many, NULL), 0);
    for (int i = 0; i < 6; i++) {
        void *failed = NULL;

        assert_int_equal(pthread_join(t[i], &failed), 0);
        assert_null(failed);
    }
}

static void
run_collects_to_the_cap(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    const char *argv[] = {helper, "much", "5000000", NULL};
    struct err err = ERR_INIT;

    assert_int_equal(child_run(argv, NULL, 0, HELPER_TIMEOUT_MS, &out, &err), ERR_IO);
    assert_int_equal(out.len, 1000);
    assert_int_equal(strspn(out.data, "o"), 1000);
    assert_non_null(strstr(err.msg, "exited 3: the very end"));
}

static void
run_reports_how_it_failed(void **state)
{
    const char *quiet[] = {helper, "exit", "4", NULL}, *killed[] = {helper, "kill", NULL};
    struct err err = ERR_INIT;

    assert_int_equal(child_run(quiet, NULL, 0, HELPER_TIMEOUT_MS, NULL, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "exited 4: no message"));
    assert_int_equal(child_run(killed, NULL, 0, HELPER_TIMEOUT_MS, NULL, &err), ERR_IO);
    assert_non_null(strstr(err.msg, "signal 9"));
}

static void
run_keeps_to_its_time(void **state)
{
    static const char *const kinds[] = {"stay", "stubborn", "forever"};

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const char *argv[] = {helper, kinds[i], NULL};
        struct err err = ERR_INIT;
        uint64_t begin = time_mono_ns();

        assert_int_equal(child_run(argv, NULL, 0, 100, NULL, &err), ERR_TIMEOUT);
        assert_true(time_mono_ns() - begin < 15 * NS_PER_S);
    }
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void
run_ends_though_a_descendant_holds_the_pipe(void **state)
{
    CLEANUP_BUF struct buf out = BUF_INIT(1000);
    const char *argv[] = {helper, "leave", NULL};
    int in_group = 0, escaped = 0;

    run_ok(argv, NULL, 0, &out);
    assert_int_equal(sscanf(out.data, "%d\n%d\n", &in_group, &escaped), 2);
    assert_true(ends(in_group)); /* killed with the group */
    assert_int_equal(kill(escaped, SIGKILL), 0);
    assert_true(ends(escaped));
}

static void
wait_ends_the_rest_of_the_group(void **state)
{
    CLEANUP_CHILD struct child *c = start("leave", NULL, CHILD_NULL, NULL);
    struct child_exit ex;
    struct err err = ERR_INIT;
    char in_group[32], escaped[32];

    read_line(c, in_group, sizeof(in_group));
    read_line(c, escaped, sizeof(escaped));
    assert_int_equal(child_wait(c, soon(), &ex, &err), 0);
    assert_int_equal(ex.value, 0);
    assert_int_equal(kill((pid_t)atol(escaped), SIGKILL), 0);
    assert_true(ends((pid_t)atol(escaped)));
    assert_true(ends((pid_t)atol(in_group)));
}

static int
setup(void **state)
{
    tmpdir_make(dir);
    return 0;
}

static int
teardown(void **state)
{
    tmpdir_remove(dir);
    return 0;
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(listening),
        cmocka_unit_test(listening_refused),
        cmocka_unit_test(exit_statuses),
        cmocka_unit_test(arguments_are_not_split),
        cmocka_unit_test(environment_is_minimal),
        cmocka_unit_test(environment_can_be_extended),
        cmocka_unit_test(only_kept_descriptors_are_inherited),
        cmocka_unit_test(no_descriptor_is_lost_in_the_parent),
        cmocka_unit_test(signals_are_reset_and_the_group_is_new),
        cmocka_unit_test(what_cannot_be_executed),
        cmocka_unit_test(arguments_too_large_for_exec),
        cmocka_unit_test(program_is_found_in_path),
        cmocka_unit_test(stdin_pipe),
        cmocka_unit_test(stop_ends_the_obedient_by_term_and_the_stubborn_by_kill),
        cmocka_unit_test(pidfd_tells_the_exit),
        cmocka_unit_test(free_ends_a_running_child),
        cmocka_unit_test(death_of_the_program_ends_its_children),
        cmocka_unit_test(child_outlives_the_thread_that_asked),
        cmocka_unit_test(many_threads_at_once),
        cmocka_unit_test(run_collects_to_the_cap),
        cmocka_unit_test(run_reports_how_it_failed),
        cmocka_unit_test(run_keeps_to_its_time),
        cmocka_unit_test(run_ends_though_a_descendant_holds_the_pipe),
        cmocka_unit_test(wait_ends_the_rest_of_the_group),
    };

    if (argc != 2) {
        fprintf(stderr, "usage: test_child HELPER\n");
        return 2;
    }
    helper = argv[1];
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, setup, teardown);
}
