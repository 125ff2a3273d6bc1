/* vim/soap.c - see soap.h. */
#include "vim/soap.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define VIM_NS "urn:vim25"

static void
add(struct soap_request *r, const char *text)
{
    if (r->error.class == 0)
        (void)buf_append(&r->body, text, strlen(text), &r->error);
}

static void
add_escaped(struct soap_request *r, const char *text)
{
    if (r->error.class == 0)
        (void)xml_escape(&r->body, text, &r->error);
}

void
soap_begin(struct soap_request *r, const char *method, const struct moref *self)
{
    *r = (struct soap_request){.body = BUF_INIT(SOAP_REQUEST_MAX), .method = method};
    /* One allocation: a buffer that grows would leave a password behind in freed memory.
     */
    (void)buf_reserve(&r->body, 16384, &r->error);
    add(r,
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>"
        "<soapenv:Envelope xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" "
        "xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\" "
        "xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><soapenv:Body><");
    add(r, method);
    add(r, " xmlns=\"" VIM_NS "\">");
    soap_ref(r, "_this", self);
}

void
soap_open(struct soap_request *r, const char *name, const char *xsi_type)
{
    add(r, "<");
    add(r, name);
    if (xsi_type) {
        add(r, " xsi:type=\"");
        add(r, xsi_type);
        add(r, "\"");
    }
    add(r, ">");
}

void
soap_close(struct soap_request *r, const char *name)
{
    add(r, "</");
    add(r, name);
    add(r, ">");
}

void
soap_text(struct soap_request *r, const char *name, const char *text)
{
    soap_open(r, name, NULL);
    add_escaped(r, text);
    soap_close(r, name);
}

void
soap_bool(struct soap_request *r, const char *name, bool value)
{
    soap_text(r, name, value ? "true" : "false");
}

void
soap_u64(struct soap_request *r, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "%" PRIu64, value);
    soap_text(r, name, text);
}

void
soap_ref(struct soap_request *r, const char *name, const struct moref *ref)
{
    add(r, "<");
    add(r, name);
    add(r, " type=\"");
    add_escaped(r, ref->type);
    add(r, "\">");
    add_escaped(r, ref->value);
    soap_close(r, name);
}

int
soap_end(struct soap_request *r, struct err *err)
{
    soap_close(r, r->method);
    add(r, "</soapenv:Body></soapenv:Envelope>");
    if (r->error.class)
        *err = r->error;
    return r->error.class;
}

void
soap_request_done(struct soap_request *r)
{
    if (r->body.data)
        explicit_bzero(r->body.data, r->body.alloc);
    buf_done(&r->body);
}

static int
no_answer(struct err *err, const char *method)
{
    return err_set(err, ERR_PROTOCOL, "vcenter_protocol",
                   "what came is not the answer to %s: is this a vCenter or ESXi host?",
                   method);
}

static int
answer_fault(const struct xml_node *fault, struct err *err)
{
    CLEANUP_FREE char *text = xml_text(xml_child(fault, "faultstring"));

    return soap_fault(xml_child(xml_child(fault, "detail"), NULL), text, err);
}

int
soap_answer(const char *text, size_t n, const char *method, struct xml_doc **ret,
            const struct xml_node **ret_response, struct err *err)
{
    CLEANUP_XML struct xml_doc *doc = NULL;
    CLEANUP_FREE char *wanted = xasprintf("%sResponse", method);
    const struct xml_node *root, *body, *found;

    if (xml_parse(text, n, &doc, err) < 0) {
        err_clear(err);
        return no_answer(err, method);
    }
    root = xml_root(doc);
    body = strcmp(xml_name(root), "Envelope") == 0 ? xml_child(root, "Body") : NULL;
    found = xml_child(body, NULL);
    if (found && strcmp(xml_name(found), "Fault") == 0)
        return answer_fault(found, err);
    if (!found || strcmp(xml_name(found), wanted) != 0)
        return no_answer(err, method);
    *ret_response = found;
    *ret = take_ptr(&doc);
    return 0;
}

bool
soap_moref(const struct xml_node *e, struct moref *ret)
{
    CLEANUP_FREE char *value = xml_text(e);
    /* A value of type ManagedObjectReference has xsi:type as well as type. */
    CLEANUP_FREE char *type = xml_attr(e, "type");

    if (!type || !*type || !*value || strlen(type) >= sizeof(ret->type) ||
        strlen(value) >= sizeof(ret->value))
        return false;
    snprintf(ret->type, sizeof(ret->type), "%s", type);
    snprintf(ret->value, sizeof(ret->value), "%s", value);
    return true;
}
