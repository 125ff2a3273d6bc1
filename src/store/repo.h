/* store/repo.h - a backup repository behind one vtable.                   Layer 2.
 * Blocking.
 *
 * Format: docs/design/repository.md.  A *name* is a path inside the repository: relative,
 * parts of [a-z0-9._-], none of them starting with a dot.  A *locator* is the name of a
 * layer without its suffix ("vms/VM_UUID/disks/DISK_UUID/000007").  No symbolic link
 * below the repository's own folder is ever followed. Thread-safe, but
 * repo_create/open/lock/close: one thread. What changes the repository needs repo_lock()
 * first: ERR_UNAVAILABLE "repo_not_locked". */
#ifndef SENDENSE_STORE_REPO_H
#define SENDENSE_STORE_REPO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/text.h"
#include "store/export.h"

#define REPO_FORMAT 1
#define REPO_PATH_SIZE 4096
#define REPO_NAME_MAX 255

struct repo;
struct layer_merge; /* store/layer.h */
#define CLEANUP_REPO CLEANUP(cleanup_repo)
void cleanup_repo(struct repo **r);

struct repo_probe { /* what the file system was seen to do */
    bool ofd_locks, o_direct, holes, reflink, atomic_rename;
};

struct repo_space {
    uint64_t total_bytes;
    uint64_t free_bytes; /* that this program may use */
};

struct repo_layer_spec {
    const char *locator;
    const char
        *parent; /* locator of the parent in the same folder, lower number; NULL = full */
    uint64_t size_bytes; /* true size of the disk; the layer gets it rounded up to 512 */
};

enum repo_entry { REPO_ENTRY_FILE, REPO_ENTRY_DIR, REPO_ENTRY_OTHER };
/* < 0 (with err set) ends the listing with that error, 1 ends it with success. */
typedef int (*repo_list_fn)(void *arg, const char *name, enum repo_entry kind,
                            struct err *err);

/* One engine.  Every function may assume valid names; the wrappers below have checked
 * them. */
struct repo_ops {
    const char *engine; /* "local" */
    int (*create_layer)(struct repo *r, const struct repo_layer_spec *spec,
                        struct err *err);
    int (*remove_layer)(struct repo *r, const char *locator, struct err *err);
    int (*repair_layer)(struct repo *r, const char *locator, struct err *err);
    int (*check_layer)(struct repo *r, const char *locator, int cancel_fd,
                       struct err *err);
    int (*stored_bytes)(struct repo *r, const char *locator, uint64_t *ret,
                        struct err *err);
    int (*sync_layer)(struct repo *r, const char *locator, struct err *err);
    int (*export_rw)(struct repo *r, const char *locator, const struct export_spec *spec,
                     struct export **ret, struct err *err);
    int (*export_ro)(struct repo *r, const char *locator, const struct export_spec *spec,
                     struct export **ret, struct err *err);
    int (*put)(struct repo *r, const char *name, const void *p, size_t n,
               struct err *err);
    int (*get)(struct repo *r, const char *name, struct buf *b, struct err *err);
    int (*list)(struct repo *r, const char *dir, repo_list_fn fn, void *arg,
                struct err *err);
    int (*remove)(struct repo *r, const char *name, bool missing_ok, struct err *err);
    int (*remove_dir)(struct repo *r, const char *dir, struct err *err);
    int (*make_dir)(struct repo *r, const char *dir, struct err *err);
    int (*rename)(struct repo *r, const char *from, const char *to, struct err *err);
    int (*merge_layer)(struct repo *r, struct layer_merge *m, struct err *err);
    int (*probe)(struct repo *r, struct repo_probe *ret, struct err *err);
    int (*space)(struct repo *r, struct repo_space *ret, struct err *err);
    void (*close)(struct repo *r);
};

/* Makes a repository in an empty or missing folder, or adopts the one that is there (its
 * uuid stays).  ERR_EXISTS "repo_folder_not_empty"; ERR_INVALID "repo_path" when @path is
 * not absolute; else as repo_open.  Does not lock. */
int repo_create(const char *path, struct repo **ret, struct err *err);
/* @expected_uuid NULL = any.  ERR_NOT_FOUND "repo_missing", ERR_CORRUPT "repo_unreadable"
 * (no sound sendense-repo.json), ERR_INVALID "repo_format" (other format, unknown
 * incompat word), ERR_EXISTS "repo_uuid_mismatch" (another repository is mounted here).
 */
int repo_open(const char *path, const char *expected_uuid, struct repo **ret,
              struct err *err);
void
repo_close(struct repo *r); /* NULL ok; gives the lock up unless a writer still has it */

/* Waits up to @wait_ms for writers of an earlier hub to end.  ERR_EXISTS "repo_locked",
 * the message names the owner by its record.  Idempotent. */
int repo_lock(struct repo *r, const char *hub_uuid, unsigned wait_ms, struct err *err);
int repo_lock_fd(const struct repo *r); /* -1 when not locked; owned by @r */

const char *repo_uuid(const struct repo *r);
const char *repo_folder(const struct repo *r); /* absolute, without symbolic links */
const struct repo_probe *repo_probed(const struct repo *r); /* when it was created */
int repo_probe(struct repo *r, struct repo_probe *ret,
               struct err *err); /* now; needs no lock */
/* ERR_UNAVAILABLE "repository_unavailable" when the folder is not where it was opened. */
int repo_space(struct repo *r, struct repo_space *ret, struct err *err);

/* Absolute path of @name, which need not exist; existing parts are seen to be no symbolic
 * links.
 * @out has REPO_PATH_SIZE bytes.  ERR_INVALID "repo_name" or "repo_symlink". */
int repo_path(struct repo *r, const char *name, char *out, struct err *err);

/* Small files.  put: durable, and never over an existing file (ERR_EXISTS); makes the
 * folders. get: up to the cap of @b.  remove: durable.  ERR_NOT_FOUND, ERR_NO_SPACE
 * "repo_full", ERR_IO. */
int repo_put(struct repo *r, const char *name, const void *p, size_t n, struct err *err);
int repo_get(struct repo *r, const char *name, struct buf *b, struct err *err);
int repo_remove(struct repo *r, const char *name, bool missing_ok, struct err *err);
/* @from takes the place of @to, which may exist, in the same folder (else ERR_INVALID);
 * durable.  ERR_NOT_FOUND. */
int repo_rename(struct repo *r, const char *from, const char *to, struct err *err);
/* Entries of folder @dir in no order; a missing folder is an empty one. */
int repo_list(struct repo *r, const char *dir, repo_list_fn fn, void *arg,
              struct err *err);
struct repo_names {
    struct repo_name {
        char *name;
        enum repo_entry kind;
    } * v;
    size_t n;
};
#define CLEANUP_REPO_NAMES CLEANUP(repo_names_done)
void repo_names_done(struct repo_names *l); /* zeroes */
/* The same, as a list. */
int repo_list_names(struct repo *r, const char *dir, struct repo_names *ret,
                    struct err *err);
int repo_make_dir(struct repo *r, const char *dir,
                  struct err *err); /* and its parents; durable */
/* Removes @dir and then its parents up to vms/ as long as they are empty. */
int repo_remove_dir(struct repo *r, const char *dir, struct err *err);

/* Calls @fn with "vms/VM_UUID/points/NNNNNN.json" for every point, in no order. */
int repo_list_points(struct repo *r, repo_list_fn fn, void *arg, struct err *err);

/* Names must match ^vms/UUID/disks/UUID/NNNNNN$; ERR_INVALID "repo_name". */
bool repo_locator_is_valid(const char *locator);
bool repo_name_is_valid(const char *name);

#endif
