/* The pure parts of sendense-files: pages of names, and the archive that it writes. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/mem.h"
#include "files/archive_out.h"
#include "files/names.h"

static void
test_names_page(void **state)
{
    char after[16] = "";
    unsigned seen = 0;

    /* 1000 names in a mixed order, in pages of 7: each once, in order. */
    for (bool more = true; more;) {
        CLEANUP_NAMES struct names p = {.limit = 7, .v = xcalloc(9, sizeof(char *))};

        for (unsigned i = 0; i < 1000; i++) {
            char name[16];

            snprintf(name, sizeof name, "n%04u", i * 617 % 1000);
            names_offer(&p, name, after);
        }
        names_offer(&p, ".", after);
        names_offer(&p, "..", after);
        for (size_t i = 0; i < p.n; i++, seen++) {
            char wanted[16];

            snprintf(wanted, sizeof wanted, "n%04u", seen);
            assert_string_equal(p.v[i], wanted);
        }
        assert_null(p.v[p.n]);
        more = p.more;
        snprintf(after, sizeof after, "%s", p.v[p.n - 1]);
    }
    assert_int_equal(seen, 1000);
}

struct bytes {
    char p[65536];
    size_t n, fail_at; /* 0 = never */
};

static int
sink(void *arg, const void *p, size_t n, struct err *err)
{
    struct bytes *b = arg;

    if (b->fail_at && b->n + n > b->fail_at)
        return err_set(err, ERR_CANCELLED, NULL, "enough");
    assert_true(b->n + n <= sizeof b->p);
    memcpy(b->p + b->n, p, n);
    b->n += n;
    return 0;
}

/* < 0 with @err when the header, or the data, cannot be written. */
static int
add(struct archive_out *o, const char *entry, unsigned mode, const char *target,
    const char *hard, const char *data, struct err *err)
{
    struct archive_entry *e = archive_entry_new();
    int r;

    archive_entry_set_mode(e, mode);
    archive_entry_set_mtime(e, 1600000000, 0);
    archive_entry_set_uname(e, "daemon");
    archive_entry_set_size(e, data ? (la_int64_t)strlen(data) : 0);
    if (target)
        archive_entry_copy_symlink(e, target);
    r = archive_out_header(o, entry, hard, e, err);
    if (r > 0 && data)
        r = archive_out_data(o, data, strlen(data), err) < 0 ? err->class : 1;
    archive_entry_free(e);
    return r;
}

static void
write_all(struct archive_out *o, bool zip, struct bytes *b, struct err *err)
{
    assert_int_equal(archive_out_open(o, zip, sink, b, err), 0);
    assert_int_equal(add(o, "d", AE_IFDIR | 0755, NULL, NULL, NULL, err), 1);
    assert_int_equal(add(o, "d/f", AE_IFREG | 04711, NULL, NULL, "data", err), 1);
    if (!zip)
        assert_int_equal(add(o, "d/hard", AE_IFREG | 04711, NULL, "d/f", NULL, err), 1);
    assert_int_equal(add(o, "d/l", AE_IFLNK | 0777, "/etc", NULL, NULL, err), 1);
    assert_int_equal(add(o, "d/l/below", AE_IFREG | 0644, NULL, NULL, "x", err), 0);
    assert_int_equal(add(o, "d/la", AE_IFREG | 0644, NULL, NULL, "", err), 1);
    assert_int_equal(add(o, "d/null", AE_IFCHR | 0644, NULL, NULL, NULL, err), 0);
    assert_int_equal(add(o, "d/pipe", AE_IFIFO | 0644, NULL, NULL, NULL, err), 0);
    assert_int_equal(add(o, "..\\x", AE_IFREG | 0644, NULL, NULL, "x", err), !zip);
    assert_int_equal(add(o, "\xff\xfe", AE_IFREG | 0644, NULL, NULL, "bytes", err), !zip);
}

