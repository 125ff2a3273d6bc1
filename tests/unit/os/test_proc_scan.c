/* Unit tests of os/proc_scan.h and os/proc_owned.h: children of ours, found in /proc. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "child_rig.h"
#include "os/proc_owned.h"

#define MARK "hub:0198c0de-0000-7000-8000-000000000001"
static char mark[] = MARK, other_mark[] = MARK "x";

static void
a_child_is_seen_with_its_mark(void **state)
{
    CLEANUP_PROC_LIST struct proc_list l = {0};
    CLEANUP_CHILD struct child *c = NULL;
    CLEANUP_FREE char *text = NULL, *name = NULL;
    const struct proc *p, *self;
    struct err err = ERR_INIT;
    char line[100];

    child_set_owner(MARK);
    c = start("stay", "--export-name=x", CHILD_NULL, NULL);
    read_line(c, line, sizeof(line));
    assert_int_equal(proc_list_read(&l, &err), 0);
    self = proc_find(&l, getpid());
    p = proc_find(&l, child_identity(c)->pid);
    assert_non_null(self);
    assert_non_null(p);
    assert_int_equal(p->ppid, getpid());
    assert_int_equal(p->id.start_ticks, child_identity(c)->start_ticks);
    assert_string_equal(p->id.boot_id, child_identity(c)->boot_id);
    assert_string_equal(p->owner, MARK);
    assert_int_equal(p->argc, 3);
    assert_string_equal(proc_program(p), "child_helper");
    assert_non_null(strstr(p->exe, "/child_helper"));
    assert_string_equal(proc_option(p, "--export-name"), "x");
    assert_null(proc_option(p, "--export"));
    text = proc_describe(p, true);
    assert_non_null(strstr(text, "child_helper (pid "));
    assert_non_null(strstr(text, "--export-name=x"));
    name = proc_describe(p, false);
    assert_non_null(strstr(name, "child_helper (pid "));
    assert_null(strstr(name, "stay"));
    assert_true(proc_descends(&l, p, getpid()));
    assert_true(proc_descends(&l, p, self->ppid));
    assert_false(proc_descends(&l, self, getpid()));
    assert_false(proc_descends(&l, self, p->id.pid));
    assert_null(proc_find(&l, -1));
}

static void
only_what_has_lost_its_daemon_is_an_orphan(void **state)
{
    struct proc v[] = {
        {.id = {.pid = 10}, .ppid = 1},                      /* the hub */
        {.id = {.pid = 11}, .ppid = 10, .owner = mark},      /* its child */
        {.id = {.pid = 12}, .ppid = 11, .owner = mark},      /* and what that started */
        {.id = {.pid = 13}, .ppid = 1, .owner = mark},       /* an orphan */
        {.id = {.pid = 14}, .ppid = 1, .owner = other_mark}, /* of another hub */
        {.id = {.pid = 15}, .ppid = 1},
        {.id = {.pid = 16}, .ppid = 16, .owner = mark}, /* no end of parents */
    };
    const struct proc_list l = {.v = v, .n = ARRAY_LEN(v)};
    static const bool wanted[] = {false, false, false, true, false, false, true};

    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        assert_int_equal(proc_is_orphan(&l, &v[i], MARK, 10), wanted[i]);
    v[0].owner = mark;
    assert_false(proc_is_orphan(&l, &v[0], MARK, 10));
}

static void
only_programs_that_we_start_are_ended(void **state)
{
    static const struct {
        const char *program;
        bool ours;
    } cases[] = {
        {"/usr/bin/qemu-nbd", true},
        {"qemu-img", true},
        {"nbdkit", true},
        {"sendense-worker", true},
        {"sendense-files", true},
        {"sendense-backup-client", true},
        {"qemu-system-x86_64", true},
        {"bash", false},
        {"sendense-hub", false},
        {"/opt/qemu-nbd/vim", false},
        {"qemu-nbd2", false},
        {"", false},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char *argv[] = {(char *)cases[i].program, NULL};
        const struct proc p = {.argv = argv, .argc = 1};

        if (proc_is_ours_to_end(&p) != cases[i].ours)
            fail_msg("'%s'", cases[i].program);
    }
}

static void
marks(void **state)
{
    CLEANUP_FREE char *hub = proc_mark_hub("1-2");
    CLEANUP_FREE char *node = proc_mark_node("/tmp/../tmp");
    CLEANUP_FREE char *away = proc_mark_node("/nowhere/x");

    assert_string_equal(hub, "hub:1-2");
    assert_string_equal(node, "node:/tmp");
    assert_string_equal(away, "node:/nowhere/x");
}

/* TERM is enough for most; the grace must not be waited for then. */
static void
a_process_is_ended(void **state)
{
    CLEANUP_CHILD struct child *c = start("stay", NULL, CHILD_NULL, NULL);
    struct child_id other = *child_identity(c);
    struct child_exit how = {0};
    struct err err = ERR_INIT;
    uint64_t began = time_mono_ns();
    char line[100];

    read_line(c, line, sizeof(line));
    other.start_ticks++;
    assert_int_equal(proc_end(&other, &err), 0);
    assert_true(child_id_alive(child_identity(c)));
    assert_int_equal(proc_end(child_identity(c), &err), 0);
    assert_true(time_mono_ns() - began < PROC_STOP_GRACE_MS * NS_PER_MS);
    assert_int_equal(child_wait(c, soon(), &how, &err), 0);
    assert_true(how.signaled);
    assert_int_equal(how.value, SIGTERM);
}

/* One that does not listen to TERM is killed after the grace. */
static void
a_deaf_process_is_killed(void **state)
{
    CLEANUP_CHILD struct child *c = start("stubborn", NULL, CHILD_NULL, NULL);
    struct child_exit how = {0};
    struct err err = ERR_INIT;
    char line[100];

    read_line(c, line, sizeof(line));
    assert_int_equal(child_id_stop(child_identity(c), 100, HELPER_TIMEOUT_MS, &err), 0);
    assert_int_equal(child_wait(c, soon(), &how, &err), 0);
    assert_int_equal(how.value, SIGKILL);
}

struct wanted {
    char target[64];
    bool seen;
};

static void
note(void *arg, pid_t pid, const char *target)
{
    struct wanted *w = arg;

    w->seen = w->seen || (pid == getpid() && strcmp(target, w->target) == 0);
}

static void
a_listening_port_has_an_owner(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    CLEANUP_PROC_LISTENERS struct proc_listeners l = {0}, none = {0};
    struct wanted w = {.seen = false};
    struct err err = ERR_INIT;
    uint16_t port;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    port = ntohs(a.sin_port);
    assert_int_equal(proc_listeners_read(port, port, &none, &err), 0);
    assert_int_equal(none.n, 0); /* bound, but it does not listen */
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(proc_listeners_read(port, port, &l, &err), 0);
    assert_int_equal(l.n, 1);
    assert_int_equal(l.v[0].port, port);
    snprintf(w.target, sizeof(w.target), "socket:[%llu]",
             (unsigned long long)l.v[0].inode);
    assert_int_equal(proc_each_fd(note, &w, &err), 0);
    assert_true(w.seen);
    close(fd);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_child_is_seen_with_its_mark),
        cmocka_unit_test(only_what_has_lost_its_daemon_is_an_orphan),
        cmocka_unit_test(only_programs_that_we_start_are_ended),
        cmocka_unit_test(marks),
        cmocka_unit_test(a_process_is_ended),
        cmocka_unit_test(a_deaf_process_is_killed),
        cmocka_unit_test(a_listening_port_has_an_owner),
    };

    if (argc != 2)
        return 2;
    helper = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
