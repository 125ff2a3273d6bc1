/* Frames and errors of file sessions. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "model/filesproto.h"

static void
test_head(void **state)
{
    static const size_t sizes[] = {0, 1, 255, 256, 65537, FILES_FRAME_MAX};
    struct err err = ERR_INIT;

    for (const char *t = "QCDKAE"; *t; t++)
        for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
            unsigned char head[FILES_HEAD];
            enum files_frame type;
            size_t n;

            files_head_encode((enum files_frame) * t, sizes[i], head);
            assert_int_equal(files_head_decode(head, &type, &n, &err), 0);
            assert_int_equal(type, *t);
            assert_int_equal(n, sizes[i]);
        }
}

static void
test_bad_head(void **state)
{
    static const unsigned char bad[][FILES_HEAD] = {{0, 0, 0, 0, 0},
                                                    {'q', 0, 0, 0, 0},
                                                    {'D', 0, 0x10, 0, 1},
                                                    {'D', 0xff, 0xff, 0xff, 0xff}};
    enum files_frame type;
    size_t n;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;

        assert_int_equal(files_head_decode(bad[i], &type, &n, &err), ERR_PROTOCOL);
        assert_string_equal(err.code, "files_protocol");
    }
}

static void
test_error(void **state)
{
    for (int class = ERR_INVALID; class >= ERR_INTERNAL; class --) {
        struct err why = ERR_INIT, got = ERR_INIT;
        CLEANUP_JSON json_t *j = NULL;
        CLEANUP_FREE char *text = NULL;

        err_set(&why, class, "some_code", "a \xff name\x1b");
        j = files_error_encode(&why);
        assert_non_null(j);
        text = json_line(j);
        assert_int_equal(files_error_decode(text, strlen(text), &got), class);
        assert_string_equal(got.code, "some_code");
        assert_null(strchr(got.msg, 0x1b));
    }
}

static void
test_bad_error(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "{}",
        "[]",
        "{\"class\":\"fine\",\"code\":\"a\",\"message\":\"b\"}",
        "{\"class\":\"io\",\"code\":1,\"message\":\"b\"}",
        "{\"class\":\"io\",\"code\":\"a\",\"message\":\"b\",\"x\":1}"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct err err = ERR_INIT;

        assert_int_equal(files_error_decode(bad[i], strlen(bad[i]), &err), ERR_PROTOCOL);
        assert_string_equal(err.code, "files_protocol");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head),
        cmocka_unit_test(test_bad_head),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_bad_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
