/* Unit tests of base/fs.h and base/secret.h. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fs.h"
#include "base/mem.h"
#include "base/secret.h"
#include "tmpdir.h"

static char dir[TMPDIR_SIZE];

static int
setup(void **state)
{
    tmpdir_make(dir);
    return chdir(dir);
}

static int
teardown(void **state)
{
    if (chdir("/") < 0)
        return -1;
    tmpdir_remove(dir);
    return 0;
}

static void
put(const char *path, const char *text, mode_t mode)
{
    CLEANUP_FD int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    struct err err = ERR_INIT;

    assert_true(fd >= 0);
    assert_int_equal(fs_write_full(fd, text, strlen(text), &err), 0);
    assert_int_equal(fchmod(fd, mode), 0);
}

static void
assert_content(const char *path, const char *text)
{
    CLEANUP_BUF struct buf b = BUF_INIT(1000);
    struct err err = ERR_INIT;

    assert_int_equal(fs_read_file(path, &b, &err), 0);
    assert_string_equal(b.data ? b.data : "", text);
}

static void
full_reads_and_writes(void **state)
{
    CLEANUP_FD int fd = open("rw", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct err err = ERR_INIT;
    char got[8] = "";

    assert_int_equal(fs_write_full(fd, "abcdef", 6, &err), 0);
    assert_int_equal(fs_pwrite_full(fd, "XY", 2, 2, &err), 0);
    assert_int_equal(fs_pread_full(fd, got, 6, 0, &err), 0);
    assert_string_equal(got, "abXYef");
    assert_int_equal(lseek(fd, 1, SEEK_SET), 1);
    assert_int_equal(fs_read_full(fd, got, 5, &err), 0);
    assert_memory_equal(got, "bXYef", 5);
    assert_int_equal(fs_read_full(fd, got, 1, &err), ERR_CORRUPT);
    err_clear(&err);
    assert_int_equal(fs_pread_full(fd, got, 7, 0, &err), ERR_CORRUPT);
    err_clear(&err);
    assert_int_equal(fs_pread_full(fd, got, 1, UINT64_MAX, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(fs_pwrite_full(fd, got, 2, INT64_MAX, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(fs_read_full(-1, got, 1, &err), ERR_IO);
    err_clear(&err);
    assert_int_equal(fs_write_full(-1, got, 1, &err), ERR_IO);
    assert_int_equal(fs_read_full(fd, got, 0, &err), 0);
}

static void
short_transfers_are_continued(void **state)
{
    CLEANUP_FREE char *data = malloc(1 << 20);
    struct err err = ERR_INIT;
    int fds[2], status;
    pid_t pid;

    memset(data, 'q', 1 << 20);
    assert_int_equal(pipe(fds), 0);
    pid = fork(); /* a pipe holds 64 KiB: both sides see short counts */
    if (pid == 0)
        _exit(fs_write_full(fds[1], data, 1 << 20, &err) == 0 ? 0 : 1);
    close(fds[1]);
    memset(data, 0, 1 << 20);
    assert_int_equal(fs_read_full(fds[0], data, 1 << 20, &err), 0);
    for (int i = 0; i < 1 << 20; i++)
        assert_true(data[i] == 'q');
    close(fds[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
read_file_limits_and_kinds(void **state)
{
    CLEANUP_BUF struct buf b = BUF_INIT(5);
    CLEANUP_BUF struct buf proc = BUF_INIT(100000);
    struct err err = ERR_INIT;

    put("five", "12345", 0600);
    put("six", "123456", 0600);
    put("empty", "", 0600);
    assert_int_equal(fs_read_file("five", &b, &err), 0);
    assert_string_equal(b.data, "12345");
    buf_reset(&b);
    assert_int_equal(fs_read_file("six", &b, &err), ERR_LIMIT);
    assert_non_null(strstr(err.msg, "'six'"));
    err_clear(&err);
    buf_reset(&b);
    assert_int_equal(fs_read_file("empty", &b, &err), 0);
    assert_int_equal(b.len, 0);
    assert_int_equal(fs_read_file("missing", &b, &err), ERR_NOT_FOUND);
    err_clear(&err);
    assert_int_equal(fs_read_file(".", &b, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(mkfifo("fifo", 0600), 0);
    assert_int_equal(fs_read_file("fifo", &b, &err), ERR_INVALID); /* and does not hang */
    err_clear(&err);
    assert_int_equal(fs_read_file("/proc/self/status", &proc, &err),
                     0); /* st_size is 0 */
    assert_true(proc.len > 100);
}

static void
secret_files(void **state)
{
    struct err err = ERR_INIT;
    struct secret *s = NULL;

    put("s600", "pass word\n", 0600);
    put("s640", "x", 0640);
    put("s604", "x", 0604);
    put("s400", "two\n\n", 0400);
    put("crlf", "dos\r\n", 0600);
    put("none", "\n", 0600);
    assert_int_equal(secret_from_file("s600", &s, &err), 0);
    assert_string_equal(secret_reveal(s), "pass word");
    assert_int_equal(secret_len(s), 9);
    secret_free(s);
    assert_int_equal(secret_from_file("s400", &s, &err), 0);
    assert_string_equal(secret_reveal(s), "two\n");
    secret_free(s);
    assert_int_equal(secret_from_file("crlf", &s, &err), 0);
    assert_string_equal(secret_reveal(s), "dos");
    secret_free(s);
    assert_int_equal(secret_from_file("s640", &s, &err), ERR_AUTH);
    assert_non_null(strstr(err.msg, "0640"));
    err_clear(&err);
    assert_int_equal(secret_from_file("s604", &s, &err), ERR_AUTH);
    err_clear(&err);
    assert_int_equal(secret_from_file(".", &s, &err), ERR_AUTH);
    err_clear(&err);
    assert_int_equal(secret_from_file("none", &s, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(secret_from_file("missing", &s, &err), ERR_NOT_FOUND);
}

static void
secret_files_with_zero_byte(void **state)
{
    CLEANUP_SECRET struct secret *s = NULL;
    struct err err = ERR_INIT;
    CLEANUP_FD int fd = open("zero", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_int_equal(fs_write_full(fd, "a\0b", 3, &err), 0);
    assert_int_equal(secret_from_file("zero", &s, &err), ERR_INVALID);
    assert_null(secret_reveal(NULL));
    assert_int_equal(secret_len(NULL), 0);
    secret_free(NULL);
    s = secret_new("a\0b", 3);
    assert_int_equal(secret_len(s), 3);
    assert_memory_equal(secret_reveal(s), "a\0b", 4);
}

static void
durable_writes(void **state)
{
    struct err err = ERR_INIT;
    struct stat st;

    put("victim", "safe", 0600);
    assert_int_equal(symlink("victim", "w.tmp"), 0); /* planted: must not be followed */
    assert_int_equal(fs_write_file_durable("w", "one", 3, 0600, &err), 0);
    assert_content("w", "one");
    assert_content("victim", "safe");
    assert_int_equal(lstat("w", &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_false(fs_exists("w.tmp"));
    assert_int_equal(fs_write_file_durable("w", "two!", 4, 0600, &err), 0);
    assert_content("w", "two!");
    assert_int_equal(fs_write_file_durable("no/w", "x", 1, 0600, &err), ERR_NOT_FOUND);
}

static void
create_refuses_an_existing_name(void **state)
{
    struct err err = ERR_INIT;

    assert_int_equal(fs_create_file_durable("c", "one", 3, 0600, &err), 0);
    assert_int_equal(fs_create_file_durable("c", "two", 3, 0600, &err), ERR_EXISTS);
    assert_content("c", "one");
    assert_false(fs_exists("c.tmp"));
}

static void
failed_write_leaves_the_old_file(void **state)
{
    struct rlimit old, small = {.rlim_cur = 10};
    struct err err = ERR_INIT;

    assert_int_equal(fs_write_file_durable("f", "old", 3, 0600, &err), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small.rlim_max = old.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    assert_int_equal(fs_write_file_durable("f", "12345678901234567890", 20, 0600, &err),
                     ERR_LIMIT);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_content("f", "old");
    assert_false(fs_exists("f.tmp"));
}

static void
renames_and_removals(void **state)
{
    struct err err = ERR_INIT;

    put("r1", "1", 0600);
    put("r2", "2", 0600);
    assert_int_equal(fs_rename_noreplace("r1", "r2", &err), ERR_EXISTS);
    err_clear(&err);
    assert_content("r2", "2");
    assert_int_equal(fs_rename_noreplace("r1", "r3", &err), 0);
    assert_content("r3", "1");
    assert_int_equal(fs_rename_noreplace("r1", "r4", &err), ERR_NOT_FOUND);
    err_clear(&err);
    assert_int_equal(fs_unlink("r3", false, &err), 0);
    assert_false(fs_exists("r3"));
    assert_int_equal(fs_unlink("r3", true, &err), 0);
    assert_int_equal(fs_unlink("r3", false, &err), ERR_NOT_FOUND);
    assert_int_equal(symlink("nowhere", "dangling"), 0);
    assert_true(fs_exists("dangling"));
}

static void
folders_and_syncs(void **state)
{
    CLEANUP_FREE char *absolute = xasprintf("%s/abs//x/", dir);
    struct err err = ERR_INIT;
    struct stat st;

    assert_int_equal(fs_mkdirs("m/n//o/", 0750, &err), 0);
    assert_int_equal(stat("m/n/o", &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(fs_mkdirs("m/n/o", 0750, &err), 0);
    assert_int_equal(fs_mkdirs(absolute, 0750, &err), 0);
    assert_int_equal(stat("abs/x", &st), 0);
    put("plain", "data", 0600);
    assert_int_equal(fs_mkdirs("plain/x", 0750, &err), ERR_EXISTS);
    err_clear(&err);
    assert_int_equal(fs_mkdirs("", 0750, &err), ERR_INVALID);
    err_clear(&err);
    assert_int_equal(fs_sync_path("plain", &err), 0);
    assert_int_equal(fs_sync_parent("plain", &err), 0);
    assert_int_equal(fs_sync_parent("/", &err), 0);
    assert_int_equal(fs_sync_parent("m/n/o/", &err), 0);
    assert_int_equal(fs_drop_cache("plain", &err), 0);
    assert_int_equal(fs_sync_path("gone", &err), ERR_NOT_FOUND);
    err_clear(&err);
    assert_int_equal(fs_sync_parent("gone/x", &err), ERR_NOT_FOUND);
    err_clear(&err);
    assert_int_equal(fs_drop_cache("gone", &err), ERR_NOT_FOUND);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_reads_and_writes),
        cmocka_unit_test(short_transfers_are_continued),
        cmocka_unit_test(read_file_limits_and_kinds),
        cmocka_unit_test(secret_files),
        cmocka_unit_test(secret_files_with_zero_byte),
        cmocka_unit_test(durable_writes),
        cmocka_unit_test(create_refuses_an_existing_name),
        cmocka_unit_test(failed_write_leaves_the_old_file),
        cmocka_unit_test(renames_and_removals),
        cmocka_unit_test(folders_and_syncs),
    };

    umask(022);
    return cmocka_run_group_tests(tests, setup, teardown);
}
