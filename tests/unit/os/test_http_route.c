/* Decoding of URLs and matching of routes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <string.h>
#include <stdlib.h>
#include <cmocka.h>

#include "os/http_priv.h"

static int
no_handler(struct http_call *call, void *app, struct http_reply *reply, struct err *err)
{
    (void)call;
    (void)app;
    (void)reply;
    return err_set(err, ERR_INTERNAL, NULL, "not called in this test");
}

#define R(m, p)                                                                          \
    {                                                                                    \
        .method = (m), .pattern = (p), .handle = no_handler                              \
    }

static const struct http_route routes[] = {
    R("GET", "/"),
    R("GET", "/vms"),
    R("POST", "/vms"),
    R("GET", "/vms/{id}"),
    R("DELETE", "/vms/{id}"),
    R("GET", "/vms/default"),
    R("GET", "/vms/{id}/disks/{key}"),
    R("GET", "/{kind}/default/disks/2000"),
    R("PUT", "/vms/default/disks/{key}"),
    {0},
};

static void
assert_decodes(const char *raw, const char *want)
{
    struct err err = ERR_INIT;
    char *got = NULL;

    assert_int_equal(http_decode(raw, strlen(raw), &got, &err), 0);
    assert_string_equal(got, want);
    free(got);
}

static void
assert_not_decoded(const char *raw)
{
    struct err err = ERR_INIT;
    char *got = NULL;

    assert_int_equal(http_decode(raw, strlen(raw), &got, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_encoding");
    assert_null(got);
}

static void
test_decode(void **state)
{
    (void)state;
    assert_decodes("", "");
    assert_decodes("plain-._~", "plain-._~");
    assert_decodes("a%2Fb%2f", "a/b/");
    assert_decodes("%25%32%35", "%25");
    assert_decodes("%41", "A");
    assert_decodes("%C3%A9", "\xc3\xa9");
    assert_not_decoded("%");
    assert_not_decoded("%4");
    assert_not_decoded("%4g");
    assert_not_decoded("%g4");
    assert_not_decoded("% 41");
    assert_not_decoded("a%00b");
    assert_not_decoded("a%0d%0aX: y");
    assert_not_decoded("a\tb");
    assert_not_decoded("%7f");
    assert_not_decoded("%C3");
    assert_not_decoded("%ff");
    assert_not_decoded("%C0%AF"); /* an overlong '/' */
}

