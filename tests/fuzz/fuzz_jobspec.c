/* tests/fuzz/fuzz_jobspec.c - job spec, worker spec, cancel message, probes.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include "base/json.h"
#include "model/jobspec.h"
#include "model/nodeapi.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;

    spec_cancel_decode((const char *)data, size, &err);
    err_clear(&err);
    if (json_parse((const char *)data, size, &j, &err) < 0)
        return 0;
    FUZZ_ROUND_TRIP(job_spec, j);
    FUZZ_ROUND_TRIP(worker_spec, j);
    FUZZ_ROUND_TRIP(probe_request, j);
    FUZZ_ROUND_TRIP(probe_answer, j);
    return 0;
}
