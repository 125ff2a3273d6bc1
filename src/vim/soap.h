/* vim/soap.h - requests and answers of the vSphere web services, as text.    Layer 2.
 * No I/O.  The order of elements counts in a request: it is the order of the calls. */
#ifndef SENDENSE_VIM_SOAP_H
#define SENDENSE_VIM_SOAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/xml.h"

#define SOAP_REQUEST_MAX (1u << 20)
#define SOAP_ANSWER_MAX (64u << 20)

/* A managed object reference: type and value, both opaque words of the server. */
struct moref {
    char type[64];
    char value[192];
};

/* ---- requests ---- */

struct soap_request {
    struct buf body;  /* the whole envelope after soap_end() */
    struct err error; /* of the first call that failed; the later ones do nothing */
    const char *method;
};
#define CLEANUP_SOAP CLEANUP(soap_request_done)

/* @method: a literal, also of the answer that is expected.  @self: the object it is
 * called on. */
void soap_begin(struct soap_request *r, const char *method, const struct moref *self);
/* Opens an element; @xsi_type NULL = none.  Names and types are literals. */
void soap_open(struct soap_request *r, const char *name, const char *xsi_type);
void soap_close(struct soap_request *r, const char *name);
void soap_text(struct soap_request *r, const char *name, const char *text); /* escaped */
void soap_bool(struct soap_request *r, const char *name, bool value);
void soap_u64(struct soap_request *r, const char *name, uint64_t value);
void soap_ref(struct soap_request *r, const char *name, const struct moref *ref);
/* Closes the envelope.  0, or the first error: ERR_INVALID "not_xml" (a value that XML
 * cannot carry), ERR_LIMIT. */
int soap_end(struct soap_request *r, struct err *err);
/* Also wipes the text: it may hold a password. */
void soap_request_done(struct soap_request *r);

/* ---- answers ---- */

/* Parses the answer to @method.  *ret_response: its METHODResponse element, owned by
 * *ret. A fault becomes the error that soap_fault() describes; anything else that is not
 * such an answer ERR_PROTOCOL "vcenter_protocol". */
int soap_answer(const char *text, size_t n, const char *method, struct xml_doc **ret,
                const struct xml_node **ret_response, struct err *err);

/* False when the element is no reference or does not fit. */
bool soap_moref(const struct xml_node *e, struct moref *ret);

/* The error of a fault whose element is @detail (its xsi:type, or else its name less
 * "Fault", is the kind): ERR_AUTH "vcenter_login", "vcenter_session" (no longer logged
 * in) or "vcenter_permission" (says which privilege); ERR_NOT_FOUND
 * "vcenter_object_gone"; ERR_UNAVAILABLE "vcenter_busy" (another task is at it);
 * ERR_INVALID "vcenter_unsupported"; ERR_IO "quiesce_failed" (of the guest); else ERR_IO
 * "vcenter_fault".  @text: what the server says to people.  Returns its class. */
int soap_fault(const struct xml_node *detail, const char *text, struct err *err);

/* The kind that soap_fault() saw, e.g. "InvalidLogin"; "" when there is none.  Caller
 * frees. */
char *soap_fault_kind(const struct xml_node *detail);

#endif
