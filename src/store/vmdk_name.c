/* store/vmdk_name.c - see vmdk_name.h.  Numbers of the sparse header are little-endian:
 * magic "KDMV", the descriptor's first sector at byte 28, its number of sectors at 36. */
#include "store/vmdk_name.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"

#define SECTOR 512u
#define DESCRIPTOR_SECTORS_MAX 2048u

static const char *
base_name(const char *path)
{
    return strrchr(path, '/') + 1;
}

static int
bad_form(const char *path, const char *what, struct err *err)
{
    return err_set(err, ERR_PROTOCOL, "vmdk_form", "'%.300s': %s", path, what);
}

static uint64_t
le64(const unsigned char *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return le64toh(v);
}

/* Puts @to where the quoted @from is; what follows moves up, zeroes fill the end. */
static int
replace(char *text, size_t size, const char *from, const char *to, const char *path,
        struct err *err)
{
    CLEANUP_FREE char *old = xasprintf("\"%s\"", from);
    CLEANUP_FREE char *new = xasprintf("\"%s\"", to);
    size_t old_len = strlen(old), new_len = strlen(new);
    char *at = memmem(text, size, old, old_len);
    size_t rest;

    if (!at)
        return bad_form(path, "its descriptor does not name it", err);
    if (new_len > old_len)
        return bad_form(path, "its new name is longer", err);
    rest = size - (size_t)(at - text) - old_len;
    memcpy(at, new, new_len);
    memmove(at + new_len, at + old_len, rest);
    memset(at + new_len + rest, 0, old_len - new_len);
    return 0;
}

int
vmdk_name_set(const char *path, const char *final_path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    CLEANUP_FREE char *text = NULL;
    unsigned char head[SECTOR];
    uint64_t at, n;

    if (fd < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (fs_pread_full(fd, head, sizeof head, 0, err) < 0)
        return err->class;
    at = le64(head + 28);
    n = le64(head + 36);
    if (memcmp(head, "KDMV", 4) != 0 || at == 0 || at > UINT32_MAX || n == 0 ||
        n > DESCRIPTOR_SECTORS_MAX)
        return bad_form(path, "it is no sparse vmdk with a descriptor", err);
    text = xcalloc(n, SECTOR);
    if (fs_pread_full(fd, text, n * SECTOR, at * SECTOR, err) < 0 ||
        replace(text, n * SECTOR, base_name(path), base_name(final_path), path, err) < 0)
        return err->class;
    return fs_pwrite_full(fd, text, n * SECTOR, at * SECTOR, err);
}
