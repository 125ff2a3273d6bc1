/* model/codec.h - getters on top of struct jreader, shared by the codecs.  Internal to
 * model. Like the getters of base/json.h they do nothing after the first failure; every
 * refusal is ERR_INVALID "invalid_field" and names the member. */
#ifndef SENDENSE_MODEL_CODEC_H
#define SENDENSE_MODEL_CODEC_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"
#include "base/text.h"
#include "model/manifest.h"

#define CODEC_I64_MAX ((uint64_t)INT64_MAX)
#define CODEC_U31_MAX 2147483647u

void codec_fail(struct jreader *r, const char *key, const char *problem);

/* "v": 1, or ERR_INVALID "unsupported_version". */
void codec_version(struct jreader *r);
uint64_t codec_range(struct jreader *r, const char *key, uint64_t min, uint64_t max);
/* Copies of @min..@max bytes; NULL after a failure. */
char *codec_str(struct jreader *r, const char *key, size_t min, size_t max);
char *codec_str_opt(struct jreader *r, const char *key, size_t min, size_t max);
char *codec_name(struct jreader *r, const char *key); /* naming_name_check() */
char *codec_code(struct jreader *r, const char *key); /* [a-z0-9_]{1,47}; required */
char *codec_uri(struct jreader *r, const char *key);  /* targets_uri_check(); required */
void codec_uuid(struct jreader *r, const char *key, char out[UUID_STR_SIZE]);
void codec_uuid_opt(struct jreader *r, const char *key, char out[UUID_STR_SIZE]); /* "" */
void codec_hash(struct jreader *r, const char *key, uint8_t out[MANIFEST_HASH_SIZE]);
bool codec_hash_opt(struct jreader *r, const char *key, uint8_t out[MANIFEST_HASH_SIZE]);
int64_t codec_time(struct jreader *r, const char *key);
/* An array of @min..@max items; NULL after a failure. */
const json_t *codec_array(struct jreader *r, const char *key, size_t min, size_t max);
/* A word of an enum, by its *_from_str(). */
#define codec_word(r, key, from_str, ret)                                                \
    do {                                                                                 \
        const char *codec_word_s = jget_str((r), (key));                                 \
        if ((r)->err->class == 0 && from_str(codec_word_s, (ret)) < 0)                   \
            codec_fail((r), (key), "has an unknown value");                              \
    } while (0)
/* For lists whose item 0 stands for null: its word is ours and not one of the wire. */
#define codec_word_opt(r, key, from_str, ret)                                            \
    do {                                                                                 \
        const char *codec_word_s = jopt_str((r), (key), NULL);                           \
        if (codec_word_s && (r)->err->class == 0 &&                                      \
            (from_str(codec_word_s, (ret)) < 0 || *(ret) == 0))                          \
            codec_fail((r), (key), "has an unknown value");                              \
    } while (0)

/* True when two of the strings at @first, @first + @stride, ... are equal.  "" never
 * counts. */
bool codec_has_twins(const char *first, size_t stride, size_t n);
bool codec_has_twin_keys(const uint32_t *first, size_t stride, size_t n);

/* Setters.  Text that is not UTF-8 loses the bad bytes to '?'; longer than @max is cut at
 * a character.  NULL, "" of a uuid and !have of a hash become null. */
void codec_put(json_t *o, const char *key, json_t *v_take);
void codec_put_u64(json_t *o, const char *key, uint64_t v);
void codec_put_str(json_t *o, const char *key, const char *s);
void codec_put_text(json_t *o, const char *key, const char *s, size_t max);
void codec_put_uuid(json_t *o, const char *key, const char *uuid);
void codec_put_hash(json_t *o, const char *key, bool have, const uint8_t *hash);
void codec_put_time(json_t *o, const char *key, int64_t utc_us);

/* Parses a line of at most @max bytes; a trailing newline is no part of it. */
int codec_line(const char *line, size_t n, size_t max, json_t **ret, struct err *err);

#endif
