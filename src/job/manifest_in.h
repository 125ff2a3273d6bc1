/* job/manifest_in.h - receives the manifests of a running backup.          Layer 3.
 *
 * The client pushes records while it copies (docs/design/protocol.md 5).  One struct
 * manifest_in per backup; it hangs on the live job while the job transfers, so a push for
 * a job that does not receive finds nothing.  Not thread-safe by itself: users hold
 * live_manifests_lock(). */
#ifndef SENDENSE_JOB_MANIFEST_IN_H
#define SENDENSE_JOB_MANIFEST_IN_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "job/chain.h"
#include "job/parent_manifest.h"
#include "model/manifest.h"
#include "os/seal.h"

struct manifest_in;

struct manifest_in *manifest_in_new(const char *token_hash);
void manifest_in_free(struct manifest_in *m); /* NULL ok; .part files stay */

/* Starts the manifest of one disk at @path (its final name).  As
 * manifest_writer_create(). */
int manifest_in_add(struct manifest_in *m, uint32_t key, const char *path,
                    const struct manifest_header *h, struct err *err);

/* Goes on with what an earlier attempt left; @records and @block as they were stored.  As
 * manifest_writer_reopen(). */
int manifest_in_reopen(struct manifest_in *m, uint32_t key, const char *path,
                       const struct manifest_header *h, uint64_t records, uint64_t block,
                       struct err *err);

/* What disk @key, already added, stands on; @chain is taken (and zeroed).  Not for a
 * full.
 */
int manifest_in_set_parent(struct manifest_in *m, uint32_t key, struct chain *chain,
                           struct err *err);
/* Opens that chain for one question; the object is the caller's and needs no lock.
 * ERR_NOT_FOUND "no_parent" for a full; else as parent_manifest_open(). */
int manifest_in_open_parent(struct manifest_in *m, uint32_t key,
                            struct parent_manifest **ret, struct err *err);

/* ERR_AUTH "forbidden" for another token, ERR_NOT_FOUND "disk_not_found". */
int manifest_in_check(struct manifest_in *m, const char *token, uint32_t key,
                      struct err *err);

/* As manifest_writer_append(): *ret_total is right on failure as well. */
int manifest_in_append(struct manifest_in *m, uint32_t key, uint64_t first, const void *p,
                       size_t n, uint64_t *ret_total, struct err *err);
uint64_t manifest_in_count(struct manifest_in *m, uint32_t key);

/* The client dealt with all blocks below @block; the records that are there belong to
 * them.  It only grows: less than what is known is a repeat, and harmless.  ERR_INVALID
 * "manifest_invalid" when it is beyond the disk. */
int manifest_in_set_block(struct manifest_in *m, uint32_t key, uint64_t block,
                          struct err *err);
/* All blocks below were dealt with; 0 = none, or no such disk.  With manifest_in_count()
 * it is the resume checkpoint of the next attempt. */
uint64_t manifest_in_block(struct manifest_in *m, uint32_t key);
/* The same two numbers, once these records are durable: only then may they be stored. */
int manifest_in_checkpoint(struct manifest_in *m, uint32_t key, uint64_t *ret_block,
                           uint64_t *ret_records, struct err *err);

/* Records @first to @first + @count - 1, for the client that goes on; ERR_INVALID
 * "invalid_parameter" when there are fewer.  The object is the caller's and needs no
 * lock.  _read: whole records, at most @n bytes; 0 = the end. */
struct records_out;
int manifest_in_open_records(struct manifest_in *m, uint32_t key, uint64_t first,
                             uint64_t count, struct records_out **ret, struct err *err);
int records_out_read(struct records_out *o, void *p, size_t n, size_t *ret_n,
                     struct err *err);
void records_out_free(struct records_out *o); /* NULL ok */
#define CLEANUP_RECORDS_OUT CLEANUP(cleanup_records_out)
void cleanup_records_out(struct records_out **o);

/* The client says that no more records come: later appends of new records are refused. */
int manifest_in_final(struct manifest_in *m, uint32_t key,
                      uint8_t ret_root[MANIFEST_HASH_SIZE], struct err *err);

/* Trailer, fsync, rename.  ERR_PROTOCOL "manifest_incomplete" when the final push is
 * missing. */
int manifest_in_seal(struct manifest_in *m, uint32_t key,
                     uint8_t ret_root[MANIFEST_HASH_SIZE], uint64_t *ret_records,
                     struct err *err);

#endif
