/* tests/unit/store/test_repo.c - the local engine: the suite, and what only folders can
 * do. */
#include "store_test.h"

#include <sched.h>
#include <sys/mount.h>

#include "os/child.h"
#include "repo_suite.h"
#include "store/layer.h"

/* In a mount namespace of its own: mounts of a test vanish with it, however it ends. */
static bool own_mounts;

static struct repo *
fresh(const char *dir)
{
    struct err err = ERR_INIT;
    struct repo *r = NULL;
    CLEANUP_FREE char *path = xasprintf("%s/a/repo", dir);

    assert_ok(repo_create(path, &r, &err));
    assert_ok(repo_lock(r, HUB_A, 0, &err));
    return r;
}

static void
suite_on_local(void **state)
{
    for (unsigned i = 0; i < repo_suite_count; i++) {
        CLEANUP_FREE char *dir = xasprintf("%s/%u", (char *)*state, i);
        struct repo *r = fresh(dir);

        print_message("# suite: %s\n", repo_suite[i].name);
        repo_suite[i].run(r);
        repo_close(r);
    }
}

static void
creates_adopts_opens(void **state)
{
    struct err err = ERR_INIT;
    struct repo *r = fresh(*state), *again = NULL;
    CLEANUP_FREE char *uuid = xstrdup(repo_uuid(r));
    CLEANUP_FREE char *path = xstrdup(repo_folder(r));
    CLEANUP_FREE char *other = xasprintf("%s/other", (char *)*state);
    CLEANUP_FREE char *lost = xasprintf("%s/lost+found", other);
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    repo_close(r);
    assert_ok(repo_create(path, &again, &err)); /* adopted: the same uuid */
    assert_string_equal(repo_uuid(again), uuid);
    repo_close(again);
    assert_ok(repo_open(path, uuid, &again, &err));
    repo_close(again);
    assert_ok(repo_open(path, NULL, &again, &err));
    repo_close(again);
    assert_fails(repo_open(path, HUB_A, &again, &err), ERR_EXISTS, "repo_uuid_mismatch");
    assert_fails(repo_open("relative", NULL, &again, &err), ERR_INVALID, "repo_path");
    assert_fails(repo_create("relative", &again, &err), ERR_INVALID, "repo_path");
    assert_fails(repo_open(other, NULL, &again, &err), ERR_NOT_FOUND, "repo_missing");
    assert_int_equal(mkdir(other, 0700), 0);
    assert_fails(repo_open(other, NULL, &again, &err), ERR_NOT_FOUND, "repo_missing");
    put_file(lost, "x", 1); /* the root of a file system has it */
    assert_ok(repo_create(other, &again, &err));
    repo_close(again);
    repo_close(NULL);
}

static void
folder_that_went_away(void **state)
{
    struct err err = ERR_INIT;
    struct repo *r = fresh(*state);
    struct repo_space space;
    CLEANUP_FREE char *path = xstrdup(repo_folder(r));
    CLEANUP_FREE char *away = xasprintf("%s/away", (char *)*state);

    assert_ok(repo_space(r, &space, &err));
    assert_int_equal(rename(path, away), 0);
    assert_fails(repo_space(r, &space, &err), ERR_UNAVAILABLE, "repository_unavailable");
    assert_int_equal(mkdir(path, 0700), 0); /* another one in its place */
    assert_fails(repo_space(r, &space, &err), ERR_UNAVAILABLE, "repository_unavailable");
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(rename(away, path), 0);
    assert_ok(repo_space(r, &space, &err));
    repo_close(r);
}

static void
foreign_folder_is_refused(void **state)
{
    struct err err = ERR_INIT;
    struct repo *r = NULL;
    CLEANUP_FREE char *file = xasprintf("%s/precious", (char *)*state);

    put_file(file, "x", 1);
    assert_fails(repo_create(*state, &r, &err), ERR_EXISTS, "repo_folder_not_empty");
    assert_int_equal(count_entries(*state), 1); /* nothing was added */
    assert_int_not_equal(repo_create(file, &r, &err), 0);
}

