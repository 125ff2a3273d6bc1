/* tests/unit/vim/golden.c - see golden.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "golden.h"
#include "vim/soap.h"

const char *golden_folder;

char *
golden_text(const char *name, size_t *ret_len)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s.xml", golden_folder, name);
    CLEANUP_BUF struct buf b = BUF_INIT(1u << 20);
    struct err err = ERR_INIT;

    if (fs_read_file(path, &b, &err) < 0)
        fail_msg("%s: %s", path, err.msg);
    *ret_len = b.len;
    return buf_take(&b);
}

const struct xml_node *
golden(const char *name, const char *method, struct xml_doc **ret)
{
    size_t n;
    CLEANUP_FREE char *text = golden_text(name, &n);
    const struct xml_node *response = NULL;
    struct err err = ERR_INIT;

    if (soap_answer(text, n, method, ret, &response, &err) < 0)
        fail_msg("%s: %s: %s", name, err.code, err.msg);
    return response;
}

int
golden_fault(const char *name, const char *method, struct err *err)
{
    size_t n;
    CLEANUP_FREE char *text = golden_text(name, &n);
    CLEANUP_XML struct xml_doc *doc = NULL;
    const struct xml_node *response;

    err_clear(err);
    return soap_answer(text, n, method, &doc, &response, err);
}

const struct xml_node *
parse_answer(const char *body, const char *method, struct xml_doc **ret)
{
    CLEANUP_FREE char *text = xasprintf(
        "<Envelope xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\"><Body>"
        "<%sResponse><returnval>%s</returnval></%sResponse></Body></Envelope>",
        method, body, method);
    const struct xml_node *response = NULL;
    struct err err = ERR_INIT;

    if (soap_answer(text, strlen(text), method, ret, &response, &err) < 0)
        fail_msg("%s: %s", err.code, err.msg);
    return response;
}
