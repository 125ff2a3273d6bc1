#include "files/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "files/archive_out.h"
#include "files/ops.h"
#include "files/pump.h"
#include "files/wire.h"
#include "model/guestpath.h"

#define CHUNK (128u << 10)
#define ALIVE_NS NS_PER_S

struct tree {
    struct appliance *a;
    struct archive_out out;
    uint64_t sent_ns; /* when the last frame went out */
    FILE *hard; /* zip: hard links to be written as copies, "ENTRY\0TARGET\0" each */
};

static int
send_data(void *arg, const void *p, size_t n, struct err *err)
{
    struct tree *t = arg;
    const char *at = p;

    if (wire_cancelled())
        return err_set(err, ERR_CANCELLED, NULL, "nobody wants the archive any more");
    while (n > 0) {
        size_t piece = n < FILES_DATA_MAX ? n : FILES_DATA_MAX;

        if (wire_send(FILES_DATA, at, piece, err) < 0)
            return err->class;
        at += piece;
        n -= piece;
    }
    t->sent_ns = time_mono_ns();
    return 0;
}

/* Data that compresses well moves for long without a byte going out. */
static int
tell_alive(struct tree *t, struct err *err)
{
    if (time_mono_ns() - t->sent_ns < ALIVE_NS)
        return 0;
    if (wire_cancelled())
        return err_set(err, ERR_CANCELLED, NULL, "nobody wants the archive any more");
    t->sent_ns = time_mono_ns();
    return wire_send(FILES_ALIVE, NULL, 0, err);
}

static int
copy_data(struct tree *t, struct archive *in, struct err *err)
{
    CLEANUP_FREE char *chunk = malloc(CHUNK);
    la_ssize_t got;

    if (!chunk)
        return err_set(err, ERR_LIMIT, NULL, "no memory");
    while ((got = archive_read_data(in, chunk, CHUNK)) > 0)
        if (archive_out_data(&t->out, chunk, (size_t)got, err) < 0 ||
            tell_alive(t, err) < 0)
            return err->class;
    if (got < 0)
        return err_set(err, ERR_IO, "guest_unreadable", "read a file: %.300s",
                       archive_error_string(in));
    return 0;
}

static int
keep_hard(struct tree *t, const char *entry, const char *target, struct err *err)
{
    if (fwrite(entry, strlen(entry) + 1, 1, t->hard) != 1 ||
        fwrite(target, strlen(target) + 1, 1, t->hard) != 1)
        return err_set(err, ERR_IO, NULL, "remember a hard link");
    return 0;
}

/* One entry of the appliance's tar, whose names are relative to @prefix. */
static int
one_entry(struct tree *t, struct archive *in, struct archive_entry *e, const char *prefix,
          struct err *err)
{
    const char *name = archive_entry_pathname(e), *link = archive_entry_hardlink(e);
    CLEANUP_FREE char *entry = name ? guestpath_entry(prefix, name) : NULL;
    CLEANUP_FREE char *hard = link ? guestpath_entry(prefix, link) : NULL;
    int r;

    if (!entry || (link && !hard)) {
        archive_out_leave_out(&t->out, name ? name : "?", "its name leads elsewhere");
        return 0;
    }
    if (!entry[0])
        return 0;
    if (hard && t->out.zip)
        return keep_hard(t, entry, hard, err);
    r = archive_out_header(&t->out, entry, hard, e, err);
    if (r > 0 && !hard && archive_entry_filetype(e) == AE_IFREG)
        return copy_data(t, in, err);
    return r < 0 ? r : 0;
}

/* A tar ends with more zeroes than its reader needs: a writer that is left with them
 * would take that for a failure. */
static int
drain(int fd, struct err *err)
{
    char rest[4096];
    ssize_t got;

    while ((got = read(fd, rest, sizeof rest)) != 0)
        if (got < 0 && errno != EINTR)
            return err_errno(err, errno, NULL, "read the end of a folder");
    return 0;
}

