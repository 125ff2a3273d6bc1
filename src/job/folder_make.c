#include "job/folder_make.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/fs.h"

int
folder_make(const char *path, struct err *err)
{
    if (mkdir(path, 0700) == 0)
        return fs_sync_parent(path, err);
    return err_errno(err, errno, errno == EEXIST ? "target_exists" : NULL,
                     "make folder '%s'", path);
}
