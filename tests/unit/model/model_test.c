/* tests/unit/model/model_test.c - see model_test.h. */
#include <stdlib.h>
#include <stdio.h>
#include <string.h>

#include "model_test.h"

json_t *
golden(const char *name)
{
    const char *dir = getenv("GOLDEN_DIR");
    char path[1024];
    json_t *j;

    assert_non_null(dir);
    snprintf(path, sizeof(path), "%s/%s.json", dir, name);
    j = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    if (!j)
        fail_msg("no golden file '%s'", path);
    return j;
}

void
json_poke(json_t *root, const char *path, const char *value)
{
    char key[128];
    json_t *at = root;
    size_t n;

    while (n = strcspn(path, "."), path[n] == '.') {
        snprintf(key, sizeof(key), "%.*s", (int)n, path);
        at = json_is_array(at) ? json_array_get(at, (size_t)strtoul(key, NULL, 10))
                               : json_object_get(at, key);
        assert_non_null(at);
        path += n + 1;
    }
    if (json_is_array(at)) {
        size_t i = (size_t)strtoul(path, NULL, 10);

        assert_int_equal(
            value ? json_array_set_new(at, i, json_loads(value, JSON_DECODE_ANY, NULL))
                  : json_array_remove(at, i),
            0);
    } else if (value) {
        assert_int_equal(
            json_object_set_new(at, path, json_loads(value, JSON_DECODE_ANY, NULL)), 0);
    } else {
        assert_int_equal(json_object_del(at, path), 0);
    }
}

uint64_t
rnd(uint64_t *state)
{
    uint64_t x = *state ? *state : 0x9e3779b97f4a7c15ull;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x * 0x2545f4914f6cdd1dull;
}

void
check_pokes(const char *name, decode_any_fn decode, int class, const struct poke *p,
            size_t n)
{
    for (size_t i = 0; i < n; i++) {
        CLEANUP_JSON json_t *j = golden(name);
        struct err err = ERR_INIT;

        json_poke(j, p[i].path, p[i].value);
        if (decode(j, &err) == 0)
            fail_msg("%s: %s = %s was taken", name, p[i].path,
                     p[i].value ? p[i].value : "(absent)");
        if (err.class != class || strcmp(err.code, p[i].code) != 0)
            fail_msg("%s: %s = %s gave class %d code '%s' (%s), not '%s'", name,
                     p[i].path, p[i].value ? p[i].value : "(absent)", err.class, err.code,
                     err.msg, p[i].code);
        assert_true(err.msg[0] != '\0');
    }
}