static int
read_tar(struct tree *t, struct archive *in, const char *prefix, struct err *err)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(in, &e)) != ARCHIVE_EOF) {
        if (r < ARCHIVE_WARN)
            return err_set(err, ERR_IO, "guest_unreadable", "read a folder: %.300s",
                           archive_error_string(in));
        if (one_entry(t, in, e, prefix, err) < 0 || tell_alive(t, err) < 0)
            return err->class;
    }
    return 0;
}

static int
add_folder(struct tree *t, const char *real, struct err *err)
{
    struct pump p = {.appliance = t->a, .call = pump_tree, .folder = real};
    const char *prefix = real + 1;
    struct archive *in = archive_read_new();
    struct err first = ERR_INIT;

    if (pump_start(&p, err) < 0) {
        archive_read_free(in);
        return err->class;
    }
    archive_read_support_format_tar(in);
    if (archive_read_open_fd(in, p.read_fd, 65536) != ARCHIVE_OK)
        err_set(&first, ERR_IO, "guest_unreadable", "read a folder: %.300s",
                archive_error_string(in));
    else if (read_tar(t, in, prefix, &first) >= 0)
        drain(p.read_fd, &first);
    archive_read_free(in);
    /* What cut the stream is the reason for what the reader found; unless it was us who
     * stopped. */
    if (pump_end(&p, err) < 0 && (first.class == 0 || first.class == ERR_IO) &&
        strcmp(first.code, "archive_failed") != 0)
        return err->class;
    *err = first;
    return err->class;
}

static int
copy_file(struct tree *t, const char *real, uint64_t size, struct err *err)
{
    for (uint64_t at = 0; at < size;) {
        uint64_t want = size - at < CHUNK ? size - at : CHUNK;
        size_t got = 0;
        CLEANUP_FREE char *data =
            guestfs_pread(t->a->g, real, (int)want, (int64_t)at, &got);

        if (!data)
            return appliance_err(t->a, err, "guest_unreadable", real);
        if (got == 0)
            return err_set(err, ERR_IO, "guest_unreadable", "a file ends too early");
        if (archive_out_data(&t->out, data, got, err) < 0 || tell_alive(t, err) < 0)
            return err->class;
        at += got;
    }
    return 0;
}

/* What @real names, under the name @entry. */
static int
add_single(struct tree *t, const char *real, const char *entry, struct err *err)
{
    struct archive_entry *e;
    struct guestfs_statns *st = NULL;
    CLEANUP_FREE char *target = NULL;
    int r;

    if (ops_stat(t->a, real, &st, err) < 0)
        return err->class;
    if ((st->st_mode & S_IFMT) == S_IFLNK)
        target = guestfs_readlink(t->a->g, real);
    e = archive_entry_new();
    archive_entry_set_mode(e, (mode_t)st->st_mode);
    archive_entry_set_uid(e, st->st_uid);
    archive_entry_set_gid(e, st->st_gid);
    archive_entry_set_mtime(e, st->st_mtime_sec, (long)st->st_mtime_nsec);
    if (S_ISREG(st->st_mode))
        archive_entry_set_size(e, st->st_size);
    if (target)
        archive_entry_copy_symlink(e, target);
    r = archive_out_header(&t->out, entry, NULL, e, err);
    if (r > 0 && S_ISREG(st->st_mode))
        r = copy_file(t, real, (uint64_t)st->st_size, err);
    archive_entry_free(e);
    guestfs_free_statns(st);
    return r < 0 ? r : 0;
}

static int
add_hard_links(struct tree *t, struct err *err)
{
    char *entry = NULL, *target = NULL;
    size_t n_entry = 0, n_target = 0;
    int r = 0;

    rewind(t->hard);
    while (r >= 0 && getdelim(&entry, &n_entry, '\0', t->hard) > 0 &&
           getdelim(&target, &n_target, '\0', t->hard) > 0) {
        CLEANUP_FREE char *real = xasprintf("/%s", target);

        r = add_single(t, real, entry, err);
    }
    free(entry);
    free(target);
    rewind(t->hard);
    if (r >= 0 && ftruncate(fileno(t->hard), 0) < 0)
        r = err_set(err, ERR_IO, NULL, "forget the hard links");
    return r;
}

