/* What reaches a terminal: escapes, progress, lines of streams, values; and exit codes.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/timeutil.h"
#include "cli/escape.h"
#include "cli/exitcode.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/stream.h"

static void
escaped(const char *in, size_t n, const char *keep, const char *want)
{
    CLEANUP_FREE char *out = escape_text(in, n, keep);

    assert_string_equal(out, want);
}

static void
test_escape(void **state)
{
    escaped("plain äß日", strlen("plain äß日"), "", "plain äß日");
    escaped("\033[31m\a", 6, "", "\\u001b[31m\\u0007");
    escaped("a\tb\nc\x7f", 6, "\t", "a\tb\\u000ac\\u007f");
    escaped("nul\0x", 5, "\t", "nul\\u0000x");
    escaped("\xc2\x9b"
            "2J",
            4, "", "\\u009b2J");
    escaped("\xe2\x80\xae"
            "txt",
            6, "", "\\u202etxt");
    escaped("\xff\xc2", 2, "", "\\xff\\xc2");
    escaped("", 0, "", "");
}

static void
test_exit_codes(void **state)
{
    static const struct {
        int class;
        const char *code;
        int exit;
    } cases[] = {
        {ERR_INVALID, "usage", 2},
        {ERR_INVALID, "invalid_path", 2},
        {ERR_NOT_FOUND, "vm_not_found", 4},
        {ERR_EXISTS, "vm_ambiguous", 5},
        {ERR_EXISTS, "repo_locked", 5},
        {ERR_AUTH, "forbidden", 6},
        {ERR_CORRUPT, "", 7},
        {ERR_IO, "verification_failed", 7},
        {ERR_UNAVAILABLE, "hub_unreachable", 8},
        {ERR_UNAVAILABLE, "node_unreachable", 8},
        {ERR_UNAVAILABLE, "not_ready", 8},
        {ERR_UNAVAILABLE, "shutting_down", 8},
        {ERR_UNAVAILABLE, "no_free_port", 1},
        {ERR_UNAVAILABLE, "no_sealing_key", 1},
        {ERR_UNAVAILABLE, "export_timeout", 1},
        {ERR_UNAVAILABLE, "image_locked", 5},
        {ERR_UNAVAILABLE, "repository_unavailable", 1},
        {ERR_TIMEOUT, "", 124},
        {ERR_CANCELLED, "cancelled", 130},
        {ERR_NO_SPACE, "repo_full", 1},
        {ERR_IO, "source_unreachable", 1},
        {ERR_UNAVAILABLE, "source_unreachable", 1},
        {ERR_LIMIT, "", 1},
        {ERR_INTERNAL, "", 1},
        {ERR_PROTOCOL, "", 1},
    };
    static const long statuses[][2] = {{200, 0},
                                       {202, 0},
                                       {400, ERR_INVALID},
                                       {401, ERR_AUTH},
                                       {403, ERR_AUTH},
                                       {404, ERR_NOT_FOUND},
                                       {405, ERR_INVALID},
                                       {409, ERR_EXISTS},
                                       {413, ERR_INVALID},
                                       {429, ERR_LIMIT},
                                       {500, ERR_IO},
                                       {502, ERR_IO},
                                       {503, ERR_UNAVAILABLE},
                                       {504, ERR_TIMEOUT},
                                       {507, ERR_NO_SPACE},
                                       {302, ERR_IO}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err err = {.class = cases[i].class};

        snprintf(err.code, sizeof(err.code), "%s", cases[i].code);
        assert_int_equal(exit_from_err(&err), cases[i].exit);
    }
    for (size_t i = 0; i < ARRAY_LEN(statuses); i++)
        assert_int_equal(exit_class_of_status(statuses[i][0]), statuses[i][1]);
    assert_int_equal(exit_from_job("completed", NULL), 0);
    assert_int_equal(exit_from_job("cancelled", NULL), 130);
    assert_int_equal(exit_from_job("failed", NULL), 1);
    assert_int_equal(exit_from_job("failed", "verification_failed"), 7);
    assert_int_equal(exit_from_job("failed", "node_unreachable"), 8);
}

static json_t *
job(const char *text)
{
    struct err err = ERR_INIT;
    json_t *j = NULL;

    if (json_parse(text, strlen(text), &j, &err) < 0)
        fail_msg("%s", err.msg);
    return j;
}

#define TWO(p0, d0, total)                                                               \
    "{\"status\":\"running\",\"current_phase\":\"transferring\",\"progress\":{"          \
    "\"percent\":" total                                                                 \
    ",\"rate_bytes_per_s\":104857600,\"eta_s\":63},\"disk_results\":["                   \
    "{\"device_key\":2000,\"status\":\"transferring\",\"percent\":" p0 ",\"bytes\":"     \
    "{\"done\":" d0 ",\"total\":209715200}},"                                            \
    "{\"device_key\":2001,\"status\":\"pending\",\"size_bytes\":100}]}"

static void
test_progress_golden(void **state)
{
    static struct progress p;
    CLEANUP_BUF struct buf b = BUF_INIT(PROGRESS_CAP);
    CLEANUP_JSON json_t *a = job(TWO("10.0", "20971520", "9.5"));
    CLEANUP_JSON json_t *c = job(TWO("60.0", "125829120", "41.5"));
    struct err err = ERR_INIT;

    p = (struct progress){0};
    progress_update(&p, a, 1 * NS_PER_S);
    progress_update(&p, c, 2 * NS_PER_S);
    assert_int_equal(progress_draw(&p, 80, 24, &b, &err), 0);
    assert_string_equal(
        b.data,
        "\r\033[2K2000   [############.........]   60.0%     100 MiB/s  ETA    0:00  "
        "transfer"
        "ring\n"
        "\r\033[2K2001   [..........................]    0.0%                ETA       - "
        " "
        "pending\n"
        "\r\033[2Ktotal  [########.............]   41.5%     100 MiB/s  ETA    1:03  "
        "transfer"
        "ring\n");
    buf_reset(&b);
    assert_int_equal(progress_draw(&p, 30, 24, &b, &err), 0);
    assert_string_equal(b.data, "\033[3A\r\033[2K2000    60.0%     100 MiB/s  \n"
                                "\r\033[2K2001     0.0%                \n"
                                "\r\033[2Ktotal   41.5%     100 MiB/s  \n");
    buf_reset(&b);
    /* A window of four lines: no disk, their number, the total. */
    assert_int_equal(progress_draw(&p, 30, 3, &b, &err), 0);
    assert_string_equal(b.data, "\033[3A\r\033[2Kand 2 more disks\n"
                                "\r\033[2Ktotal   41.5%     100 MiB/s  \n\033[J");
    buf_reset(&b);
    assert_int_equal(progress_plain(&p, &b, &err), 0);
    assert_string_equal(b.data, "transferring 41.5%, 100 MiB/s, 1:03 left");
}

