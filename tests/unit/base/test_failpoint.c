/* Unit tests of base/failpoint.h.  Built with SENDENSE_FAILPOINTS whatever the build
 * says. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"

/* The environment is read once per process, so each case is a process. */
static int
run(const char *request, void (*body)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setenv("SENDENSE_FAILPOINT", request, 1);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
pass_three_times(void)
{
    FAILPOINT(JOB_CREATED);
    FAILPOINT(JOB_CREATED);
    FAILPOINT(JOB_CREATED);
    _exit(3);
}

static void
take_error(void)
{
    struct err err = ERR_INIT;

    if (FAILPOINT_ERR(PORT_HELD, &err) != 0)
        _exit(1);
    if (FAILPOINT_ERR(PORT_HELD, &err) != ERR_IO || strcmp(err.code, "failpoint") != 0 ||
        !strstr(err.msg, "hub.port_held"))
        _exit(2);
    if (FAILPOINT_ERR(PORT_HELD, &err) != 0) /* once only */
        _exit(4);
    _exit(5);
}

static void
error_where_none_is_possible(void)
{
    FAILPOINT(PORT_HELD);
    _exit(3);
}

static void *
pass_many(void *arg)
{
    int *failed = arg;
    struct err err = ERR_INIT;

    for (int i = 0; i < 1000; i++)
        *failed += FAILPOINT_ERR(TRANSFERRING, &err) != 0;
    return NULL;
}

static void
count_over_threads(void)
{
    pthread_t t[4];
    int failed[4] = {0}, total = 0;

    for (int i = 0; i < 4; i++)
        if (pthread_create(&t[i], NULL, pass_many, &failed[i]) != 0)
            _exit(1);
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        total += failed[i];
    }
    _exit(total == 1 ? 9 : 1);
}

static void
assert_exited(int status, int value)
{
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), value);
}

static void
assert_killed(int status, int sig)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), sig);
}

static void
abort_at_the_pass_asked_for(void **state)
{
    assert_killed(run("hub.job_created", pass_three_times), SIGKILL);
    assert_killed(run("hub.job_created:2", pass_three_times), SIGKILL);
    assert_exited(run("hub.job_created:4", pass_three_times), 3);
    assert_killed(run("hub.job_created:3=abort", pass_three_times), SIGKILL);
    assert_exited(run("hub.port_held", pass_three_times), 3);
    assert_exited(run("", pass_three_times), 3);
}

static void
error_at_the_second_pass(void **state)
{
    assert_exited(run("hub.port_held:2=error", take_error), 5);
    assert_killed(run("hub.port_held=error", error_where_none_is_possible), SIGABRT);
    assert_exited(run("hub.transferring:2500=error", count_over_threads), 9);
}

static void
misspelt_requests_abort(void **state)
{
    static const char *const bad[] = {"hub.no_such",
                                      "hub.job_created:0",
                                      "hub.job_created:x",
                                      "hub.job_created:",
                                      "hub.job_created=",
                                      ":1",
                                      "hub.job_created=explode"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_killed(run(bad[i], pass_three_times), SIGABRT);
}

static void
hang_stops_for_ever(void **state)
{
    char line[512];
    int fds[2], status;
    pid_t pid;
    FILE *f;

    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        dup2(fds[1], STDERR_FILENO);
        setenv("SENDENSE_FAILPOINT", "hub.job_created=hang", 1);
        FAILPOINT(JOB_CREATED);
        _exit(3);
    }
    close(fds[1]);
    f = fdopen(fds[0], "r");
    assert_non_null(fgets(line, sizeof(line), f)); /* it tells before it stops */
    assert_non_null(strstr(line, "hub.job_created"));
    assert_non_null(strstr(line, "hanging"));
    assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
    kill(
        pid,
        SIGTERM); /* not SIGKILL: it must be the hang that ends, not an exit of its own */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_killed(status, SIGTERM);
    fclose(f);
}

static void
names_are_listed_once(void **state)
{
    assert_string_equal(failpoint_name(FP_JOB_CREATED), "hub.job_created");
    assert_string_equal(failpoint_name(FP_COUNT), "unknown");
    for (int i = 0; i < FP_COUNT; i++)
        for (int j = 0; j < i; j++)
            assert_string_not_equal(failpoint_name((enum failpoint)i),
                                    failpoint_name((enum failpoint)j));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(abort_at_the_pass_asked_for),
        cmocka_unit_test(error_at_the_second_pass),
        cmocka_unit_test(misspelt_requests_abort),
        cmocka_unit_test(hang_stops_for_ever),
        cmocka_unit_test(names_are_listed_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
