/* store/group_roots.h - the digests of the groups of one disk at one point.   Layer 2.
 * Blocking.  Format: docs/design/repository.md 3.1.
 *
 * What the next backup saves itself to compute anew.  Nothing depends on it: a file that
 * is missing, cut or wrong is made again from the manifests, so it is not even fsynced.
 * What it says counts only where all of it gives the content root of the point.  One
 * thread at a time per object; memory is bounded. */
#ifndef SENDENSE_STORE_GROUP_ROOTS_H
#define SENDENSE_STORE_GROUP_ROOTS_H

#include <stdint.h>

#include "base/cleanup.h"
#include "base/err.h"
#include "model/manifest.h"

#define GROUP_ROOTS_SUFFIX ".roots"

struct group_roots_id {
    uint64_t disk_size;
    uint8_t layer_id[MANIFEST_ID_SIZE];
    uint8_t disk_uuid[MANIFEST_ID_SIZE];
};

struct group_roots_writer;
#define CLEANUP_GROUP_ROOTS_WRITER CLEANUP(cleanup_group_roots_writer)
void cleanup_group_roots_writer(struct group_roots_writer **w);

/* Whatever is at @path is replaced. */
int group_roots_create(const char *path, const struct group_roots_id *id,
                       struct group_roots_writer **ret, struct err *err);
/* Ascending. */
int group_roots_put(struct group_roots_writer *w, uint64_t group,
                    const uint8_t digest[MANIFEST_HASH_SIZE], struct err *err);
/* From here on the file is valid. */
int group_roots_seal(struct group_roots_writer *w,
                     const uint8_t content_root[MANIFEST_HASH_SIZE], struct err *err);
/* One that is not sealed is removed.  NULL ok. */
void group_roots_writer_free(struct group_roots_writer *w);

struct group_roots;
#define CLEANUP_GROUP_ROOTS CLEANUP(cleanup_group_roots)
void cleanup_group_roots(struct group_roots **g);

/* Checks the header.  ERR_NOT_FOUND; ERR_CORRUPT "roots_corrupt"; ERR_IO. */
int group_roots_open(const char *path, struct group_roots **ret, struct err *err);
/* The same, and all of it is read: ERR_EXISTS "roots_unusable" when it is missing,
 * damaged, not @want's, or its digests do not give @content_root.  The next group is the
 * first. */
int group_roots_open_checked(const char *path, const struct group_roots_id *want,
                             const uint8_t content_root[MANIFEST_HASH_SIZE],
                             struct group_roots **ret, struct err *err);
const struct group_roots_id *group_roots_id(const struct group_roots *g);
const uint8_t *group_roots_content_root(const struct group_roots *g);
/* 1 = a group and its digest, ascending; 0 = the end.  Groups that are left out hold
 * zeroes.  ERR_CORRUPT "roots_corrupt". */
int group_roots_next(struct group_roots *g, uint64_t *ret_group,
                     uint8_t ret_digest[MANIFEST_HASH_SIZE], struct err *err);
/* 1 = the digest of @group, 0 = it is left out; wherever the reading stands. */
int group_roots_find(const struct group_roots *g, uint64_t group,
                     uint8_t ret_digest[MANIFEST_HASH_SIZE], struct err *err);
void group_roots_free(struct group_roots *g); /* NULL ok */
/* What is wrong with the digests is no damage of the backup: ERR_EXISTS "roots_unusable",
 * unless somebody cancelled or a limit was reached.  Returns the class. */
int group_roots_unusable(struct err *err);

#endif
