/* tests/unit/store/test_qcow2_header.c - what our parser accepts and refuses. */
#include "store_test.h"

#include "os/child.h"
#include "store/qcow2_header.h"

#define SEQ 7

static uint8_t *
make_image(const char *dir, const char *name, const char *const *more, size_t *ret_n)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = xasprintf("%s/%s", dir, name);
    const char *argv[24] = {"qemu-img", "create", "-q", "-f", "qcow2"};
    unsigned n = 5;

    while (*more)
        argv[n++] = *more++;
    argv[n++] = path;
    argv[n] = "10M";
    assert_ok(child_run(argv, NULL, 0, 30000, NULL, &err));
    return (uint8_t *)get_file(path, ret_n);
}

/* A plain full and an overlay as Sendense makes them. */
static uint8_t *
full(const char *dir, size_t *ret_n)
{
    return make_image(dir, "000003.qcow2",
                      (const char *[]){"-o", "compat=1.1,cluster_size=65536", NULL},
                      ret_n);
}

static uint8_t *
overlay(const char *dir, size_t *ret_n)
{
    free(full(dir, ret_n));
    return make_image(dir, "000007.qcow2",
                      (const char *[]){"-o", "compat=1.1,cluster_size=65536", "-b",
                                       "000003.qcow2", "-F", "qcow2", NULL},
                      ret_n);
}

#define assert_refused(p, n, seq, phrase)                                                \
    do {                                                                                 \
        struct qcow2_header h_;                                                          \
        err = (struct err)ERR_INIT;                                                      \
        assert_int_equal(qcow2_header_parse((p), (n), (seq), &h_, &err), ERR_CORRUPT);   \
        assert_string_equal(err.code, "layer_header");                                   \
        if (!strstr(err.msg, (phrase)))                                                  \
            fail_msg("'%s' does not say '%s'", err.msg, (phrase));                       \
    } while (0)

static void
put32(uint8_t *p, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> (24 - 8 * i));
}

static void
accepts_what_qemu_img_makes(void **state)
{
    struct err err = ERR_INIT;
    struct qcow2_header h;
    size_t n;
    CLEANUP_FREE uint8_t *a = full(*state, &n);

    assert_ok(qcow2_header_parse(a, n, 3, &h, &err));
    assert_int_equal(h.virtual_size, 10 << 20);
    assert_string_equal(h.backing, "");
    assert_int_equal(h.backing_seq, 0);
    CLEANUP_FREE uint8_t *b = overlay(*state, &n);
    assert_ok(qcow2_header_parse(b, n, SEQ, &h, &err));
    assert_string_equal(h.backing, "000003.qcow2");
    assert_int_equal(h.backing_seq, 3);
}

static void
reads_from_a_descriptor(void **state)
{
    struct err err = ERR_INIT;
    struct qcow2_header h;
    size_t n;
    CLEANUP_FREE uint8_t *p = overlay(*state, &n);
    CLEANUP_FREE char *path = xasprintf("%s/000007.qcow2", (char *)*state);
    CLEANUP_FD int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_ok(qcow2_header_read(fd, SEQ, &h, &err));
    assert_int_equal(h.backing_seq, 3);
    assert_int_equal(truncate(path, 50), 0);
    assert_fails(qcow2_header_read(fd, SEQ, &h, &err), ERR_CORRUPT, "layer_header");
    assert_int_equal(truncate(path, 0), 0);
    assert_fails(qcow2_header_read(fd, SEQ, &h, &err), ERR_CORRUPT, "layer_header");
}

static void
refuses_fixed_fields(void **state)
{
    static const struct {
        unsigned at;
        uint32_t value;
        const char *phrase;
    } cases[] = {
        {0, 0x51464900, "not qcow2"}, {4, 2, "version 3"},
        {4, 4, "version 3"},          {20, 9, "cluster size"},
        {20, 17, "cluster size"},     {24, 0xffffffff, "virtual size"},
        {28, 513, "virtual size"},    {32, 1, "encrypted"},
        {32, 2, "encrypted"},         {60, 1, "snapshots"},
        {72, 1, "incompatible bit"},  {76, 1, "dirty"},
        {76, 2, "corrupt"},           {76, 4, "external data file"},
        {76, 8, "compressed"},        {76, 16, "extended L2"},
        {76, 32, "incompatible bit"}, {100, 96, "header length"},
        {100, 105, "header length"},  {100, 0x10000000, "header length"},
    };
    struct err err = ERR_INIT;
    size_t n;
    CLEANUP_FREE uint8_t *good = full(*state, &n);

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE uint8_t *p = xcalloc(1, n);

        memcpy(p, good, n);
        put32(p + cases[i].at, cases[i].value);
        assert_refused(p, n, SEQ, cases[i].phrase);
    }
}

