/* Shared by the tests of os/child.h: the helper program, started and read.  Include after
 * cmocka.h. */
#ifndef SENDENSE_TESTS_CHILD_RIG_H
#define SENDENSE_TESTS_CHILD_RIG_H

#include <unistd.h>

#include "base/timeutil.h"
#include "os/child.h"

#define HELPER_TIMEOUT_MS 20000

static const char *helper;

static uint64_t
soon(void)
{
    return time_mono_ns() + HELPER_TIMEOUT_MS * NS_PER_MS;
}

static struct child *
start(const char *a1, const char *a2, enum child_stdio in, const char *const *env)
{
    const char *argv[] = {helper, a1, a2, NULL};
    struct child_spec spec = {.argv = argv, .env = env, .in = in, .out = CHILD_PIPE};
    struct err err = ERR_INIT;
    struct child *c = NULL;

    assert_int_equal(child_spawn(&spec, &c, &err), 0);
    return c;
}

/* One line that the child wrote. */
static void
read_line(const struct child *c, char *line, size_t size)
{
    size_t n = 0;

    while (n + 1 < size) {
        ssize_t got = read(child_stdout_fd(c), line + n, 1);

        assert_int_equal(got, 1);
        if (line[n] == '\n')
            break;
        n++;
    }
    line[n] = '\0';
}

#endif
