/* Unit tests of os/proc_text.h: what the files of /proc say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "os/proc_text.h"

#define STAT_TAIL                                                                        \
    " S 7 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 3 0 987654 1000 2 "                  \
    "18446744073709551615"

static void
stat_of_strange_names(void **state)
{
    static const char *const good[] = {
        "12 (cat)" STAT_TAIL,
        "12 (a b)" STAT_TAIL,
        "12 () S 1 (x))" STAT_TAIL,
        "12 (a\nb)" STAT_TAIL "\n",
    };
    static const char *const bad[] = {
        "",
        "12",
        "12 (cat",
        "12 (cat)",
        "12 (cat) S",
        "12 (cat) S x 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 3 0 987654 1",
        "12 (cat) S 7 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 3 0 -5 1",
        "12 (cat) S 99999999999 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 3 0 5 1",
        "12 (cat) S 7 12 12 0 -1 4194560 100 0 0 0 1 2 0 0 20 0 3 0",
    };

    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct proc_stat s = {0};

        assert_int_equal(proc_stat_parse(good[i], &s), 0);
        assert_int_equal(s.state, 'S');
        assert_int_equal(s.ppid, 7);
        assert_int_equal(s.start_ticks, 987654);
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct proc_stat s = {.ppid = 3};

        if (proc_stat_parse(bad[i], &s) == 0)
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(s.ppid, 3);
    }
}

static void
words_of_a_command_line(void **state)
{
    static const char line[] = "qemu-nbd\0--export-name=a b\0\0last"; /* and a NUL */
    size_t n = 0;
    char **a = proc_args_split(line, sizeof(line), &n);

    assert_int_equal(n, 4);
    assert_string_equal(a[0], "qemu-nbd");
    assert_string_equal(a[1], "--export-name=a b");
    assert_string_equal(a[2], "");
    assert_string_equal(a[3], "last");
    assert_null(a[4]);
    proc_args_free(a);

    a = proc_args_split(line, sizeof(line) - 3, &n); /* cut in the last word */
    assert_int_equal(n, 4);
    assert_string_equal(a[3], "la");
    proc_args_free(a);

    a = proc_args_split("", 0, &n); /* a kernel thread */
    assert_int_equal(n, 0);
    assert_null(a[0]);
    proc_args_free(a);
    proc_args_free(NULL);
}

static void
values_of_an_environment(void **state)
{
    static const char env[] = "PATH=/bin\0SENDENSE_OWNERS=no\0SENDENSE_OWNER=hub:1\0X=";
    CLEANUP_FREE char *owner = proc_env_get(env, sizeof(env), "SENDENSE_OWNER");
    CLEANUP_FREE char *empty = proc_env_get(env, sizeof(env), "X");
    CLEANUP_FREE char *cut = proc_env_get(env, 33, "SENDENSE_OWNER");

    assert_string_equal(owner, "hub:1");
    assert_string_equal(empty, "");
    assert_null(cut);
    assert_null(proc_env_get(env, sizeof(env), "ATH"));
    assert_null(proc_env_get("SENDENSE_OWNER", 14, "SENDENSE_OWNER"));
    assert_null(proc_env_get("", 0, "X"));
}

static void
listeners(void **state)
{
    static const char v4[] = "   3: 0100007F:2774 00000000:0000 0A 00000000:00000000 "
                             "00:00000000 00000000  1000        0 4711 1 0000 100 0 0 10";
    static const char v6[] = "   0: 00000000000000000000000001000000:1F92 "
                             "00000000000000000000000000000000:0000 0A 00000000:00000000 "
                             "00:00000000 00000000     0        0 99 1 0000 100 0 0 10 0";
    static const char established[] = "   3: 0100007F:2774 0100007F:0001 01 "
                                      "00000000:00000000 00:00000000 00000000  1000 "
                                      "       0 4712 1";
    static const char heading[] =
        "  sl  local_address rem_address   st tx_queue rx_queue";
    static const char *const bad[] = {
        "",
        "   3: 0100007F:2774",
        "   3: 0100007F 0:0 0A 0:0 0:0 0 0 0 4711",
        "   3: 0100007F:27745 0:0 0A 0:0 0:0 0 0 0 4711",
        "   3: 0100007F:27g4 0:0 0A 0:0 0:0 0 0 0 4711",
        "   3: 0100007F:2774 0:0 0A 0:0 0:0 0 0 0 -1",
        "   3: 0100007F: 0:0 0A 0:0 0:0 0 0 0 4711",
    };
    struct proc_listener l = {0};

    assert_int_equal(proc_listener_parse(v4, &l), 1);
    assert_int_equal(l.port, 10100);
    assert_int_equal(l.inode, 4711);
    assert_int_equal(proc_listener_parse(v6, &l), 1);
    assert_int_equal(l.port, 8082);
    assert_int_equal(l.inode, 99);
    assert_int_equal(proc_listener_parse(established, &l), 0);
    assert_int_equal(proc_listener_parse(heading, &l), 0);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (proc_listener_parse(bad[i], &l) != -1)
            fail_msg("taken: %s", bad[i]);
}

static void
sockets(void **state)
{
    static const char *const bad[] = {
        "",         "socket:[]",   "socket:[12", "socket:[-1]",
        "pipe:[1]", "socket:[1]x", "socket:["};
    uint64_t inode = 0;

    assert_int_equal(proc_socket_inode("socket:[4711]", &inode), 0);
    assert_int_equal(inode, 4711);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (proc_socket_inode(bad[i], &inode) == 0)
            fail_msg("taken: %s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stat_of_strange_names),
        cmocka_unit_test(words_of_a_command_line),
        cmocka_unit_test(values_of_an_environment),
        cmocka_unit_test(listeners),
        cmocka_unit_test(sockets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
