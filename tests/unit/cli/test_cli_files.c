/* `restore files` against a scripted hub. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/mem.h"
#include "fake_hub.h"

#define MOUNT(status, more)                                                              \
    "{\"mount_id\":\"m1\",\"backup_id\":\"b1\",\"status\":\"" status "\"," more "}"
#define NO_ERROR "\"reason\":null,\"error\":null"
#define NONE                                                                             \
    {                                                                                    \
        "GET /restore/mounts", 0, "{\"mounts\":[],\"next\":null}"                        \
    }
#define OPEN                                                                             \
    {"GET /restore/mounts", 0,                                                           \
     "{\"mounts\":[" MOUNT("ended", NO_ERROR) "," MOUNT("ready",                         \
                                                        NO_ERROR) "],\"next\":null}"},   \
    {                                                                                    \
        "GET /restore/mounts/{id}", 0, MOUNT("ready", NO_ERROR)                          \
    }
#define FS(name, readable)                                                               \
    "{\"fs\":\"" name "\",\"type\":\"ext4\",\"label\":null,\"uuid\":null,"               \
    "\"size_bytes\":1048576,\"device_key\":2000,\"readable\":" readable "}"
#define ONE_FS                                                                           \
    {                                                                                    \
        "GET /restore/mounts/{id}/filesystems", 0,                                       \
            "{\"filesystems\":[" FS("/dev/sda1", "true") "," FS("/dev/sda2",             \
                                                                "false") "]}"            \
    }
#define TWO_FS                                                                           \
    {                                                                                    \
        "GET /restore/mounts/{id}/filesystems", 0,                                       \
            "{\"filesystems\":[" FS("/dev/sda1", "true") "," FS("/dev/sdb", "true") "]}" \
    }
#define ENTRY(name, type, mode, size)                                                    \
    "{\"name\":\"" name "\",\"path\":\"/" name "\",\"type\":\"" type                     \
    "\",\"size_bytes\":" size ",\"mode\":" mode ",\"uid\":0,\"gid\":5,\"nlink\":1,"      \
    "\"mtime\":\"2026-01-02T03:04:05.000001Z\",\"target\":null}"

static void
expect(struct result r, int code, const char *in_out, const char *in_err)
{
    if (r.code != code || (in_out && !strstr(r.out, in_out)) ||
        (in_err && !strstr(r.err, in_err)))
        fail_msg("exit %d, not %d\nwanted: %s / %s\nout: %s\nerr: %s\nasked: %s", r.code,
                 code, in_out ? in_out : "", in_err ? in_err : "", r.out, r.err, hub.log);
    result_done(&r);
}

static void
asked(const char *text)
{
    if (!strstr(hub.log, text))
        fail_msg("not asked: %s\nbut: %s", text, hub.log);
}

static void
test_session(void **state)
{
    const struct canned start[] = {
        NONE,
        {"POST /restore/mounts", 0, MOUNT("starting", NO_ERROR)},
        {"GET /restore/mounts/{id}", 0, MOUNT("starting", NO_ERROR)},
        {"GET /restore/mounts/{id}", 0, MOUNT("ready", NO_ERROR)},
        ONE_FS,
        {0}};
    const struct canned failed[] = {
        NONE,
        {"POST /restore/mounts", 0, MOUNT("starting", NO_ERROR)},
        {"GET /restore/mounts/{id}", 0,
         MOUNT("ended",
               "\"reason\":\"failed\",\"error\":{\"code\":\"appliance_unavailable\","
               "\"message\":\"no kernel\"}")},
        {0}};
    const struct canned full[] = {
        NONE,
        {"POST /restore/mounts", ERR_LIMIT, "4 are open", "too_many_requests"},
        {0}};
    const struct canned again[] = {OPEN, ONE_FS, {0}};
    const struct canned end[] = {
        OPEN, ONE_FS, {"DELETE /restore/mounts/{id}", 0, "{}"}, {0}};

    expect(run_cli(start, "restore files b1 fs"), 0, "/dev/sda1", "stays open");
    asked("\"backup_id\":\"b1\"");
    expect(run_cli(failed, "restore files b1 fs"), 1, NULL, "no kernel");
    expect(run_cli(full, "restore files b1 fs"), 1, NULL, "too_many_requests");
    expect(run_cli(again, "restore files b1 fs -o json"), 0, "\"readable\": false", "");
    expect(run_cli(end, "restore files b1 close"), 0, NULL, "ended");
    expect(run_cli(NULL, "restore files b1 frob"), 2, NULL, "frob");
    expect(run_cli(NULL, "restore files"), 2, NULL, "usage");
}

static void
test_ls(void **state)
{
    const struct canned pages[] = {
        OPEN,
        ONE_FS,
        {"GET /restore/mounts/{id}/files", 0,
         "{\"entries\":[" ENTRY("a", "file", "2537", "10") "],\"next\":\"a\"}"},
        {"GET /restore/mounts/{id}/files", 0,
         "{\"entries\":[" ENTRY("b", "dir", "1023", "0") "],\"next\":null}"},
        {0}};
    const struct canned two[] = {OPEN, TWO_FS, {0}};
    const struct canned named[] = {
        OPEN,
        TWO_FS,
        {"GET /restore/mounts/{id}/files", 0, "{\"entries\":[],\"next\":null}"},
        {0}};

    expect(run_cli(pages, "restore files b1 ls /x"), 0, "rwsr-x--x", NULL);
    expect(run_cli(two, "restore files b1 ls /x"), 2, NULL, "/dev/sda1, /dev/sdb");
    expect(run_cli(named, "restore files b1 ls /dev/sdb:"), 0, NULL, NULL);
}

static void
test_get(void **state)
{
    char to[] = "/tmp/sendense-cli-XXXXXX";
    CLEANUP_FREE char *line = NULL, *path = NULL, *part = NULL;
    const struct canned whole[] = {
        OPEN,
        ONE_FS,
        {"GET /restore/mounts/{id}/file-info", 0, ENTRY("f", "file", "420", "4")},
        {"GET /restore/mounts/{id}/download", 0, "data"},
        {0}};
    const struct canned cut[] = {
        OPEN,
        ONE_FS,
        {"GET /restore/mounts/{id}/file-info", 0, ENTRY("g", "file", "420", "5")},
        {"GET /restore/mounts/{id}/download", 0, "data"},
        {0}};
    const struct canned there[] = {
        OPEN,
        ONE_FS,
        {"GET /restore/mounts/{id}/file-info", 0, ENTRY("f", "file", "420", "4")},
        {0}};
    const struct canned evil[] = {
        OPEN,
        ONE_FS,
        {"GET /restore/mounts/{id}/file-info", 0, ENTRY("../f", "file", "420", "4")},
        {0}};
    const struct canned missing[] = {OPEN,
                                     ONE_FS,
                                     {"GET /restore/mounts/{id}/file-info", ERR_NOT_FOUND,
                                      "not there", "file_not_found"},
                                     {0}};
    struct stat st;

    assert_non_null(mkdtemp(to));
    line = xasprintf("restore files b1 get /f --to %s", to);
    path = xasprintf("%s/f", to);
    part = xasprintf("%s/g.part", to);
    expect(run_cli(whole, line), 0, NULL, "4 bytes");
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(st.st_mode & 0777, 0644);
    expect(run_cli(there, line), 5, NULL, "is there already");
    expect(run_cli(cut, line), 1, NULL, "4 of 5 bytes");
    assert_int_equal(access(part, F_OK), -1);
    expect(run_cli(evil, line), 1, NULL, NULL);
    expect(run_cli(missing, line), 4, NULL, "file_not_found");
    unlink(path);
    assert_int_equal(rmdir(to), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_ls),
        cmocka_unit_test(test_get),
    };

    return cmocka_run_group_tests(tests, fake_hub_start, fake_hub_stop);
}
