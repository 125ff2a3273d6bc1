/* base/json.h - jansson with our limits and our error convention.         Layer 0.
 *
 * struct jreader walks one object strictly: every member must be asked for, unknown
 * members are refused by jreader_end().  The first failure sticks, later getters return
 * defaults; so a decoder is a plain list of getters and one jreader_end(). */
#ifndef SENDENSE_BASE_JSON_H
#define SENDENSE_BASE_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define JSON_DEPTH_MAX 32
#define CLEANUP_JSON CLEANUP(cleanup_json)
void cleanup_json(json_t **j);

/* Parses one value of @n bytes; duplicates, trailing text, depth over JSON_DEPTH_MAX and
 * bad UTF-8 are refused.  ERR_INVALID "malformed_json" with line and column, and never a
 * piece of the text itself, which may hold a secret.  *ret owned by caller. */
int json_parse(const char *text, size_t n, json_t **ret, struct err *err);

/* Compact single line; caller frees.  Never NULL for a valid value. */
char *json_line(const json_t *j);

#define JREADER_KEYS_MAX 48

struct jreader {
    const json_t *obj;
    const char *what; /* for messages: "job spec", "request" */
    struct err *err;  /* sticky: getters do nothing once err->class != 0 */
    unsigned n_asked;
    const char *asked[JREADER_KEYS_MAX]; /* names asked for; string literals */
};

/* ERR_INVALID "invalid_field" when @obj is no object. */
void jreader_init(struct jreader *r, const json_t *obj, const char *what,
                  struct err *err);

/* Required getters: missing or wrong type = ERR_INVALID "invalid_field", message names
 * the field. Strings live as long as the object.  After a failure: "", 0, false, NULL. */
const char *jget_str(struct jreader *r, const char *key);
uint64_t jget_u64(struct jreader *r, const char *key); /* integer 0..2^63-1 */
bool jget_bool(struct jreader *r, const char *key);
const json_t *jget_obj(struct jreader *r, const char *key);
const json_t *jget_arr(struct jreader *r, const char *key);

/* Optional ones: absent or null gives @def / NULL. */
const char *jopt_str(struct jreader *r, const char *key, const char *def);
uint64_t jopt_u64(struct jreader *r, const char *key, uint64_t def);
bool jopt_bool(struct jreader *r, const char *key, bool def);
const json_t *jopt_obj(struct jreader *r, const char *key);
const json_t *jopt_arr(struct jreader *r, const char *key);

/* Refuses members that nobody asked for ("unknown_field").  Returns 0 or err->class. */
int jreader_end(struct jreader *r);

/* For readers of newer minor versions of a peer: no complaint about unknown members. */
int jreader_end_lax(struct jreader *r);

#endif
