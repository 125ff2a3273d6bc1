#include "job/restore_target.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "base/text.h"
#include "job/repo_set.h"
#include "store/lockprobe.h"

#define TARGET_PATH_MAX 3900u

static int
invalid(struct err *err, const char *why, const char *path)
{
    return err_set(err, ERR_INVALID, "invalid_target", "target '%.300s' %s", path, why);
}

static bool
inside(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static int
resolve(const char *path, char **ret, struct err *err)
{
    CLEANUP_FREE char *copy = xstrdup(path);
    CLEANUP_FREE char *folder = NULL;
    char *slash = strrchr(copy, '/');
    const char *name;
    struct stat st;

    if (path[0] != '/' || strlen(path) > TARGET_PATH_MAX ||
        !text_is_utf8(path, strlen(path)))
        return invalid(err, "is not an absolute path (on the hub's machine)", path);
    *slash = '\0';
    name = slash + 1;
    if (*name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
        strlen(name) > NAME_MAX - sizeof ".part.json.tmp")
        return invalid(err, "does not name a file", path);
    folder = realpath(*copy ? copy : "/", NULL);
    if (!folder || stat(folder, &st) < 0 || !S_ISDIR(st.st_mode))
        return invalid(err, "lies in a folder that does not exist on the hub's machine",
                       path);
    if (access(folder, W_OK | X_OK) < 0)
        return invalid(err, "lies in a folder that the hub's user may not write to",
                       path);
    *ret = strcmp(folder, "/") == 0 ? xasprintf("/%s", name)
                                    : xasprintf("%s/%s", folder, name);
    return 0;
}

static uint64_t
stored_bytes(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? (uint64_t)st.st_blocks * 512 : 0;
}

static int
check_free(const char *path, uint64_t need, struct err *err)
{
    CLEANUP_FREE char *folder = xstrdup(path);
    struct statvfs v;

    *(strrchr(folder, '/') + 1) = '\0';
    if (statvfs(folder, &v) < 0)
        return err_errno(err, errno, NULL, "look at the free space of '%s'", folder);
    if ((uint64_t)v.f_bavail * v.f_frsize >= need)
        return 0;
    return err_set(err, ERR_NO_SPACE, "target_full",
                   "the disk holds %llu bytes of data, '%s' has %llu bytes free",
                   (unsigned long long)need, folder,
                   (unsigned long long)v.f_bavail * v.f_frsize);
}

static int
exists(const char *path, const char *advice, struct err *err)
{
    return err_set(err, ERR_EXISTS, "target_exists", "'%.300s' exists: %s", path, advice);
}

/* Only a file that nobody works with is replaced: not a device, not what a link leads
 * to, not the disk of a machine that runs. */
static int
check_replaceable(const char *path, struct err *err)
{
    struct lockprobe probe;
    struct stat st;

    if (lstat(path, &st) < 0)
        return errno == ENOENT ? 0 : err_errno(err, errno, NULL, "look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return exists(path, "it is no regular file, and so is never replaced", err);
    if (lockprobe_file(path, &probe, err) < 0)
        return err->class;
    if (probe.in_use)
        return exists(path, "it is open in a qemu program", err);
    return 0;
}

static int
check_existing(const struct restore_where *w, const char *target, const char *part,
               struct err *err)
{
    if (fs_exists(target) && w->folder)
        return exists(target, "a folder is never replaced: choose another name", err);
    if (fs_exists(target) && !w->force)
        return exists(target, "choose another name, or --force to replace it", err);
    if (fs_exists(part) && (w->folder || !(w->force || w->resume)))
        return exists(part,
                      "a restore was cut there; --resume goes on with one that was "
                      "started so, --force starts over",
                      err);
    if (w->force && check_replaceable(target, err) < 0)
        return err->class;
    return w->force || w->resume ? check_replaceable(part, err) : 0;
}

int
restore_target_check(const struct job_env *env, const struct restore_where *where,
                     char **ret_resolved, struct err *err)
{
    CLEANUP_FREE char *resolved = NULL, *part = NULL, *data = NULL, *run = NULL;
    const char *path = where->path;
    uint64_t need = where->need_bytes, have;

    if (resolve(path, &resolved, err) < 0)
        return err->class;
    data = realpath(env->data_dir, NULL);
    run = realpath(env->run_dir, NULL);
    if ((data && inside(resolved, data)) || (run && inside(resolved, run)) ||
        repo_set_covers(env, resolved))
        return err_set(
            err, ERR_INVALID, "target_forbidden",
            "target '%.300s' lies in a repository or in the hub's own folder: choose "
            "a place outside",
            path);
    part = xasprintf("%s.part", resolved);
    if (check_existing(where, resolved, part, err) < 0)
        return err->class;
    have = where->resume ? stored_bytes(part) : 0;
    if (check_free(resolved, need > have ? need - have : 0, err) < 0)
        return err->class;
    *ret_resolved = take_ptr(&resolved);
    return 0;
}
