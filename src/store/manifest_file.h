/* store/manifest_file.h - manifests on disk: receiving, sealing, reading.   Layer 2.
 * Blocking. Format: docs/design/repository.md 3; records come as the client sends them
 * (protocol.md 5).
 * @path is always the final name ("…/000007.manifest"); while it is written it is
 * PATH.part. One thread at a time per object.  Memory is bounded: nothing grows with the
 * disk. */
#ifndef SENDENSE_STORE_MANIFEST_FILE_H
#define SENDENSE_STORE_MANIFEST_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/manifest.h"

#define MANIFEST_ROOT_SIZE 32

struct manifest_writer;
struct manifest_file;
#define CLEANUP_MANIFEST_WRITER CLEANUP(cleanup_manifest_writer)
#define CLEANUP_MANIFEST_FILE CLEANUP(cleanup_manifest_file)
void cleanup_manifest_writer(struct manifest_writer **w);
void cleanup_manifest_file(struct manifest_file **f);

/* ERR_EXISTS "manifest_exists" (PATH or PATH.part is there), ERR_NO_SPACE "repo_full",
 * ERR_IO. */
int manifest_writer_create(const char *path, const struct manifest_header *h,
                           struct manifest_writer **ret, struct err *err);

/* Goes on with PATH.part, which an earlier run left: its header must be @h.  The first
 * @records are taken, which were durable (manifest_writer_sync); with fewer that are
 * whole, in order and valid the file is damaged.  What follows is cut off. ERR_NOT_FOUND;
 * ERR_CORRUPT "manifest_corrupt" or "manifest_unsupported"; ERR_EXISTS "manifest_exists"
 * (it was sealed); ERR_IO. */
int manifest_writer_reopen(const char *path, const struct manifest_header *h,
                           uint64_t records, struct manifest_writer **ret,
                           struct err *err);

/* @p: whole records, the first of which is number @first.  Records that are there already
 * are compared and skipped.  *ret_total = how many records the file has now, on failure
 * as well (the "expected" of a gap).  Nothing is kept of a call that fails. ERR_EXISTS
 * "manifest_gap" (@first is beyond the end) or "manifest_conflict" (other content);
 * ERR_INVALID "manifest_invalid" (no whole records, order, range, state); ERR_NO_SPACE
 * "repo_full". */
int manifest_writer_append(struct manifest_writer *w, uint64_t first, const void *p,
                           size_t n, uint64_t *ret_total, struct err *err);
uint64_t manifest_writer_count(const struct manifest_writer *w);
/* The first block that the next record may name: the end of the last one. */
uint64_t manifest_writer_next_block(const struct manifest_writer *w);
/* All records so far are durable on return.  As an append for errors. */
int manifest_writer_sync(struct manifest_writer *w, struct err *err);
/* A descriptor of its own to read the records so far from, at MANIFEST_HEADER_SIZE +
 * number * MANIFEST_RECORD_SIZE; the caller's.  What is counted never changes. */
int manifest_writer_read_fd(const struct manifest_writer *w, struct err *err);
/* Layer root over what is stored so far. */
int manifest_writer_root(struct manifest_writer *w, uint8_t ret_root[MANIFEST_ROOT_SIZE],
                         struct err *err);
/* Trailer, fsync, rename, fsync of the folder.  Afterwards only the getters and free
 * work. */
int manifest_writer_seal(struct manifest_writer *w, uint8_t ret_root[MANIFEST_ROOT_SIZE],
                         struct err *err);
/* NULL ok; leaves PATH.part where it is. */
void manifest_writer_free(struct manifest_writer *w);

/* Checks header, trailer and size.  ERR_NOT_FOUND; ERR_CORRUPT "manifest_corrupt";
 * ERR_IO. */
int manifest_file_open(const char *path, struct manifest_file **ret, struct err *err);
const struct manifest_header *manifest_file_header(const struct manifest_file *f);
uint64_t manifest_file_count(const struct manifest_file *f);
const uint8_t *
manifest_file_root(const struct manifest_file *f); /* as the trailer says */
/* 1 = *ret is the next record; 0 = the end, and by then order, range and root were
 * checked. ERR_CORRUPT "manifest_corrupt". */
int manifest_file_next(struct manifest_file *f, struct manifest_record *ret,
                       struct err *err);
int manifest_file_rewind(struct manifest_file *f, struct err *err);
/* The next record is the first one that ends after @block.  From then on order and range
 * are checked and the root is not: only a whole reading can. */
int manifest_file_seek(struct manifest_file *f, uint64_t block, struct err *err);
/* Record @number (< count), wherever the reading stands. */
int manifest_file_at(struct manifest_file *f, uint64_t number,
                     struct manifest_record *ret, struct err *err);
/* 1 = *ret is the record that holds @block, 0 = there is none.  A few small reads. */
int manifest_file_find(struct manifest_file *f, uint64_t block,
                       struct manifest_record *ret, struct err *err);
void manifest_file_free(struct manifest_file *f); /* NULL ok */
/* What this process has read of manifests so far: what a job costs is to follow what
 * changed. */
uint64_t manifest_file_bytes_read(void);

/* Reads it all; *ret_root may be NULL. */
int manifest_file_check(const char *path, uint8_t ret_root[MANIFEST_ROOT_SIZE],
                        struct err *err);

#endif
