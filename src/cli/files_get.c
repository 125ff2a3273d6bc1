/* cli/files_get.c - takes files of a session to this machine. */
#include "cli/files.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "cli/output.h"
#include "model/guestpath.h"

#define BLOCK 4096u

/* --- one file --- */

struct sink {
    int fd;
    uint64_t done;
    struct err err;
};

static bool
is_zero(const char *p, size_t n)
{
    return n == 0 || (p[0] == 0 && memcmp(p, p + 1, n - 1) == 0);
}

/* Blocks of zeroes become holes. */
static int
on_data(void *arg, const char *p, size_t n)
{
    struct sink *s = arg;

    while (n > 0) {
        size_t piece = BLOCK - (size_t)(s->done % BLOCK);

        if (piece > n)
            piece = n;
        if (!is_zero(p, piece) && fs_pwrite_full(s->fd, p, piece, s->done, &s->err) < 0)
            return -1;
        s->done += piece;
        p += piece;
        n -= piece;
    }
    return 0;
}

static char *
local_name(const struct files_item *item, struct err *err)
{
    const char *text = json_string_value(json_object_get(item->info, "name"));
    char *name = NULL;

    if (!text || guestpath_unescape(text, &name, err) < 0)
        return NULL;
    if (!*name || strchr(name, '/') || strcmp(name, "..") == 0 ||
        strcmp(name, ".") == 0) {
        free(name);
        return NULL;
    }
    return name;
}

static int
finish_file(struct sink *s, const struct files_item *item, const char *part,
            const char *path, struct err *err)
{
    json_int_t mode = json_integer_value(json_object_get(item->info, "mode"));
    uint64_t size =
        (uint64_t)json_integer_value(json_object_get(item->info, "size_bytes"));

    if (s->done != size)
        return err_set(err, ERR_IO, "download_cut", "%llu of %llu bytes came",
                       (unsigned long long)s->done, (unsigned long long)size);
    if (ftruncate(s->fd, (off_t)size) < 0 || fchmod(s->fd, (mode_t)mode & 0777) < 0 ||
        fsync(s->fd) < 0)
        return err_errno(err, errno, NULL, "finish '%s'", part);
    return fs_rename_noreplace(part, path, err);
}

static int
get_file(struct files_client *f, const struct files_item *item, const char *to,
         struct err *err)
{
    CLEANUP_FREE char *name = local_name(item, err), *path = NULL, *part = NULL;
    CLEANUP_FREE char *query = hub_path("/restore/mounts/", f->id, "/download");
    CLEANUP_FD int fd = -1;
    struct sink s = {0};
    struct hub_stream stream = {
        .accept = "*/*", .cancel_fd = f->c->io->signal_fd, .on_data = on_data, .arg = &s};
    int r;

    if (!name)
        return err_set(err, ERR_PROTOCOL, "unexpected_answer", "the hub told no name");
    path = xasprintf("%s/%s", to, name);
    part = xasprintf("%s.part", path);
    if (fs_exists(path))
        return err_set(err, ERR_EXISTS, "target_exists", "'%s' is there already", path);
    s.fd = fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return err_errno(err, errno, NULL, "make '%s'", part);
    hub_query(&query, "fs", item->fs);
    hub_query(&query, "path", item->path);
    stream.path = query;
    r = hub_stream(&f->c->hub, &stream, err);
    if (s.err.class != 0)
        *err = s.err;
    if (r >= 0)
        r = finish_file(&s, item, part, path, err);
    if (r < 0)
        unlink(part);
    else
        cli_say(f->c, "%s: %llu bytes", path, (unsigned long long)s.done);
    return r < 0 ? err->class : 0;
}

/* --- folders and the like: an archive, unpacked as it comes --- */

struct unpack {
    int read_fd, write_fd, dir_fd;
    uint64_t entries, failed;
    struct err err, first; /* of the stream; of an entry */
};

static int
copy_entry(struct archive *in, struct archive *out)
{
    const void *p;
    size_t n;
    la_int64_t at;
    int r;

    while ((r = archive_read_data_block(in, &p, &n, &at)) == ARCHIVE_OK)
        if (archive_write_data_block(out, p, n, at) < ARCHIVE_WARN)
            return ARCHIVE_FAILED;
    return r == ARCHIVE_EOF ? archive_write_finish_entry(out) : ARCHIVE_FATAL;
}

/* < ARCHIVE_WARN when the archive itself is broken. */
static int
unpack_entries(struct unpack *u, struct archive *in, struct archive *out)
{
    struct archive_entry *e;
    int r;

    while ((r = archive_read_next_header(in, &e)) != ARCHIVE_EOF) {
        if (r < ARCHIVE_WARN)
            return r;
        u->entries++;
        r = archive_write_header(out, e);
        if (r >= ARCHIVE_WARN)
            r = copy_entry(in, out);
        if (r == ARCHIVE_FATAL)
            return r;
        if (r < ARCHIVE_WARN) {
            const char *name = archive_entry_pathname(e),
                       *why = archive_error_string(out);

            if (u->failed++ == 0)
                err_set(&u->first, ERR_IO, NULL, "%.300s: %.300s", name ? name : "?",
                        why ? why : "failed");
        }
    }
    return ARCHIVE_OK;
}

