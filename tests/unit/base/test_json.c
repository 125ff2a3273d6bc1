/* Unit tests of base/json.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"

static json_t *
parsed(const char *text)
{
    struct err err = ERR_INIT;
    json_t *j = NULL;

    assert_int_equal(json_parse(text, strlen(text), &j, &err), 0);
    assert_non_null(j);
    return j;
}

static void
refuses_malformed_text(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "{\"a\":1,\"a\":2}",
        "{} x",
        "[1,]",
        "{'a':1}",
        "nul",
        "\"\xff\"",
        "\"a\\u0000b\"",
        "99999999999999999999",
        "{\"a\":01}",
        "\"\\ud800\"",
        "1e999",
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = ERR_INIT;
        json_t *j = NULL;

        assert_int_equal(json_parse(bad[i], strlen(bad[i]), &j, &err), ERR_INVALID);
        assert_string_equal(err.code, "malformed_json");
        assert_non_null(strstr(err.msg, "line "));
        assert_null(j);
    }
}

static void
error_text_never_quotes_the_input(void **state)
{
    static const char *const bad[] = {"{\"password\": \"hunter2\" hunter2 }",
                                      "{\"hunter2\":1,\"hunter2\":2}", "{\"a\":\"hunter2",
                                      "{\"a\":1} hunter2"};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = ERR_INIT;
        json_t *j = NULL;

        assert_int_equal(json_parse(bad[i], strlen(bad[i]), &j, &err), ERR_INVALID);
        assert_null(strstr(err.msg, "hunter"));
    }
}

static void
depth_is_limited(void **state)
{
    struct err err = ERR_INIT;
    char text[200000], brackets[JSON_DEPTH_MAX + 3];
    CLEANUP_JSON json_t *deep = NULL;
    CLEANUP_JSON json_t *in_string = NULL;
    json_t *none = NULL;

    memset(text, '[', JSON_DEPTH_MAX);
    memset(text + JSON_DEPTH_MAX, ']', JSON_DEPTH_MAX);
    assert_int_equal(json_parse(text, 2 * JSON_DEPTH_MAX, &deep, &err), 0);
    memset(text, '[', sizeof(text));
    assert_int_equal(json_parse(text, sizeof(text), &none, &err), ERR_INVALID);
    assert_string_equal(err.code, "malformed_json");
    assert_non_null(strstr(err.msg, "line 1 column 33"));
    /* Brackets inside a string are text; an escaped quote does not end it. */
    memset(brackets, '[', sizeof(brackets) - 1);
    brackets[sizeof(brackets) - 1] = '\0';
    snprintf(text, sizeof(text), "\"\\\"%s\\\\\"", brackets);
    err_clear(&err);
    assert_int_equal(json_parse(text, strlen(text), &in_string, &err), 0);
    assert_true(json_is_string(in_string));
}

static void
line_is_compact(void **state)
{
    CLEANUP_JSON json_t *j = parsed("{ \"a\" : [ 1,\n 2 ] }");
    CLEANUP_JSON json_t *s = parsed("\"x\\ny\"");
    char *line = json_line(j), *str = json_line(s);

    assert_string_equal(line, "{\"a\":[1,2]}");
    assert_string_equal(str, "\"x\\ny\"");
    free(line);
    free(str);
}

static void
required_getters(void **state)
{
    CLEANUP_JSON json_t *j = parsed("{\"s\":\"t\",\"u\":9223372036854775807,\"b\":true,"
                                    "\"o\":{\"k\":1},\"a\":[1,2]}");
    struct err err = ERR_INIT;
    struct jreader r;

    jreader_init(&r, j, "spec", &err);
    assert_string_equal(jget_str(&r, "s"), "t");
    assert_true(jget_u64(&r, "u") == INT64_MAX);
    assert_true(jget_bool(&r, "b"));
    assert_int_equal(json_object_size(jget_obj(&r, "o")), 1);
    assert_int_equal(json_array_size(jget_arr(&r, "a")), 2);
    assert_int_equal(jreader_end(&r), 0);
}

static void
optional_getters(void **state)
{
    CLEANUP_JSON json_t *j = parsed("{\"s\":null,\"u\":3}");
    struct err err = ERR_INIT;
    struct jreader r;

    jreader_init(&r, j, "spec", &err);
    assert_string_equal(jopt_str(&r, "s", "def"), "def");
    assert_null(jopt_str(&r, "t", NULL));
    assert_int_equal(jopt_u64(&r, "u", 9), 3);
    assert_int_equal(jopt_u64(&r, "v", 9), 9);
    assert_true(jopt_bool(&r, "b", true));
    assert_null(jopt_obj(&r, "o"));
    assert_null(jopt_arr(&r, "a"));
    assert_int_equal(jreader_end(&r), 0);
}