static int
add_path(struct tree *t, const char *real, struct err *err)
{
    struct guestfs_statns *st = NULL;
    bool is_folder;

    if (ops_stat(t->a, real, &st, err) < 0)
        return err->class;
    is_folder = (st->st_mode & S_IFMT) == S_IFDIR;
    guestfs_free_statns(st);
    if (!is_folder)
        return add_single(t, real, real + 1, err);
    if (add_folder(t, real, err) < 0)
        return err->class;
    return t->out.zip ? add_hard_links(t, err) : 0;
}

static FILE *
temp_file(const char *folder)
{
    CLEANUP_FREE char *path = xasprintf("%s/linksXXXXXX", folder);
    int fd = mkostemp(path, O_CLOEXEC);

    if (fd < 0)
        return NULL;
    unlink(path);
    return fdopen(fd, "w+");
}

/* All are there, or the first that is not is told before a byte of the archive. */
static int
resolve_all(struct appliance *a, const json_t *paths, char **ret, struct err *err)
{
    const json_t *item;
    size_t i;

    json_array_foreach(paths, i, item)
    {
        const char *text = json_string_value(item);
        CLEANUP_FREE char *path = NULL;
        struct guestfs_statns *st = NULL;

        if (!text)
            return err_set(err, ERR_INVALID, "invalid_field", "a path is text");
        if (guestpath_from_text(text, &path, err) < 0 ||
            ops_resolve(a, path, &ret[i], err) < 0 || ops_stat(a, ret[i], &st, err) < 0)
            return err->class;
        guestfs_free_statns(st);
    }
    return 0;
}

/* Is @real in a folder that is archived anyway, or the same as one before? */
static bool
is_covered(char **reals, size_t n, size_t i)
{
    for (size_t k = 0; k < n; k++) {
        size_t len = strcmp(reals[k], "/") == 0 ? 0 : strlen(reals[k]);

        if (k != i && strncmp(reals[i], reals[k], len) == 0 &&
            (reals[i][len] == '/' || (reals[i][len] == '\0' && k < i)))
            return true;
    }
    return false;
}

static int
write_all(struct tree *t, char **reals, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++)
        if (!is_covered(reals, n, i) && add_path(t, reals[i], err) < 0)
            return err->class;
    return archive_out_finish(&t->out, err);
}

int
tree_archive(struct appliance *a, const char *folder, const json_t *request, json_t **ret,
             struct err *err)
{
    struct tree t = {.a = a};
    const char *fs, *format;
    const json_t *paths;
    char **reals;
    struct jreader r;
    size_t n;

    jreader_init(&r, request, "request", err);
    jget_str(&r, "op");
    fs = jopt_str(&r, "fs", NULL);
    format = jget_str(&r, "format");
    paths = jget_arr(&r, "paths");
    if (jreader_end(&r) < 0)
        return err->class;
    n = json_array_size(paths);
    if (n < 1 || n > FILES_PATHS_MAX)
        return err_set(err, ERR_INVALID, "invalid_field", "1 to %u paths",
                       FILES_PATHS_MAX);
    if (strcmp(format, "zip") != 0 && strcmp(format, "tar.gz") != 0)
        return err_set(err, ERR_INVALID, "invalid_field",
                       "format is 'tar.gz' or 'zip', not '%.40s'", format);
    if (appliance_mount(a, fs, err) < 0)
        return err->class;
    reals = xcalloc(n + 1, sizeof *reals);
    t.hard = temp_file(folder);
    if (!t.hard)
        err_set(err, ERR_IO, NULL, "make a temporary file");
    else if (resolve_all(a, paths, reals, err) >= 0 &&
             wire_send(FILES_ALIVE, NULL, 0, err) >= 0 &&
             archive_out_open(&t.out, strcmp(format, "zip") == 0, send_data, &t, err) >=
                 0 &&
             write_all(&t, reals, n, err) >= 0)
        *ret = json_pack("{s:I, s:I}", "entries", (json_int_t)t.out.entries, "left_out",
                         (json_int_t)t.out.n_left_out);
    archive_out_done(&t.out);
    if (t.hard)
        fclose(t.hard);
    for (size_t i = 0; i < n; i++)
        free(reals[i]);
    free(reals);
    return err->class;
}
