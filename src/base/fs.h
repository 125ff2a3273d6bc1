/* base/fs.h - files: full-length I/O, durable writes.                     Layer 0.
 * Blocking. EINTR is retried everywhere.  Descriptors are O_CLOEXEC. */
#ifndef SENDENSE_BASE_FS_H
#define SENDENSE_BASE_FS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"

/* All @n bytes or an error; a short read at end of file is ERR_CORRUPT. */
int fs_read_full(int fd, void *p, size_t n, struct err *err);
int fs_pread_full(int fd, void *p, size_t n, uint64_t off, struct err *err);
int fs_write_full(int fd, const void *p, size_t n, struct err *err);
int fs_pwrite_full(int fd, const void *p, size_t n, uint64_t off, struct err *err);

/* Reads a whole regular file into @b (up to its cap).  ERR_NOT_FOUND, ERR_LIMIT, ERR_IO.
 */
int fs_read_file(const char *path, struct buf *b, struct err *err);

/* Secret files: refused (ERR_AUTH) unless regular and mode has no group/other bits.
 * Trailing newline is removed. */
int fs_read_secret_file(const char *path, struct buf *b, struct err *err);

/* Writes "PATH.tmp" with @mode (less the umask), fsyncs it, renames it over PATH, fsyncs
 * the folder. One writer of PATH at a time; a left-over PATH.tmp is replaced. */
int fs_write_file_durable(const char *path, const void *p, size_t n, mode_t mode,
                          struct err *err);

/* As above but fails with ERR_EXISTS when PATH exists (RENAME_NOREPLACE). */
int fs_create_file_durable(const char *path, const void *p, size_t n, mode_t mode,
                           struct err *err);

int fs_rename_noreplace(const char *from, const char *to, struct err *err); /* no fsync */
int fs_sync_parent(const char *path,
                   struct err *err); /* fsync of the folder that holds path */
int fs_sync_path(const char *path, struct err *err); /* fsync of the file itself */
int fs_mkdirs(const char *path, mode_t mode,
              struct err *err); /* mkdir -p; each made one synced */
int fs_unlink(const char *path, bool missing_ok,
              struct err *err);                       /* and fsync the folder */
int fs_drop_cache(const char *path, struct err *err); /* fsync + POSIX_FADV_DONTNEED */
bool fs_exists(const char *path);                     /* lstat succeeds */

#endif
