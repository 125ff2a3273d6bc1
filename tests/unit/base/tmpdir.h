/* tests/unit/base/tmpdir.h - a scratch folder per test program. */
#ifndef SENDENSE_TESTS_TMPDIR_H
#define SENDENSE_TESTS_TMPDIR_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define TMPDIR_SIZE 256

static inline int
tmpdir_remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void
tmpdir_make(char dir[TMPDIR_SIZE])
{
    const char *base = getenv("TMPDIR");

    snprintf(dir, TMPDIR_SIZE, "%s/sendense-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(dir))
        abort();
}

static inline void
tmpdir_remove(const char *dir)
{
    nftw(dir, tmpdir_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

#endif
