/* tests/fuzz/fuzz_vsphere.c - questions, answers and leases of a vCenter.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include "base/json.h"
#include "model/vsphere.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *j = NULL;
    struct err err = ERR_INIT;
    uint32_t lease_s;

    if (json_parse((const char *)data, size, &j, &err) < 0)
        return 0;
    FUZZ_ROUND_TRIP(vsphere_question, j);
    FUZZ_ROUND_TRIP(vsphere_answer, j);
    FUZZ_ROUND_TRIP(leases, j);
    if (lease_renewal_decode(j, &lease_s, &err) == 0)
        MUST(lease_s >= VSPHERE_LEASE_MIN_S && lease_s <= VSPHERE_LEASE_MAX_S);
    return 0;
}
