/* os/cookie_box.h - a session cookie in shared memory: one process renews it, another one
 * sends it.  Layer 1.
 * A memfd of 4,096 bytes: {u32 generation, u32 length, bytes}, little-endian.  One
 * writer: the generation is odd while it writes and even when the record is whole (a
 * seqlock); a reader that finds it odd or changed reads again.  So a cookie is never in
 * argv, in the environment or in a file, and a renewal needs no message. */
#ifndef SENDENSE_OS_COOKIE_BOX_H
#define SENDENSE_OS_COOKIE_BOX_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"

#define COOKIE_BOX_SIZE 4096u
#define COOKIE_TEXT_MAX (COOKIE_BOX_SIZE - 8u)

struct cookie_box {
    _Atomic uint32_t *words; /* the mapping, NULL = none */
};

/* A new box without cookie (generation 0); close-on-exec, its size is sealed. */
int cookie_box_create(int *ret_fd, struct err *err);

/* @fd can be closed afterwards.  ERR_INVALID: no file of at least COOKIE_BOX_SIZE. */
int cookie_box_map(int fd, bool writable, struct cookie_box *ret, struct err *err);
void cookie_box_unmap(struct cookie_box *b);
#define CLEANUP_COOKIE_BOX CLEANUP(cookie_box_unmap)

/* The only writer.  @text is what follows "Cookie: "; ERR_INVALID when it is longer than
 * COOKIE_TEXT_MAX or holds other than printable ASCII. */
int cookie_box_write(struct cookie_box *b, const char *text, size_t n, struct err *err);

/* Any number of threads.  Blocking: at most 1 s, while the writer writes; then
 * ERR_TIMEOUT.  ERR_PROTOCOL: the record is malformed.  @out is NUL-terminated, "" =
 * there is no cookie. */
int cookie_box_read(const struct cookie_box *b, char out[COOKIE_TEXT_MAX + 1],
                    uint32_t *ret_generation, struct err *err);
/* Differs from what cookie_box_read() gave when there is another cookie, or soon. */
uint32_t cookie_box_generation(const struct cookie_box *b);

#endif
