/* tests/unit/store/store_test.h - what the tests of store/ share. */
#ifndef SENDENSE_STORE_TEST_H
#define SENDENSE_STORE_TEST_H

/* clang-format off: cmocka.h needs these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "base/mem.h"

#define VM_A "018f0000-0000-7000-8000-00000000000a"
#define DISK_A "018f0000-0000-7000-8000-0000000000d1"
#define DISK_B "018f0000-0000-7000-8000-0000000000d2"
#define HUB_A "018f0000-0000-7000-8000-000000000001"
#define HUB_B "018f0000-0000-7000-8000-000000000002"
#define LOC(disk, seq) "vms/" VM_A "/disks/" disk "/" seq

#define assert_ok(expr)                                                                  \
    do {                                                                                 \
        if ((expr) < 0)                                                                  \
            fail_msg("%s: %s (%s)", #expr, err.msg, err.code);                           \
    } while (0)

/* @expr fails with this class and code, and the message is not empty. */
#define assert_fails(expr, class_, code_)                                                \
    do {                                                                                 \
        err = (struct err)ERR_INIT;                                                      \
        assert_int_equal((expr), (class_));                                              \
        assert_int_equal(err.class, (class_));                                           \
        if ((code_) != NULL)                                                             \
            assert_string_equal(err.code, (code_));                                      \
        assert_true(err.msg[0] != '\0');                                                 \
        err = (struct err)ERR_INIT;                                                      \
    } while (0)

static inline int
remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

/* A fresh folder per test; *state is its path. */
static inline int
tmp_setup(void **state)
{
    char *dir = xstrdup("/tmp/store-test-XXXXXX");

    if (mkdtemp(dir) == NULL)
        return -1;
    *state = dir;
    return 0;
}

static inline int
tmp_teardown(void **state)
{
    int r = nftw(*state, remove_one, 16, FTW_DEPTH | FTW_PHYS);

    free(*state);
    return r;
}

#define TMP_TEST(f) cmocka_unit_test_setup_teardown(f, tmp_setup, tmp_teardown)

static inline unsigned
count_entries(const char *dir)
{
    unsigned n = 0;
    DIR *d = opendir(dir);
    const struct dirent *e;

    assert_non_null(d);
    while ((e = readdir(d)) != NULL)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            n++;
    closedir(d);
    return n;
}

static inline void
put_file(const char *path, const void *p, size_t n)
{
    FILE *f = fopen(path, "wb");

    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}

static inline char *
get_file(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    char *p;

    assert_non_null(f);
    assert_int_equal(fstat(fileno(f), &st), 0);
    p = xcalloc(1, (size_t)st.st_size + 1);
    assert_int_equal(fread(p, 1, (size_t)st.st_size, f), st.st_size);
    fclose(f);
    *ret_n = (size_t)st.st_size;
    return p;
}

#endif
