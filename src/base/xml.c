/* base/xml.c - see xml.h. */
#include "base/xml.h"

#include <libxml/parser.h>
#include <libxml/tree.h>
#include <limits.h>
#include <pthread.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define XSI "http://www.w3.org/2001/XMLSchema-instance"

/* struct xml_doc and struct xml_node are libxml2's own; only this file knows. */
static xmlDoc *
doc_of(struct xml_doc *d)
{
    return (xmlDoc *)d;
}

static const xmlNode *
node_of(const struct xml_node *e)
{
    return (const xmlNode *)e;
}

void
cleanup_xml(struct xml_doc **d)
{
    xml_free(*d);
}

void
xml_free(struct xml_doc *d)
{
    if (d)
        xmlFreeDoc(doc_of(d));
}

/* The parser's depth limit is 256 and cannot be set. */
static bool
too_deep(const xmlNode *e)
{
    const xmlNode *top = e;
    int depth = 1;

    while (e) {
        if (e->type == XML_ELEMENT_NODE && depth > XML_DEPTH_MAX)
            return true;
        if (e->type == XML_ELEMENT_NODE && e->children) {
            depth++;
            e = e->children;
            continue;
        }
        while (e != top && !e->next) {
            e = e->parent;
            depth--;
        }
        if (e == top)
            return false;
        e = e->next;
    }
    return false;
}

static int
malformed(struct err *err, const char *what, int line)
{
    if (line > 0)
        return err_set(err, ERR_INVALID, "malformed_xml", "%s in line %d", what, line);
    return err_set(err, ERR_INVALID, "malformed_xml", "%s", what);
}

static void
silent(void *arg, xmlErrorPtr e)
{
    (void)arg;
    (void)e;
}

int
xml_parse(const char *text, size_t n, struct xml_doc **ret, struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    xmlParserCtxt *ctx;
    xmlDoc *doc;
    int line = 0;

    pthread_once(&once, xmlInitParser);
    if (n > INT_MAX)
        return malformed(err, "too long", 0);
    ctx = xmlNewParserCtxt();
    if (!ctx)
        return err_set(err, ERR_INTERNAL, NULL, "no memory for an XML parser");
    xmlSetStructuredErrorFunc(ctx, silent);
    doc = xmlCtxtReadMemory(ctx, text, (int)n, NULL, NULL,
                            XML_PARSE_NONET | XML_PARSE_NOCDATA | XML_PARSE_NOERROR |
                                XML_PARSE_NOWARNING | XML_PARSE_BIG_LINES);
    if (!doc)
        line = ctx->lastError.line;
    xmlFreeParserCtxt(ctx);
    if (!doc)
        return malformed(err, "not well-formed", line);
    if (xmlGetIntSubset(doc) || !xmlDocGetRootElement(doc)) {
        xmlFreeDoc(doc);
        return malformed(err, "a document type declaration", 0);
    }
    if (too_deep(xmlDocGetRootElement(doc))) {
        xmlFreeDoc(doc);
        return malformed(err, "nested too deeply", 0);
    }
    *ret = (struct xml_doc *)doc;
    return 0;
}

const struct xml_node *
xml_root(const struct xml_doc *d)
{
    return (const struct xml_node *)xmlDocGetRootElement((const xmlDoc *)d);
}

const char *
xml_name(const struct xml_node *e)
{
    return (const char *)node_of(e)->name;
}

/* @n itself or the next sibling that fits. */
static const struct xml_node *
first_element(const xmlNode *n, const char *name)
{
    for (; n; n = n->next)
        if (n->type == XML_ELEMENT_NODE &&
            (!name || strcmp((const char *)n->name, name) == 0))
            return (const struct xml_node *)n;
    return NULL;
}

const struct xml_node *
xml_child(const struct xml_node *e, const char *name)
{
    return e ? first_element(node_of(e)->children, name) : NULL;
}

const struct xml_node *
xml_next(const struct xml_node *e, const char *name)
{
    return e ? first_element(node_of(e)->next, name) : NULL;
}

static char *
take_xml_string(xmlChar *s)
{
    char *copy = xstrdup((const char *)s);

    xmlFree(s);
    return copy;
}

char *
xml_text(const struct xml_node *e)
{
    xmlChar *s = e ? xmlNodeGetContent(node_of(e)) : NULL;

    return s ? take_xml_string(s) : xstrdup("");
}

char *
xml_attr(const struct xml_node *e, const char *name)
{
    xmlChar *s = e ? xmlGetNoNsProp(node_of(e), (const xmlChar *)name) : NULL;

    return s ? take_xml_string(s) : NULL;
}

char *
xml_type(const struct xml_node *e)
{
    xmlChar *s =
        e ? xmlGetNsProp(node_of(e), (const xmlChar *)"type", (const xmlChar *)XSI)
          : NULL;
    CLEANUP_FREE char *full = s ? take_xml_string(s) : xstrdup("");
    const char *colon = strrchr(full, ':');

    return xstrdup(colon ? colon + 1 : full);
}

bool
xml_u64(const struct xml_node *e, uint64_t *ret)
{
    CLEANUP_FREE char *s = xml_text(e);

    return text_to_u64(s, ret) >= 0;
}

bool
xml_bool(const struct xml_node *e, bool *ret)
{
    CLEANUP_FREE char *s = xml_text(e);

    *ret = strcmp(s, "true") == 0 || strcmp(s, "1") == 0;
    return *ret || strcmp(s, "false") == 0 || strcmp(s, "0") == 0;
}

int
xml_source(struct buf *b, const struct xml_node *e, struct err *err)
{
    xmlDoc *from = node_of(e)->doc;
    xmlDoc *doc = xmlNewDoc((const xmlChar *)"1.0");
    xmlNode *copy = doc ? xmlDocCopyNode((xmlNode *)node_of(e), doc, 1) : NULL;
    xmlNs **scope = copy ? xmlGetNsList(from, node_of(e)) : NULL;
    xmlBuffer *text = copy ? xmlBufferCreate() : NULL;
    int r = ERR_INTERNAL;

    /* A prefix may be used in a value only (xsi:type="vim25:…"): all that are in scope.
     */
    for (size_t i = 0; scope && scope[i]; i++)
        (void)xmlNewNs(copy, scope[i]->href, scope[i]->prefix);
    if (text && xmlNodeDump(text, doc, copy, 0, 0) >= 0)
        r = buf_append(b, xmlBufferContent(text), (size_t)xmlBufferLength(text), err);
    else
        err_set(err, ERR_INTERNAL, NULL, "no memory for a copy of an element");
    xmlFree(scope);
    xmlBufferFree(text);
    xmlFreeNode(copy);
    xmlFreeDoc(doc);
    return r;
}

static bool
can_be_carried(const char *text)
{
    if (!xmlCheckUTF8((const xmlChar *)text))
        return false;
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 && !strchr("\t\n\r", *text))
            return false;
    return true;
}

int
xml_escape(struct buf *b, const char *text, struct err *err)
{
    xmlChar *s;
    int r;

    if (!can_be_carried(text))
        return err_set(err, ERR_INVALID, "not_xml",
                       "a text with control characters or bad UTF-8 cannot be sent");
    s = xmlEncodeSpecialChars(NULL, (const xmlChar *)text);
    if (!s)
        return err_set(err, ERR_INTERNAL, NULL, "no memory for a text");
    r = buf_append(b, s, strlen((const char *)s), err);
    explicit_bzero(s, strlen((const char *)s)); /* it may be a password */
    xmlFree(s);
    return r;
}
