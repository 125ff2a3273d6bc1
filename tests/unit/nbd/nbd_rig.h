/* tests/unit/nbd/nbd_rig.h - real NBD servers for tests: nbdkit and qemu-nbd on Unix
 * sockets in a temporary folder.  Failures fail the running cmocka test. */
#ifndef SENDENSE_TESTS_NBD_RIG_H
#define SENDENSE_TESTS_NBD_RIG_H

#include <stddef.h>
#include <stdint.h>

#include "os/child.h"

#define RIG_TEXT 512

struct rig {
    char dir[RIG_TEXT];
};

struct rig_server {
    struct child *child;
    char uri[RIG_TEXT];
};

void rig_init(struct rig *r);
void rig_done(struct rig *r); /* removes the folder and what is in it */
void rig_path(const struct rig *r, const char *name, char out[RIG_TEXT]);

/* nbdkit with the words of @args (plugin first); ready when it returns. */
void rig_nbdkit(struct rig *r, const char *name, const char *const *args,
                struct rig_server *ret);
/* qemu-nbd of DIR/@file in @format, export name "exp", description @description (or
 * NULL). */
void rig_qemu_nbd(struct rig *r, const char *file, const char *format,
                  const char *description, struct rig_server *ret);
/* qemu-nbd of whatever @words say; @name names its socket. */
void rig_qemu_nbd_words(struct rig *r, const char *name, const char *const *words,
                        struct rig_server *ret);
void rig_stop(struct rig_server *s);
void rig_signal(struct rig_server *s, int sig); /* to the server alone */

/* DIR/@name, @size bytes: @runs random runs of random data, the rest a hole; seeded. */
void rig_sparse_file(struct rig *r, const char *name, uint64_t size, unsigned runs,
                     unsigned seed);
void rig_write(struct rig *r, const char *name, const void *p, size_t n, uint64_t off);
void rig_qcow2(struct rig *r, const char *name, uint64_t size);
/* Asserts that the first @size bytes of the raw files are equal, after qemu-img made
 * @qcow2 raw. */
void rig_assert_equal(struct rig *r, const char *raw, const char *qcow2, uint64_t size);

#endif
