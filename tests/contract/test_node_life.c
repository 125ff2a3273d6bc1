/* The node's own beginning and end: what it refuses to start with, and that it leaves
 * nothing. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fs.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/timeutil.h"
#include "node_rig.h"

/* Returns when the client said hello: it has read its spec and set its signals. */
static pid_t
start_job(struct node_rig *rig, const char *how)
{
    CLEANUP_JSON json_t *page = NULL;
    CLEANUP_FREE char *path = NULL;
    char id[UUID_STR_SIZE];
    pid_t pid = rig_post(rig, how, id);

    path = xasprintf("/api/v1/jobs/%s/events?wait=30", id);
    assert_int_equal(rig_call(rig, "GET", path, NULL, &page), 200);
    return pid;
}

static void
test_sigterm_leaves_nothing(void **state)
{
    struct node_rig rig;
    pid_t a, b, c;

    rig_start(&rig, "8", "1");
    a = start_job(&rig, "silent");
    b = start_job(&rig, "stubborn");
    c = start_job(&rig, "lingering");
    rig_stop(&rig);
    rig_assert_gone(a);
    rig_assert_gone(b);
    rig_assert_gone(c);
    rig_cleanup(&rig);
}

static void
test_kill_of_the_node_ends_its_clients(void **state)
{
    struct node_rig rig;
    struct err err = ERR_INIT;
    struct child_exit how;
    pid_t a, b;

    rig_start(&rig, "8", "1");
    a = start_job(&rig, "silent");
    b = start_job(&rig, "stubborn");
    kill(child_identity(rig.node)->pid, SIGKILL);
    rig_assert_gone(a);
    rig_assert_gone(b);
    assert_int_equal(child_wait(rig.node, time_mono_ns() + 10 * NS_PER_S, &how, &err), 0);
    assert_true(how.signaled);
    rig_cleanup(&rig);
}

/* The node must not wait for a long poll that nobody will answer. */
static void
test_stop_without_jobs(void **state)
{
    struct node_rig rig;

    rig_start(&rig, "1", "60");
    rig_stop(&rig);
    rig_cleanup(&rig);
}

static void
exits_with(const char *const *argv, const char *said)
{
    CLEANUP_BUF struct buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;

    assert_int_equal(child_run(argv, NULL, 0, 20000, &out, &err), ERR_IO);
    if (!strstr(err.msg, said))
        fail_msg("'%s' is not in '%s'", said, err.msg);
}

static void
write_token(const char *path, const char *text, mode_t mode)
{
    struct err err = ERR_INIT;

    assert_int_equal(fs_write_file_durable(path, text, strlen(text), mode, &err), 0);
}

static void
test_refused_starts(void **state)
{
    const char *node = getenv("SENDENSE_NODE");
    char dir[] = "/tmp/sendense-contract-XXXXXX";
    CLEANUP_FREE char *token = NULL;
    struct err err = ERR_INIT;

    assert_non_null(mkdtemp(dir));
    token = xasprintf("%s/token", dir);
    const char *const none[] = {node,       "--token-file", token,
                                "--listen", "127.0.0.1:0",  NULL};
    const char *const remote[] = {node,       "--token-file", token,
                                  "--listen", "0.0.0.0:0",    NULL};
    const char *const client[] = {
        node,       "--token-file", token, "--client", "/nowhere/at/all",
        "--listen", "bad",          NULL};

    exits_with(none, "exit");
    write_token(token, RIG_TOKEN, 0644);
    exits_with(none, token);
    write_token(token, "short", 0600);
    exits_with(none, "fewer than");
    write_token(token, RIG_TOKEN, 0600);
    exits_with(remote, "--help");
    exits_with(client, "--help");
    assert_int_equal(fs_unlink(token, false, &err), 0);
    rmdir(dir);
}

static void
test_help_and_version(void **state)
{
    const char *node = getenv("SENDENSE_NODE");
    const char *const help[] = {node, "--help", NULL};
    const char *const version[] = {node, "--version", NULL};
    CLEANUP_BUF struct buf out = BUF_INIT(65536);
    struct err err = ERR_INIT;

    assert_int_equal(child_run(help, NULL, 0, 20000, &out, &err), 0);
    assert_non_null(strstr(out.data, "--token-file"));
    buf_reset(&out);
    assert_int_equal(child_run(version, NULL, 0, 20000, &out, &err), 0);
    assert_int_equal(strncmp(out.data, "sendense-node ", 14), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sigterm_leaves_nothing),
        cmocka_unit_test(test_kill_of_the_node_ends_its_clients),
        cmocka_unit_test(test_stop_without_jobs),
        cmocka_unit_test(test_refused_starts),
        cmocka_unit_test(test_help_and_version),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