static void *
unpack_thread(void *arg)
{
    /* What an archive says is not trusted here either. */
    int flags = ARCHIVE_EXTRACT_TIME | ARCHIVE_EXTRACT_PERM | ARCHIVE_EXTRACT_XATTR |
                ARCHIVE_EXTRACT_ACL | ARCHIVE_EXTRACT_SPARSE |
                ARCHIVE_EXTRACT_NO_OVERWRITE | ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                ARCHIVE_EXTRACT_SECURE_NODOTDOT | ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS;
    struct unpack *u = arg;
    struct archive *in = archive_read_new(), *out = archive_write_disk_new();

    if (geteuid() == 0)
        flags |= ARCHIVE_EXTRACT_OWNER;
    archive_read_support_format_tar(in);
    archive_read_support_filter_gzip(in);
    archive_write_disk_set_options(out, flags);
    if (archive_read_open_fd(in, u->read_fd, 65536) != ARCHIVE_OK ||
        unpack_entries(u, in, out) < ARCHIVE_WARN)
        err_set(&u->err, ERR_IO, "unpack_failed", "unpack: %.400s",
                archive_error_string(in) ? archive_error_string(in) : "failed");
    archive_write_free(out);
    archive_read_free(in);
    close(u->read_fd);
    return NULL;
}

static int
on_archive(void *arg, const char *p, size_t n)
{
    struct unpack *u = arg;
    struct err err = ERR_INIT;

    return fs_write_full(u->write_fd, p, n, &err);
}

static json_t *
archive_request(const struct files_item *items, size_t n)
{
    json_t *paths = json_array();

    for (size_t i = 0; i < n; i++)
        json_array_append_new(paths, json_string(items[i].path));
    return json_pack("{s:s, s:s, s:o}", "fs", items[0].fs, "format", "tar.gz", "paths",
                     paths);
}

static int
stream_archive(struct files_client *f, struct unpack *u, const json_t *body,
               struct err *err)
{
    CLEANUP_FREE char *path = hub_path("/restore/mounts/", f->id, "/archive");
    struct hub_stream stream = {.path = path,
                                .accept = "*/*",
                                .body = body,
                                .cancel_fd = f->c->io->signal_fd,
                                .on_data = on_archive,
                                .arg = u};
    pthread_t thread;
    int r = pthread_create(&thread, NULL, unpack_thread, u);

    if (r != 0) {
        close(u->read_fd);
        close(u->write_fd);
        return err_errno(err, r, NULL, "start a thread");
    }
    r = hub_stream(&f->c->hub, &stream, err);
    close(u->write_fd);
    pthread_join(thread, NULL);
    /* The stream's own failure says why the rest is missing. */
    if (u->err.class != 0 && (r >= 0 || err->class == ERR_CANCELLED))
        *err = u->err;
    return err->class;
}

static int
get_archive(struct files_client *f, const struct files_item *items, size_t n,
            const char *to, struct err *err)
{
    CLEANUP_JSON json_t *body = archive_request(items, n);
    CLEANUP_FD int back = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    struct unpack u = {0};
    int fds[2];

    /* Entries are relative, so that none of them can name a place outside. */
    if (back < 0 || chdir(to) < 0)
        return err_errno(err, errno, NULL, "enter '%s'", to);
    if (pipe2(fds, O_CLOEXEC) < 0)
        return err_errno(err, errno, NULL, "make a pipe");
    u.read_fd = fds[0];
    u.write_fd = fds[1];
    stream_archive(f, &u, body, err);
    if (fchdir(back) < 0 && err->class == 0)
        return err_errno(err, errno, NULL, "go back");
    if (err->class != 0)
        return err_prefix(err, "%llu entries came, then", (unsigned long long)u.entries);
    if (u.failed > 0) {
        *err = u.first;
        return err_prefix(err, "%llu of %llu entries could not be written, the first",
                          (unsigned long long)u.failed, (unsigned long long)u.entries);
    }
    cli_say(f->c, "%s: %llu entries", to, (unsigned long long)u.entries);
    return 0;
}

int
files_client_get(struct files_client *f, const struct files_item *items, size_t n,
                 const char *to, struct err *err)
{
    const char *type = json_string_value(json_object_get(items[0].info, "type"));

    if (fs_mkdirs(to, 0755, err) < 0)
        return err->class;
    if (n == 1 && type && strcmp(type, "file") == 0)
        return get_file(f, &items[0], to, err);
    return get_archive(f, items, n, to, err);
}