static void
test_progress_is_bounded(void **state)
{
    static struct progress p;
    CLEANUP_BUF struct buf b = BUF_INIT(PROGRESS_CAP);
    CLEANUP_JSON json_t *back = job(TWO("5.0", "1", "3.0"));
    CLEANUP_JSON json_t *first = job(TWO("10.0", "20971520", "9.5"));
    CLEANUP_JSON json_t *odd = job("{\"current_phase\":\"\\u001b[2J\",\"percent\":1e9}");
    CLEANUP_JSON json_t *many = json_object();
    json_t *disks = json_array();
    struct err err = ERR_INIT;

    p = (struct progress){0};
    progress_update(&p, first, NS_PER_S);
    progress_update(&p, back, 2 * NS_PER_S); /* answers out of order never go back */
    assert_float_equal(p.total.percent, 9.5, 0.001);
    assert_float_equal(p.disks[0].percent, 10.0, 0.001);
    progress_update(&p, odd, 3 * NS_PER_S);
    assert_float_equal(p.total.percent, 100.0, 0.001);
    assert_string_equal(p.total.phase, "\\u001b[2J");
    for (int i = 0; i < PROGRESS_DISKS_MAX + 5; i++)
        json_array_append_new(disks, json_object());
    json_object_set_new(many, "disk_results", disks);
    progress_update(&p, many, 4 * NS_PER_S);
    assert_int_equal(p.n_disks, PROGRESS_DISKS_MAX);
    assert_int_equal(progress_draw(&p, 1, 1, &b, &err), 0);
}

