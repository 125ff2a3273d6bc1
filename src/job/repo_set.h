/* job/repo_set.h - the repositories of this hub, open and locked.           Layer 3.
 * A repository that cannot be opened is kept with its reason and tried again when
 * somebody asks for it.  Thread-safe; a struct repo that was given out lives as long as
 * the set. */
#ifndef SENDENSE_JOB_REPO_SET_H
#define SENDENSE_JOB_REPO_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "catalog/cat_repository.h"
#include "job/env.h"
#include "store/repo.h"

struct repo_set *repo_set_new(void);
void repo_set_free(struct repo_set *s);

/* Opens and locks every repository of the catalog; those that fail are logged. */
int repo_set_open_all(struct job_env *env, struct err *err);

/* ERR_NOT_FOUND "repository_not_found", ERR_UNAVAILABLE "repository_unavailable" (and
 * why). */
int repo_set_get(const struct job_env *env, const char *id, struct repo **ret,
                 struct err *err);

/* Creates or adopts the folder, locks it, adds the row.  ERR_EXISTS "repository_exists",
 * "repo_locked"; ERR_INVALID "invalid_path". */
int repo_set_add(const struct job_env *env, const char *name, const char *path,
                 char ret_id[CAT_ID_SIZE], struct err *err);

/* The same of a repository that exists: nothing is created.  As repo_open(), too. */
int repo_set_add_existing(const struct job_env *env, const char *name, const char *path,
                          char ret_id[CAT_ID_SIZE], struct err *err);

/* Of the file system that it is on; errors as repo_set_get(). */
int repo_set_space(const struct job_env *env, const char *id, uint64_t *ret_total,
                   uint64_t *ret_free, struct err *err);

/* True when @path (absolute) lies inside of a repository. */
bool repo_set_covers(const struct job_env *env, const char *path);

#endif