static void
wrong_types_name_the_field(void **state)
{
    static const char text[] = "{\"x\":%s}";
    static const struct {
        char getter;
        const char *value, *say;
    } cases[] = {
        {'s', "1", "must be a string"},       {'s', "null", "must not be null"},
        {'u', "-1", "must be an integer"},    {'u', "1.0", "must be an integer"},
        {'u', "\"1\"", "must be an integer"}, {'b', "1", "must be true or false"},
        {'o', "[]", "must be an object"},     {'a', "{}", "must be an array"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char buf[64];
        struct err err = ERR_INIT;
        struct jreader r;

        snprintf(buf, sizeof(buf), text, cases[i].value);
        CLEANUP_JSON json_t *j = parsed(buf);
        jreader_init(&r, j, "spec", &err);
        switch (cases[i].getter) {
        case 's':
            assert_string_equal(jget_str(&r, "x"), "");
            break;
        case 'u':
            assert_int_equal(jget_u64(&r, "x"), 0);
            break;
        case 'b':
            assert_false(jget_bool(&r, "x"));
            break;
        case 'o':
            assert_null(jget_obj(&r, "x"));
            break;
        default:
            assert_null(jget_arr(&r, "x"));
        }
        assert_int_equal(jreader_end(&r), ERR_INVALID);
        assert_string_equal(err.code, "invalid_field");
        assert_non_null(strstr(err.msg, "spec: field 'x'"));
        assert_non_null(strstr(err.msg, cases[i].say));
    }
}

static void
first_failure_sticks(void **state)
{
    CLEANUP_JSON json_t *j = parsed("{\"b\":2}");
    struct err err = ERR_INIT;
    struct jreader r;

    jreader_init(&r, j, "spec", &err);
    assert_string_equal(jget_str(&r, "a"), "");
    assert_int_equal(jget_u64(&r, "b"), 0); /* would be 2 */
    assert_int_equal(jopt_u64(&r, "b", 7), 7);
    assert_int_equal(jreader_end(&r), ERR_INVALID);
    assert_non_null(strstr(err.msg, "'a' is missing"));
    assert_int_equal(jreader_end_lax(&r), ERR_INVALID);
}

static void
unknown_fields(void **state)
{
    CLEANUP_JSON json_t *j = parsed("{\"a\":1,\"evil\":2}");
    CLEANUP_JSON json_t *arr = parsed("[]");
    struct err err = ERR_INIT;
    struct jreader r;

    jreader_init(&r, j, "spec", &err);
    jget_u64(&r, "a");
    jget_u64(&r, "a"); /* asking twice hides nothing */
    assert_int_equal(jreader_end_lax(&r), 0);
    assert_int_equal(jreader_end(&r), ERR_INVALID);
    assert_string_equal(err.code, "unknown_field");
    assert_non_null(strstr(err.msg, "'evil'"));

    err_clear(&err);
    jreader_init(&r, arr, "spec", &err);
    assert_string_equal(err.code, "invalid_field");
    err_clear(&err);
    jreader_init(&r, NULL, "spec", &err);
    assert_int_equal(jreader_end(&r), ERR_INVALID);
}

static void
too_many_fields_is_our_bug(void **state)
{
    CLEANUP_JSON json_t *j = parsed("{}");
    struct err err = ERR_INIT;
    struct jreader r;

    jreader_init(&r, j, "spec", &err);
    for (int i = 0; i < JREADER_KEYS_MAX; i++)
        jopt_u64(&r, "k", 0);
    assert_int_equal(jreader_end(&r), 0);
    jopt_u64(&r, "k", 0);
    assert_int_equal(jreader_end(&r), ERR_INTERNAL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_malformed_text),
        cmocka_unit_test(error_text_never_quotes_the_input),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(line_is_compact),
        cmocka_unit_test(required_getters),
        cmocka_unit_test(optional_getters),
        cmocka_unit_test(wrong_types_name_the_field),
        cmocka_unit_test(first_failure_sticks),
        cmocka_unit_test(unknown_fields),
        cmocka_unit_test(too_many_fields_is_our_bug),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
