/* tests/fuzz/fuzz_manifest.c - sealed manifests, in pieces of a size that the input
 * chooses. Built for libFuzzer, or with replay.c as a program that runs the files it is
 * given. */
#include <openssl/evp.h>
#include <string.h>

#include "base/cleanup.h"
#include "model/manifest.h"
#include "fuzz.h"

struct seen {
    uint64_t next, n;
};

static int
on_record(void *arg, const struct manifest_record *r, struct err *err)
{
    struct seen *s = arg;

    MUST(r->block >= s->next && r->count > 0);
    s->next = r->block + r->count;
    s->n++;
    return 0;
}

static void
run(const uint8_t *data, size_t size)
{
    CLEANUP_MANIFEST_READER struct manifest_reader *r = NULL;
    struct manifest_trailer t;
    struct seen s = {0};
    struct err err = ERR_INIT;
    size_t step = size ? 1 + data[size - 1] * 16u : 1;

    if (manifest_reader_new(size, on_record, &s, &r, &err) < 0)
        return;
    for (size_t at = 0; at < size; at += step)
        if (manifest_reader_feed(r, data + at, size - at < step ? size - at : step,
                                 &err) < 0)
            break;
    if (err.class == 0 && manifest_reader_end(r, &t, &err) == 0) {
        MUST(t.count == s.n && size == manifest_file_size(s.n));
        MUST(s.next <= manifest_blocks(manifest_reader_header(r)->disk_size));
    }
    MUST(err.class == 0 || err.class == ERR_CORRUPT);
}

/* A random change breaks a checksum first of all; with the sums made right the rest is
 * reached too. */
static void
fix_sums(uint8_t *f, size_t size)
{
    EVP_Digest(f, MANIFEST_HEADER_SIZE - 32, f + MANIFEST_HEADER_SIZE - 32, NULL,
               EVP_sha256(), NULL);
    EVP_Digest(f, size - MANIFEST_TRAILER_SIZE, f + size - 48, NULL, EVP_sha256(), NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *fixed;

    run(data, size);
    if (size < manifest_file_size(0))
        return 0;
    fixed = malloc(size);
    MUST(fixed != NULL);
    memcpy(fixed, data, size);
    fix_sums(fixed, size);
    run(fixed, size);
    free(fixed);
    return 0;
}
