/* os/seal.c - see seal.h. */
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "os/seal.h"

#define SEAL_VERSION 1
#define NONCE_SIZE crypto_aead_xchacha20poly1305_ietf_NPUBBYTES
#define TAG_SIZE crypto_aead_xchacha20poly1305_ietf_ABYTES
#define KEY_SIZE crypto_aead_xchacha20poly1305_ietf_KEYBYTES
#define HEAD_SIZE (1 + NONCE_SIZE)
#define PLAIN_MAX 65536
#define CONTEXT_MAX 255
#define BASE64 sodium_base64_VARIANT_ORIGINAL
#define TOKEN_PREFIX "sendense_"
#define TOKEN_BYTES 32

struct seal_key {
    unsigned char bytes[KEY_SIZE];
};

static int sodium_state = -1; /* of sodium_init(); written once */

static void
start_sodium(void)
{
    sodium_state = sodium_init();
}

static int
need_sodium(struct err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, start_sodium);
    if (sodium_state < 0)
        return err_set(err, ERR_INTERNAL, NULL, "libsodium cannot start");
    return 0;
}

int
seal_key_create(const char *path, struct err *err)
{
    char text[2 * KEY_SIZE + 2]; /* hex, newline, NUL */
    int r;

    random_hex(text, KEY_SIZE);
    text[2 * KEY_SIZE] = '\n';
    r = fs_create_file_durable(path, text, 2 * KEY_SIZE + 1, 0600, err);
    sodium_memzero(text, sizeof(text));
    return r < 0 ? err_prefix(err, "create seal key") : 0;
}

void
seal_key_free(struct seal_key *k)
{
    sodium_free(k); /* wipes; NULL ok */
}

int
seal_key_load(const char *path, struct seal_key **ret, struct err *err)
{
    CLEANUP_SECRET struct secret *hex = NULL;
    struct seal_key *k;
    int r = secret_from_file(path, &hex, err);

    if (r < 0)
        return err_prefix(err, "load seal key");
    if (need_sodium(err) < 0)
        return err->class;
    k = sodium_malloc(sizeof(*k));
    if (!k)
        return err_set(err, ERR_LIMIT, NULL, "no locked memory for the seal key");
    if (text_unhex(secret_reveal(hex), k->bytes, sizeof(k->bytes)) < 0) {
        seal_key_free(k);
        return err_set(err, ERR_CORRUPT, NULL, "seal key '%s' is not %zu hex digits",
                       path, 2 * sizeof(k->bytes));
    }
    *ret = k;
    return 0;
}

/* What is authenticated beside the text: the version byte, then the context. */
static int
make_ad(const char *context, unsigned char ad[1 + CONTEXT_MAX], size_t *ret_n,
        struct err *err)
{
    size_t n = strlen(context);

    if (n > CONTEXT_MAX)
        return err_set(err, ERR_INVALID, NULL, "seal context is longer than %d",
                       CONTEXT_MAX);
    ad[0] = SEAL_VERSION;
    memcpy(ad + 1, context, n);
    *ret_n = n + 1;
    return 0;
}

int
seal_text(const struct seal_key *k, const char *context, const struct secret *plain,
          char **ret_sealed, struct err *err)
{
    unsigned char ad[1 + CONTEXT_MAX];
    CLEANUP_FREE unsigned char *box = NULL;
    size_t ad_len = 0, plain_len = secret_len(plain), text_size;
    unsigned long long sealed_len = 0;
    char *text;
    int r = make_ad(context, ad, &ad_len, err);

    if (r < 0)
        return r;
    if (!plain || plain_len > PLAIN_MAX)
        return err_set(err, ERR_INVALID, NULL,
                       "secret must be present and at most %d bytes", PLAIN_MAX);
    if (need_sodium(err) < 0)
        return err->class;
    box = xcalloc(1, HEAD_SIZE + plain_len + TAG_SIZE);
    box[0] = SEAL_VERSION;
    randombytes_buf(box + 1, NONCE_SIZE);
    crypto_aead_xchacha20poly1305_ietf_encrypt(
        box + HEAD_SIZE, &sealed_len, (const unsigned char *)secret_reveal(plain),
        plain_len, ad, ad_len, NULL, box + 1, k->bytes);
    text_size = sodium_base64_encoded_len(HEAD_SIZE + (size_t)sealed_len, BASE64);
    text = xcalloc(1, text_size);
    sodium_bin2base64(text, text_size, box, HEAD_SIZE + (size_t)sealed_len, BASE64);
    *ret_sealed = text;
    return 0;
}

static int
unseal_failed(struct err *err)
{
    return err_set(err, ERR_CORRUPT, "unseal_failed",
                   "sealed secret cannot be opened: other key, other place, or damaged");
}

int
unseal_text(const struct seal_key *k, const char *context, const char *sealed,
            struct secret **ret_plain, struct err *err)
{
    const size_t box_max = HEAD_SIZE + PLAIN_MAX + TAG_SIZE;
    CLEANUP_FREE unsigned char *box = NULL;
    CLEANUP_FREE char *plain = NULL;
    unsigned char ad[1 + CONTEXT_MAX];
    size_t ad_len = 0, n = 0, text_len = strlen(sealed);
    unsigned long long plain_len = 0;
    int r = make_ad(context, ad, &ad_len, err);

    if (r < 0)
        return r;
    if (need_sodium(err) < 0)
        return err->class;
    if (text_len >= sodium_base64_encoded_len(box_max, BASE64))
        return unseal_failed(err);
    box = xcalloc(1, text_len + 1);
    if (sodium_base642bin(box, text_len, sealed, text_len, NULL, &n, NULL, BASE64) < 0 ||
        n < HEAD_SIZE + TAG_SIZE || box[0] != SEAL_VERSION)
        return unseal_failed(err);
    plain = xcalloc(1, n);
    if (crypto_aead_xchacha20poly1305_ietf_decrypt((unsigned char *)plain, &plain_len,
                                                   NULL, box + HEAD_SIZE, n - HEAD_SIZE,
                                                   ad, ad_len, box + 1, k->bytes) < 0)
        return unseal_failed(err);
    *ret_plain = secret_new(plain, (size_t)plain_len);
    sodium_memzero(plain, n);
    return 0;
}

void
token_make(char out[TOKEN_STR_SIZE])
{
    unsigned char bytes[TOKEN_BYTES];
    char hex[2 * TOKEN_BYTES + 1];
    size_t prefix = strlen(TOKEN_PREFIX);

    random_hex(hex, sizeof(bytes));
    text_unhex(hex, bytes, sizeof(bytes));
    memcpy(out, TOKEN_PREFIX, prefix);
    sodium_bin2base64(out + prefix, TOKEN_STR_SIZE - prefix, bytes, sizeof(bytes),
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof(bytes));
    sodium_memzero(hex, sizeof(hex));
}

void
token_hash(const char *token, char out[TOKEN_HASH_SIZE])
{
    unsigned char digest[crypto_hash_sha256_BYTES];

    crypto_hash_sha256(digest, (const unsigned char *)token, strlen(token));
    text_hex(digest, sizeof(digest), out);
}
