/* Unit tests of base/xml.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/xml.h"

static struct xml_doc *
parse(const char *text)
{
    struct xml_doc *d = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(xml_parse(text, strlen(text), &d, &err), 0);
    return d;
}

static void
assert_refused(const char *text, size_t n)
{
    struct xml_doc *d = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(xml_parse(text, n, &d, &err), ERR_INVALID);
    assert_string_equal(err.code, "malformed_xml");
    assert_null(d);
}

static void
prefixes_do_not_matter(void **state)
{
    CLEANUP_XML struct xml_doc *d =
        parse("<?xml version=\"1.0\"?><a:x xmlns:a=\"urn:1\"><!-- c --> <b>1</b>\n"
              "<c:b xmlns:c=\"urn:2\">2</c:b><e/></a:x>");
    const struct xml_node *b = xml_child(xml_root(d), "b");
    CLEANUP_FREE char *one = xml_text(b);
    CLEANUP_FREE char *two = xml_text(xml_next(b, "b"));
    CLEANUP_FREE char *none = xml_text(xml_next(xml_next(b, "b"), "b"));

    assert_string_equal(xml_name(xml_root(d)), "x");
    assert_string_equal(one, "1");
    assert_string_equal(two, "2");
    assert_string_equal(none, "");
    assert_string_equal(xml_name(xml_next(xml_next(b, NULL), NULL)), "e");
    assert_null(xml_child(xml_child(xml_root(d), "e"), NULL));
    assert_null(xml_child(NULL, "b"));
}

static void
types_and_attributes(void **state)
{
    CLEANUP_XML struct xml_doc *d =
        parse("<x xmlns:XMLSchema-instance=\"http://www.w3.org/2001/XMLSchema-instance\""
              " XMLSchema-instance:type=\"vim25:ManagedObjectReference\" "
              "type=\"VirtualMachine\"/>");
    CLEANUP_FREE char *xsi = xml_type(xml_root(d)), *own = xml_attr(xml_root(d), "type");

    assert_string_equal(xsi, "ManagedObjectReference");
    assert_string_equal(own, "VirtualMachine");
    assert_null(xml_attr(xml_root(d), "other"));
    assert_null(xml_attr(NULL, "type"));
}

static void
texts_are_decoded(void **state)
{
    CLEANUP_XML struct xml_doc *d =
        parse("<x>&lt;[ds 1] a&amp;b&gt;<![CDATA[<&]]>&#x20AC;</x>");
    CLEANUP_FREE char *text = xml_text(xml_root(d));

    assert_string_equal(text, "<[ds 1] a&b><&\xe2\x82\xac");
}

static void
numbers_and_truth(void **state)
{
    CLEANUP_XML struct xml_doc *d = parse(
        "<x><a>9007199254740993</a><b>-1</b><c>1</c><d>false</d><e>yes</e><f/></x>");
    const struct xml_node *x = xml_root(d);
    uint64_t n;
    bool b;

    assert_true(xml_u64(xml_child(x, "a"), &n));
    assert_true(n == 9007199254740993u);
    assert_false(xml_u64(xml_child(x, "b"), &n));
    assert_false(xml_u64(xml_child(x, "f"), &n));
    assert_false(xml_u64(NULL, &n));
    assert_true(xml_bool(xml_child(x, "c"), &b));
    assert_true(b);
    assert_true(xml_bool(xml_child(x, "d"), &b));
    assert_false(b);
    assert_false(xml_bool(xml_child(x, "e"), &b));
    assert_false(xml_bool(xml_child(x, "f"), &b));
}

static void
what_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        " ",
        "x",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a>&nbsp;</a>",
        "<a b=1/>",
        "<!DOCTYPE a><a/>",
        "<!DOCTYPE a [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><a>&e;</a>",
        "<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]><a>&c;</a>"};
    char deep[2 * 3 * 300 + 1] = "";

    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_refused(bad[i], strlen(bad[i]));
    assert_refused("<a>\0</a>", 8);
    assert_refused("<a>\xff</a>", 8);
    for (int i = 0; i < XML_DEPTH_MAX + 1; i++)
        strcat(deep, "<a>");
    for (int i = 0; i < XML_DEPTH_MAX + 1; i++)
        strcat(deep, "</a>");
    assert_refused(deep, strlen(deep));
    /* One less is fine, and so are many beside one another. */
    deep[0] = '\0';
    for (int i = 0; i < XML_DEPTH_MAX; i++)
        strcat(deep, "<a>");
    for (int i = 0; i < XML_DEPTH_MAX; i++)
        strcat(deep, "</a>");
    xml_free(parse(deep));
    strcpy(deep, "<a>");
    for (int i = 0; i < 300; i++)
        strcat(deep, "<a/>");
    strcat(deep, "</a>");
    xml_free(parse(deep));
}

