#include "job/folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fs.h"

int
folder_make(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0)
        return fs_sync_parent(path, err);
    return err_errno(err, errno, errno == EEXIST ? "target_exists" : NULL,
                     "make folder '%s'", path);
}

static int
remove_files(int dir_fd, const char *path, struct err *err)
{
    int fd = dup(dir_fd);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    int r = 0;

    if (!d) {
        err_errno(err, errno, NULL, "list folder '%s'", path);
        if (fd >= 0)
            close(fd);
        return err->class;
    }
    while (r == 0 && (errno = 0, e = readdir(d)))
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlinkat(dir_fd, e->d_name, 0) < 0 && errno != ENOENT)
            r = err_errno(err, errno, NULL, "remove '%s' of '%s'", e->d_name, path);
    closedir(d);
    return r;
}

int
folder_remove(const char *path, struct err *err)
{
    CLEANUP_FD int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return err_errno(err, errno, NULL, "open folder '%s'", path);
    if (remove_files(fd, path, err) < 0)
        return err->class;
    if (rmdir(path) < 0)
        return err_errno(err, errno, NULL, "remove folder '%s'", path);
    return fs_sync_parent(path, err);
}