static void
bad_repo_file(void **state)
{
    static const struct {
        const char *text;
        int class;
        const char *code;
    } cases[] = {
        {"", ERR_CORRUPT, "repo_unreadable"},
        {"{", ERR_CORRUPT, "repo_unreadable"},
        {"[]", ERR_CORRUPT, "repo_unreadable"},
        {"{\"format\":1}", ERR_CORRUPT, "repo_unreadable"},
        {"{\"format\":\"1\",\"incompat\":[]}", ERR_CORRUPT, "repo_unreadable"},
        {"{\"format\":2,\"incompat\":[]}", ERR_INVALID, "repo_format"},
        {"{\"format\":1,\"incompat\":[\"x\"]}", ERR_INVALID, "repo_format"},
        {"{\"format\":1,\"incompat\":[],\"repository_uuid\":\"x\",\"probe\":{}}",
         ERR_CORRUPT, "repo_unreadable"},
        {"{\"format\":1,\"incompat\":[],\"repository_uuid\":\"" HUB_B "\"}", ERR_CORRUPT,
         "repo_unreadable"},
    };
    struct err err = ERR_INIT;
    struct repo *r = fresh(*state);
    CLEANUP_FREE char *path = xstrdup(repo_folder(r));
    CLEANUP_FREE char *file = xasprintf("%s/sendense-repo.json", path);

    repo_close(r);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_file(file, cases[i].text, strlen(cases[i].text));
        assert_fails(repo_open(path, NULL, &r, &err), cases[i].class, cases[i].code);
        assert_fails(repo_create(path, &r, &err), cases[i].class, cases[i].code);
    }
    const char *newer = "{\"format\":1,\"incompat\":[],\"repository_uuid\":\"" HUB_B "\","
                        "\"probe\":{\"holes\":true,\"new\":1},\"more\":[1]}";
    put_file(file, newer, strlen(newer));
    assert_ok(repo_open(path, HUB_B, &r, &err));
    assert_true(repo_probed(r)->holes);
    assert_false(repo_probed(r)->reflink);
    repo_close(r);
}

static void
second_hub_is_refused(void **state)
{
    struct err err = ERR_INIT;
    struct repo *a = fresh(*state), *b = NULL;

    assert_ok(repo_open(repo_folder(a), NULL, &b, &err));
    assert_int_equal(repo_lock_fd(b), -1);
    assert_fails(repo_lock(b, "nobody", 0, &err), ERR_INVALID, NULL);
    assert_int_equal(repo_lock(b, HUB_B, 60, &err), ERR_EXISTS);
    assert_string_equal(err.code, "repo_locked");
    CLEANUP_FREE char *pid = xasprintf("pid %d", (int)getpid());
    assert_non_null(strstr(err.msg, "hub " HUB_A));
    assert_non_null(strstr(err.msg, pid));
    assert_fails(repo_put(b, "x", "x", 1, &err), ERR_UNAVAILABLE, "repo_not_locked");
    assert_fails(repo_remove(b, "x", true, &err), ERR_UNAVAILABLE, "repo_not_locked");
    assert_fails(repo_make_dir(b, "x", &err), ERR_UNAVAILABLE, "repo_not_locked");
    assert_fails(layer_remove(b, LOC(DISK_A, "000001"), &err), ERR_UNAVAILABLE,
                 "repo_not_locked");
    /* A writer that inherited the descriptor keeps the lock when its hub is gone. */
    int writer = dup(repo_lock_fd(a));
    assert_ok(repo_lock(a, HUB_A, 0, &err)); /* idempotent */
    repo_close(a);
    assert_fails(repo_lock(b, HUB_B, 0, &err), ERR_EXISTS, "repo_locked");
    close(writer);
    assert_ok(repo_lock(b, HUB_B, 0, &err));
    repo_close(b);
}

