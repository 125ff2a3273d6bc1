/* Unit tests of vim/soap.h: what is sent, what answers and faults mean. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "vim/soap.h"

#define ENV                                                                              \
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope "                       \
    "xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" "                       \
    "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" "                                    \
    "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body>"
#define END "</soapenv:Body></soapenv:Envelope>"

static const struct moref sm = {"SessionManager", "SM"};

static void
request_as_specified(void **state)
{
    CLEANUP_SOAP struct soap_request r = {0};
    struct err err = ERR_INIT;

    soap_begin(&r, "CreateSnapshot_Task", &(struct moref){"VirtualMachine", "vm-1"});
    soap_text(&r, "name", "a & <b>");
    soap_bool(&r, "memory", false);
    soap_open(&r, "quiesceSpec", "VirtualMachineGuestQuiesceSpec");
    soap_u64(&r, "timeout", 15);
    soap_close(&r, "quiesceSpec");
    assert_int_equal(soap_end(&r, &err), 0);
    assert_string_equal(
        r.body.data, ENV
        "<CreateSnapshot_Task xmlns=\"urn:vim25\"><_this "
        "type=\"VirtualMachine\">vm-1</_this>"
        "<name>a &amp; &lt;b&gt;</name><memory>false</memory>"
        "<quiesceSpec xsi:type=\"VirtualMachineGuestQuiesceSpec\"><timeout>15</timeout>"
        "</quiesceSpec></CreateSnapshot_Task>" END);
}

static void
first_error_sticks(void **state)
{
    CLEANUP_SOAP struct soap_request r = {0};
    struct err err = ERR_INIT;

    soap_begin(&r, "Login", &sm);
    soap_text(&r, "userName", "a\x01");
    soap_text(&r, "password", "b");
    assert_int_equal(soap_end(&r, &err), ERR_INVALID);
    assert_string_equal(err.code, "not_xml");
}

static int
answer(const char *text, const char *method, char **ret_text, struct err *err)
{
    CLEANUP_XML struct xml_doc *d = NULL;
    const struct xml_node *response = NULL;

    err_clear(err);
    if (soap_answer(text, strlen(text), method, &d, &response, err) < 0)
        return err->class;
    *ret_text = xml_text(xml_child(response, "returnval"));
    return 0;
}

static void
answers(void **state)
{
    static const char *const foreign[] = {
        "",
        "<html><body>404</body></html>",
        "<Envelope/>",
        "<Envelope><Body/></Envelope>",
        "<Envelope><Body><LogoutResponse/></Body></Envelope>",
        "{}"};
    CLEANUP_FREE char *text = NULL;
    struct err err = ERR_INIT;

    assert_int_equal(
        answer("<S:Envelope xmlns:S=\"urn:s\"><S:Header/><S:Body>"
               "<CurrentTimeResponse xmlns=\"urn:vim25\"><returnval>now</returnval>"
               "</CurrentTimeResponse></S:Body></S:Envelope>",
               "CurrentTime", &text, &err),
        0);
    assert_string_equal(text, "now");
    for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
        char *none;

        assert_int_equal(answer(foreign[i], "CurrentTime", &none, &err), ERR_PROTOCOL);
        assert_string_equal(err.code, "vcenter_protocol");
    }
}

static void
assert_fault(const char *detail, int class, const char *code, const char *word)
{
    CLEANUP_FREE char *text =
        xasprintf(ENV "<soapenv:Fault><faultcode>ServerFaultCode</faultcode>"
                      "<faultstring>what the server says</faultstring><detail>%s</detail>"
                      "</soapenv:Fault>" END,
                  detail);
    struct err err = ERR_INIT;
    char *none;

    assert_int_equal(answer(text, "Login", &none, &err), class);
    assert_string_equal(err.code, code);
    assert_non_null(strstr(err.msg, word));
    assert_non_null(strstr(err.msg, "what the server says"));
}

static void
faults(void **state)
{
    assert_fault("<InvalidLoginFault xmlns=\"urn:vim25\" xsi:type=\"InvalidLogin\"/>",
                 ERR_AUTH, "vcenter_login", "password");
    assert_fault("<NotAuthenticatedFault/>", ERR_AUTH, "vcenter_session", "session");
    assert_fault("<NoPermissionFault xsi:type=\"vim25:NoPermission\"><object "
                 "type=\"VirtualMachine\">vm-1</object><privilegeId>VirtualMachine.State."
                 "CreateSnapshot</privilegeId></NoPermissionFault>",
                 ERR_AUTH, "vcenter_permission", "VirtualMachine.State.CreateSnapshot");
    assert_fault("<x xsi:type=\"ManagedObjectNotFound\"/>", ERR_NOT_FOUND,
                 "vcenter_object_gone", "inventory");
    assert_fault("<x xsi:type=\"TaskInProgress\"/>", ERR_UNAVAILABLE, "vcenter_busy",
                 "task");
    assert_fault("<x xsi:type=\"SomethingNew\"/>", ERR_IO, "vcenter_fault",
                 "SomethingNew");
    assert_fault("", ERR_IO, "vcenter_fault", "without a kind");
}

static void
references(void **state)
{
    static const char text[] =
        "<x xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\">"
        "<a xsi:type=\"ManagedObjectReference\" "
        "type=\"VirtualMachineSnapshot\">snapshot-5</a>"
        "<b>vm-1</b><c type=\"T\"/></x>";
    CLEANUP_XML struct xml_doc *d = NULL;
    struct err err = ERR_INIT;
    struct moref m;

    assert_int_equal(xml_parse(text, strlen(text), &d, &err), 0);
    assert_true(soap_moref(xml_child(xml_root(d), "a"), &m));
    assert_string_equal(m.type, "VirtualMachineSnapshot");
    assert_string_equal(m.value, "snapshot-5");
    assert_false(soap_moref(xml_child(xml_root(d), "b"), &m));
    assert_false(soap_moref(xml_child(xml_root(d), "c"), &m));
    assert_false(soap_moref(NULL, &m));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(request_as_specified),
        cmocka_unit_test(first_error_sticks),
        cmocka_unit_test(answers),
        cmocka_unit_test(faults),
        cmocka_unit_test(references),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
