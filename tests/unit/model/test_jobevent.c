/* tests/unit/model/test_jobevent.c - events, and the order in which they may come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/jobevent.h"
#include "model_test.h"

#define BAD "invalid_field"
#define JOB "0198c0de-0000-7000-8000-000000000001"

static int
decode(const json_t *j, struct err *err)
{
    CLEANUP_JOB_EVENT struct job_event e = {0};

    return job_event_decode(j, &e, err);
}

#define POKES(name, ...)                                                                 \
    do {                                                                                 \
        const struct poke pokes[] = {__VA_ARGS__};                                       \
        check_pokes(name, decode, ERR_INVALID, pokes, ARRAY_LEN(pokes));                 \
    } while (0)

static void
test_pokes(void **state)
{
    POKES("event-hello", {"v", "2", "unsupported_version"}, {"seq", "0", BAD},
          {"t", "\"yesterday\"", BAD}, {"type", "\"bye\"", BAD}, {"pid", "0", BAD},
          {"job_id", "\"\"", BAD}, {"disk", "1", "unknown_field"},
          {"program", "\"\"", BAD});
    POKES("event-phase", {"phase", "\"none\"", BAD}, {"phase", "null", BAD},
          {"phase", "\"x\"", BAD});
    POKES("event-read_mode", {"mode", "\"x\"", BAD}, {"disk", "null", BAD},
          {"reason", "\"x\"", BAD});
    POKES("event-progress", {"bytes_done", "2147483649", BAD}, {"bytes_sent", "-1", BAD},
          {"bytes_audit", NULL, BAD}, {"rate", "1", "unknown_field"});
    POKES("event-checkpoint", {"n", "0", BAD}, {"records", NULL, BAD});
    POKES("event-audit", {"bad", "1025", BAD});
    POKES("event-warning", {"code", "\"Not A Word\"", BAD}, {"code", "\"\"", BAD},
          {"disk", "2147483648", BAD});
    POKES("event-bad_range", {"length", "0", BAD}, {"reason", "\"x\"", BAD});
    POKES("event-disk_done", {"layer_root", "\"00\"", BAD},
          {"content_root", "\"00\"", BAD}, {"records", "-1", BAD});
    POKES("event-snapshot", {"ref", "\"\"", BAD}, {"name", "\"\"", BAD},
          {"stands_on", "null", BAD}, {"stands_on", NULL, BAD}, {"quiesced", "1", BAD},
          {"disks", "{}", BAD}, {"disks.0.key", "2001", BAD},
          {"disks.0.size_bytes", "0", BAD}, {"disks.0.change_id", "\"\"", BAD},
          {"disks.0.x", "1", "unknown_field"}, {"disks.0.uuid", "null", BAD},
          {"not_protected", "null", BAD}, {"not_protected.0.reason", "\"A b\"", BAD},
          {"not_protected.0.key", "-1", BAD},
          {"not_protected.0.x", "1", "unknown_field"});
    POKES("event-vm_config", {"configuration", "[]", BAD}, {"configuration", "null", BAD},
          {"nvram", "\"AAE\"", BAD}, {"nvram", "\"AA=C\"", BAD}, {"nvram", "\"\"", BAD},
          {"disk", "1", "unknown_field"});
    POKES("event-snapshot_removed", {"ref", "null", BAD},
          {"consolidation_needed", "0", BAD});
    POKES("event-result-failed", {"code", "null", BAD}, {"status", "\"x\"", BAD},
          {"phase", "\"none\"", BAD}, {"retryable", "1", BAD},
          {"code", "\"0123456789012345678901234567890123456789abcdefgh\"", BAD});
}

/* A message from strerror() or a path may hold anything; the line must still be taken. */
static void
test_dirty_message(void **state)
{
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_JOB_EVENT struct job_event e = {.type = EVENT_WARNING, .seq = 1}, back = {0};
    struct err err = ERR_INIT;

    e.code = strdup("slow");
    e.message = malloc(6001);
    for (size_t i = 0; i < 6000; i += 2)
        memcpy(e.message + i, "\xc3\xbc", 2);
    memcpy(e.message, "\xff", 1); /* from here on every pair is shifted, or broken */
    e.message[6000] = '\0';
    j = job_event_encode(&e);
    assert_int_equal(job_event_decode(j, &back, &err), 0);
    assert_in_range(strlen(back.message), EVENT_MESSAGE_MAX - 1, EVENT_MESSAGE_MAX);
    assert_memory_equal(back.message, "??\xc3\xbc", 4);
}

static struct job_event
event(enum event_type type, uint64_t seq)
{
    struct job_event e = {.type = type, .seq = seq, .attempt = 2, .job_id = JOB};

    return e;
}

/* @story: letters h(ello) p(hase) r(esult), S: phase snapshotting, s(napshot), c:
 * vm_config, d: snapshot_removed, with the number of each event, e.g. "h1 p2 r3"; which
 * of them (from 0) is refused, -1 = none. */
static struct job_event
event_of(char letter, uint64_t seq)
{
    static const struct {
        char letter;
        enum event_type type;
    } types[] = {
        {'h', EVENT_HELLO},
        {'p', EVENT_PHASE},
        {'r', EVENT_RESULT},
        {'S', EVENT_PHASE},
        {'s', EVENT_SNAPSHOT},
        {'c', EVENT_VM_CONFIG},
        {'d', EVENT_SNAPSHOT_REMOVED},
    };
    size_t i = 0;
    struct job_event e;

    while (types[i].letter != letter)
        assert_true(++i < ARRAY_LEN(types));
    e = event(types[i].type, seq);
    e.phase = letter == 'S' ? PHASE_SNAPSHOTTING : PHASE_TRANSFERRING;
    return e;
}

