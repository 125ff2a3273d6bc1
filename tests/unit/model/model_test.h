/* tests/unit/model/model_test.h - what the tests of the codecs share.  Golden files are
 * found in the folder that the environment names as GOLDEN_DIR. */
#ifndef SENDENSE_TESTS_MODEL_TEST_H
#define SENDENSE_TESTS_MODEL_TEST_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>

#include "base/err.h"
#include "base/json.h"

/* tests/golden/NAME.json; the test fails when there is none.  Caller decrefs. */
json_t *golden(const char *name);

/* Replaces (or with NULL removes) a member; @path like "disks.0.key"; @value is JSON
 * text. */
void json_poke(json_t *root, const char *path, const char *value);

/* xorshift: the same numbers for the same seed everywhere. */
uint64_t rnd(uint64_t *state);

/* One broken variant of a golden message and what its decoder must say. */
struct poke {
    const char *path, *value; /* value NULL = member removed */
    const char *code;
};
typedef int (*decode_any_fn)(const json_t *j, struct err *err); /* decodes and frees */
/* Each poke alone, applied to the golden file, is refused with its class and code. */
void check_pokes(const char *name, decode_any_fn decode, int class, const struct poke *p,
                 size_t n);

#endif
