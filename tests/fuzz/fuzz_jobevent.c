/* tests/fuzz/fuzz_jobevent.c - events, streams of lines, and the messages of the node.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include <string.h>

#include "base/json.h"
#include "model/jobevent.h"
#include "model/nodeapi.h"
#include "fuzz.h"

static void
feed_lines(const char *p, size_t size)
{
    struct event_stream s;

    event_stream_init(&s, "", 0, 0, size % 2);
    while (size > 0) {
        CLEANUP_JOB_EVENT struct job_event e = {0};
        const char *nl = memchr(p, 0x0a, size);
        size_t n = nl ? (size_t)(nl - p) + 1 : size;
        struct err err = ERR_INIT;
        uint64_t before = s.last_seq;

        if (event_stream_line(&s, p, n, &e, &err) < 0)
            MUST(err.class == ERR_PROTOCOL && s.last_seq == before);
        else
            MUST(s.last_seq > before && e.seq == s.last_seq);
        p += n;
        size -= n;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;

    feed_lines((const char *)data, size);
    if (json_parse((const char *)data, size, &j, &err) < 0)
        return 0;
    FUZZ_ROUND_TRIP(job_event, j);
    FUZZ_ROUND_TRIP(events_page, j);
    FUZZ_ROUND_TRIP(node_job, j);
    FUZZ_ROUND_TRIP(node_jobs, j);
    FUZZ_ROUND_TRIP(node_version, j);
    return 0;
}
