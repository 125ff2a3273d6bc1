#include "files/archive_out.h"

#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "base/text.h"
#include "model/guestpath.h"

#define LEFT_OUT_NAME "SENDENSE-LEFT-OUT.txt"
#define LEFT_OUT_BYTES_MAX (1u << 20)
#define GZIP_LEVEL "3" /* the appliance is slower than it */

/* After a failure nothing more goes out.  The library never hears of it: it would leak
 * what it compresses with. */
static la_ssize_t
on_write(struct archive *w, void *arg, const void *p, size_t n)
{
    struct archive_out *o = arg;

    (void)w;
    if (o->err.class == 0)
        o->sink(o->arg, p, n, &o->err);
    return (la_ssize_t)n;
}

static int
failed(struct archive_out *o, const char *what, struct err *err)
{
    if (o->err.class != 0)
        *err = o->err;
    else
        err_set(err, ERR_IO, "archive_failed", "%s: %.300s", what,
                o->w && archive_error_string(o->w) ? archive_error_string(o->w)
                                                   : "unknown");
    o->err = *err;
    return err->class;
}

int
archive_out_open(struct archive_out *o, bool zip, archive_sink sink, void *arg,
                 struct err *err)
{
    int r;

    *o = (struct archive_out){
        .zip = zip, .sink = sink, .arg = arg, .left_out = BUF_INIT(LEFT_OUT_BYTES_MAX)};
    o->w = archive_write_new();
    if (!o->w)
        return failed(o, "begin the archive", err);
    r = zip ? archive_write_set_format_zip(o->w) : archive_write_set_format_pax(o->w);
    if (r == ARCHIVE_OK && !zip)
        r = archive_write_add_filter_gzip(o->w);
    if (r == ARCHIVE_OK)
        r = archive_write_set_options(o->w, zip ? "zip:compression-level=" GZIP_LEVEL
                                                : "gzip:compression-level=" GZIP_LEVEL);
    if (r == ARCHIVE_OK)
        r = archive_write_set_bytes_per_block(o->w, 0);
    if (r == ARCHIVE_OK)
        r = archive_write_open(o->w, o, NULL, on_write, NULL);
    return r == ARCHIVE_OK ? 0 : failed(o, "begin the archive", err);
}

void
archive_out_leave_out(struct archive_out *o, const char *entry, const char *why)
{
    CLEANUP_FREE char *text = guestpath_to_text(entry);
    struct err full = ERR_INIT; /* then the count tells how many are not listed */

    buf_printf(&o->left_out, &full, "%s: %s\n", text, why);
    o->n_left_out++;
}

static const char *
refusal(const struct archive_out *o, const char *entry, const struct archive_entry *e)
{
    size_t n = o->link ? strlen(o->link) : 0;
    unsigned type = archive_entry_filetype((struct archive_entry *)e);

    if (n > 0 && strncmp(entry, o->link, n) == 0 && entry[n] == '/')
        return "it lies below a link";
    if (o->zip && guestpath_is_windows_trap(entry))
        return "its name would be another path in Windows; a tar.gz can hold it";
    if (o->zip && !text_is_utf8(entry, strlen(entry)))
        return "its name is not UTF-8; a tar.gz can hold it";
    if (type != AE_IFREG && type != AE_IFDIR && type != AE_IFLNK && type != 0)
        return "it is a device, a socket or a pipe";
    return NULL;
}

static void
make_safe(struct archive_out *o, const char *entry, const char *hard,
          struct archive_entry *e)
{
    const char *target = archive_entry_symlink(e);

    archive_entry_copy_pathname(e, entry);
    archive_entry_copy_hardlink(e, hard);
    if (!hard && archive_entry_filetype(e) == AE_IFLNK) {
        CLEANUP_FREE char *safe = guestpath_link(entry, target ? target : "");

        archive_entry_copy_symlink(e, safe);
        free(o->link);
        o->link = xstrdup(entry);
    }
    /* Names of the appliance's own users. */
    archive_entry_set_uname(e, NULL);
    archive_entry_set_gname(e, NULL);
    archive_entry_copy_sourcepath(e, NULL);
    archive_entry_sparse_clear(e);
}

int
archive_out_header(struct archive_out *o, const char *entry, const char *hard,
                   struct archive_entry *e, struct err *err)
{
    const char *why = refusal(o, entry, e);
    int r;

    if (why) {
        archive_out_leave_out(o, entry, why);
        return 0;
    }
    make_safe(o, entry, hard, e);
    r = archive_write_header(o->w, e);
    /* A warning is about a name that is no UTF-8: it is written as it is. */
    if (r < ARCHIVE_WARN || o->err.class != 0)
        return failed(o, "write an entry", err);
    o->entries++;
    return 1;
}

int
archive_out_data(struct archive_out *o, const void *p, size_t n, struct err *err)
{
    la_ssize_t done = archive_write_data(o->w, p, n);

    if (done < 0 || (size_t)done != n || o->err.class != 0)
        return failed(o, "write data", err);
    return 0;
}

static int
write_left_out(struct archive_out *o, struct err *err)
{
    struct archive_entry *e = archive_entry_new();
    CLEANUP_FREE char *head =
        xasprintf("%llu entries are not in this archive, for these reasons:\n",
                  (unsigned long long)o->n_left_out);
    size_t n = strlen(head);
    int r;

    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    archive_entry_set_mtime(e, time(NULL), 0);
    archive_entry_set_size(e, (la_int64_t)(n + o->left_out.len));
    r = archive_out_header(o, LEFT_OUT_NAME, NULL, e, err);
    archive_entry_free(e);
    if (r < 0 || archive_out_data(o, head, n, err) < 0)
        return err->class;
    return o->left_out.len > 0
               ? archive_out_data(o, o->left_out.data, o->left_out.len, err)
               : 0;
}

int
archive_out_finish(struct archive_out *o, struct err *err)
{
    if (o->n_left_out > 0 && write_left_out(o, err) < 0)
        return err->class;
    if (archive_write_close(o->w) != ARCHIVE_OK || o->err.class != 0)
        return failed(o, "end the archive", err);
    return 0;
}

void
archive_out_done(struct archive_out *o)
{
    /* The library writes the end when it frees an archive that was not closed: on_write()
     * lets none of it out. */
    if (o->w) {
        if (o->err.class == 0)
            err_set(&o->err, ERR_CANCELLED, NULL, "not finished");
        archive_write_free(o->w);
    }
    buf_done(&o->left_out);
    free(o->link);
    *o = (struct archive_out){0};
}