static void
no_secret_in_a_message(void **state)
{
    static const char text[] = "<a>\n<password>hunter2</passwort></a>";
    struct xml_doc *d = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(xml_parse(text, strlen(text), &d, &err), ERR_INVALID);
    assert_null(strstr(err.msg, "hunter2"));
    assert_non_null(strstr(err.msg, "line 2"));
}

static void
what_is_escaped_comes_back(void **state)
{
    static const char nasty[] = "<&\"'> [ds 1] a]]>\t\r\n \xe2\x82\xac";
    CLEANUP_BUF struct buf b = BUF_INIT(1000);
    CLEANUP_XML struct xml_doc *d = NULL;
    CLEANUP_FREE char *text = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(buf_append(&b, "<x>", 3, &err), 0);
    assert_int_equal(xml_escape(&b, nasty, &err), 0);
    assert_int_equal(buf_append(&b, "</x>", 4, &err), 0);
    assert_int_equal(xml_parse(b.data, b.len, &d, &err), 0);
    text = xml_text(xml_root(d));
    assert_string_equal(text, nasty);
    assert_int_equal(xml_escape(&b, "a\x01", &err), ERR_INVALID);
    assert_string_equal(err.code, "not_xml");
    err_clear(&err);
    assert_int_equal(xml_escape(&b, "\xc3\x28", &err), ERR_INVALID);
}

/* The prefix in the value of an attribute needs its declaration, too. */
static void
an_element_becomes_a_document(void **state)
{
    static const char text[] =
        "<a xmlns=\"urn:a\" xmlns:x=\"http://www.w3.org/2001/XMLSchema-instance\" "
        "xmlns:v=\"urn:v\"><b x:type=\"v:T\" k=\"&lt;\"><c>1 &amp; 2</c></b><d/></a>";
    CLEANUP_XML struct xml_doc *d = NULL, *again = NULL;
    CLEANUP_BUF struct buf b = BUF_INIT(1000), small = BUF_INIT(10);
    CLEANUP_FREE char *type = NULL, *value = NULL, *k = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(xml_parse(text, strlen(text), &d, &err), 0);
    assert_int_equal(xml_source(&b, xml_child(xml_root(d), "b"), &err), 0);
    assert_int_equal(xml_parse(b.data, b.len, &again, &err), 0);
    assert_string_equal(xml_name(xml_root(again)), "b");
    assert_non_null(strstr(b.data, "xmlns:v=\"urn:v\""));
    assert_null(strstr(b.data, "<d"));
    type = xml_type(xml_root(again));
    assert_string_equal(type, "T");
    k = xml_attr(xml_root(again), "k");
    assert_string_equal(k, "<");
    value = xml_text(xml_child(xml_root(again), "c"));
    assert_string_equal(value, "1 & 2");
    assert_int_equal(xml_source(&small, xml_root(d), &err), ERR_LIMIT);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(prefixes_do_not_matter),
        cmocka_unit_test(types_and_attributes),
        cmocka_unit_test(texts_are_decoded),
        cmocka_unit_test(numbers_and_truth),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(no_secret_in_a_message),
        cmocka_unit_test(what_is_escaped_comes_back),
        cmocka_unit_test(an_element_becomes_a_document),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
