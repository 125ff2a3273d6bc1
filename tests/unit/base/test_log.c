/* Unit tests of base/log.h and base/version.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "base/version.h"

static char got[16384];
static int pipe_fds[2], saved_fd;

/* What is written to @fd until capture_end() lands in got[]. */
static void
capture(int fd)
{
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    saved_fd = dup(fd);
    assert_int_equal(dup2(pipe_fds[1], fd), fd);
    close(pipe_fds[1]);
}

static void
capture_end(int fd)
{
    size_t len = 0;
    ssize_t n;

    dup2(saved_fd, fd);
    close(saved_fd);
    while ((n = read(pipe_fds[0], got + len, sizeof(got) - 1 - len)) > 0)
        len += (size_t)n;
    got[len] = '\0';
    close(pipe_fds[0]);
}

static unsigned
lines(void)
{
    unsigned n = 0;

    for (const char *p = got; *p; p++)
        n += *p == '\n';
    return n;
}

static void
one_line_in_logfmt(void **state)
{
    capture(2);
    log_warn("disk %d is '%s'", 3, "slow");
    capture_end(2);
    assert_memory_equal(got, "ts=2", 4);
    assert_non_null(strstr(got, "Z level=warn prog=tester msg=\"disk 3 is 'slow'\"\n"));
    assert_int_equal(lines(), 1);
}

static void
levels_filter(void **state)
{
    enum log_level level = LOG_LEVEL_ERROR;

    capture(2);
    log_setup("tester", LOG_LEVEL_WARN);
    log_error("e");
    log_warn("w");
    log_info("i");
    log_debug("d");
    log_setup("tester", LOG_LEVEL_DEBUG);
    log_info("i2");
    log_debug("d2");
    capture_end(2);
    assert_int_equal(lines(), 4);
    assert_non_null(strstr(got, "level=error prog=tester msg=\"e\""));
    assert_non_null(strstr(got, "level=info prog=tester msg=\"i2\""));
    assert_non_null(strstr(got, "level=debug prog=tester msg=\"d2\""));
    assert_int_equal(log_level_from_str("debug", &level), 0);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
    assert_int_equal(log_level_from_str("Debug", &level), -1);
    assert_int_equal(log_level_from_str("", &level), -1);
    assert_int_equal(level, LOG_LEVEL_DEBUG);
}

static void
lines_cannot_be_forged(void **state)
{
    capture(2);
    log_set_context("vm='a\nts=b'");
    log_error("vm '%s'", "x\"\nts=0 level=error\r\t\x1b[31m\\ \xc2\x9b \xff caf\xc3\xa9");
    log_set_context(NULL);
    capture_end(2);
    assert_int_equal(lines(), 1);
    assert_non_null(
        strstr(got, "msg=\"vm 'x\\\"\\nts=0 level=error\\r\\t\\x1b[31m\\\\ "));
    assert_non_null(strstr(got, "\\xc2\\x9b \\xff caf\xc3\xa9'\" vm='a\\nts=b'\n"));
}

static void
long_messages_are_cut_to_one_whole_line(void **state)
{
    char text[10000];

    memset(text, '\n', sizeof(text)); /* each becomes two characters */
    text[sizeof(text) - 1] = '\0';
    capture(2);
    log_set_context("job='1'");
    log_error("%s", text);
    log_set_context("");
    capture_end(2);
    assert_int_equal(lines(), 1);
    assert_true(strlen(got) <= 4096);
    assert_non_null(strstr(got, "\\n\" job='1'\n"));
}

static void *
other_thread(void *arg)
{
    log_error("from another thread");
    return NULL;
}

static void
context_belongs_to_its_thread(void **state)
{
    pthread_t t;

    capture(2);
    log_set_context("job='7'");
    assert_int_equal(pthread_create(&t, NULL, other_thread, NULL), 0);
    pthread_join(t, NULL);
    log_error("mine");
    log_set_context("");
    log_error("none");
    capture_end(2);
    assert_non_null(strstr(got, "msg=\"from another thread\"\n"));
    assert_non_null(strstr(got, "msg=\"mine\" job='7'\n"));
    assert_non_null(strstr(got, "msg=\"none\"\n"));
}

static void
errno_is_preserved(void **state)
{
    int keep;

    /* Here the write fails, which sets errno. */
    keep = dup(2);
    close(2);
    errno = EXDEV;
    log_error("lost");
    assert_int_equal(errno, EXDEV);
    dup2(keep, 2);
    close(keep);
}

static void
version_facts(void **state)
{
    const char *id = version_build_id();

    assert_int_equal(strlen(id), 40); /* --build-id=sha1 */
    assert_int_equal(strspn(id, "0123456789abcdef"), 40);
    assert_ptr_equal(id, version_build_id());
    assert_true(strlen(version_commit) > 0);
    assert_true(strspn(version_string, "0123456789.") > 0);

    capture(2);
    version_log("prog");
    capture_end(2);
    assert_non_null(strstr(got, "level=info"));
    assert_non_null(strstr(got, version_string));
    assert_non_null(strstr(got, version_commit));
    assert_non_null(strstr(got, id));

    fflush(stdout);
    capture(1);
    version_print("prog");
    fflush(stdout);
    capture_end(1);
    assert_memory_equal(got, "prog ", 5);
    assert_non_null(strstr(got, version_string));
    assert_non_null(strstr(got, version_commit));
    assert_non_null(strstr(got, id));
    assert_int_equal(lines(), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_in_logfmt),
        cmocka_unit_test(levels_filter),
        cmocka_unit_test(lines_cannot_be_forged),
        cmocka_unit_test(long_messages_are_cut_to_one_whole_line),
        cmocka_unit_test(context_belongs_to_its_thread),
        cmocka_unit_test(errno_is_preserved),
        cmocka_unit_test(version_facts),
    };

    log_setup("tester", LOG_LEVEL_INFO);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
