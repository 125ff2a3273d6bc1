/* api/reply.h - small pieces that answers are made of.                       Layer 4. */
#ifndef SENDENSE_API_REPLY_H
#define SENDENSE_API_REPLY_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/catalog.h"
#include "os/http_server.h"

/* A member; NULL text or time 0 become null. */
void put_str(json_t *o, const char *key, const char *text);
void put_u64(json_t *o, const char *key, uint64_t v);
void put_time(json_t *o, const char *key, int64_t utc_us);
void put_json_text(json_t *o, const char *key,
                   const char *text); /* stored JSON; NULL = null */
/* error: {code, phase, device_key?, message} or null. */
void put_error(json_t *o, const char *code, const char *phase, const char *message);

/* Opaque cursors of lists: a time and an id. */
struct cursor {
    int64_t us;
    char id[64];
};
#define PAGE_MAX 500u
#define PAGE_DEFAULT 100u
/* One page of a list, from the query to the answer; not to be copied. */
struct listing {
    struct cat_page page; /* for the catalog */
    struct cursor after, last;
    json_t *items;
};
/* Reads `limit` and `after`; @known: the query's other members, NULL at the end, or NULL.
 * ERR_INVALID "invalid_parameter". */
int listing_begin(struct http_call *call, const char *const *known, struct listing *ret,
                  struct err *err);
/* @item is taken; @id and @us are the list's sort key (0 where it has no time). */
void listing_add(struct listing *l, json_t *item, const char *id, int64_t us);
/* {"ITEMS": [...], "next": cursor or null}; ends @l. */
json_t *listing_end(struct listing *l, const char *items, bool more);
/* {"ITEMS": array (taken), "next": cursor or null}. */
json_t *page_reply(const char *items, json_t *array, const struct cursor *next);

#endif
