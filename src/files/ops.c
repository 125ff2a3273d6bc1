#include "files/ops.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "files/names.h"
#include "files/wire.h"
#include "model/guestpath.h"

#define PREAD_MAX (1u << 20)

static void
free_strings(char **list)
{
    for (char **p = list; p && *p; p++)
        free(*p);
    free(list);
}

int
ops_resolve(struct appliance *a, const char *path, char **ret, struct err *err)
{
    const char *slash = strrchr(path, '/');
    CLEANUP_FREE char *folder = NULL, *real = NULL;

    if (strcmp(path, "/") == 0) {
        *ret = xstrdup("/");
        return 0;
    }
    folder = slash == path ? xstrdup("/") : xasprintf("%.*s", (int)(slash - path), path);
    real = guestfs_realpath(a->g, folder);
    if (!real)
        return appliance_err(a, err, "guest_unreadable", folder);
    *ret = xasprintf("%s/%s", strcmp(real, "/") == 0 ? "" : real, slash + 1);
    return 0;
}

int
ops_stat(struct appliance *a, const char *real, struct guestfs_statns **ret,
         struct err *err)
{
    struct guestfs_statns *st = guestfs_lstatns(a->g, real);

    if (!st)
        return appliance_err(a, err, "guest_unreadable", real);
    *ret = st;
    return 0;
}

static const char *
type_word(int64_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "file";
    case S_IFDIR:
        return "dir";
    case S_IFLNK:
        return "link";
    case S_IFCHR:
        return "char";
    case S_IFBLK:
        return "block";
    case S_IFIFO:
        return "fifo";
    case S_IFSOCK:
        return "socket";
    default:
        return "other";
    }
}

static json_t *
entry_json(const char *folder, const char *name, const struct guestfs_statns *st,
           const char *target)
{
    CLEANUP_FREE char *path = xasprintf("%s/%s", strcmp(folder, "/") ? folder : "", name);
    CLEANUP_FREE char *path_text = guestpath_to_text(path);
    CLEANUP_FREE char *name_text = guestpath_to_text(name);
    CLEANUP_FREE char *target_text = target ? guestpath_to_text(target) : NULL;
    char mtime[TIME_STR_SIZE];

    time_utc_to_str(st->st_mtime_sec * 1000000 + st->st_mtime_nsec / 1000, mtime);
    return json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:s?}", "name",
                     name_text, "path", path_text, "type", type_word(st->st_mode),
                     "size_bytes", (json_int_t)st->st_size, "mode",
                     (json_int_t)(st->st_mode & 07777), "uid", (json_int_t)st->st_uid,
                     "gid", (json_int_t)st->st_gid, "nlink", (json_int_t)st->st_nlink,
                     "mtime", mtime, "target", target_text);
}

/* Reads fs and path of a request and mounts. */
static int
begin(struct appliance *a, struct jreader *r, char **ret_path)
{
    const char *fs = jopt_str(r, "fs", NULL);
    const char *path = jget_str(r, "path");

    if (r->err->class != 0 || guestpath_from_text(path, ret_path, r->err) < 0 ||
        appliance_mount(a, fs, r->err) < 0)
        return r->err->class;
    return 0;
}

/* What is not there any more between two calls is left out: it cannot be, read-only. */
static int
describe(struct appliance *a, const char *folder, char **names, json_t *out,
         struct err *err)
{
    struct guestfs_statns_list *st = guestfs_lstatnslist(a->g, folder, names);
    char **targets;

    if (!st)
        return appliance_err(a, err, "guest_unreadable", folder);
    targets = guestfs_readlinklist(a->g, folder, names);
    for (size_t i = 0; i < st->len && names[i]; i++) {
        const char *target = targets && targets[i] && targets[i][0] ? targets[i] : NULL;

        /* An entry whose inode cannot be read is shown all the same. */
        if (st->val[i].st_ino == -1)
            st->val[i] = (struct guestfs_statns){0};
        json_array_append_new(out, entry_json(folder, names[i], &st->val[i], target));
    }
    free_strings(targets);
    guestfs_free_statns_list(st);
    return 0;
}

