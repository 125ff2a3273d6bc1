/* files/ops.h - ls, stat and read in the mounted file system.              Layer 5.
 * Blocking.  Paths are bytes, absolute, without ".." (model/guestpath.h). */
#ifndef SENDENSE_FILES_OPS_H
#define SENDENSE_FILES_OPS_H

#include "files/appliance.h"

/* @path with the links in its folders followed, but not a link that it names itself.
 * Caller frees. */
int ops_resolve(struct appliance *a, const char *path, char **ret, struct err *err);
/* Of what @real names, not followed.  Free with guestfs_free_statns(). */
int ops_stat(struct appliance *a, const char *real, struct guestfs_statns **ret,
             struct err *err);

/* Each takes the request and gives the answer; `read` sends its data before. */
int ops_ls(struct appliance *a, const json_t *request, json_t **ret, struct err *err);
int ops_info(struct appliance *a, const json_t *request, json_t **ret, struct err *err);
int ops_read(struct appliance *a, const json_t *request, json_t **ret, struct err *err);

#endif