static void
test_path(void **state)
{
    struct http_path p;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(http_path_parse("/a/b%2Fc//", &p, &err), 0);
    assert_int_equal(p.n, 4);
    assert_string_equal(p.segments[0], "a");
    assert_string_equal(p.segments[1], "b/c");
    assert_string_equal(p.segments[2], "");
    assert_string_equal(p.segments[3], "");
    http_path_done(&p);
    assert_int_equal(http_path_parse("a/b", &p, &err), ERR_INVALID);
    assert_string_equal(err.code, "invalid_path");
    err_clear(&err);
    assert_int_equal(http_path_parse("*", &p, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(http_path_parse("/a/%zz", &p, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(http_path_parse("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16", &p, &err),
                     0);
    http_path_done(&p);
    assert_int_equal(
        http_path_parse("/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17", &p, &err),
        ERR_NOT_FOUND);
}

/* The pattern that serves @method @raw, or the code of the failure. */
static const char *
serve(const char *method, const char *raw, char allow[HTTP_ALLOW_SIZE])
{
    static struct err err;
    const struct http_route *r = NULL;
    struct http_path p = {0};

    err = (struct err)ERR_INIT;
    assert_int_equal(http_path_parse(raw, &p, &err), 0);
    allow[0] = '\0';
    if (http_route_find(routes, &p, method, &r, allow, &err) < 0) {
        http_path_done(&p);
        assert_null(r);
        return err.code;
    }
    http_path_done(&p);
    return r->pattern;
}

static void
test_find(void **state)
{
    char allow[HTTP_ALLOW_SIZE];

    (void)state;
    assert_string_equal(serve("GET", "/", allow), "/");
    assert_string_equal(serve("GET", "/vms", allow), "/vms");
    assert_string_equal(serve("HEAD", "/vms", allow), "/vms");
    assert_string_equal(serve("GET", "/vms/7", allow), "/vms/{id}");
    assert_string_equal(serve("GET", "/vms/default", allow), "/vms/default");
    assert_string_equal(serve("GET", "/%76ms/d%65fault", allow), "/vms/default");
    /* No literal route has this method: the pattern serves it. */
    assert_string_equal(serve("DELETE", "/vms/default", allow), "/vms/{id}");
    /* The literal that stands further left wins. */
    assert_string_equal(serve("GET", "/vms/default/disks/2000", allow),
                        "/vms/{id}/disks/{key}");
    assert_string_equal(serve("GET", "/xs/default/disks/2000", allow),
                        "/{kind}/default/disks/2000");
    assert_string_equal(serve("GET", "/nothing", allow), "no_such_route");
    assert_string_equal(serve("GET", "/vms/", allow), "no_such_route");
    assert_string_equal(serve("GET", "//vms", allow), "no_such_route");
    assert_string_equal(serve("GET", "/vms%2F7", allow), "no_such_route");
    assert_string_equal(serve("GET", "/VMS", allow), "no_such_route");
    assert_string_equal(serve("PUT", "/vms", allow), "method_not_allowed");
    assert_string_equal(allow, "GET, HEAD, POST");
    assert_string_equal(serve("BREW", "/vms/7", allow), "method_not_allowed");
    assert_string_equal(allow, "DELETE, GET, HEAD");
    assert_string_equal(serve("get", "/vms", allow), "method_not_allowed");
}

static void
test_param(void **state)
{
    const struct http_route r = R("GET", "/vms/{id}/disks/{key}");
    struct http_path p;
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(http_path_parse("/vms/a%2Fb/disks/%7Bid%7D", &p, &err), 0);
    assert_string_equal(http_route_param(&r, &p, "id"), "a/b");
    assert_string_equal(http_route_param(&r, &p, "key"), "{id}");
    assert_null(http_route_param(&r, &p, "vms"));
    assert_null(http_route_param(&r, &p, "i"));
    assert_null(http_route_param(&r, &p, ""));
    http_path_done(&p);
}

static int
no_body(struct http_call *call, void *app, const void *p, size_t n, struct err *err)
{
    (void)call;
    (void)app;
    (void)p;
    (void)n;
    return err_set(err, ERR_INTERNAL, NULL, "not called in this test");
}

static void
assert_bad_table(struct http_route first, struct http_route second)
{
    const struct http_route table[] = {first, second, {0}};
    struct err err = ERR_INIT;

    assert_int_equal(http_routes_check(table, false, &err), ERR_INTERNAL);
    assert_string_equal(err.code, "bad_route_table");
}

static void
test_table(void **state)
{
    const struct http_route good = R("GET", "/x/{id}");
    const struct http_route scoped[] = {
        {.method = "GET", .pattern = "/x", .scope = "read", .handle = no_handler}, {0}};
    struct err err = ERR_INIT;

    (void)state;
    assert_int_equal(http_routes_check(routes, false, &err), 0);
    assert_int_equal(http_routes_check(scoped, true, &err), 0);
    assert_bad_table(good, (struct http_route)R("GET", "/x/{other}"));
    assert_bad_table(good, (struct http_route)R("GET", "x"));
    assert_bad_table(good, (struct http_route)R("GET", NULL));
    assert_bad_table(good, (struct http_route)R("BREW", "/y"));
    assert_bad_table(good, (struct http_route){.method = "GET", .pattern = "/y"});
    assert_bad_table(good, scoped[0]);
    assert_bad_table(good, (struct http_route){.method = "PUT",
                                               .pattern = "/y",
                                               .body = HTTP_BODY_STREAM,
                                               .handle = no_handler});
    assert_bad_table(good, (struct http_route){.method = "PUT",
                                               .pattern = "/y",
                                               .on_body = no_body,
                                               .handle = no_handler});
}

static void
test_status(void **state)
{
    static const struct {
        int class;
        const char *code;
        int status;
    } want[] = {
        {ERR_INVALID, NULL, 400},
        {ERR_AUTH, NULL, 401},
        {ERR_AUTH, "forbidden", 403},
        {ERR_NOT_FOUND, NULL, 404},
        {ERR_EXISTS, NULL, 409},
        {ERR_LIMIT, NULL, 413},
        {ERR_LIMIT, "too_many_requests", 429},
        {ERR_NO_SPACE, NULL, 507},
        {ERR_UNAVAILABLE, NULL, 503},
        {ERR_TIMEOUT, NULL, 503},
        {ERR_IO, NULL, 502},
        {ERR_PROTOCOL, NULL, 502},
        {ERR_CORRUPT, NULL, 500},
        {ERR_CANCELLED, NULL, 500},
        {ERR_INTERNAL, NULL, 500},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        struct err err = ERR_INIT;

        err_set(&err, want[i].class, want[i].code, "x");
        assert_int_equal(http_status_of(&err), want[i].status);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decode), cmocka_unit_test(test_path),
        cmocka_unit_test(test_find),   cmocka_unit_test(test_param),
        cmocka_unit_test(test_table),  cmocka_unit_test(test_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
