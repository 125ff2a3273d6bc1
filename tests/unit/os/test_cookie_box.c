/* Unit tests of os/cookie_box.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "os/cookie_box.h"

static struct cookie_box writer, reader;
static int box_fd = -1;

static int
start(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(cookie_box_create(&box_fd, &err), 0);
    assert_int_equal(cookie_box_map(box_fd, true, &writer, &err), 0);
    assert_int_equal(cookie_box_map(box_fd, false, &reader, &err), 0);
    return 0;
}

static int
stop(void **state)
{
    cookie_box_unmap(&writer);
    cookie_box_unmap(&reader);
    assert_null(reader.words);
    close(box_fd);
    return 0;
}

static void
test_write_and_read(void **state)
{
    char out[COOKIE_TEXT_MAX + 1], big[COOKIE_TEXT_MAX + 1];
    struct err err = ERR_INIT;
    uint8_t raw[12];
    uint32_t g = 77, g2;

    assert_int_equal(cookie_box_read(&reader, out, &g, &err), 0);
    assert_string_equal(out, "");
    assert_int_equal(g, 0);
    assert_int_equal(cookie_box_write(&writer, "vmware_soap_session=\"a1\"", 24, &err),
                     0);
    assert_int_equal(cookie_box_generation(&reader), 2);
    assert_int_equal(cookie_box_read(&reader, out, &g, &err), 0);
    assert_string_equal(out, "vmware_soap_session=\"a1\"");
    assert_int_equal(g, 2);
    /* The bytes that docs/design/protocol.md promises. */
    assert_int_equal(pread(box_fd, raw, sizeof(raw), 0), sizeof(raw));
    assert_memory_equal(raw, "\2\0\0\0\30\0\0\0vmwa", 12);
    memset(big, 'x', sizeof(big));
    assert_int_equal(cookie_box_write(&writer, big, COOKIE_TEXT_MAX, &err), 0);
    assert_int_equal(cookie_box_read(&reader, out, &g2, &err), 0);
    assert_int_equal(strlen(out), COOKIE_TEXT_MAX);
    assert_int_equal(g2, 4);
    assert_int_equal(cookie_box_write(&writer, big, COOKIE_TEXT_MAX + 1, &err),
                     ERR_INVALID);
    assert_int_equal(cookie_box_write(&writer, "a\r\nb", 4, &err), ERR_INVALID);
    assert_int_equal(cookie_box_write(&writer, "a\0b", 3, &err), ERR_INVALID);
    assert_int_equal(cookie_box_generation(&reader), 4);
}

static void
put(unsigned word, uint32_t v)
{
    assert_int_equal(pwrite(box_fd, &v, 4, (off_t)word * 4), 4);
}

static void
test_damaged(void **state)
{
    char out[COOKIE_TEXT_MAX + 1] = "kept";
    struct err err = ERR_INIT;
    uint32_t g = 77;

    put(1, COOKIE_TEXT_MAX + 1);
    assert_int_equal(cookie_box_read(&reader, out, &g, &err), ERR_PROTOCOL);
    put(1, 3);
    put(2, 0x0a410a41);
    assert_int_equal(cookie_box_read(&reader, out, &g, &err), ERR_PROTOCOL);
    /* A writer that died in the middle. */
    put(0, 7);
    assert_int_equal(cookie_box_read(&reader, out, &g, &err), ERR_TIMEOUT);
    assert_string_equal(out, "kept");
    assert_int_equal(g, 77);
    assert_int_equal(cookie_box_write(&writer, "new", 3, &err), 0);
    assert_int_equal(cookie_box_read(&reader, out, &g, &err), 0);
    assert_string_equal(out, "new");
    assert_int_equal(g, 8);
}

/* The size is sealed, and what is no box is refused. */
static void
test_descriptors(void **state)
{
    struct cookie_box b = {0};
    struct err err = ERR_INIT;
    int fd = memfd_create("small", MFD_CLOEXEC), ends[2];

    assert_int_not_equal(ftruncate(box_fd, 100), 0);
    assert_int_equal(ftruncate(fd, 4095), 0);
    assert_int_equal(cookie_box_map(fd, false, &b, &err), ERR_INVALID);
    close(fd);
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(cookie_box_map(ends[0], false, &b, &err), ERR_INVALID);
    close(ends[0]);
    close(ends[1]);
    assert_true(cookie_box_map(-1, false, &b, &err) < 0);
    assert_null(b.words);
}

static void *
write_many(void *arg)
{
    struct err err = ERR_INIT;
    char text[1001];

    for (int i = 0; i < 20000; i++) {
        memset(text, 'a' + i % 26, sizeof(text));
        if (cookie_box_write(&writer, text, 1 + (size_t)i % 26 * 40, &err) < 0)
            return (void *)1;
    }
    return NULL;
}

/* Never a mixture of two cookies. */
static void
test_torn(void **state)
{
    char out[COOKIE_TEXT_MAX + 1];
    struct err err = ERR_INIT;
    uint32_t g = 0, last = 0;
    pthread_t t;
    void *failed;

    assert_int_equal(cookie_box_write(&writer, "a", 1, &err), 0);
    assert_int_equal(pthread_create(&t, NULL, write_many, NULL), 0);
    for (int i = 0; i < 5000; i++) {
        assert_int_equal(cookie_box_read(&reader, out, &g, &err), 0);
        assert_true(g >= last && g % 2 == 0);
        last = g;
        assert_int_equal(strlen(out), 1 + (out[0] - 'a') * 40);
        for (size_t k = 0; out[k]; k++)
            assert_int_equal(out[k], out[0]);
    }
    pthread_join(t, &failed);
    assert_null(failed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_torn),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
