#include "job/folder.h"

#include <errno.h>
#include <fts.h>
#include <stddef.h>
#include <unistd.h>

#include "base/fs.h"

static int
remove_entry(const FTSENT *e, struct err *err)
{
    int r = 0;

    switch (e->fts_info) {
    case FTS_D:
        return 0;
    case FTS_DP:
        r = rmdir(e->fts_accpath);
        break;
    case FTS_DNR:
    case FTS_ERR:
    case FTS_NS:
        if (e->fts_errno == ENOENT)
            return 0;
        return err_errno(err, e->fts_errno, NULL, "look at '%s'", e->fts_path);
    default:
        r = unlink(e->fts_accpath);
        break;
    }
    if (r < 0 && errno != ENOENT)
        return err_errno(err, errno, NULL, "remove '%s'", e->fts_path);
    return 0;
}

int
folder_remove(const char *path, struct err *err)
{
    char *const roots[] = {(char *)path, NULL};
    FTS *fts = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, NULL);
    FTSENT *e;
    int r = 0;

    if (!fts)
        return err_errno(err, errno, NULL, "open '%s'", path);
    while (r >= 0 && (e = fts_read(fts)))
        r = remove_entry(e, err);
    fts_close(fts);
    if (r < 0)
        return r;
    return fs_sync_parent(path, err);
}
