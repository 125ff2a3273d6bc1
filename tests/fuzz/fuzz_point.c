/* tests/fuzz/fuzz_point.c - restore points.
 * Built for libFuzzer, or with replay.c as a program that runs the files it is given. */
#include "base/json.h"
#include "model/point.h"
#include "fuzz.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_POINT struct point p = {0};
    struct err err = ERR_INIT;

    if (point_decode_text((const char *)data, size, &p, &err) < 0)
        MUST(err.class == ERR_CORRUPT);
    err_clear(&err);
    if (json_parse((const char *)data, size, &j, &err) == 0)
        FUZZ_ROUND_TRIP(point, j);
    return 0;
}
