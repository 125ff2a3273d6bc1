/* node/lease_store.c - see lease_store.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "node/lease_store.h"

#define LEASE_FILE_MAX (512u * 1024)
#define SUFFIX ".json"

struct lease_store {
    const char *dir; /* fixed */
    char *leases;    /* DIR/leases */
    struct seal_key *key;
    int lock_fd;
};

struct lease_store *
lease_store_new(const char *dir)
{
    struct lease_store *s = xcalloc(1, sizeof(*s));

    s->dir = dir;
    s->leases = xasprintf("%s/leases", dir);
    s->lock_fd = -1;
    return s;
}

void
lease_store_free(struct lease_store *s)
{
    if (!s)
        return;
    seal_key_free(s->key);
    cleanup_fd(&s->lock_fd);
    free(s->leases);
    free(s);
}

bool
lease_store_exists(const struct lease_store *s)
{
    return fs_exists(s->leases);
}

/* Others must not so much as see for which machines there are leases. */
static int
make_folder(const char *path, struct err *err)
{
    struct stat st;

    if (fs_mkdirs(path, 0700, err) < 0)
        return err->class;
    if (stat(path, &st) < 0)
        return err_errno(err, errno, NULL, "look at '%s'", path);
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077) != 0)
        return err_set(err, ERR_AUTH, NULL,
                       "'%s' must be a folder of this user with mode 0700", path);
    return 0;
}

static int
take_lock(struct lease_store *s, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lock", s->dir);
    CLEANUP_FD int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_errno(err, errno, NULL, "open '%s'", path);
    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return err_set(err, ERR_EXISTS, NULL, "another node uses '%s'", s->dir);
    s->lock_fd = take_fd(&fd);
    return 0;
}

static int
load_key(struct lease_store *s, struct err *err)
{
    CLEANUP_FREE char *path = xasprintf("%s/lease.key", s->dir);

    if (!fs_exists(path) && seal_key_create(path, err) < 0)
        return err->class;
    return seal_key_load(path, &s->key, err);
}

static int
open_parts(struct lease_store *s, struct err *err)
{
    if (make_folder(s->dir, err) < 0 || make_folder(s->leases, err) < 0)
        return err->class;
    if (s->lock_fd < 0 && take_lock(s, err) < 0)
        return err->class;
    return load_key(s, err);
}

int
lease_store_open(struct lease_store *s, struct err *err)
{
    if (s->key)
        return 0;
    if (open_parts(s, err) == 0)
        return 0;
    err_recode(err, "no_lease_store");
    err_prefix(err, "the folder for leases of snapshots cannot be used");
    return err->class = ERR_UNAVAILABLE;
}

static char *
path_of(const struct lease_store *s, const char *job_id)
{
    return xasprintf("%s/%s" SUFFIX, s->leases, job_id);
}

int
lease_store_write(struct lease_store *s, const struct node_lease *l, struct err *err)
{
    CLEANUP_FREE char *path = path_of(s, l->job_id);
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_FREE char *line = NULL, *text = NULL;

    if (node_lease_encode(l, s->key, &j, err) < 0)
        return err->class;
    line = json_line(j);
    text = xasprintf("%s\n", line);
    if (fs_write_file_durable(path, text, strlen(text), 0600, err) < 0)
        return err_prefix(err, "write a lease");
    return 0;
}

int
lease_store_remove(struct lease_store *s, const char *job_id, struct err *err)
{
    CLEANUP_FREE char *path = path_of(s, job_id);

    return fs_unlink(path, true, err);
}

static int
read_lease(struct lease_store *s, const char *path, struct node_lease **ret,
           struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(LEASE_FILE_MAX);
    CLEANUP_JSON json_t *j = NULL;

    if (fs_read_file(path, &b, err) < 0 || json_parse(b.data, b.len, &j, err) < 0)
        return err->class;
    return node_lease_decode(j, s->key, ret, err);
}

/* "UUID.json"; a left-over "UUID.json.tmp" never was a lease. */
static bool
is_lease(const char *name)
{
    char id[UUID_STR_SIZE];

    if (strlen(name) != UUID_STR_SIZE - 1 + strlen(SUFFIX) ||
        strcmp(name + UUID_STR_SIZE - 1, SUFFIX) != 0)
        return false;
    memcpy(id, name, UUID_STR_SIZE - 1);
    id[UUID_STR_SIZE - 1] = '\0';
    return uuid_is_valid(id);
}

int
lease_store_load(struct lease_store *s, void (*found)(void *arg, struct node_lease *l),
                 void *arg, struct err *err)
{
    DIR *d = opendir(s->leases);
    struct dirent *e;

    if (!d)
        return err_errno(err, errno, NULL, "read '%s'", s->leases);
    while ((e = readdir(d)) != NULL) {
        CLEANUP_FREE char *path = xasprintf("%s/%s", s->leases, e->d_name);
        struct node_lease *l = NULL;
        struct err why = ERR_INIT;

        if (!is_lease(e->d_name))
            continue;
        if (read_lease(s, path, &l, &why) == 0)
            found(arg, l);
        else
            log_error(
                "the lease '%s' cannot be read, its snapshot may have to be removed "
                "by hand: %s",
                path, why.msg);
    }
    closedir(d);
    return 0;
}