/* "NAME>LINK" of every entry; NULL when the archive has no proper end. */
static char *
list(const struct bytes *b)
{
    struct archive *in = archive_read_new();
    struct archive_entry *e;
    char *out = xstrdup("");
    int r;

    archive_read_support_format_tar(in);
    archive_read_support_format_zip(in);
    archive_read_support_filter_gzip(in);
    r = archive_read_open_memory(in, b->p, b->n);
    while (r >= ARCHIVE_WARN && (r = archive_read_next_header(in, &e)) >= ARCHIVE_WARN &&
           r != ARCHIVE_EOF) {
        const char *name = archive_entry_pathname(e); /* NULL: no UTF-8, in a zip */
        const char *link = archive_entry_symlink(e) ? archive_entry_symlink(e)
                                                    : archive_entry_hardlink(e);
        char *longer =
            xasprintf("%s%s>%s\n", out, name ? name : "bytes", link ? link : "");

        assert_true(!archive_entry_uname(e) || !*archive_entry_uname(e));
        free(out);
        out = longer;
        if (archive_read_data_skip(in) < ARCHIVE_WARN)
            r = ARCHIVE_FATAL;
    }
    archive_read_free(in);
    if (r == ARCHIVE_EOF)
        return out;
    free(out);
    return NULL;
}

static void
test_archive(void **state)
{
    for (int zip = 0; zip < 2; zip++) {
        CLEANUP_FREE struct bytes *b = xcalloc(1, sizeof *b);
        CLEANUP_FREE char *names = NULL;
        struct err err = ERR_INIT;
        struct archive_out o;

        write_all(&o, zip, b, &err);
        assert_int_equal(archive_out_finish(&o, &err), 0);
        assert_int_equal(o.n_left_out, zip ? 5 : 3);
        archive_out_done(&o);
        names = list(b);
        assert_non_null(names);
        assert_non_null(strstr(names, "d/l>../etc\n"));
        assert_non_null(strstr(names, "d/la>\n"));
        assert_non_null(strstr(names, "SENDENSE-LEFT-OUT.txt>\n"));
        assert_null(strstr(names, "below"));
        assert_null(strstr(names, "d/null"));
        if (!zip)
            assert_non_null(strstr(names, "d/hard>d/f\n"));
    }
}

static bool
has_end(const struct bytes *b, bool zip)
{
    /* zip: the end of its directory; gzip: its checksum, which zlib alone can tell */
    for (size_t i = 0; zip && i + 4 <= b->n; i++)
        if (memcmp(b->p + i, "PK\5\6", 4) == 0)
            return true;
    return false;
}

/* Not finished, or failed in the middle: there is no end that a reader would take. */
static void
test_cut_archive(void **state)
{
    for (int zip = 0; zip < 2; zip++) {
        CLEANUP_FREE struct bytes *b = xcalloc(1, sizeof *b);
        CLEANUP_FREE struct bytes *c = xcalloc(1, sizeof *c);
        CLEANUP_FREE char *names = NULL, *big = xcalloc(60001, 1);
        struct err err = ERR_INIT;
        struct archive_out o;

        write_all(&o, zip, b, &err);
        archive_out_done(&o);
        assert_false(has_end(b, zip));
        names = zip ? NULL : list(b);
        assert_null(names);

        c->fail_at = 1000;
        for (int i = 0; i < 60000; i++)
            big[i] = (char)(1 + rand() % 255);
        assert_int_equal(archive_out_open(&o, zip, sink, c, &err), 0);
        for (int i = 0; i < 5 && err.class == 0; i++)
            add(&o, "big", AE_IFREG | 0644, NULL, NULL, big, &err);
        assert_int_equal(err.class, ERR_CANCELLED);
        archive_out_done(&o);
        assert_true(c->n <= 1000);
        assert_false(has_end(c, zip));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_page),
        cmocka_unit_test(test_archive),
        cmocka_unit_test(test_cut_archive),
    };

    setlocale(LC_ALL, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