static int
collect(void *arg, const char *line, size_t n)
{
    struct err err = ERR_INIT;

    buf_printf(arg, &err, "<%.*s>", (int)n, line);
    return n == 4 && memcmp(line, "stop", 4) == 0;
}

static void
test_lines(void **state)
{
    CLEANUP_BUF struct buf got = BUF_INIT(1000);
    struct line_splitter s = {.on_line = collect, .arg = &got};
    static char big[STREAM_LINE_MAX + 1];

    assert_int_equal(line_splitter_feed(&s, "a\r\nb", 4), 0);
    assert_int_equal(line_splitter_feed(&s, "c\n\nend", 6), 0);
    assert_int_equal(line_splitter_end(&s), 0);
    assert_string_equal(got.data, "<a><bc><><end>");
    assert_int_not_equal(line_splitter_feed(&s, "stop\nmore\n", 10), 0);
    memset(big, 'x', sizeof(big));
    assert_int_not_equal(line_splitter_feed(&s, big, sizeof(big)), 0);
    line_splitter_done(&s);
}

static void
test_sse(void **state)
{
    struct sse_event e = {0};

    assert_false(sse_take_line(&e, ": comment", 9));
    assert_false(sse_take_line(&e, "", 0));
    assert_false(sse_take_line(&e, "id: 7", 5));
    assert_false(sse_take_line(&e, "event:x", 7));
    assert_false(sse_take_line(&e, "data: a", 7));
    assert_false(sse_take_line(&e, "data: b", 7));
    assert_true(sse_take_line(&e, "", 0));
    assert_string_equal(e.id, "7");
    assert_string_equal(e.type, "x");
    assert_string_equal(e.data.data, "a\nb");
    sse_reset(&e);
    assert_string_equal(e.id, "");
    assert_int_equal(e.data.len, 0);
    buf_done(&e.data);
}

static void
value(const json_t *j, const char *path, enum output_kind kind, const char *want)
{
    CLEANUP_FREE char *text = output_value(j, path, kind);

    assert_string_equal(text, want);
}

static void
test_values(void **state)
{
    CLEANUP_JSON json_t *j =
        job("{\"a\":{\"b\":1610612736},\"t\":\"2026-01-02T03:04:05.678901Z\","
            "\"s\":\"x\\ny\",\"n\":null,\"e\":\"\",\"l\":[\"p\",\"q\"],"
            "\"o\":{\"yes\":true,\"no\":false},\"f\":41.53,\"d\":3723}");

    value(j, "a.b", OUTPUT_SIZE, "1.5 GiB");
    value(j, "a.b", OUTPUT_RATE, "1.5 GiB/s");
    value(j, "t", OUTPUT_TIME, "2026-01-02T03:04:05Z");
    value(j, "s", OUTPUT_TEXT, "x\\u000ay");
    value(j, "n", OUTPUT_TEXT, "-");
    value(j, "e", OUTPUT_TEXT, "-");
    value(j, "missing.deep", OUTPUT_SIZE, "-");
    value(j, "l", OUTPUT_LIST, "p,q");
    value(j, "l", OUTPUT_COUNT, "2");
    value(j, "o", OUTPUT_LIST, "yes");
    value(j, "f", OUTPUT_PERCENT, "41.5%");
    value(j, "d", OUTPUT_SECONDS, "1:02:03");
    value(j, "s", OUTPUT_SIZE, "x\\u000ay");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_progress_golden),
        cmocka_unit_test(test_progress_is_bounded),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_sse),
        cmocka_unit_test(test_values),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
