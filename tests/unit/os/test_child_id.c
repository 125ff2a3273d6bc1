/* Unit tests of os/child.h: what a child is known by, and what it used. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "child_rig.h"

static void
identity_names_one_process(void **state)
{
    CLEANUP_CHILD struct child *c = start("stay", NULL, CHILD_NULL, NULL);
    struct child_id self, id = *child_identity(c), other;
    struct err err = ERR_INIT;
    char line[100];

    read_line(c, line, sizeof(line));
    assert_int_equal(child_id_self(&self, &err), 0);
    assert_int_equal(self.pid, getpid());
    assert_int_equal(strlen(self.boot_id), 36);
    assert_true(child_id_alive(&self));
    assert_true(child_id_alive(&id));
    assert_true(id.start_ticks >= self.start_ticks);

    /* The number is in use, but by another process than the journal means: never killed.
     */
    other = id;
    other.start_ticks--;
    assert_false(child_id_alive(&other));
    assert_int_equal(child_id_kill(&other, 1000, &err), 0);
    other = id;
    other.boot_id[0] = other.boot_id[0] == 'a' ? 'b' : 'a';
    assert_false(child_id_alive(&other));
    assert_int_equal(child_id_kill(&other, 1000, &err), 0);
    other = (struct child_id){.pid = -1};
    assert_false(child_id_alive(&other));
    assert_int_equal(child_id_kill(&other, 1000, &err), 0);
    assert_int_equal(child_wait(c, 0, NULL, &err), ERR_TIMEOUT);
    err_clear(&err);
    assert_true(child_id_alive(&id));

    assert_int_equal(child_id_kill(&id, HELPER_TIMEOUT_MS, &err), 0);
    assert_false(child_id_alive(&id)); /* a zombie counts as dead */
    assert_int_equal(child_id_kill(&id, 1000, &err), 0);
    assert_int_equal(child_wait(c, soon(), NULL, &err), 0);
    assert_false(child_id_alive(&id));
    assert_int_equal(child_id_kill(&id, 1000, &err), 0);
}

/* A name like this breaks readers of /proc/PID/stat that split at spaces. */
static void
identity_survives_a_strange_process_name(void **state)
{
    struct child_id before, after;
    struct err err = ERR_INIT;
    char name[16] = "";

    assert_int_equal(child_id_self(&before, &err), 0);
    prctl(PR_GET_NAME, name);
    prctl(PR_SET_NAME, "x) Z 1 2 (y");
    assert_int_equal(child_id_self(&after, &err), 0);
    assert_true(child_id_alive(&before));
    prctl(PR_SET_NAME, name);
    assert_true(before.start_ticks == after.start_ticks);
}

/* The figures are those of the child: one that only waits has next to no CPU time. */
static void
exit_tells_what_was_used(void **state)
{
    CLEANUP_CHILD struct child *lazy = start("exit", "0", CHILD_NULL, NULL);
    CLEANUP_CHILD struct child *busy = start("busy", NULL, CHILD_NULL, NULL);
    struct child_exit few, many;
    struct err err = ERR_INIT;
    char text[CHILD_COST_SIZE];

    assert_int_equal(child_wait(lazy, soon(), &few, &err), 0);
    assert_int_equal(child_wait(busy, soon(), &many, &err), 0);
    assert_int_equal(many.value, 0);
    assert_true(many.cpu_ms >= 190); /* it stops at 200 ms; the kernel rounds */
    assert_true(many.cpu_ms > few.cpu_ms);
    assert_true(many.peak_kib >= 32 * 1024 && many.peak_kib > few.peak_kib);
    many.cpu_ms = 12345;
    many.peak_kib = 5 * 1024 + 1;
    assert_string_equal(child_cost_to_str(&many, text), "12.34 CPU s, 5 MiB at most");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_names_one_process),
        cmocka_unit_test(identity_survives_a_strange_process_name),
        cmocka_unit_test(exit_tells_what_was_used),
    };

    if (argc != 2) {
        fprintf(stderr, "usage: test_child_id HELPER\n");
        return 2;
    }
    helper = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
