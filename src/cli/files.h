/* cli/files.h - one file session of the hub, as the file commands use it.  Layer 5.
 * Blocking.  Paths are in the text form of the API: "\\" is a backslash, "\xHH" a byte.
 */
#ifndef SENDENSE_CLI_FILES_H
#define SENDENSE_CLI_FILES_H

#include <stdbool.h>

#include "cli/cli.h"

struct files_client {
    struct cli *c;
    char *id;   /* of the session */
    bool ours;  /* it was not open before */
    json_t *fs; /* array of the file systems */
};

/* A session of the backup that is open, or a new one; waits until it is ready. */
int files_client_open(struct cli *c, const char *backup, struct files_client *ret,
                      struct err *err);
void files_client_done(struct files_client *f);
int files_client_end(struct files_client *f, struct err *err);

/* "FS:PATH", or a path of the only file system that can be read.  Both are the caller's.
 * ERR_INVALID "fs_required" lists the file systems. */
int files_client_place(const struct files_client *f, const char *text, char **ret_fs,
                       char **ret_path, struct err *err);

/* Calls @page for each page of a folder; a non-zero return ends it. */
int files_client_ls(struct files_client *f, const char *fs, const char *path,
                    int (*page)(void *arg, json_t *entries), void *arg, struct err *err);
int files_client_info(struct files_client *f, const char *fs, const char *path,
                      json_t **ret, struct err *err);

/* One thing to take: an entry of the API and where it is. */
struct files_item {
    char *fs, *path;
    json_t *info;
};
/* To folder @to of this machine: a single file as it is, anything else out of an archive.
 * Nothing is overwritten.  ERR_EXISTS "target_exists". */
int files_client_get(struct files_client *f, const struct files_item *items, size_t n,
                     const char *to, struct err *err);

/* A table of the file systems, of a page, of one entry. */
int files_show_fs(const struct files_client *f, struct err *err);
int files_show_page(struct cli *c, json_t *entries, struct err *err);

/* The prompt; an exit code. */
int files_browse(struct files_client *f, struct err *err);

#endif
