/* store/store_priv.h - shared by the files of store/ only.                Layer 2. */
#ifndef SENDENSE_STORE_STORE_PRIV_H
#define SENDENSE_STORE_STORE_PRIV_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "store/repo.h"

#define REPO_FILE "sendense-repo.json"
#define REPO_LOCK_FILE "lock"
#define PROBE_PREFIX ".sendense-probe"

struct repo {
    const struct repo_ops *ops;
    char *folder;
    char uuid[UUID_STR_SIZE];
    struct repo_probe probed;
    int root_fd;              /* of the folder */
    int lock_fd;              /* -1 = not ours */
    pthread_mutex_t put_lock; /* NAME.tmp has one writer */
};

extern const struct repo_ops repo_local_ops;

/* --- errors --- */
/* The stable code of an errno that a repository call met; NULL = the word of its class.
 */
const char *store_code(int e);
/* Gives an error of class ERR_NO_SPACE the code "repo_full"; returns err->class. */
int store_recode(struct err *err);

/* --- names --- */
/* The number of any file of a backup, whatever its suffix (.qcow2, .manifest.part,
 * .json.tmp); false when @name starts with none. */
bool seq_of_name(const char *name, uint32_t *ret_seq);

/* --- dirwalk.c: fd-relative, no symbolic link is followed --- */
/* Opens folder @dir below @root, part by part; @create makes what is missing (0700,
 * synced). ERR_INVALID "repo_symlink" for a link or a file on the way, ERR_NOT_FOUND. */
int dirwalk_open(int root, const char *dir, bool create, struct err *err);
/* The folder that holds @name; *ret_base points into @name. */
int dirwalk_parent(int root, const char *name, bool create, const char **ret_base,
                   struct err *err);
/* A regular file.  @flags of open(2); never creates.  ERR_INVALID "repo_symlink",
 * ERR_NOT_FOUND. */
int dirwalk_file(int root, const char *name, int flags, struct err *err);
int dirwalk_sync(int dir_fd, const char *what, struct err *err);

/* --- repo_meta.c: sendense-repo.json --- */
int repo_meta_read(struct repo *r, struct err *err);
int repo_meta_write(struct repo *r, struct err *err);

/* --- repo_probe.c --- */
int probe_folder(int dir_fd, struct repo_probe *ret, struct err *err);

/* --- repo_layer.c: the local engine's layers --- */
int local_create_layer(struct repo *r, const struct repo_layer_spec *spec,
                       struct err *err);
int local_remove_layer(struct repo *r, const char *locator, struct err *err);
int local_repair_layer(struct repo *r, const char *locator, struct err *err);
int local_stored_bytes(struct repo *r, const char *locator, uint64_t *ret,
                       struct err *err);
int local_sync_layer(struct repo *r, const char *locator, struct err *err);
int local_export_rw(struct repo *r, const char *locator, const struct export_spec *spec,
                    struct export **ret, struct err *err);
int local_export_ro(struct repo *r, const char *locator, const struct export_spec *spec,
                    struct export **ret, struct err *err);
const char *layer_qemu_img(void); /* the program */

/* --- repo_merge.c: the local engine --- */
int local_merge_layer(struct repo *r, struct layer_merge *m, struct err *err);
int local_check_layer(struct repo *r, const char *locator, int cancel_fd,
                      struct err *err);
int local_rename(struct repo *r, const char *from, const char *to, struct err *err);

#endif
