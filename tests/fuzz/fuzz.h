/* tests/fuzz/fuzz.h - the entry point of libFuzzer, and what a target uses to say "this
 * is a bug". */
#ifndef SENDENSE_TESTS_FUZZ_H
#define SENDENSE_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Unlike assert() it is there in every build. */
#define MUST(cond)                                                                       \
    do {                                                                                 \
        if (!(cond))                                                                     \
            abort();                                                                     \
    } while (0)

/* What was taken once must be taken again when we write it, and mean the same:
 * TYPE_decode(), TYPE_encode(), TYPE_done(). */
#define FUZZ_ROUND_TRIP(type, json)                                                      \
    do {                                                                                 \
        CLEANUP_JSON json_t *fuzz_out = NULL, *fuzz_again = NULL;                        \
        struct type fuzz_a = {0}, fuzz_b = {0};                                          \
        struct err fuzz_err = ERR_INIT;                                                  \
                                                                                         \
        if (type##_decode((json), &fuzz_a, &fuzz_err) < 0) {                             \
            MUST(fuzz_err.class < 0 && fuzz_err.code[0] && fuzz_err.msg[0]);             \
            break;                                                                       \
        }                                                                                \
        fuzz_out = type##_encode(&fuzz_a);                                               \
        MUST(type##_decode(fuzz_out, &fuzz_b, &fuzz_err) == 0);                          \
        fuzz_again = type##_encode(&fuzz_b);                                             \
        MUST(json_equal(fuzz_out, fuzz_again));                                          \
        type##_done(&fuzz_a);                                                            \
        type##_done(&fuzz_b);                                                            \
    } while (0)

#endif