int
ops_ls(struct appliance *a, const json_t *request, json_t **ret, struct err *err)
{
    CLEANUP_FREE char *path = NULL, *real = NULL, *after = NULL;
    CLEANUP_NAMES struct names names = {0};
    CLEANUP_JSON json_t *entries = json_array();
    struct jreader r;
    const char *after_text;
    uint64_t limit;

    jreader_init(&r, request, "request", err);
    jget_str(&r, "op");
    after_text = jopt_str(&r, "after", "");
    limit = jget_u64(&r, "limit");
    if (begin(a, &r, &path) < 0 || jreader_end(&r) < 0 ||
        guestpath_unescape(after_text, &after, err) < 0)
        return err->class;
    if (limit < 1 || limit > FILES_LS_MAX)
        return err_set(err, ERR_INVALID, "invalid_parameter", "limit is 1 to %u",
                       FILES_LS_MAX);
    real = guestfs_realpath(a->g, path);
    if (!real)
        return appliance_err(a, err, "guest_unreadable", path);
    if (names_collect(a, real, after, limit, &names, err) < 0)
        return err->class;
    if (names.n > 0 && describe(a, real, names.v, entries, err) < 0)
        return err->class;
    *ret = json_pack("{s:O, s:b}", "entries", entries, "more", names.more);
    return 0;
}

int
ops_info(struct appliance *a, const json_t *request, json_t **ret, struct err *err)
{
    CLEANUP_FREE char *path = NULL, *real = NULL, *target = NULL, *folder = NULL;
    struct guestfs_statns *st = NULL;
    struct jreader r;
    const char *slash;

    jreader_init(&r, request, "request", err);
    jget_str(&r, "op");
    if (begin(a, &r, &path) < 0 || jreader_end(&r) < 0 ||
        ops_resolve(a, path, &real, err) < 0 || ops_stat(a, real, &st, err) < 0)
        return err->class;
    if ((st->st_mode & S_IFMT) == S_IFLNK)
        target = guestfs_readlink(a->g, real);
    slash = strrchr(real, '/');
    folder = xasprintf("%.*s", (int)(slash - real), real);
    *ret = entry_json(folder, slash + 1, st, target);
    guestfs_free_statns(st);
    return 0;
}

static int
send_range(struct appliance *a, const char *real, uint64_t offset, uint64_t end,
           struct err *err)
{
    while (offset < end) {
        uint64_t want = end - offset < PREAD_MAX ? end - offset : PREAD_MAX;
        size_t got = 0;
        CLEANUP_FREE char *data =
            guestfs_pread(a->g, real, (int)want, (int64_t)offset, &got);

        if (!data)
            return appliance_err(a, err, "guest_unreadable", real);
        if (got == 0 || got > want)
            return err_set(err, ERR_IO, "guest_unreadable",
                           "a file ends before its size of %llu bytes",
                           (unsigned long long)end);
        if (wire_send(FILES_DATA, data, got, err) < 0)
            return err->class;
        offset += got;
    }
    return 0;
}

int
ops_read(struct appliance *a, const json_t *request, json_t **ret, struct err *err)
{
    CLEANUP_FREE char *path = NULL, *real = NULL;
    struct guestfs_statns *st = NULL;
    uint64_t offset, length, size;
    struct jreader r;
    int64_t mode;

    jreader_init(&r, request, "request", err);
    jget_str(&r, "op");
    offset = jget_u64(&r, "offset");
    length = jget_u64(&r, "length");
    if (begin(a, &r, &path) < 0 || jreader_end(&r) < 0)
        return err->class;
    if (length > FILES_READ_MAX)
        return err_set(err, ERR_INVALID, "invalid_parameter", "at most %u bytes at once",
                       FILES_READ_MAX);
    real = guestfs_realpath(a->g, path);
    if (!real)
        return appliance_err(a, err, "guest_unreadable", path);
    if (ops_stat(a, real, &st, err) < 0)
        return err->class;
    mode = st->st_mode & S_IFMT;
    size = (uint64_t)st->st_size;
    guestfs_free_statns(st);
    if (mode != S_IFREG)
        return err_set(err, ERR_INVALID, "not_a_file",
                       "'%.300s' is no file; an archive holds folders and links", path);
    if (offset > size)
        offset = size;
    if (length > size - offset)
        length = size - offset;
    if (send_range(a, real, offset, offset + length, err) < 0)
        return err->class;
    *ret = json_pack("{s:I, s:I}", "length", (json_int_t)length, "size_bytes",
                     (json_int_t)size);
    return 0;
}
