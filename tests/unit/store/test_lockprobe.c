/* tests/unit/store/test_lockprobe.c - the probe alone; with real qemu-nbds see
 * test_export.c. */
#include "store_test.h"

#include "store/lockprobe.h"

static void
lock_byte(int fd, off_t byte)
{
    struct flock fl = {
        .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    assert_int_equal(fcntl(fd, F_OFD_SETLK, &fl), 0);
}

/* The bytes that QEMU's block/file-posix.c documents, taken here as it takes them. */
static void
qemu_bytes_are_told_apart(void **state)
{
    struct err err = ERR_INIT;
    struct lockprobe p = {0};
    CLEANUP_FREE char *path = xasprintf("%s/img", (char *)*state);
    CLEANUP_FD int fd = -1;

    put_file(path, "x", 1);
    assert_ok(lockprobe_file(path, &p, &err));
    assert_false(p.in_use || p.written);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    lock_byte(fd, 99); /* not qemu's */
    lock_byte(fd, 300);
    assert_ok(lockprobe_file(path, &p, &err));
    assert_false(p.in_use || p.written);
    lock_byte(fd, 100); /* a reader */
    lock_byte(fd, 201); /* that allows no writers */
    assert_ok(lockprobe_file(path, &p, &err));
    assert_true(p.in_use && !p.written);
    lock_byte(fd, 101); /* a writer */
    assert_ok(lockprobe_file(path, &p, &err));
    assert_true(p.in_use && p.written);
    close(take_fd(&fd));
    assert_ok(lockprobe_file(path, &p, &err));
    assert_false(p.in_use || p.written);
}

static void
errors(void **state)
{
    struct err err = ERR_INIT;
    struct lockprobe p;
    CLEANUP_FREE char *none = xasprintf("%s/none", (char *)*state);

    assert_fails(lockprobe_file(none, &p, &err), ERR_NOT_FOUND, NULL);
    assert_fails(lockprobe_file(*state, &p, &err), ERR_INVALID, NULL);
    assert_fails(lockprobe_file("/dev/null", &p, &err), ERR_INVALID, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TMP_TEST(qemu_bytes_are_told_apart),
        TMP_TEST(errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