/* A record of rubbish must not break the message. */
static void
lock_record_is_data(void **state)
{
    struct err err = ERR_INIT;
    struct repo *a = fresh(*state), *b = NULL;
    CLEANUP_FREE char *file = xasprintf("%s/lock", repo_folder(a));
    const char *evil = "{\"hub\":\"a\\nlevel=error b\",\"pid\":7}";

    assert_ok(repo_open(repo_folder(a), NULL, &b, &err));
    put_file(file, evil, strlen(evil));
    assert_int_equal(repo_lock(b, HUB_B, 0, &err), ERR_EXISTS);
    assert_null(strchr(err.msg, '\n'));
    assert_non_null(strstr(err.msg, "pid 7"));
    put_file(file, "???", 3);
    assert_int_equal(repo_lock(b, HUB_B, 0, &err), ERR_EXISTS);
    assert_non_null(strstr(err.msg, "no record"));
    repo_close(a);
    repo_close(b);
}

static void
planted_links_are_refused(void **state)
{
    struct err err = ERR_INIT;
    struct repo *r = fresh(*state);
    CLEANUP_FREE char *outside = xasprintf("%s/outside", (char *)*state);
    CLEANUP_FREE char *vm = xasprintf("%s/vms/" VM_A, repo_folder(r));
    CLEANUP_FREE char *link_file = xasprintf("%s/vms/link.json", repo_folder(r));
    CLEANUP_FREE char *fifo = xasprintf("%s/vms/fifo", repo_folder(r));
    CLEANUP_FREE char *target = xasprintf("%s/secret", outside);
    CLEANUP_BUF struct buf b = BUF_INIT(64);
    struct repo_layer_spec spec = {.locator = LOC(DISK_A, "000001"), .size_bytes = 512};
    char path[REPO_PATH_SIZE];

    assert_int_equal(mkdir(outside, 0700), 0);
    put_file(target, "secret", 6);
    assert_int_equal(symlink(outside, vm), 0);
    assert_int_equal(symlink(target, link_file), 0);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    assert_fails(repo_get(r, "vms/link.json", &b, &err), ERR_INVALID, "repo_symlink");
    assert_fails(repo_get(r, "vms/fifo", &b, &err), ERR_INVALID, "repo_symlink");
    assert_fails(repo_path(r, "vms/link.json", path, &err), ERR_INVALID, "repo_symlink");
    assert_fails(repo_get(r, "vms/" VM_A "/secret", &b, &err), ERR_INVALID,
                 "repo_symlink");
    assert_fails(repo_put(r, "vms/" VM_A "/x", "x", 1, &err), ERR_INVALID,
                 "repo_symlink");
    assert_fails(repo_path(r, "vms/" VM_A "/secret", path, &err), ERR_INVALID,
                 "repo_symlink");
    assert_fails(repo_remove(r, "vms/" VM_A "/secret", true, &err), ERR_INVALID,
                 "repo_symlink");
    assert_fails(layer_create(r, &spec, &err), ERR_INVALID, "repo_symlink");
    assert_int_equal(count_entries(outside), 1);
    assert_ok(
        repo_remove(r, "vms/link.json", false, &err)); /* the link, not its target */
    assert_int_equal(access(target, F_OK), 0);
    repo_close(r);
}

/* A layer whose header was changed behind our back never reaches qemu. */
static void
planted_backing_is_refused(void **state)
{
    struct err err = ERR_INIT;
    struct repo *r = fresh(*state);
    struct repo_layer_spec full = {.locator = LOC(DISK_A, "000001"),
                                   .size_bytes = 1 << 20};
    struct repo_layer_spec over = {.locator = LOC(DISK_A, "000002"),
                                   .parent = LOC(DISK_A, "000001"),
                                   .size_bytes = 1 << 20};
    struct export_spec spec = {.name = "x", .port = 1};
    struct export *e = NULL;
    char path[REPO_PATH_SIZE];

    assert_ok(layer_create(r, &full, &err));
    assert_ok(repo_path(r, LOC(DISK_A, "000001") ".qcow2", path, &err));
    const char *argv[] = {"qemu-img", "rebase",      "-q", "-u",  "-f", "qcow2",
                          "-b",       "/etc/passwd", "-F", "raw", path, NULL};
    assert_ok(child_run(argv, NULL, 0, 30000, NULL, &err));
    assert_fails(layer_check_chain(r, full.locator, 0, &err), ERR_CORRUPT,
                 "layer_header");
    assert_fails(layer_export_ro(r, full.locator, &spec, &e, &err), ERR_CORRUPT,
                 "layer_header");
    assert_fails(layer_create(r, &over, &err), ERR_CORRUPT, "layer_header");
    repo_close(r);
}