/* Names that qemu would follow out of the folder. */
static void
refuses_foreign_backing(void **state)
{
    static const char *const names[] = {
        "/etc/shadow",     "../000003.qcow2", "json:{\"a\":1}", "nbd://h/x",
        "nbd:localhost:1", "000003.raw",      "3.qcow2",        "0000003.qcow2",
        "000000.qcow2",    "000007.qcow2",    "000008.qcow2",   "999999999999999.qcow2",
        "./000003.qcow2",  "000003.qcow2 ",   "fd:3",           "000003.qcow2.qcow2",
    };
    struct err err = ERR_INIT;
    size_t n;
    CLEANUP_FREE uint8_t *good = overlay(*state, &n);
    uint32_t at = (uint32_t)good[14] << 8 | good[15];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        CLEANUP_FREE uint8_t *p = xcalloc(1, n);

        memcpy(p, good, n);
        memcpy(p + at, names[i], strlen(names[i]));
        put32(p + 16, (uint32_t)strlen(names[i]));
        assert_refused(p, n, SEQ, "backing file");
    }
    memcpy(good + at, "000003.qcow2\0", 13);
    put32(good + 16, 13); /* a NUL inside of the name */
    assert_refused(good, n, SEQ, "backing file");
    put32(good + 16, 12);
    assert_refused(good, n, 3, "not older");
}

static void
refuses_bad_places_and_formats(void **state)
{
    struct err err = ERR_INIT;
    struct qcow2_header h;
    size_t n, ext;
    CLEANUP_FREE uint8_t *good = overlay(*state, &n);
    CLEANUP_FREE uint8_t *p = xcalloc(1, n);

    ext = good[102] << 8 | good[103]; /* the first extension: the backing format */
    assert_int_equal(good[ext], 0xe2);
#define FRESH() memcpy(p, good, n)
    FRESH();
    put32(p + 16, 0); /* an offset without a name */
    assert_refused(p, n, SEQ, "two minds");
    FRESH();
    put32(p + 12, 0); /* a name without an offset */
    assert_refused(p, n, SEQ, "two minds");
    FRESH();
    put32(p + 12, 65530); /* runs out of the first cluster */
    assert_refused(p, n, SEQ, "outside");
    FRESH();
    put32(p + 8, 1); /* beyond 4 GiB */
    assert_refused(p, n, SEQ, "outside");
    FRESH();
    put32(p + 12, 8); /* inside of the header */
    assert_refused(p, n, SEQ, "outside");
    FRESH();
    memcpy(p + ext + 8, "rawww", 5);
    assert_refused(p, n, SEQ, "backing format");
    FRESH();
    put32(p + ext + 4, 0xfffffff0); /* a length that would wrap around */
    assert_refused(p, n, SEQ, "too long");
    FRESH();
    put32(p + ext, 0x12345678); /* unknown extension in the place of the format */
    assert_refused(p, n, SEQ, "no backing format");
    FRESH();
    put32(p + ext, 0); /* end of the extensions */
    assert_refused(p, n, SEQ, "no backing format");
    FRESH();
    put32(p + ext, 0x44415441);
    assert_refused(p, n, SEQ, "data file");
    FRESH();
    put32(p + ext, 0x0537be77);
    assert_refused(p, n, SEQ, "encryption");
    FRESH();
    memcpy(p + ext + 16, p + ext, 16); /* twice */
    assert_refused(p, n, SEQ, "backing format");
#undef FRESH
    /* Cut at every length: refused or accepted, never read beyond (ASan sees it). */
    for (size_t cut = 0; cut < 700; cut++) {
        CLEANUP_FREE uint8_t *part = malloc(cut + 1);

        memcpy(part, good, cut);
        err = (struct err)ERR_INIT;
        (void)qcow2_header_parse(part, cut, SEQ, &h, &err);
        if (cut < 104)
            assert_int_equal(err.class, ERR_CORRUPT);
    }
}

/* The same attacks as qemu-img itself would write them. */
static void
refuses_what_qemu_img_can_make(void **state)
{
    static const struct {
        const char *args[9];
        const char *phrase;
    } cases[] = {
        {{"-o", "compat=0.10"}, "version 3"},
        {{"-o", "cluster_size=4096"}, "cluster size"},
        {{"-o", "extended_l2=on,cluster_size=65536"}, "extended L2"},
        {{"-o", "compression_type=zstd"}, "compressed"},
        {{"-o", "data_file"}, "data file"},
        {{"-u", "-b", "/etc/passwd", "-F", "raw"}, "backing"},
        {{"-u", "-b", "nbd://127.0.0.1:1/x", "-F", "qcow2"}, "backing"},
        {{"-u", "-b", "json:{\"driver\":\"null-co\"}", "-F", "qcow2"}, "backing"},
    };
    struct err err = ERR_INIT;

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        CLEANUP_FREE char *name = xasprintf("%06zu.qcow2", i + 100);
        CLEANUP_FREE char *data_file = xasprintf("data_file=%s/d.raw", (char *)*state);
        const char *args[ARRAY_LEN(cases[i].args)];
        size_t n;

        memcpy(args, cases[i].args, sizeof(args));
        if (strcmp(args[1], "data_file") == 0)
            args[1] = data_file;
        CLEANUP_FREE uint8_t *p = make_image(*state, name, args, &n);

        assert_refused(p, n, 1000, cases[i].phrase);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TMP_TEST(accepts_what_qemu_img_makes),
        TMP_TEST(reads_from_a_descriptor),
        TMP_TEST(refuses_fixed_fields),
        TMP_TEST(refuses_foreign_backing),
        TMP_TEST(refuses_bad_places_and_formats),
        TMP_TEST(refuses_what_qemu_img_can_make),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
