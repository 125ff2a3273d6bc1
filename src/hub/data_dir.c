/* hub/data_dir.c - see data_dir.h. */
#include "hub/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/timeutil.h"
#include "catalog/cat_token.h"

void
data_dir_init(struct data_dir *d, const char *path)
{
    *d = (struct data_dir){.path = xstrdup(path),
                           .catalog = xasprintf("%s/catalog.db", path),
                           .seal_key = xasprintf("%s/seal.key", path),
                           .admin_token = xasprintf("%s/admin.token", path),
                           .node_token = xasprintf("%s/node.token", path),
                           .jobs = xasprintf("%s/jobs", path),
                           .repository = xasprintf("%s/repository", path),
                           .run = xasprintf("%s/run", path),
                           .lock_fd = -1};
}

void
data_dir_done(struct data_dir *d)
{
    free(d->path);
    free(d->catalog);
    free(d->seal_key);
    free(d->admin_token);
    free(d->node_token);
    free(d->jobs);
    free(d->repository);
    free(d->run);
    cleanup_fd(&d->lock_fd);
}

int
data_dir_make(struct data_dir *d, struct err *err)
{
    if (d->path[0] != '/')
        return err_set(err, ERR_INVALID, "invalid_path",
                       "the data folder is an absolute path; got '%s'", d->path);
    if (fs_mkdirs(d->path, 0700, err) < 0 || fs_mkdirs(d->jobs, 0700, err) < 0)
        return err->class;
    return 0;
}

int
data_dir_lock(struct data_dir *d, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", d->path);
    struct flock fl = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        int e = errno;

        err_errno(err, e, NULL, "open '%s'", path);
        return e == ENOENT
                   ? err_prefix(err, "is this a data folder? `sendense-hub init` makes "
                                     "one")
                   : err->class;
    }
    if (fcntl(fd, F_OFD_SETLK, &fl) < 0)
        return err_set(err, ERR_EXISTS, "data_locked",
                       "another sendense-hub uses '%s': stop it first", d->path);
    d->lock_fd = take_fd(&fd);
    return 0;
}

int
data_dir_token(struct catalog *c, const char *name, const char *scope, const char *path,
               char ret[TOKEN_STR_SIZE], struct err *err)
{
    char id[UUID_STR_SIZE], token[TOKEN_STR_SIZE], hash[TOKEN_HASH_SIZE];
    struct cat_token row = {.id = id,
                            .name = name,
                            .token_hash = hash,
                            .scopes = scope,
                            .created_us = time_utc_us()};

    uuid_make(id);
    token_make(token);
    token_hash(token, hash);
    if (path && fs_write_file_durable(path, token, strlen(token), 0600, err) < 0)
        return err->class;
    if (cat_token_add(c, &row, err) < 0)
        return err->class;
    if (ret)
        memcpy(ret, token, sizeof token);
    explicit_bzero(token, sizeof token);
    return 0;
}
