/* catalog/cat_token.h - API tokens; only their hashes are stored.      Layer 2. Blocking.
 */
#ifndef SENDENSE_CATALOG_CAT_TOKEN_H
#define SENDENSE_CATALOG_CAT_TOKEN_H

#include "catalog/catalog.h"

struct cat_token {
    const char *id; /* UUID */
    const char *name;
    const char *token_hash; /* hex; unique */
    const char *scopes;     /* comma-separated words */
    int64_t created_us;
    int64_t expires_us; /* 0 = never */
    int64_t revoked_us; /* 0 = valid */
    int64_t last_used_us;
};

struct cat_tokens {
    struct cat_token *v;
    size_t n;
    bool more; /* there is a next page */
};

void cat_token_done(struct cat_token *t);
void cat_tokens_done(struct cat_tokens *l);

/* ERR_EXISTS "token_exists" (same id or hash). */
int cat_token_add(struct catalog *c, const struct cat_token *t, struct err *err);

/* The one check of a token: ERR_AUTH "token_unknown", "token_revoked" or "token_expired"
 * (@now_us at or past expires_us). */
int cat_token_find(struct catalog *c, const char *token_hash, int64_t now_us,
                   struct cat_token *ret, struct err *err);

/* ERR_NOT_FOUND "token_not_found". */
int cat_token_get(struct catalog *c, const char *id, struct cat_token *ret,
                  struct err *err);

/* Sorted by id. */
int cat_token_list(struct catalog *c, const struct cat_page *page, struct cat_tokens *ret,
                   struct err *err);

/* Keeps the first time when revoked twice.  ERR_NOT_FOUND. */
int cat_token_revoke(struct catalog *c, const char *id, int64_t now_us, struct err *err);

/* Notes the use, at most once a minute per token: a write costs a disk flush. */
int cat_token_touch(struct catalog *c, const char *id, int64_t now_us, struct err *err);

#endif
