/* tests/unit/model/test_targets.c - the target string. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "model/targets.h"
#include "model_test.h"

#define SEED_STRING                                                                      \
    "2000:nbd://127.0.0.1:10104/sendense-0f,2001:nbd://127.0.0.1:10105/sendense-9a"

static void
test_parse(void **state)
{
    CLEANUP_TARGETS struct targets t = {0};
    CLEANUP_FREE char *s = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(targets_parse(SEED_STRING, &t, &err), 0);
    assert_int_equal(t.n, 2);
    assert_int_equal(t.items[0].key, 2000);
    assert_string_equal(t.items[1].uri, "nbd://127.0.0.1:10105/sendense-9a");
    assert_string_equal(targets_find(&t, 2000), "nbd://127.0.0.1:10104/sendense-0f");
    assert_null(targets_find(&t, 1));
    s = targets_build(&t);
    assert_string_equal(s, SEED_STRING);
}

static void
test_comma(void **state)
{
    CLEANUP_TARGETS struct targets t = {0}, back = {0};
    CLEANUP_FREE char *s = NULL;
    struct err err = ERR_INIT;

    targets_add(&t, 1, "nbd+unix:///?socket=/a,b");
    targets_add(&t, 0, "nbd://h/,");
    s = targets_build(&t);
    assert_string_equal(s, "1:nbd+unix:///?socket=/a%2Cb,0:nbd://h/%2C");
    assert_int_equal(targets_parse(s, &back, &err), 0);
    assert_int_equal(back.n, 2);
    assert_string_equal(back.items[0].uri, "nbd+unix:///?socket=/a%2Cb");
}

static void
test_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ",",
        "2000:nbd://a/b,",
        ",2000:nbd://a/b",
        "2000:nbd://a/b,,2001:nbd://a/c",
        "2000:nbd://a/b,2000:nbd://a/c",
        "x:nbd://a/b",
        ":nbd://a/b",
        "-1:nbd://a/b",
        "2147483648:nbd://a/b",
        "00000000000000000000000000001:nbd://a/b",
        "nbd://a/b",
        "2000",
        "2000:",
        "2000:http://a/b",
        "2000:NBD://a/b",
        "2000: nbd://a/b",
        "2000:nbd://a/b\n",
        "2000:nbd://a/\xc3\xbc",
        "2000:vsock://1/",
        "2000:nbds://a/b",
        "2000:nbds+unix:///?socket=/a",
        "2000:nbd://user@a/b",
        "2000:nbd://user:secretpw@127.0.0.1:1/x",
        "2000:nbd://user:secretpw@127.0.0.1",
        "2000:nbd://user:secretpw@h?x=/",
        "2000:nbd+unix://user:secretpw@/?socket=/a",
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct targets t = {0};
        struct err err = ERR_INIT;

        if (targets_parse(bad[i], &t, &err) != ERR_INVALID)
            fail_msg("'%s' was taken", bad[i]);
        assert_string_equal(err.code, "invalid_targets");
        assert_null(t.items);
        assert_null(strstr(err.msg, "secretpw"));
    }
}

/* An '@' is a user's only where a host may stand. */
static void
test_at_sign(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(targets_uri_check("nbd://h:1/a@b", "source", &err), 0);
    assert_int_equal(targets_uri_check("nbd://h?x=a@b", "source", &err), 0);
    assert_int_equal(targets_uri_check("nbd+unix:///?socket=/a@b", "source", &err), 0);
    assert_int_equal(targets_uri_check("nbd://u:secretpw@h/a", "source", &err),
                     ERR_INVALID);
    assert_string_equal(err.code, "invalid_uri");
    assert_non_null(strstr(err.msg, "source"));
    assert_null(strstr(err.msg, "secretpw"));
}

static void
test_limits(void **state)
{
    CLEANUP_TARGETS struct targets t = {0}, back = {0};
    CLEANUP_FREE char *uri = malloc(TARGETS_URI_MAX + 2), *s = NULL, *more = NULL;
    struct err err = ERR_INIT;

    memset(uri, 'a', TARGETS_URI_MAX + 1);
    memcpy(uri, "nbd://", 6);
    uri[TARGETS_URI_MAX + 1] = '\0';
    assert_int_equal(targets_uri_check(uri, "target", &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_uri");
    assert_non_null(strstr(err.msg, "target"));
    err_clear(&err);
    uri[TARGETS_URI_MAX] = '\0';
    assert_int_equal(targets_uri_check(uri, "target", &err), 0);
    for (uint32_t i = 0; i < TARGETS_MAX; i++)
        targets_add(&t, i, uri);
    s = targets_build(&t);
    assert_int_equal(targets_parse(s, &back, &err), 0);
    assert_int_equal(back.n, TARGETS_MAX);
    targets_done(&back);
    targets_add(&t, TARGETS_MAX, "nbd://a/b");
    more = targets_build(&t);
    assert_int_equal(targets_parse(more, &back, &err), ERR_INVALID);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_comma),
        cmocka_unit_test(test_refused), cmocka_unit_test(test_at_sign),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
