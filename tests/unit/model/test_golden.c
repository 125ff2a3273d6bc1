/* tests/unit/model/test_golden.c - every file of tests/golden decodes and encodes to
 * itself. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/doctor.h"
#include "model/jobevent.h"
#include "model/jobspec.h"
#include "model/nodeapi.h"
#include "model/point.h"
#include "model/vsphere.h"
#include "model_test.h"

#define ROUND_TRIP(name)                                                                 \
    static json_t *trip_##name(const json_t *j, struct err *err)                         \
    {                                                                                    \
        struct name v = {0};                                                             \
        json_t *out;                                                                     \
                                                                                         \
        if (name##_decode(j, &v, err) < 0)                                               \
            return NULL;                                                                 \
        out = name##_encode(&v);                                                         \
        name##_done(&v);                                                                 \
        return out;                                                                      \
    }

ROUND_TRIP(job_spec)
ROUND_TRIP(worker_spec)
ROUND_TRIP(job_event)
ROUND_TRIP(probe_request)
ROUND_TRIP(probe_answer)
ROUND_TRIP(node_version)
ROUND_TRIP(node_job)
ROUND_TRIP(node_jobs)
ROUND_TRIP(events_page)
ROUND_TRIP(point)
ROUND_TRIP(vsphere_question)
ROUND_TRIP(vsphere_answer)
ROUND_TRIP(leases)

static json_t *
trip_doctor(const json_t *j, struct err *err)
{
    CLEANUP_DOCTOR_FINDINGS struct doctor_findings l = {0};

    return doctor_answer_decode(j, &l, err) < 0 ? NULL : doctor_answer_encode(&l);
}

static const struct {
    const char *prefix;
    json_t *(*trip)(const json_t *, struct err *);
} kinds[] = {
    {"jobspec-", trip_job_spec},
    {"workerspec-", trip_worker_spec},
    {"event-", trip_job_event},
    {"probe-request", trip_probe_request},
    {"probe-answer", trip_probe_answer},
    {"nodeversion", trip_node_version},
    {"nodejob-", trip_node_job},
    {"nodejobs", trip_node_jobs},
    {"eventspage", trip_events_page},
    {"point-", trip_point},
    {"vspherequestion-", trip_vsphere_question},
    {"vsphereanswer-", trip_vsphere_answer},
    {"leases", trip_leases},
    {"doctor-", trip_doctor},
};

static void
check_file(char *name, bool *seen)
{
    CLEANUP_JSON json_t *in = NULL, *out = NULL;
    struct err err = ERR_INIT;

    name[strlen(name) - strlen(".json")] = '\0';
    in = golden(name);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        if (strncmp(name, kinds[i].prefix, strlen(kinds[i].prefix)) != 0)
            continue;
        seen[i] = true;
        out = kinds[i].trip(in, &err);
        if (!out)
            fail_msg("%s: %s", name, err.msg);
        if (!json_equal(in, out)) {
            CLEANUP_FREE char *a = json_line(in), *b = json_line(out);

            fail_msg("%s:\n%s\nbecame\n%s", name, a, b);
        }
        return;
    }
    fail_msg("no decoder for '%s'", name);
}

static void
test_all_files(void **state)
{
    bool seen[ARRAY_LEN(kinds)] = {false};
    const char *dir = getenv("GOLDEN_DIR");
    struct dirent *e;
    DIR *d;

    assert_non_null(dir);
    d = opendir(dir);
    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (strlen(e->d_name) > 5 &&
            strcmp(e->d_name + strlen(e->d_name) - 5, ".json") == 0)
            check_file(e->d_name, seen);
    closedir(d);
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!seen[i])
            fail_msg("no golden file '%s*'", kinds[i].prefix);
}

/* Each type of event has at least one file. */
static void
test_all_events(void **state)
{
    for (int t = 0; t < EVENT_TYPE_COUNT; t++) {
        CLEANUP_JSON json_t *j = NULL;
        CLEANUP_JOB_EVENT struct job_event e = {0};
        struct err err = ERR_INIT;
        char name[64];

        snprintf(name, sizeof(name), "event-%s", event_type_to_str((enum event_type)t));
        j = golden(name);
        assert_int_equal(job_event_decode(j, &e, &err), 0);
        assert_int_equal(e.type, t);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_files),
        cmocka_unit_test(test_all_events),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
