/* store/repo_meta.c - sendense-repo.json; docs/design/repository.md 2.1. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fs.h"
#include "base/json.h"
#include "base/timeutil.h"
#include "store/store_priv.h"

#define META_MAX 65536u

static int
unreadable(const struct repo *r, struct err *err)
{
    err->class = ERR_CORRUPT;
    err_recode(err, "repo_unreadable");
    return err_prefix(err, "'%s/" REPO_FILE "' is damaged", r->folder);
}

static int
read_text(struct repo *r, struct buf *b, struct err *err)
{
    CLEANUP_FD int fd = dirwalk_file(r->root_fd, REPO_FILE, O_RDONLY, err);
    off_t size;

    if (fd < 0 && err->class == ERR_NOT_FOUND)
        return err_set(err, ERR_NOT_FOUND, "repo_missing",
                       "'%s' holds no repository; is its file system mounted?",
                       r->folder);
    if (fd < 0)
        return err->class;
    size = lseek(fd, 0, SEEK_END);
    if (size < 0)
        return err_errno(err, errno, NULL, "read '" REPO_FILE "'");
    if (buf_reserve(b, (size_t)size, err) < 0)
        return unreadable(r, err);
    if (fs_pread_full(fd, b->data, (size_t)size, 0, err) < 0)
        return err->class;
    b->len = (size_t)size;
    return 0;
}

/* Version 1 knows no incompat word at all. */
static int
check_format(const struct repo *r, uint64_t format, const json_t *incompat,
             struct err *err)
{
    if (format != REPO_FORMAT)
        return err_set(err, ERR_INVALID, "repo_format",
                       "repository '%s' has format %llu; this program reads format %d",
                       r->folder, (unsigned long long)format, REPO_FORMAT);
    if (json_array_size(incompat) > 0)
        return err_set(err, ERR_INVALID, "repo_format",
                       "repository '%s' needs a newer program (incompat is not empty)",
                       r->folder);
    return 0;
}

static int
decode(struct repo *r, const json_t *j, struct err *err)
{
    struct jreader top, pr;
    uint64_t format;
    const json_t *incompat, *probe;
    const char *uuid;

    jreader_init(&top, j, REPO_FILE, err);
    format = jget_u64(&top, "format");
    incompat = jget_arr(&top, "incompat");
    if (err->class != 0)
        return unreadable(r, err);
    if (check_format(r, format, incompat, err) < 0)
        return err->class;
    uuid = jget_str(&top, "repository_uuid");
    probe = jget_obj(&top, "probe");
    if (jreader_end_lax(&top) < 0)
        return unreadable(r, err);
    if (!uuid_is_valid(uuid)) {
        err_set(err, ERR_CORRUPT, NULL, "repository_uuid is no UUID");
        return unreadable(r, err);
    }
    jreader_init(&pr, probe, REPO_FILE " probe", err);
    r->probed.ofd_locks = jopt_bool(&pr, "ofd_locks", false);
    r->probed.o_direct = jopt_bool(&pr, "o_direct", false);
    r->probed.holes = jopt_bool(&pr, "holes", false);
    r->probed.reflink = jopt_bool(&pr, "reflink", false);
    r->probed.atomic_rename = jopt_bool(&pr, "atomic_rename", false);
    if (jreader_end_lax(&pr) < 0)
        return unreadable(r, err);
    memcpy(r->uuid, uuid, sizeof(r->uuid));
    return 0;
}

int
repo_meta_read(struct repo *r, struct err *err)
{
    CLEANUP_BUF struct buf b = BUF_INIT(META_MAX);
    CLEANUP_JSON json_t *j = NULL;

    if (read_text(r, &b, err) < 0)
        return err->class;
    if (json_parse(b.data ? b.data : "", b.len, &j, err) < 0)
        return unreadable(r, err);
    return decode(r, j, err);
}

int
repo_meta_write(struct repo *r, struct err *err)
{
    CLEANUP_JSON json_t *j = NULL;
    CLEANUP_FREE char *text = NULL;
    char now[TIME_STR_SIZE];
    const struct repo_probe *p = &r->probed;

    time_utc_to_str(time_utc_us(), now);
    j = json_pack("{s:i, s:[], s:s, s:s, s:{s:b, s:b, s:b, s:b, s:b}}", "format",
                  REPO_FORMAT, "incompat", "repository_uuid", r->uuid, "created", now,
                  "probe", "ofd_locks", p->ofd_locks, "o_direct", p->o_direct, "holes",
                  p->holes, "reflink", p->reflink, "atomic_rename", p->atomic_rename);
    if (j == NULL)
        return err_set(err, ERR_INTERNAL, NULL, "encode " REPO_FILE);
    text = json_line(j);
    return r->ops->put(r, REPO_FILE, text, strlen(text), err);
}
