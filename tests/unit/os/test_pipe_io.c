/* Unit tests of os/pipe_io.h. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os/pipe_io.h"

struct rig {
    int rd, wr;
    struct line_reader r;
    struct err err;
};

static int
setup(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));
    int fds[2];

    assert_int_equal(pipe(fds), 0);
    rig->rd = fds[0];
    rig->wr = fds[1];
    assert_int_equal(pipe_set_nonblock(rig->rd, &rig->err), 0);
    assert_int_equal(pipe_set_nonblock(rig->wr, &rig->err), 0);
    line_reader_init(&rig->r, 10);
    signal(SIGPIPE, SIG_IGN);
    *state = rig;
    return 0;
}

static int
teardown(void **state)
{
    struct rig *rig = *state;

    line_reader_done(&rig->r);
    cleanup_fd(&rig->rd);
    cleanup_fd(&rig->wr);
    free(rig);
    return 0;
}

static void
put(struct rig *rig, const char *text)
{
    size_t n = 0;

    assert_int_equal(pipe_write_some(rig->wr, text, strlen(text), &n, &rig->err), 0);
    assert_int_equal(n, strlen(text));
}

static void
expect_line(struct rig *rig, const char *want)
{
    char *line;
    size_t n;

    assert_int_equal(line_reader_next(&rig->r, &line, &n, &rig->err), 1);
    assert_string_equal(line, want);
    assert_int_equal(n, strlen(want));
}

static void
expect_none(struct rig *rig)
{
    char *line;
    size_t n;

    assert_int_equal(line_reader_next(&rig->r, &line, &n, &rig->err), 0);
}

static void
test_lines(void **state)
{
    struct rig *rig = *state;
    char *rest;
    size_t n;

    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_NOTHING);
    expect_none(rig);
    put(rig, "one\n\n0123456789\nhal");
    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_DATA);
    expect_line(rig, "one");
    expect_line(rig, "");
    expect_line(rig, "0123456789");
    expect_none(rig);
    put(rig, "f\nend");
    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_DATA);
    expect_line(rig, "half");
    expect_none(rig);
    cleanup_fd(&rig->wr);
    rig->wr = -1;
    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_EOF);
    assert_int_equal(line_reader_rest(&rig->r, &rest, &n), 1);
    assert_int_equal(n, 3);
    assert_memory_equal(rest, "end", 3);
    assert_int_equal(line_reader_rest(&rig->r, &rest, &n), 0);
}

static void
test_nul_is_a_byte(void **state)
{
    struct rig *rig = *state;
    char *line;
    size_t n;

    assert_int_equal(pipe_write_some(rig->wr, "a\0b\n", 4, &n, &rig->err), 0);
    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_DATA);
    assert_int_equal(line_reader_next(&rig->r, &line, &n, &rig->err), 1);
    assert_int_equal(n, 3);
}

static void
test_too_long(void **state)
{
    struct rig *rig = *state;
    char *line;
    size_t n;

    put(rig, "0123456789a\n"); /* with its newline in sight */
    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_DATA);
    assert_int_equal(line_reader_next(&rig->r, &line, &n, &rig->err), ERR_LIMIT);
    assert_string_equal(rig->err.code, "line_too_long");
    assert_int_equal(line_reader_rest(&rig->r, &line, &n), 1);
    err_clear(&rig->err);
    put(rig, "0123456789a"); /* and without */
    assert_int_equal(line_reader_fill(&rig->r, rig->rd, &rig->err), LINE_FILL_DATA);
    assert_int_equal(line_reader_next(&rig->r, &line, &n, &rig->err), ERR_LIMIT);
}

static void
test_write_full_and_closed(void **state)
{
    struct rig *rig = *state;
    static char block[1024 * 1024];
    size_t n = 0;

    assert_int_equal(pipe_write_some(rig->wr, block, sizeof(block), &n, &rig->err), 0);
    assert_true(n > 0 && n < sizeof(block));
    assert_int_equal(pipe_write_some(rig->wr, block, sizeof(block), &n, &rig->err), 0);
    assert_int_equal(n, 0);
    cleanup_fd(&rig->rd);
    rig->rd = -1;
    assert_int_equal(pipe_write_some(rig->wr, block, 1, &n, &rig->err), ERR_UNAVAILABLE);
}

static void
test_bad_descriptor(void **state)
{
    struct rig *rig = *state;

    assert_true(pipe_set_nonblock(-1, &rig->err) < 0);
    err_clear(&rig->err);
    assert_true(line_reader_fill(&rig->r, -1, &rig->err) < 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nul_is_a_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_write_full_and_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bad_descriptor, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
