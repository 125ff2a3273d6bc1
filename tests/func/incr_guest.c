/* tests/func/incr_guest.c - the guest: its disks and what it writes; see incr_rig.h. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/mem.h"
#include "incr_rig_priv.h"

#define BLOCK ((uint64_t)MANIFEST_BLOCK_SIZE)

void
incr_raw_path(const struct incr *w, const struct incr_disk *d, char out[RIG_TEXT])
{
    char name[32];

    snprintf(name, sizeof(name), "%u.raw", d->key);
    rig_path(&w->rig, name, out);
}

void
incr_copy_path(const struct incr *w, uint32_t key, uint32_t seq, char out[RIG_TEXT])
{
    char name[48];

    snprintf(name, sizeof(name), "copy-%u-%u", key, seq);
    rig_path(&w->rig, name, out);
}

void
incr_grow(struct incr *w, struct incr_disk *d, uint64_t size)
{
    char path[RIG_TEXT];
    uint64_t blocks = manifest_blocks(size);

    incr_raw_path(w, d, path);
    assert_int_equal(truncate(path, (off_t)size), 0);
    d->dirty = xreallocarray(d->dirty, blocks, sizeof(*d->dirty));
    for (uint64_t b = d->blocks; b < blocks; b++)
        d->dirty[b] = false;
    d->blocks = blocks;
    d->size = size;
}

struct incr_disk *
incr_add_disk(struct incr *w, uint32_t key, uint64_t size)
{
    struct incr_disk *d = &w->disks[w->n++];
    char path[RIG_TEXT];
    struct err err = ERR_INIT;
    CLEANUP_FD int fd = -1;

    assert_true(w->n <= INCR_DISKS);
    *d = (struct incr_disk){.key = key, .read = READ_ALL, .reason = REASON_NO_PARENT};
    uuid_make(d->uuid);
    incr_raw_path(w, d, path);
    fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0)
        err_errno(&err, errno, NULL, "%s", path);
    incr_check(err.class, &err);
    incr_grow(w, d, size);
    return d;
}

void
incr_write(struct incr *w, struct incr_disk *d, uint64_t off, uint64_t n, unsigned seed,
           bool punch)
{
    CLEANUP_FREE unsigned char *p = calloc(1, (size_t)n);
    char path[RIG_TEXT];
    struct err err = ERR_INIT;
    CLEANUP_FD int fd = -1;

    assert_true(n > 0 && off + n <= d->size);
    incr_raw_path(w, d, path);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    for (uint64_t i = 0; seed && i < n; i++)
        p[i] = (unsigned char)(rand_r(&seed) >> 7);
    if (punch && fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
                           (off_t)n) == 0)
        p[0] = 0;
    else
        incr_check(fs_pwrite_full(fd, p, (size_t)n, off, &err), &err);
    for (uint64_t b = off / BLOCK; b <= (off + n - 1) / BLOCK; b++)
        d->dirty[b] = true;
}