/* ENOSPC: its own code, and nothing is left.  Runs on a file system of 1 MiB. */
static void
full_repository(void **state)
{
    struct err err = ERR_INIT;
    CLEANUP_FREE char *path = xasprintf("%s/a/repo", (char *)*state);
    CLEANUP_FREE char *filler = xasprintf("%s/vms/filler", path);
    struct repo_layer_spec spec = {.locator = LOC(DISK_A, "000001"),
                                   .size_bytes = 1 << 30};
    struct repo *r = NULL;
    char block[4096] = {1};
    CLEANUP_FREE char *big = xcalloc(1, 2 << 20);

    if (!own_mounts)
        skip();
    assert_int_equal(mount("tmpfs", *state, "tmpfs", 0, "size=1m"), 0);
    assert_ok(repo_create(path, &r, &err));
    assert_ok(repo_lock(r, HUB_A, 0, &err));
    assert_fails(repo_put(r, "vms/big", big, 2 << 20, &err), ERR_NO_SPACE, "repo_full");
    assert_fails(repo_get(r, "vms/big", &(struct buf)BUF_INIT(9), &err), ERR_NOT_FOUND,
                 NULL);
    CLEANUP_FD int fd = open(filler, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, block, sizeof(block)) == (ssize_t)sizeof(block))
        ;
    assert_ok(repo_remove_dir(r, "vms/none", &err));
    int rc = layer_create(r, &spec, &err);
    assert_int_equal(rc, ERR_NO_SPACE);
    assert_string_equal(err.code, "repo_full");
    char layer[REPO_PATH_SIZE];
    assert_ok(repo_path(r, LOC(DISK_A, "000001") ".qcow2", layer, &err));
    assert_int_not_equal(access(layer, F_OK), 0);
    close(take_fd(&fd));
    assert_ok(repo_remove(r, "vms/filler", false, &err)); /* room again: it works */
    assert_ok(layer_create(r, &spec, &err));
    repo_close(r);
    assert_int_equal(umount2(*state, MNT_DETACH), 0);
}

/* A crash before the rename leaves a .tmp, which is replaced. */
static void
left_over_tmp_is_replaced(void **state)
{
    struct err err = ERR_INIT;
    struct repo *r = fresh(*state);
    CLEANUP_FREE char *tmp = xasprintf("%s/vms/p.json.tmp", repo_folder(r));
    CLEANUP_BUF struct buf b = BUF_INIT(64);

    put_file(tmp, "half", 4);
    assert_ok(repo_put(r, "vms/p.json", "whole", 5, &err));
    assert_ok(repo_get(r, "vms/p.json", &b, &err));
    assert_string_equal(b.data, "whole");
    assert_int_not_equal(access(tmp, F_OK), 0);
    repo_close(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TMP_TEST(suite_on_local),
        TMP_TEST(creates_adopts_opens),
        TMP_TEST(folder_that_went_away),
        TMP_TEST(foreign_folder_is_refused),
        TMP_TEST(bad_repo_file),
        TMP_TEST(second_hub_is_refused),
        TMP_TEST(lock_record_is_data),
        TMP_TEST(planted_links_are_refused),
        TMP_TEST(planted_backing_is_refused),
        TMP_TEST(left_over_tmp_is_replaced),
        TMP_TEST(full_repository),
    };

    /* Before any thread exists: the one that forks must see the mounts too. */
    own_mounts = geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
                 mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