static void
expect_story(const char *story, bool may_skip, int refused)
{
    struct event_stream s;
    struct err err = ERR_INIT;
    char letter;
    unsigned seq;
    int n;

    event_stream_init(&s, JOB, 2, 0, may_skip);
    for (int i = 0; sscanf(story, " %c%u%n", &letter, &seq, &n) == 2; i++, story += n) {
        struct job_event e = event_of(letter, seq);
        int got = event_stream_check(&s, &e, &err);

        if (i == refused) {
            assert_int_equal(got, ERR_PROTOCOL);
            assert_string_equal(err.code, "client_protocol");
            return;
        }
        assert_int_equal(got, 0);
    }
    assert_int_equal(refused, -1);
    assert_int_equal(event_stream_end(&s, &err), s.ended ? 0 : ERR_PROTOCOL);
}

static void
test_stream(void **state)
{
    struct event_stream s;
    struct job_event e = event(EVENT_HELLO, 1);
    struct err err = ERR_INIT;

    expect_story("h1 p2 p3 r4", false, -1);
    expect_story("h1 p2", false, -1);
    expect_story("p1", false, 0);
    expect_story("r1", false, 0);
    expect_story("h2", false, 0);
    expect_story("h1 p3", false, 1);
    expect_story("h1 p1", false, 1);
    expect_story("h1 h2", false, 1);
    expect_story("h1 r2 p3", false, 2);
    expect_story("h1 r2 r3", false, 2);
    expect_story("h1 p3 p9 r12", true, -1);
    expect_story("r1", true, -1);
    expect_story("p1", true, 0);
    expect_story("h1 p3 p3", true, 2);
    expect_story("h1 p3 p2", true, 2);
    expect_story("h1 r3 p4", true, 2);

    event_stream_init(&s, JOB, 1, 0, false); /* another attempt */
    assert_int_equal(event_stream_check(&s, &e, &err), ERR_PROTOCOL);
    err_clear(&err);
    event_stream_init(&s, "", 0, 0, false); /* any */
    assert_int_equal(event_stream_check(&s, &e, &err), 0);
    event_stream_init(&s, JOB, 2, 7, true); /* goes on after 7 */
    e = event(EVENT_PHASE, 9);
    assert_int_equal(event_stream_check(&s, &e, &err), 0);
}

static void
test_stream_of_snapshot(void **state)
{
    struct event_stream s;
    struct job_event e = event(EVENT_SNAPSHOT_REMOVED, 9);
    struct err err = ERR_INIT;

    expect_story("h1 S2 s3 c4 p5 d6 r7", false, -1);
    expect_story("h1 S2 d3 r4", false, -1); /* its making was not seen */
    expect_story("h1 S2 s3 d4 r5", false, -1);
    expect_story("h1 s2", false, 1);
    expect_story("h1 p2 s3", false, 2);
    expect_story("h1 S2 s3 s4", false, 3);
    expect_story("h1 S2 c3", false, 2);
    expect_story("h1 S2 s3 c4 c5", false, 4);
    expect_story("h1 p2 d3", false, 2);
    expect_story("h1 S2 s3 d4 d5", false, 4);
    expect_story("h1 S2 s3 d4 s5", false, 4);
    expect_story("h1 S2 d3 s4", false, 3);
    expect_story("h1 S3 s5 c7 d9 r12", true, -1);
    expect_story("h1 s5", true, 1);
    event_stream_init(&s, JOB, 2, 7, true); /* what came before is not known here */
    assert_int_equal(event_stream_check(&s, &e, &err), 0);
}

static void
test_stream_lines(void **state)
{
    static const char *const names[] = {"event-hello", "event-phase", "event-read_mode"};
    CLEANUP_FREE char *huge = calloc(1, EVENT_LINE_MAX + 2);
    struct event_stream s;
    struct job_event e = {0};
    struct err err = ERR_INIT;

    event_stream_init(&s, JOB, 1, 0, false);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_JSON json_t *j = golden(names[i]);
        CLEANUP_FREE char *line = json_line(j);

        assert_int_equal(event_stream_line(&s, line, strlen(line), &e, &err), 0);
        assert_int_equal(e.seq, i + 1);
        job_event_done(&e);
    }
    assert_int_equal(event_stream_line(&s, "not json\n", 9, &e, &err), ERR_PROTOCOL);
    assert_string_equal(err.code, "client_protocol");
    err_clear(&err);
    memset(huge, ' ', EVENT_LINE_MAX + 1);
    assert_int_equal(event_stream_line(&s, huge, EVENT_LINE_MAX + 1, &e, &err),
                     ERR_PROTOCOL);
    err_clear(&err);
    s.ended = true;
    assert_int_equal(event_stream_line(&s, "", 0, &e, &err), ERR_PROTOCOL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pokes),        cmocka_unit_test(test_dirty_message),
        cmocka_unit_test(test_stream),       cmocka_unit_test(test_stream_of_snapshot),
        cmocka_unit_test(test_stream_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
