/* base/xml.h - libxml2 with our limits and our error convention.            Layer 0.
 *
 * For answers of other programs: names are compared without their namespace prefix,
 * because servers choose prefixes freely; what is not asked for is ignored. */
#ifndef SENDENSE_BASE_XML_H
#define SENDENSE_BASE_XML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"

/* A disk with many snapshots names its parents one inside another. */
#define XML_DEPTH_MAX 200

struct xml_doc;
struct xml_node; /* an element; owned by its document */

#define CLEANUP_XML CLEANUP(cleanup_xml)
void cleanup_xml(struct xml_doc **d);

/* Parses one document of @n bytes.  A document type declaration (so also every entity of
 * its own), depth over XML_DEPTH_MAX and whatever is not well-formed are refused:
 * ERR_INVALID "malformed_xml" with the line, and never a piece of the text itself, which
 * may hold a secret.  Nothing is ever fetched.  *ret owned by caller. */
int xml_parse(const char *text, size_t n, struct xml_doc **ret, struct err *err);
void xml_free(struct xml_doc *d); /* NULL ok */

const struct xml_node *xml_root(const struct xml_doc *d);
/* Local name. */
const char *xml_name(const struct xml_node *e);
/* First child element, next sibling element; of that local name, or any when @name is
 * NULL.  NULL when there is none; a NULL @e gives NULL, so that a path can be walked
 * without a check at each step. */
const struct xml_node *xml_child(const struct xml_node *e, const char *name);
const struct xml_node *xml_next(const struct xml_node *e, const char *name);

/* Text of the element and of all below it; "" when there is none or @e is NULL.  Caller
 * frees. */
char *xml_text(const struct xml_node *e);
/* Value of the attribute without a namespace (type=, not xsi:type=); NULL when there is
 * none.  Caller frees. */
char *xml_attr(const struct xml_node *e, const char *name);
/* xsi:type without its prefix, "" when there is none.  Caller frees. */
char *xml_type(const struct xml_node *e);

/* The text of the element as a number or a truth value; false when it is not one. */
bool xml_u64(const struct xml_node *e, uint64_t *ret);
bool xml_bool(const struct xml_node *e, bool *ret);

/* Appends the element as a document of its own: markup as the server wrote it, with the
 * namespaces that it uses.  ERR_LIMIT. */
int xml_source(struct buf *b, const struct xml_node *e, struct err *err);

/* Appends @text as character data: markup escaped, characters that XML cannot carry
 * refused.  ERR_INVALID "not_xml", ERR_LIMIT. */
int xml_escape(struct buf *b, const char *text, struct err *err);

#endif
