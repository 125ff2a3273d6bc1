/* os/seal.h - secrets at rest: XChaCha20-Poly1305 under a key file of mode 0600
 * (libsodium). Layer 1.  A sealed text is base64 of {version byte, nonce, ciphertext};
 * the @context string
 * ("nodes.token:1") is authenticated, so that a sealed value cannot be moved to another
 * row. */
#ifndef SENDENSE_OS_SEAL_H
#define SENDENSE_OS_SEAL_H

#include "base/err.h"
#include "base/secret.h"

struct seal_key;

int seal_key_create(const char *path, struct err *err); /* ERR_EXISTS when there is one */
int seal_key_load(const char *path, struct seal_key **ret, struct err *err);
void seal_key_free(struct seal_key *k); /* wipes */

int seal_text(const struct seal_key *k, const char *context, const struct secret *plain,
              char **ret_sealed, struct err *err);
/* ERR_CORRUPT "unseal_failed": other key, other context, or damaged. */
int unseal_text(const struct seal_key *k, const char *context, const char *sealed,
                struct secret **ret_plain, struct err *err);

/* Tokens of the API: "sendense_" + 43 base64url characters (256 random bits). */
#define TOKEN_STR_SIZE 64
void token_make(char out[TOKEN_STR_SIZE]);
#define TOKEN_HASH_SIZE                                                                  \
    65 /* hex of SHA-256: tokens are random, so no slow hash is needed */
void token_hash(const char *token, char out[TOKEN_HASH_SIZE]);

#endif
