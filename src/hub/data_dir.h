/* hub/data_dir.h - what lies in the data folder, and that one program uses it.   Layer 5.
 */
#ifndef SENDENSE_HUB_DATA_DIR_H
#define SENDENSE_HUB_DATA_DIR_H

#include <stdbool.h>

#include "base/err.h"
#include "catalog/catalog.h"
#include "os/seal.h"

struct data_dir {
    char *path;
    char *catalog, *seal_key, *admin_token, *node_token, *jobs, *repository, *run;
    int lock_fd; /* held while the program uses the folder */
};

/* Paths only. */
void data_dir_init(struct data_dir *d, const char *path);
void data_dir_done(struct data_dir *d);

/* The lock file: ERR_EXISTS "data_locked" when another hub uses this folder. */
int data_dir_lock(struct data_dir *d, struct err *err);
/* Makes folder, jobs/ and the lock file with mode 0700 and 0600. */
int data_dir_make(struct data_dir *d, struct err *err);

/* A new API token, stored as its hash; the text goes to @path (mode 0600), or to @ret
 * when
 * @path is NULL. */
int data_dir_token(struct catalog *c, const char *name, const char *scope,
                   const char *path, char ret[TOKEN_STR_SIZE], struct err *err);

#endif
