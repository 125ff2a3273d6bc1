/* tests/unit/model/test_nodeapi.c - what hub and node refuse of each other. */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/nodeapi.h"
#include "model_test.h"

#define BAD "invalid_field"

#define DECODER(name)                                                                    \
    static int decode_##name(const json_t *j, struct err *err)                           \
    {                                                                                    \
        struct name v = {0};                                                             \
        int r = name##_decode(j, &v, err);                                               \
                                                                                         \
        name##_done(&v);                                                                 \
        return r;                                                                        \
    }

DECODER(probe_request)
DECODER(probe_answer)
DECODER(node_version)
DECODER(node_job)
DECODER(node_jobs)
DECODER(events_page)

#define POKES(file, name, ...)                                                           \
    do {                                                                                 \
        const struct poke pokes[] = {__VA_ARGS__};                                       \
        check_pokes(file, decode_##name, ERR_INVALID, pokes, ARRAY_LEN(pokes));          \
    } while (0)

static void
test_probe(void **state)
{
    POKES("probe-request", probe_request, {"v", "3", "unsupported_version"},
          {"disks", "[]", BAD}, {"disks.0.key", "2001", BAD},
          {"disks.0.source_url", "\"http://x\"", BAD}, {"source.type", "\"x\"", BAD},
          {"deadlines", NULL, BAD}, {"x", "1", "unknown_field"},
          {"disks.1.x", "1", "unknown_field"});
    POKES("probe-answer", probe_answer, {"v", NULL, BAD},
          {"disks.0.size_bytes", "0", BAD}, {"disks.0.allocated_bytes", "6", BAD},
          {"disks.0.code", "\"x\"", "unknown_field"}, {"disks.1.code", "null", BAD},
          {"disks.1.size_bytes", "1", "unknown_field"}, {"disks.0.key", "2001", BAD},
          {"disks.0.ok", "1", BAD});
}

static void
test_jobs(void **state)
{
    POKES("nodeversion", node_version, {"version", "\"\"", BAD}, {"client", "null", BAD},
          {"client.x", "1", "unknown_field"}, {"commit", "7", BAD});
    POKES("nodejob-running", node_job, {"state", "\"x\"", BAD}, {"attempt", "0", BAD},
          {"started", "\"x\"", BAD}, {"client.version", NULL, BAD},
          {"last_seq", "-1", BAD}, {"x", "1", "unknown_field"},
          {"pid", "2147483648", BAD});
    POKES("nodejobs", node_jobs, {"jobs", "{}", BAD}, {"jobs.1.state", "7", BAD},
          {"x", "1", "unknown_field"});
}

static void
test_events(void **state)
{
    CLEANUP_JSON json_t *j = golden("eventspage");
    json_t *events = json_object_get(j, "events");
    struct err err = ERR_INIT;

    POKES("eventspage", events_page, {"ended", "1", BAD}, {"events", "null", BAD},
          {"events.1.seq", "0", BAD}, {"attempt", "0", BAD}, {"x", "1", "unknown_field"});
    while (json_array_size(events) <= NODEAPI_EVENTS_MAX)
        json_array_append(events, json_array_get(events, 0));
    assert_int_equal(decode_events_page(j, &err), ERR_INVALID);
}

static void
test_empty_lists(void **state)
{
    CLEANUP_JSON json_t *jobs = json_pack("{s:[]}", "jobs");
    CLEANUP_JSON json_t *page =
        json_pack("{s:i,s:[],s:b}", "attempt", 1, "events", "ended", 0);
    struct err err = ERR_INIT;

    assert_int_equal(decode_node_jobs(jobs, &err), 0);
    assert_int_equal(decode_events_page(page, &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_probe),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_empty_lists),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
