/* Unit tests of node/options.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/fs.h"
#include "base/mem.h"
#include "node/options.h"

static int
parse(const char *const *args, struct node_options *ret, struct err *err)
{
    const char *argv[16] = {"sendense-node"};
    int argc = 1;

    while (*args)
        argv[argc++] = *args++;
    return node_options_parse(argc, (char *const *)argv, ret, err);
}
#define ARGS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void
test_defaults(void **state)
{
    struct node_options o = {0};
    struct err err = ERR_INIT;

    assert_int_equal(parse(ARGS("--token-file", "t"), &o, &err), 0);
    assert_int_equal(o.action, NODE_RUN);
    assert_string_equal(o.listen, "127.0.0.1:8081");
    assert_string_equal(o.token_file, "t");
    assert_null(o.client);
    assert_int_equal(o.max_jobs, 8);
    assert_int_equal(o.stop_timeout_s, 5);
    assert_string_equal(o.state, "/var/lib/sendense-node");
    assert_int_equal(o.log_level, LOG_LEVEL_INFO);
}

static void
test_all(void **state)
{
    struct node_options o = {0};
    struct err err = ERR_INIT;

    assert_int_equal(
        parse(ARGS("--token-file=t", "--listen", "0.0.0.0:1", "--allow-remote",
                   "--client", "/c", "--max-jobs", "3", "--stop-timeout", "9", "--state",
                   "/s", "--log-level", "debug"),
              &o, &err),
        0);
    assert_true(o.allow_remote);
    assert_string_equal(o.client, "/c");
    assert_int_equal(o.max_jobs, 3);
    assert_int_equal(o.stop_timeout_s, 9);
    assert_string_equal(o.state, "/s");
    assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
    assert_int_equal(parse(ARGS("--help"), &o, &err), 0);
    assert_int_equal(o.action, NODE_HELP);
    assert_int_equal(parse(ARGS("--version"), &o, &err), 0);
    assert_int_equal(o.action, NODE_VERSION);
}

static void
refused(const char *const *args, const char *said)
{
    struct node_options o = {0};
    struct err err = ERR_INIT;

    assert_int_equal(parse(args, &o, &err), ERR_INVALID);
    assert_string_equal(err.code, "usage");
    assert_non_null(strstr(err.msg, said));
}

static void
test_refused(void **state)
{
    refused(ARGS("--max-jobs", "1"), "--token-file");
    refused(ARGS("--token-file", "t", "--max-jobs", "0"), "--max-jobs");
    refused(ARGS("--token-file", "t", "--max-jobs", "257"), "--max-jobs");
    refused(ARGS("--token-file", "t", "--max-jobs", "2x"), "--max-jobs");
    refused(ARGS("--token-file", "t", "--stop-timeout", "61"), "--stop-timeout");
    refused(ARGS("--token-file", "t", "--log-level", "loud"), "--log-level");
    refused(ARGS("--token-file", "t", "--client", ""), "--client");
    refused(ARGS("--token-file", "t", "more"), "'more'");
    refused(ARGS("--token-file", "t", "--frob"), "unknown");
    refused(ARGS("--token-file"), "value");
    refused(ARGS("--token-file", "t", "--listen", "0.0.0.0:8081"), "--allow-remote");
}

static void
test_loopback(void **state)
{
    assert_true(node_listen_is_loopback("127.0.0.1:8081"));
    assert_true(node_listen_is_loopback("127.9.9.9:0"));
    assert_true(node_listen_is_loopback("[::1]:8081"));
    assert_false(node_listen_is_loopback("[::]:8081"));
    assert_false(node_listen_is_loopback("[::ffff:127.0.0.1]:1"));
    assert_false(node_listen_is_loopback("128.0.0.1:8081"));
    assert_false(node_listen_is_loopback("localhost:8081"));
    assert_false(node_listen_is_loopback("127.0.0.1"));
    assert_false(node_listen_is_loopback(":8081"));
    assert_false(node_listen_is_loopback(""));
    assert_false(node_listen_is_loopback(
        "127.0.0.1.example.org.a.name.longer.than.any.address:1"));
}

/* The folder of this test holds no client, so PATH decides. */
static void
test_find_client(void **state)
{
    char dir[] = "/tmp/sendense-node-XXXXXX";
    CLEANUP_FREE char *file = NULL;
    CLEANUP_FREE char *path = NULL;
    CLEANUP_FREE char *found = NULL;
    struct err err = ERR_INIT;

    assert_non_null(mkdtemp(dir));
    file = xasprintf("%s/sendense-backup-client", dir);
    path = xasprintf(".:/nowhere:%s", dir);
    assert_int_equal(setenv("PATH", path, 1), 0);
    assert_int_equal(node_find_client(&found, &err), ERR_NOT_FOUND);
    assert_string_equal(err.code, "client_not_found");
    err_clear(&err);
    assert_int_equal(fs_write_file_durable(file, "x", 1, 0700, &err), 0);
    assert_int_equal(node_find_client(&found, &err), 0);
    assert_string_equal(found, file);
    assert_int_equal(fs_unlink(file, false, &err), 0);
    rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),    cmocka_unit_test(test_all),
        cmocka_unit_test(test_refused),     cmocka_unit_test(test_loopback),
        cmocka_unit_test(test_find_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
